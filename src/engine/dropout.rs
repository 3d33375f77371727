//! Dropout (Srivastava et al. 2014). All engines drop the same values.
//!
//! Random numbers of single values come from the *elementwise stream*: the random stream that gives each single value,
//! such as a dropout unit or the augmentation of an image, its number by a counter. The *draw key*
//! ([`CounterRng::key`]) names an iteration and a site (a dropout layer, or the augmentation); [`mix`] of the draw key
//! and the counter of a value is the value's number. Any engine can thus draw the values in any order, and gets the
//! same ones.

use crate::base::rng::{CounterRng, mix};

/// A dropout layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dropout {
    /// The site of the layer in the elementwise stream: its index among the network's dropout layers, from 0.
    pub(super) site: u64,
    /// A value is kept if the upper 32 bits of its random number are at least this: `rate`·2³², rounded.
    pub(super) threshold: u64,
    /// Factor of kept values: 1 / (1 − rate).
    pub(super) scale: f64,
}

impl Dropout {
    /// Returns the dropout layer with index `site` and this rate, in [0, 1).
    pub(super) fn new(site: u64, rate: f64) -> Self {
        Self { site, threshold: (rate * (1_u64 << 32) as f64).round() as u64, scale: 1.0 / (1.0 - rate) }
    }

    /// Returns whether a value is kept. `draw_key` is that of the iteration and this layer, from
    /// [`DropoutContext::draw_key`]; `element` is the row-major position of the value in the batch [images, features].
    #[inline(always)]
    pub(super) fn keeps(&self, draw_key: u64, element: u64) -> bool {
        mix(draw_key, element) >> 32 >= self.threshold
    }
}

/// The random numbers from which one pass through the network draws its dropout masks.
#[derive(Clone, Copy, Debug)]
pub(super) enum DropoutContext {
    /// Nothing is dropped, as in evaluation.
    Off,
    /// A training step.
    Step {
        /// The elementwise stream.
        generator: CounterRng,
        /// The iteration of the step.
        iteration: u64,
    },
}

impl DropoutContext {
    /// Returns the dropout layer with its draw key in this step; `None` without a layer, or if nothing is dropped.
    pub(super) fn draw_key(self, dropout: Option<Dropout>) -> Option<(Dropout, u64)> {
        match self {
            Self::Off => None,
            Self::Step { generator, iteration } => {
                let dropout = dropout?;
                Some((dropout, generator.key(iteration, dropout.site)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::{Purpose, Stream};

    #[test]
    fn dropout_meets_its_rate_and_differs_by_step_and_layer() {
        let stream = Stream::of_replicate(1, 1, Purpose::Elementwise).counter_rng();
        let dropped = |draw_key: u64| -> Vec<bool> {
            (0..10_000).map(|element| !Dropout::new(0, 0.3).keeps(draw_key, element)).collect()
        };
        let first = dropped(stream.key(0, 0));
        let count = first.iter().filter(|&&dropped| dropped).count();
        assert!((2_850..3_150).contains(&count), "{count} of 10,000 at rate 0.3");
        for other in [
            stream.key(1, 0),
            stream.key(0, 1),
            Stream::of_replicate(1, 2, Purpose::Elementwise).counter_rng().key(0, 0),
        ] {
            let both = dropped(other).iter().zip(&first).filter(|(a, b)| **a && **b).count();
            assert!((780..1_020).contains(&both), "{both} of 10,000 dropped by both, where chance gives 900");
        }
        assert!((0..1000).all(|element| Dropout::new(0, 0.0).keeps(7, element)));
    }
}
