//! Training runs with their copies, and the file of the errors that are measured on the line between the two.

use serde::{Deserialize, Serialize};

use crate::artifacts::{ChecksumState, checksum_state};
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
    /// The version that this program writes. Files of version 1 carry no checksum of themselves.
    const FORMAT: u32 = 2;

    /// Returns a measured line.
    pub(super) fn new(between: [String; 2], points: Vec<InterpolationPoint>) -> Self {
        Self { format: Self::FORMAT, between, points }
    }

    /// Reads a line from the bytes of its file; `None` if it is damaged, or of a newer version.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let line: Self = serde_json::from_slice(bytes).ok()?;
        let is_intact = match checksum_state(bytes) {
            ChecksumState::Intact => line.format == Self::FORMAT,
            ChecksumState::Absent => line.format == 1,
            ChecksumState::Damaged => false,
        };
        is_intact.then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::to_checksummed_json;

    #[test]
    fn no_changed_bit_of_a_line_is_read() {
        let point = InterpolationPoint { alpha: 0.5, train_error: 0.25, test_error: 0.1 };
        let line = MeasuredLine::new(["a".to_owned(), "b".to_owned()], vec![point]);
        let bytes = to_checksummed_json(&line).unwrap();
        assert_eq!(MeasuredLine::from_bytes(&bytes), Some(line.clone()));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(MeasuredLine::from_bytes(&changed), None, "bit {bit}");
        }
        let old = MeasuredLine { format: 1, ..line };
        assert_eq!(MeasuredLine::from_bytes(&serde_json::to_vec_pretty(&old).unwrap()), Some(old));
    }
}
