//! The layers of a ticket in numbers, and the checks of its file against its description.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::tensor_files::{mask_to_bytes, tensors_to_bytes};
use super::Ticket;
use crate::base::histogram::Histogram;
use crate::base::key::{ContentHash, sha256};
use crate::base::mask::LayerMask;
use crate::base::tensors::{NamedTensor, TensorMap};
use crate::network::{PrunableTensor, compact};
use crate::system::paths::TrainingDir;

/// Number of bins of the histograms of a layer's weights.
const BINS: usize = 24;

/// A layer of a ticket in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TicketLayer {
    /// The layer's name.
    pub layer: String,
    /// The kind of layer: `conv`, `linear`, `output` or `shortcut`.
    pub kind: String,
    /// Number of weights that the mask keeps.
    pub weights_kept: u64,
    /// Number of weights.
    pub weights_total: u64,
    /// Number of units: the features of a linear layer or the channels of a convolution.
    pub units: u64,
    /// Number of units that have no effect on the outputs, which `lth ticket compact` removes; `null` for a layer whose
    /// units all stay, such as the output layer.
    pub dead_units: Option<u64>,
    /// The kept weights before training; `null` in a compact file.
    pub start: Option<WeightHistogram>,
    /// The kept weights after training.
    pub trained: WeightHistogram,
}

/// The kept weights of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WeightHistogram {
    /// The largest absolute value of a kept weight, before or after training: the bins divide the range from −`limit` to
    /// `limit`.
    pub limit: f64,
    /// Number of weights in each bin, lowest bin first.
    pub counts: Vec<u64>,
    /// Standard deviation of the kept weights; 0 if there are none.
    pub std: f64,
}

/// A check of a ticket's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TicketCheck {
    /// What is checked.
    pub name: &'static str,
    /// Whether it holds.
    pub passed: bool,
}

impl Ticket {
    /// Returns the layers with weights, in the order of the network.
    pub fn layers(&self) -> Vec<TicketLayer> {
        let units = compact(&self.network, &self.mask, &self.trained).units;
        let layers = self.network.weights().iter().zip(&self.mask.0);
        let layer = |(weight, mask): (&PrunableTensor, &LayerMask)| {
            let start = self.start.as_ref().map(|start| kept_values(start, mask));
            let trained = kept_values(&self.trained, mask);
            let all = start.iter().flatten().chain(&trained);
            let limit = all.fold(0.0_f64, |limit, &weight| limit.max(weight.abs()));
            TicketLayer {
                layer: weight.layer.clone(),
                kind: weight.kind.as_str().to_owned(),
                weights_kept: mask.kept_count(),
                weights_total: mask.kept.len() as u64,
                units: mask.shape[0] as u64,
                dead_units: units.iter().find(|units| units.layer == weight.layer).map(|units| units.removed as u64),
                start: start.map(|start| WeightHistogram::of(&start, limit)),
                trained: WeightHistogram::of(&trained, limit),
            }
        };
        layers.map(layer).collect()
    }

    /// Compares the tensors with the checksums that the store had for them, and the key with what it is the hash of.
    /// (Reading the file has checked everything else that it says about itself.) A compact file has other tensors than
    /// the store.
    pub fn checks(&self) -> Vec<TicketCheck> {
        let training = &self.info.training;
        let is_stored = |name: &str, bytes: anyhow::Result<Vec<u8>>| {
            bytes.is_ok_and(|bytes| training.files.get(name) == Some(&sha256(&bytes)))
        };
        let check = |name, passed| TicketCheck { name, passed };
        let mut checks = vec![
            check("checksums of the description and of the tensors", true),
            check("pruned weights are 0", true),
            check("the key is the hash of its content", ContentHash::of_json(&training.content) == training.key),
        ];
        if !self.info.is_compact {
            let mask = is_stored(TrainingDir::MASK, mask_to_bytes(&self.mask));
            let trained = is_stored(TrainingDir::FINAL_WEIGHTS, tensors_to_bytes(&self.trained));
            checks.push(check("the mask is that of the training run", mask));
            checks.push(check("the trained weights are those of the training run", trained));
        }
        checks.push(check("all weights are finite", self.trained.is_finite()));
        checks
    }
}

impl WeightHistogram {
    /// Returns the histogram of `weights` in the range ± `limit`.
    fn of(weights: &[f64], limit: f64) -> Self {
        let width = (2.0 * limit / BINS as f64).max(f64::MIN_POSITIVE);
        // The largest weight belongs into the last bin, whose end it is.
        let inside = weights.iter().map(|weight| weight.min(limit - width / 2.0));
        let counts = Histogram::of(inside, -limit, width, BINS).counts;
        let n = weights.len().max(1) as f64;
        let mean = weights.iter().sum::<f64>() / n;
        let variance = weights.iter().map(|weight| (weight - mean).powi(2)).sum::<f64>() / n;
        Self { limit, counts, std: variance.sqrt() }
    }
}

/// Returns the kept values of a layer in float64.
fn kept_values(tensors: &TensorMap, mask: &LayerMask) -> Vec<f64> {
    let values = tensors.get(&mask.name).map(|tensor: &NamedTensor| tensor.values.as_slice()).unwrap_or_default();
    values.iter().zip(&mask.kept).filter(|(_, kept)| **kept).map(|(&value, _)| f64::from(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_of_weights_has_every_weight_in_a_bin() {
        let histogram = WeightHistogram::of(&[-1.0, -0.99, 0.01, 1.0], 1.0);
        assert_eq!(histogram.counts.iter().sum::<u64>(), 4);
        assert_eq!((histogram.counts[0], histogram.counts[BINS / 2], histogram.counts[BINS - 1]), (2, 1, 1));
        assert_eq!(WeightHistogram::of(&[], 0.0).std, 0.0);
    }
}
