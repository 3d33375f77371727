//! Results of the commands on tickets.

use schemars::JsonSchema;
use serde::Serialize;

use super::Ticket;
use crate::network::LayerUnits;

/// A score of a ticket that was evaluated again.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct VerifiedScore {
    /// The split: `train`, `validation` or `test`.
    pub split: &'static str,
    /// Number of images of the split, as recorded in the file.
    pub images: u32,
    /// The accuracy in the file, 0..=1; `null` if it has none.
    pub recorded_accuracy: Option<f64>,
    /// The accuracy that was found, 0..=1.
    pub accuracy: f64,
    /// The loss in the file, in nats; `null` if it has none.
    pub recorded_loss: Option<f64>,
    /// The loss that was found, in nats.
    pub loss: f64,
    /// Whether both agree: accuracies within 0.001, and losses within 0.1 %, which another kind of processor may cause.
    pub agrees: bool,
}

/// The sizes of a ticket before and after the units without effect are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TicketSizes {
    /// Bytes of the trained network with every weight and running statistic in float32.
    pub dense_bytes: u64,
    /// The same and a mask of one bit for each weight: a masked network as it is trained.
    pub masked_bytes: u64,
    /// Bytes of the kept weights, their positions, and the other tensors in the compact file, without its description.
    pub compact_bytes: u64,
    /// Bytes of the compact file.
    pub file_bytes: u64,
    /// Number of units of the layers whose units can be removed.
    pub units: u64,
    /// Number of units that were removed.
    pub dead_units: u64,
    /// Number of kept weights before.
    pub weights_before: u64,
    /// Number of kept weights after; those of removed units are gone.
    pub weights_kept: u64,
    /// Number of weights, kept or not, after.
    pub weights_total: u64,
}

impl TicketSizes {
    /// Returns the sizes of `ticket` and of `compact`, the same ticket without the units that have no effect, whose file
    /// has `file_bytes` bytes. `units`: the units of each layer, as [`Ticket::compact`] returns them.
    pub fn new(ticket: &Ticket, compact: &Ticket, units: &[LayerUnits], file_bytes: u64) -> Self {
        let sum = |count: fn(&LayerUnits) -> usize| units.iter().map(count).sum::<usize>() as u64;
        let dense_bytes = 4 * ticket.trained.0.iter().map(|tensor| tensor.values.len() as u64).sum::<u64>();
        Self {
            dense_bytes,
            masked_bytes: dense_bytes + ticket.mask.total().div_ceil(8),
            compact_bytes: compact.trained_bytes(),
            file_bytes,
            units: sum(|layer| layer.units),
            dead_units: sum(|layer| layer.removed),
            weights_before: ticket.mask.kept_total(),
            weights_kept: compact.mask.kept_total(),
            weights_total: compact.mask.total(),
        }
    }
}

/// The time of inference with one of the forms of a ticket, on one number of images at a time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct InferenceTiming {
    /// `dense`: every weight of the network before pruning, by libtorch; `masked`: the same, pruned weights being 0;
    /// `compact`: every weight of the network without dead units, by libtorch; `sparse`: only the kept weights of it, by
    /// the sparse engine.
    pub form: &'static str,
    /// Number of images at a time.
    pub batch: usize,
    /// Median of the seconds of a batch, from bytes of images to logits.
    pub seconds: f64,
    /// Shortest time of a batch, in seconds.
    pub shortest: f64,
    /// Longest time of a batch, in seconds.
    pub longest: f64,
    /// Images per second, by the median.
    pub images_per_second: f64,
    /// Median, 10th and 90th percentile of the ratio of the time to that of `dense`, over measurements in turns.
    pub ratio: [f64; 3],
}

impl InferenceTiming {
    /// The form that the others are compared with.
    pub const DENSE: &str = "dense";
    /// The form that computes the same as the dense one: differences between the two are noise.
    pub const MASKED: &str = "masked";
    /// The form that the sparse engine computes.
    pub const SPARSE: &str = "sparse";

    /// Returns the timing of a form from the seconds of its batches, and those of the dense form in the same turns.
    pub fn new(form: &'static str, batch: usize, seconds: &[f64], dense: &[f64]) -> Self {
        let ratios: Vec<f64> = seconds.iter().zip(dense).map(|(seconds, dense)| seconds / dense).collect();
        let median = quantile(seconds, 0.5);
        Self {
            form,
            batch,
            seconds: median,
            shortest: quantile(seconds, 0.0),
            longest: quantile(seconds, 1.0),
            images_per_second: batch as f64 / median,
            ratio: [0.5, 0.1, 0.9].map(|share| quantile(&ratios, share)),
        }
    }
}

/// Returns the value below which this share of the values lies: the nearest of them.
fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inference_timing_by_hand() {
        let timing = InferenceTiming::new("sparse", 10, &[2.0, 1.0, 3.0], &[4.0, 4.0, 4.0]);
        assert_eq!((timing.seconds, timing.shortest, timing.longest), (2.0, 1.0, 3.0));
        assert_eq!((timing.images_per_second, timing.ratio), (5.0, [0.5, 0.25, 0.75]));
    }
}
