//! Weight statistics of a network under a mask, taken when its training ends, for the figures of Frankle & Carbin 2019,
//! Appendix F.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::prepare::PrepareContext;
use super::rules::{MaskRule, StartRule};
use super::training::TrainingSpec;
use super::weight_measure::WeightMeasure;
use crate::base::category::Category;
use crate::base::histogram::Histogram;
use crate::base::mask::{LayerMask, Mask};
use crate::base::tensors::TensorMap;

/// Width of a bin of a histogram, in standard deviations of the layer's initial weights.
const BIN: f64 = 0.2;
/// Lower and upper end of the histogram of initial values, in standard deviations of the layer's initial weights.
const INITIAL: (f64, f64) = (-4.0, 4.0);
/// Like [`INITIAL`], but for |θT − θ0|, the distance that a weight moved in training.
const MOVED: (f64, f64) = (0.0, 12.0);
/// Like [`INITIAL`], but for |θT| − |θ0|, the growth of a weight's magnitude in training.
const GROWN: (f64, f64) = (-4.0, 12.0);

/// The weight statistics of one layer under a mask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerWeightStats {
    /// The layer's name.
    pub layer: String,
    /// Histograms by measure: initial values; for a ticket also the distances moved and the growth in the dense
    /// training run.
    pub histograms: BTreeMap<Category<WeightMeasure>, Histogram>,
    /// The share of its incoming connections that each unit of a linear layer keeps, 0..=1, the most connected unit
    /// first, at up to [`RANKS`] ranks; empty for convolutions.
    pub incoming: Vec<f64>,
    /// Like `incoming`, but for the outgoing connections of each input.
    pub outgoing: Vec<f64>,
}

/// Largest number of ranks at which connections are sampled, at equal distances from the most connected unit to the
/// least.
pub const RANKS: usize = 51;

/// The weight statistics of a network, by layer: `weights.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightStats(pub Vec<LayerWeightStats>);

/// Returns the weight statistics of a dense network or of a ticket: a mask that was pruned by trained weights, with
/// weights of its rewind point. `None` for other networks: those of controls with a ticket's mask would repeat the ticket's,
/// and a mask that changes during training is not pruned by trained weights.
///
/// # Errors
/// Fails if the final weights of the dense training run cannot be read.
pub fn weight_stats(training: &TrainingSpec, context: PrepareContext<'_>, mask: &Mask) -> Result<Option<WeightStats>> {
    if training.updates.is_some() {
        return Ok(None);
    }
    let trained = match (&training.mask, &training.start) {
        (MaskRule::Dense, StartRule::Initial) => None,
        (MaskRule::Prune { .. } | MaskRule::OneShot { .. }, StartRule::Rewind { point, .. }) => {
            Some(context.artifacts.final_weights(&point.dense)?)
        }
        _ => return Ok(None),
    };
    let initial = context.draw_initial(training.replicate);
    let deviations = context.init_stds();
    let layer = |layer: &LayerMask| {
        let values = |state: &TensorMap| -> Vec<f64> {
            let tensor = state.get(&layer.name).map(|tensor| tensor.values.as_slice()).unwrap_or_default();
            tensor.iter().map(|&value| f64::from(value)).collect()
        };
        let before = values(&initial);
        let deviation = deviations.get(&layer.name).copied().unwrap_or(1.0);
        let indices = |kept: bool| (0..layer.kept.len()).filter(move |&i| layer.kept[i] == kept);
        let bins = |values: &mut dyn Iterator<Item = f64>, (low, high): (f64, f64)| {
            let bins = ((high - low) / BIN).round() as usize;
            Histogram::of(values, low * deviation, BIN * deviation, bins)
        };
        let mut histograms = BTreeMap::new();
        histograms.insert(WeightMeasure::Initial.into(), bins(&mut indices(true).map(|i| before[i]), INITIAL));
        if let Some(after) = trained.as_ref().map(values) {
            let measures = [
                (true, WeightMeasure::MovedKept, WeightMeasure::GrownKept),
                (false, WeightMeasure::MovedPruned, WeightMeasure::GrownPruned),
            ];
            for (kept, movement, growth) in measures {
                let moved = bins(&mut indices(kept).map(|i| (after[i] - before[i]).abs()), MOVED);
                let grown = bins(&mut indices(kept).map(|i| after[i].abs() - before[i].abs()), GROWN);
                histograms.insert(movement.into(), moved);
                histograms.insert(growth.into(), grown);
            }
        }
        let (incoming, outgoing) = connections(layer);
        let name = layer.name.trim_end_matches(".weight").to_owned();
        LayerWeightStats { layer: name, histograms, incoming, outgoing }
    };
    Ok(Some(WeightStats(mask.0.iter().map(layer).collect())))
}

/// Returns the shares of kept connections into each unit, and out of each input, of a linear layer: see
/// [`LayerWeightStats::incoming`]. Both are empty for convolutions.
fn connections(layer: &LayerMask) -> (Vec<f64>, Vec<f64>) {
    let [units, inputs] = layer.shape[..] else { return (Vec::new(), Vec::new()) };
    let mut incoming = vec![0_u32; units];
    let mut outgoing = vec![0_u32; inputs];
    for (i, _) in layer.kept.iter().enumerate().filter(|(_, kept)| **kept) {
        incoming[i / inputs] += 1;
        outgoing[i % inputs] += 1;
    }
    (by_rank(incoming, inputs), by_rank(outgoing, units))
}

/// Returns `counts` divided by `total`, in descending order, at up to [`RANKS`] ranks.
fn by_rank(mut counts: Vec<u32>, total: usize) -> Vec<f64> {
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let ranks = counts.len().min(RANKS);
    let index = |rank: usize| rank * (counts.len() - 1) / (ranks.max(2) - 1);
    (0..ranks).map(|rank| f64::from(counts[index(rank)]) / total as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_ranked_by_unit() {
        // Three units with two inputs each: the second keeps both, the third one.
        let kept = vec![false, false, true, true, false, true];
        let (incoming, outgoing) = connections(&LayerMask { name: "a".into(), shape: vec![3, 2], kept });
        assert_eq!(incoming, [1.0, 0.5, 0.0]);
        assert_eq!(outgoing, [2.0 / 3.0, 1.0 / 3.0]);
        let many = by_rank((0..1000).collect(), 1000);
        assert_eq!((many.len(), many[0], many[RANKS - 1]), (RANKS, 0.999, 0.0));
    }

    #[test]
    fn weight_stats_of_a_ticket_separate_kept_from_pruned() {
        let replicate = crate::lottery::tests::PreparedReplicate::new(&[]);
        let stats_of = |arm, round| {
            let training = replicate.training(arm, round);
            let mask = crate::lottery::ArtifactSource::mask(&replicate.memory, &training.key).unwrap();
            weight_stats(training, replicate.context(), &mask).unwrap()
        };
        let ticket = stats_of("winning_ticket", 2).unwrap();
        let total = |measure: WeightMeasure| {
            ticket.0.iter().map(|layer| layer.histograms[&Category::Known(measure)].total).collect::<Vec<_>>()
        };
        let kept = replicate.training("winning_ticket", 2).counts.layers.clone().unwrap();
        assert_eq!((total(WeightMeasure::Initial), total(WeightMeasure::MovedKept)), (kept.clone(), kept.clone()));
        assert_eq!(total(WeightMeasure::GrownPruned), [25_088 - kept[0], 512 - kept[1], 160 - kept[2]]);
        let dense = stats_of("dense", 0).unwrap();
        assert_eq!(dense.0[0].histograms.keys().collect::<Vec<_>>(), [&Category::Known(WeightMeasure::Initial)]);
        assert!(dense.0[0].incoming.iter().all(|&share| share == 1.0));
        assert_eq!(stats_of("random_reinit", 1), None);
    }
}
