//! What a training measured on its way. Knows no file.

use serde::{Deserialize, Serialize};

/// Loss and accuracy on one set of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Share of images whose largest logit is the label's, 0..=1.
    pub accuracy: f64,
}

/// The scores of one network after so many iterations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Optimizer steps taken, counted absolutely.
    pub iteration: u64,
    /// On the first images of the training set, as many as the validation set has, without augmentation.
    pub train: Score,
    /// On the validation set.
    pub validation: Score,
    /// On the test set: reported, never used for a decision.
    pub test: Score,
}

/// The evaluations of one training, by iteration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve(pub Vec<Point>);

impl Curve {
    /// The early stop: the first point with the least validation loss, found afterwards. The first evaluation, that of
    /// the network as it starts, is not eligible: nothing has been trained there.
    pub fn early_stop(&self) -> Option<&Point> {
        self.0
            .iter()
            .skip(1)
            .filter(|point| point.validation.loss.is_finite())
            .reduce(|best, point| if point.validation.loss < best.validation.loss { point } else { best })
    }

    /// The evaluation after the last iteration.
    pub fn last(&self) -> Option<&Point> {
        self.0.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(losses: &[f64]) -> Curve {
        let score = |loss| Score { loss, accuracy: 0.5 };
        let point = |(i, &loss): (usize, &f64)| Point {
            iteration: i as u64 * 100,
            train: score(0.0),
            validation: score(loss),
            test: score(0.0),
        };
        Curve(losses.iter().enumerate().map(point).collect())
    }

    #[test]
    fn early_stop_is_the_first_minimum_after_the_start() {
        assert_eq!(curve(&[0.1, 0.5, 0.3, 0.3, 0.4]).early_stop().map(|p| p.iteration), Some(200));
        assert_eq!(curve(&[0.1]).early_stop(), None);
        assert_eq!(curve(&[0.1, f64::NAN, 0.7]).early_stop().map(|p| p.iteration), Some(200));
    }
}
