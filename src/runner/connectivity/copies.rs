//! Training runs with their copies, and what is measured between the two.

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

/// The errors of a network on the line between a training run and its copy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct InterpolationPoint {
    /// Position on the line: 0 at the copy, 1 at the training run.
    pub(super) alpha: f64,
    /// Share of training images that are misclassified, 0..=1.
    pub(super) train_error: f64,
    /// Share of test images that are misclassified, 0..=1.
    pub(super) test_error: f64,
}

/// `stability.json`: a line that was measured, and between which weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MeasuredLine {
    pub(super) format: u32,
    /// SHA-256 of the final weights of the training run and of its copy.
    pub(super) between: [String; 2],
    /// By `alpha`, ascending.
    pub(super) points: Vec<InterpolationPoint>,
}

impl MeasuredLine {
    /// Version of the file.
    pub(super) const FORMAT: u32 = 1;
}
