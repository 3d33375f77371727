//! The files of `lth evaluate`: accuracy under changes of the test images, calibration, and accuracy by class.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::to_csv;
use crate::system::paths::RunDir;

/// The rows of the files of `lth evaluate`; all empty before it has measured anything.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct RobustnessData {
    /// Rows of `robustness.csv`.
    pub robustness: Vec<RobustnessRow>,
    /// Rows of `calibration.csv`.
    pub calibration: Vec<CalibrationRow>,
    /// Rows of `class_accuracy.csv`.
    pub classes: Vec<ClassAccuracyRow>,
}

impl RobustnessData {
    /// Returns the files, each as (name, bytes).
    ///
    /// # Errors
    /// Fails if a row cannot be written as CSV.
    pub fn files(&self) -> Result<[(&'static str, Vec<u8>); 3]> {
        Ok([
            (RunDir::ROBUSTNESS, to_csv(&self.robustness)?),
            (RunDir::CALIBRATION, to_csv(&self.calibration)?),
            (RunDir::CLASS_ACCURACY, to_csv(&self.classes)?),
        ])
    }

    /// Keeps the rows of the networks whose keys `is_kept` accepts.
    pub fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.robustness.retain(|row| is_kept(&row.key));
        self.calibration.retain(|row| is_kept(&row.key));
        self.classes.retain(|row| is_kept(&row.key));
    }
}

/// A row of `robustness.csv`: one training run under one condition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RobustnessRow {
    /// The experiment's name.
    pub experiment: String,
    /// The arm's name.
    pub arm: String,
    /// The replicate, from 1.
    pub replicate: u32,
    /// The repeat of the arm within the replicate, from 1.
    pub repeat: u32,
    /// Index of the mask size, from 0 (dense): the number of prunings with iterative pruning, the number of the entry
    /// with a grid.
    pub round: u32,
    /// Kept / all weights, 0..=1.
    pub weights_remaining: f64,
    /// The change of the test images: `clean` for none, a corruption such as `blur`, or an attack such as `pgd`.
    pub condition: String,
    /// The norm of an attack, `linf` or `l2`; empty for other conditions.
    pub norm: Option<String>,
    /// The level of a corruption, 1..=5; empty for other conditions.
    pub level: Option<u32>,
    /// The strength of a corruption in its own unit, or ε of an attack in units of pixels in [0, 1]; 0 for `clean`, and
    /// for the images of an attack as they are.
    pub strength: f64,
    /// Number of steps of an attack; empty for other conditions.
    pub steps: Option<u32>,
    /// The seed of noise or of random starts; empty for conditions without random numbers.
    pub seed: Option<u64>,
    /// Number of test images.
    pub images: u64,
    /// Share of these that are classified correctly, 0..=1.
    pub accuracy: f64,
    /// Mean cross-entropy per image, in nats.
    pub loss: f64,
    /// The key of the training run, hexadecimal.
    pub key: String,
}

/// A row of `calibration.csv`: one training run on the test images as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CalibrationRow {
    /// The experiment's name.
    pub experiment: String,
    /// The arm's name.
    pub arm: String,
    /// The replicate, from 1.
    pub replicate: u32,
    /// The repeat of the arm within the replicate, from 1.
    pub repeat: u32,
    /// Index of the mask size, from 0 (dense): the number of prunings with iterative pruning, the number of the entry
    /// with a grid.
    pub round: u32,
    /// Kept / all weights, 0..=1.
    pub weights_remaining: f64,
    /// Number of test images.
    pub images: u64,
    /// Share of these that are classified correctly, 0..=1.
    pub accuracy: f64,
    /// Accuracy on test images that was recorded after training, 0..=1; it may differ by rounding.
    pub recorded_accuracy: f64,
    /// Mean over images of the largest probability of the softmax, 0..=1.
    pub mean_confidence: f64,
    /// Expected calibration error with 15 bins of equal width, 0..=1 (Guo et al. 2017, arXiv 1706.04599).
    pub expected_calibration_error: f64,
    /// The key of the training run, hexadecimal.
    pub key: String,
}

/// A row of `class_accuracy.csv`: one training run on the test images of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ClassAccuracyRow {
    /// The experiment's name.
    pub experiment: String,
    /// The arm's name.
    pub arm: String,
    /// The replicate, from 1.
    pub replicate: u32,
    /// The repeat of the arm within the replicate, from 1.
    pub repeat: u32,
    /// Index of the mask size, from 0 (dense): the number of prunings with iterative pruning, the number of the entry
    /// with a grid.
    pub round: u32,
    /// Kept / all weights, 0..=1.
    pub weights_remaining: f64,
    /// The class, from 0.
    pub class: u32,
    /// Number of test images of the class.
    pub images: u64,
    /// Number of these that are classified correctly.
    pub correct: u64,
    /// `correct` / `images`, 0..=1; empty for a class without test images.
    pub accuracy: Option<f64>,
    /// The key of the training run, hexadecimal.
    pub key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_pinned() {
        let header = |csv: Vec<u8>| String::from_utf8(csv).unwrap().lines().next().unwrap().to_owned();
        let place = "experiment,arm,replicate,repeat,round,weights_remaining";
        assert_eq!(
            header(to_csv(&[RobustnessRow::default()]).unwrap()),
            format!("{place},condition,norm,level,strength,steps,seed,images,accuracy,loss,key")
        );
        assert_eq!(
            header(to_csv(&[CalibrationRow::default()]).unwrap()),
            format!("{place},images,accuracy,recorded_accuracy,mean_confidence,expected_calibration_error,key")
        );
        assert_eq!(
            header(to_csv(&[ClassAccuracyRow::default()]).unwrap()),
            format!("{place},class,images,correct,accuracy,key")
        );
    }
}
