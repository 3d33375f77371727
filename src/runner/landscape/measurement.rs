//! The file of what is measured around the weights of one training run, and the numbers that follow from it.

use serde::{Deserialize, Serialize};

use crate::artifacts::{ChecksumState, checksum_state};
use crate::base::stats::SummaryStats;

/// The multiples of a direction that are added to the final weights, in ascending order.
pub(super) const ALPHAS: [f64; 6] = [-1.0, -0.5, -0.25, 0.25, 0.5, 1.0];
/// The absolute value of the multiples that sharpness is the mean over.
const SHARPNESS_ALPHA: f64 = 0.5;

/// The networks that are measured around the weights of a training run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandscapeDefinition {
    /// The number of networks on the line from the starting to the final weights, both ends included; at least 2.
    pub points: usize,
    /// The number of random directions from the final weights.
    pub directions: usize,
}

impl LandscapeDefinition {
    /// Returns the number of networks of one training run that are evaluated.
    pub fn networks(self) -> usize {
        self.points + self.directions * ALPHAS.len()
    }
}

/// The loss and the accuracy of one network on training images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LossPoint {
    /// On the line its position, from 0 (start) to 1 (end); along a direction its multiple.
    pub(super) alpha: f64,
    /// Mean cross-entropy per training image, in nats; `None` if it is not finite.
    pub(super) train_loss: Option<f64>,
    /// Accuracy on training images, 0..=1.
    pub(super) train_accuracy: f64,
}

/// The contents of `landscape.json`: what was measured, with the checksum of the final weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LandscapeMeasurement {
    /// The version of the file.
    pub(super) format: u32,
    /// SHA-256 of the file with the final weights. The starting weights follow from the key of the training run.
    pub(super) weights: String,
    /// The networks that were evaluated.
    pub(super) definition: LandscapeDefinition,
    /// The number of training images.
    pub(super) images: usize,
    /// Euclidean norm of the kept starting weights.
    pub(super) start_norm: f64,
    /// Euclidean distance between the kept starting and final weights.
    pub(super) distance: f64,
    /// Euclidean norm of the gradient of the training loss by the kept weights, at the start; `None` if it is not
    /// finite.
    pub(super) gradient_norm: Option<f64>,
    /// The networks on the line, in ascending order of `alpha`.
    pub(super) line: Vec<LossPoint>,
    /// The networks along each direction, in the order of [`ALPHAS`].
    pub(super) directions: Vec<Vec<LossPoint>>,
}

impl LandscapeMeasurement {
    /// The version that this program writes.
    pub(super) const FORMAT: u32 = 1;

    /// Reads a measurement from the bytes of its file; `None` if it is damaged, or of another version.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let measurement: Self = serde_json::from_slice(bytes).ok()?;
        let is_intact = checksum_state(bytes) == ChecksumState::Intact && measurement.format == Self::FORMAT;
        is_intact.then_some(measurement)
    }

    /// Returns the losses on the line, from start to end; `None` if one is not finite.
    fn line_losses(&self) -> Option<Vec<f64>> {
        self.line.iter().map(|point| point.train_loss).collect()
    }

    /// Returns the training loss at the final weights, in nats.
    pub(super) fn end_loss(&self) -> Option<f64> {
        self.line.last()?.train_loss
    }

    /// Returns the height of the barrier on the line: its largest loss minus the larger one of the losses at its ends,
    /// in nats, at least 0.
    pub(super) fn barrier(&self) -> Option<f64> {
        let losses = self.line_losses()?;
        let larger_end = losses.first()?.max(*losses.last()?);
        Some(losses.into_iter().fold(larger_end, f64::max) - larger_end)
    }

    /// Returns the largest increase of the loss from a point of the line to a later one, in nats; 0 if the loss never
    /// increases.
    pub(super) fn rise(&self) -> Option<f64> {
        let (mut least, mut rise) = (f64::INFINITY, 0.0_f64);
        for loss in self.line_losses()? {
            least = least.min(loss);
            rise = rise.max(loss - least);
        }
        Some(rise)
    }

    /// Returns the sharpness: the mean over directions and both signs of the training loss at 0.5 times the direction,
    /// minus the loss at the final weights, in nats.
    pub(super) fn sharpness(&self) -> Option<f64> {
        let end = self.end_loss()?;
        let points = self.directions.iter().flatten().filter(|point| point.alpha.abs() == SHARPNESS_ALPHA);
        let losses: Vec<f64> = points.map(|point| point.train_loss).collect::<Option<_>>()?;
        Some(SummaryStats::of(&losses)?.mean - end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::to_checksummed_json;

    fn points(losses: &[(f64, f64)]) -> Vec<LossPoint> {
        losses.iter().map(|&(alpha, loss)| LossPoint { alpha, train_loss: Some(loss), train_accuracy: 0.5 }).collect()
    }

    fn measurement(line: &[f64], directions: &[[f64; 6]]) -> LandscapeMeasurement {
        let line: Vec<(f64, f64)> = line.iter().enumerate().map(|(index, &loss)| (index as f64, loss)).collect();
        let along = |losses: &[f64; 6]| points(&ALPHAS.into_iter().zip(*losses).collect::<Vec<_>>());
        LandscapeMeasurement {
            format: LandscapeMeasurement::FORMAT,
            weights: "a".to_owned(),
            definition: LandscapeDefinition { points: line.len(), directions: directions.len() },
            images: 10,
            start_norm: 2.0,
            distance: 1.0,
            gradient_norm: Some(0.5),
            line: points(&line),
            directions: directions.iter().map(along).collect(),
        }
    }

    #[test]
    fn barrier_is_above_the_larger_end_and_rise_between_any_two_points() {
        let both = |line: &[f64]| {
            let measured = measurement(line, &[]);
            (measured.barrier().unwrap(), measured.rise().unwrap())
        };
        assert_eq!(both(&[2.0, 1.0, 0.5]), (0.0, 0.0), "the loss falls");
        assert_eq!(both(&[2.0, 2.5, 0.5]), (0.5, 0.5), "up from the start");
        assert_eq!(both(&[2.0, 0.5, 1.25, 0.25]), (0.0, 0.75), "no barrier, but a rise");
        assert_eq!(both(&[1.0, 0.5, 2.0]), (0.0, 1.5), "the end is the larger one");
    }

    #[test]
    fn sharpness_is_the_mean_increase_at_one_half() {
        let directions = [[9.0, 1.0, 0.0, 0.0, 2.0, 9.0], [9.0, 3.0, 0.0, 0.0, 4.0, 9.0]];
        assert_eq!(measurement(&[2.0, 0.5], &directions).sharpness(), Some(2.5 - 0.5));
        assert_eq!(measurement(&[2.0, 0.5], &[]).sharpness(), None, "no direction");
        let mut infinite = measurement(&[2.0, 0.5], &directions);
        infinite.directions[0][1].train_loss = None;
        assert_eq!(infinite.sharpness(), None);
        infinite.line[0].train_loss = None;
        assert_eq!((infinite.barrier(), infinite.rise()), (None, None));
    }

    #[test]
    fn no_changed_bit_of_a_measurement_is_read() {
        let measured = measurement(&[2.0, 0.5], &[[1.0; 6]]);
        let bytes = to_checksummed_json(&measured).unwrap();
        assert_eq!(LandscapeMeasurement::from_bytes(&bytes), Some(measured));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(LandscapeMeasurement::from_bytes(&changed), None, "bit {bit}");
        }
    }
}
