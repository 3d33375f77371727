//! The file of what was measured on a trained network.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::super::store::Store;
use super::super::stored_measurement::StoredMeasurement;
use crate::artifacts::{ChecksumState, checksum_state};
use crate::lottery::TrainingSpec;
use crate::system::paths::TrainingDir;
use crate::train::robustness::{CleanMeasurement, Condition, ConditionMeasurement};

/// The contents of `robustness.json`: measurements of a network, with the checksum of its weights. Each condition has
/// the options that define it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredRobustness {
    /// The version of the file, and of the definitions of all conditions.
    format: u32,
    /// SHA-256 of the file with the final weights.
    weights: String,
    /// The measurement on the test images as they are.
    pub(super) clean: CleanMeasurement,
    /// The measurements under conditions, in the order in which they were made.
    pub(super) conditions: Vec<ConditionMeasurement>,
}

impl StoredRobustness {
    /// The version that this program writes; to be raised if a definition changes, such as that of a corruption.
    const FORMAT: u32 = 1;

    /// Returns measurements without conditions.
    pub(super) fn new(weights: String, clean: CleanMeasurement) -> Self {
        Self { format: Self::FORMAT, weights, clean, conditions: Vec::new() }
    }

    /// Returns whether a condition has been measured.
    pub(super) fn has(&self, condition: &Condition) -> bool {
        self.conditions.iter().any(|measured| measured.condition == *condition)
    }

    /// Reads the measurements of a training run.
    ///
    /// # Errors
    /// Fails if the file exists and cannot be read.
    pub(super) fn read(store: &Store, spec: &TrainingSpec) -> Result<StoredMeasurement<Self>> {
        let path = store.runs.training_dir(&spec.key).file(TrainingDir::ROBUSTNESS);
        let is_current = |stored: &Self| Some(&stored.weights) == store.final_weights_checksum(&spec.key).as_ref();
        StoredMeasurement::read(path, Self::from_bytes, is_current)
    }

    /// Reads measurements from the bytes of their file; `None` if it is damaged, or of another version.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let stored: Self = serde_json::from_slice(bytes).ok()?;
        let is_intact = matches!(checksum_state(bytes), ChecksumState::Intact) && stored.format == Self::FORMAT;
        is_intact.then_some(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::to_checksummed_json;
    use crate::base::confidence::ConfidenceBins;
    use crate::base::curve::Score;
    use crate::train::robustness::{Attack, AttackMethod, ClassCount, Norm};

    #[test]
    fn no_changed_bit_of_measurements_is_read() {
        let clean = CleanMeasurement {
            loss: 0.1,
            classes: vec![ClassCount { images: 3, correct: 2 }],
            confidence: ConfidenceBins::default(),
        };
        let attack = Attack { method: AttackMethod::Pgd, norm: Norm::L2, epsilon: 0.1, steps: 3, seed: 1 };
        let condition = Condition::Attack { attack, images: 5 };
        let mut stored = StoredRobustness::new("a".to_owned(), clean);
        stored.conditions.push(ConditionMeasurement { condition, images: 5, score: Score::default() });
        let bytes = to_checksummed_json(&stored).unwrap();
        assert_eq!(StoredRobustness::from_bytes(&bytes), Some(stored.clone()));
        assert!(stored.has(&condition) && !stored.has(&Condition::Attack { attack, images: 6 }));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(StoredRobustness::from_bytes(&changed), None, "bit {bit}");
        }
    }
}
