//! Dropout (Srivastava et al. 2014). All engines drop the same values.

use crate::base::rng::{CounterRng, mix};

/// A dropout layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dropout {
    /// The number of the layer among the network's dropout layers, from 0: the site of its draws in the elementwise
    /// stream.
    pub(super) site: u64,
    /// A value is kept if the upper half of its random number is at least this: `rate`·2³², rounded.
    pub(super) threshold: u64,
    /// Factor of kept values: 1 / (1 − rate).
    pub(super) scale: f64,
}

impl Dropout {
    /// Returns the dropout layer number `site` with this rate, in [0, 1).
    pub(super) fn new(site: u64, rate: f64) -> Self {
        Self { site, threshold: (rate * (1_u64 << 32) as f64).round() as u64, scale: 1.0 / (1.0 - rate) }
    }

    /// Whether a value is kept. `key` is that of the iteration and this layer; `element` is the row-major position of
    /// the value in the batch [images, features].
    #[inline(always)]
    pub(super) fn keeps(&self, key: u64, element: u64) -> bool {
        mix(key, element) >> 32 >= self.threshold
    }
}

/// The random stream of dropout in one step and the step's iteration; `None` in evaluation, where nothing is dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct DropoutContext(pub(super) Option<(CounterRng, u64)>);

impl DropoutContext {
    /// Returns the dropout layer with its key in this step; `None` without a layer, or in evaluation.
    pub(super) fn key(self, dropout: Option<Dropout>) -> Option<(Dropout, u64)> {
        let ((elementwise, iteration), dropout) = (self.0?, dropout?);
        Some((dropout, elementwise.key(iteration, dropout.site)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::{Purpose, Stream};

    #[test]
    fn dropout_meets_its_rate_and_differs_by_step_and_layer() {
        let stream = Stream::of_replicate(1, 1, Purpose::Elementwise).counter_rng();
        let dropped = |key: u64| -> Vec<bool> { (0..10_000).map(|e| !Dropout::new(0, 0.3).keeps(key, e)).collect() };
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
        assert!((0..1000).all(|e| Dropout::new(0, 0.0).keeps(7, e)));
    }
}
