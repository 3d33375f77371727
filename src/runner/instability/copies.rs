//! Training runs with their copies, and the file of the errors that are measured on the line between the two.

use serde::{Deserialize, Serialize};

use crate::lottery::TrainingSpec;

/// A training run and its copy, which sees the training images in another order.
#[derive(Clone, Debug)]
pub struct CopyPair {
    /// The training run of the plan.
    pub training: TrainingSpec,
    /// Its copy.
    pub copy: TrainingSpec,
}

impl CopyPair {
    /// Returns a training run with its copy.
    pub(super) fn of(training: &TrainingSpec) -> Self {
        Self { training: training.clone(), copy: training.with_other_data_order() }
    }
}

/// A network on the line between a training run and its copy, with its errors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InterpolationPoint {
    /// The position on the line, 0..=1: 0 at the copy, 1 at the training run.
    pub(super) alpha: f64,
    /// Share of training images that are misclassified, 0..=1.
    pub(super) train_error: f64,
    /// Share of test images that are misclassified, 0..=1.
    pub(super) test_error: f64,
}

/// The contents of `stability.json`: a measured line, with the checksums of the weights at its ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MeasuredLine {
    /// The version of the file.
    pub(super) format: u32,
    /// SHA-256 of the files with the final weights: [training run, copy].
    pub(super) between: [String; 2],
    /// The points, in ascending order of `alpha`.
    pub(super) points: Vec<InterpolationPoint>,
}

impl MeasuredLine {
    /// The version that this program reads and writes.
    pub(super) const FORMAT: u32 = 1;
}
