//! The scores that a training run measures at its evaluations. Independent of files.

use serde::{Deserialize, Serialize};

/// Loss and accuracy on one set of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean cross-entropy per image, in nats.
    pub loss: f64,
    /// Share of images whose largest logit is that of the label, 0..=1.
    pub accuracy: f64,
}

/// Largest difference of accuracy that another kind of processor or GPU may cause: a few of a thousand images.
const ACCURACY_TOLERANCE: f64 = 0.001;
/// Largest relative difference of the loss that another kind of processor or GPU may cause.
const LOSS_TOLERANCE: f64 = 0.001;

impl Score {
    /// Returns whether the score is that of the same network as `recorded`, measured on another kind of processor or GPU:
    /// the accuracies differ by 0.001 at most, and the losses by 0.1 % of `recorded`.
    pub fn is_close_to(self, recorded: Self) -> bool {
        (recorded.accuracy - self.accuracy).abs() <= ACCURACY_TOLERANCE
            && (recorded.loss - self.loss).abs() <= LOSS_TOLERANCE * recorded.loss.abs()
    }
}

/// The scores of one network at one iteration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of iterations done; a training run that starts at iteration k counts on from k. A plain number, as the
    /// engines count and as it is written to the files of curves.
    pub iteration: u64,
    /// Score on the first images of the training set, as many as the validation set has, without augmentation.
    pub train: Score,
    /// Score on the validation set.
    pub validation: Score,
    /// Score on the test set: reported, never used for a decision.
    pub test: Score,
}

/// The evaluations of one training run, in the order of their iterations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve(pub Vec<Evaluation>);

impl Curve {
    /// Returns the early stop: the first evaluation with the minimum validation loss, found after training. Only evaluations
    /// from the iteration `from` on count. Evaluations whose loss is not finite are skipped.
    pub fn early_stop(&self, from: u64) -> Option<&Evaluation> {
        self.0
            .iter()
            .filter(|point| point.iteration >= from && point.validation.loss.is_finite())
            .reduce(|best, point| if point.validation.loss < best.validation.loss { point } else { best })
    }

    /// Returns the evaluation after the last iteration.
    pub fn last(&self) -> Option<&Evaluation> {
        self.0.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(losses: &[f64]) -> Curve {
        let score = |loss| Score { loss, accuracy: 0.5 };
        let point = |(i, &loss): (usize, &f64)| Evaluation {
            iteration: i as u64 * 100,
            train: score(0.0),
            validation: score(loss),
            test: score(0.0),
        };
        Curve(losses.iter().enumerate().map(point).collect())
    }

    #[test]
    fn early_stop_is_the_first_minimum_of_the_evaluations_that_count() {
        let stop = |losses: &[f64], from| curve(losses).early_stop(from).map(|point| point.iteration);
        assert_eq!(stop(&[0.1, 0.5, 0.3, 0.3, 0.4], 1), Some(200));
        assert_eq!(stop(&[0.1, 0.5, 0.3, 0.3, 0.4], 0), Some(0));
        assert_eq!(stop(&[0.4, 0.5, 0.3, 0.3, 0.4], 0), Some(200));
        assert_eq!(stop(&[0.4, 0.5, 0.3, 0.3, 0.4], 201), Some(300));
        assert_eq!((stop(&[0.1], 1), stop(&[0.1], 0)), (None, Some(0)));
        assert_eq!(stop(&[0.1, f64::NAN, 0.7], 1), Some(200));
    }
}
