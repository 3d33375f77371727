//! Makes the rows of a run's CSV files from the results of its training runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::mask_columns::{MaskColumns, MaskNumbers};
use super::store::StoredTraining;
use crate::artifacts::{CurveRow, LayerRow, RoundRow, TimingRow, WeightRow, weight_rows};
use crate::base::category::Category;
use crate::base::curve::Evaluation;
use crate::base::outcome::{Outcome, OutcomeKind};
use crate::lottery::{Study, TrainingSpec, WeightStats};
use crate::network::PrunableTensor;

/// Makes the rows of a study's training runs.
#[derive(Clone, Copy)]
pub struct RowBuilder<'a> {
    /// The study whose network, device and iterations the rows contain.
    pub study: &'a Study,
    /// The columns on masks.
    pub masks: &'a MaskColumns<'a>,
}

impl RowBuilder<'_> {
    /// Returns the row of a training run in `rounds.csv`. Without a `result`, it is the row of a training run that
    /// failed. `masks`: its numbers on masks, empty if there is no result.
    pub(super) fn round_row(
        self,
        spec: &TrainingSpec,
        result: Option<&StoredTraining>,
        masks: MaskNumbers,
    ) -> RoundRow {
        let network = &self.study.resolved.network;
        let total = network.weights_total();
        let done = result.filter(|result| result.outcome == Outcome::Done);
        // A training run that diverged has not come to the last update of its mask.
        let with_mask = result.filter(|_| done.is_some() || spec.updates.is_none());
        let kept = with_mask.map_or(spec.counts.kept, |result| result.weights_kept.iter().sum());
        let remaining = kept as f64 / total as f64;
        // A network that is not trained has no early stop.
        let early = done
            .filter(|_| self.study.own_iterations(spec) > 0)
            .and_then(|result| result.curve.early_stop(self.study.first_result(spec).0));
        let last = done.and_then(|result| result.curve.last());
        RoundRow {
            experiment: self.study.experiment.name.clone(),
            arm: spec.arm.clone(),
            replicate: spec.replicate,
            repeat: spec.repeat,
            round: spec.round.0,
            weights_remaining: remaining,
            weights_kept: kept,
            weights_total: total,
            sparsity: 1.0 - remaining,
            compression: (kept > 0).then(|| total as f64 / kept as f64),
            early_stop_iteration: early.map(|evaluation| evaluation.iteration),
            early_stop_train_accuracy: early.map(|evaluation| evaluation.train.accuracy),
            early_stop_validation_accuracy: early.map(|evaluation| evaluation.validation.accuracy),
            early_stop_test_accuracy: early.map(|evaluation| evaluation.test.accuracy),
            early_stop_validation_loss: early.map(|evaluation| evaluation.validation.loss),
            final_train_accuracy: last.map(|evaluation| evaluation.train.accuracy),
            final_validation_accuracy: last.map(|evaluation| evaluation.validation.accuracy),
            final_test_accuracy: last.map(|evaluation| evaluation.test.accuracy),
            final_validation_loss: last.map(|evaluation| evaluation.validation.loss),
            macs: network.macs(network.weight_counts()),
            macs_remaining: with_mask
                .map(|result| result.weights_kept.as_slice())
                .or(spec.counts.layers.as_deref())
                .map(|kept| network.macs(kept)),
            search_iterations: masks.search_iterations,
            search_macs: masks.search_macs,
            total_macs: masks.total_macs,
            dead_units: masks.dead_units,
            mask_overlap: masks.mask_overlap.as_ref().map(|(overlap, _)| *overlap),
            overlap_reference: masks.mask_overlap.map(|(_, arm)| arm),
            ever_kept: masks.ever_kept.map(|count| count as f64 / total as f64),
            start_iteration: Some(spec.start.iteration().0),
            engine: spec.engine.into(),
            device: Category::from_word(self.study.resolved.device),
            iterations: self.study.own_iterations(spec),
            outcome: result.map_or(OutcomeKind::Failed, |result| result.outcome.kind()).into(),
            key: spec.key.to_string(),
        }
    }

    /// Returns the rows of a training run in `curves.csv`: one for each evaluation.
    pub(super) fn curve_rows(self, spec: &TrainingSpec, result: &StoredTraining) -> Vec<CurveRow> {
        let row = |evaluation: &Evaluation| CurveRow {
            experiment: self.study.experiment.name.clone(),
            arm: spec.arm.clone(),
            replicate: spec.replicate,
            repeat: spec.repeat,
            round: spec.round.0,
            iteration: evaluation.iteration,
            train_accuracy: evaluation.train.accuracy,
            train_loss: evaluation.train.loss,
            validation_accuracy: evaluation.validation.accuracy,
            validation_loss: evaluation.validation.loss,
            test_accuracy: evaluation.test.accuracy,
            test_loss: evaluation.test.loss,
            key: spec.key.to_string(),
        };
        result.curve.0.iter().map(row).collect()
    }

    /// Returns the rows of a training run in `layers.csv`: one for each layer, in network order.
    pub(super) fn layer_rows(self, spec: &TrainingSpec, result: &StoredTraining) -> Vec<LayerRow> {
        let row = |(weight, &kept): (&PrunableTensor, &u64)| LayerRow {
            experiment: self.study.experiment.name.clone(),
            arm: spec.arm.clone(),
            replicate: spec.replicate,
            repeat: spec.repeat,
            round: spec.round.0,
            layer: weight.layer.clone(),
            kind: weight.kind.into(),
            weights_kept: kept,
            weights_total: weight.parameter.len() as u64,
            weights_remaining: kept as f64 / weight.parameter.len() as f64,
            key: spec.key.to_string(),
        };
        self.study.resolved.network.weights().iter().zip(&result.weights_kept).map(row).collect()
    }

    /// Returns the rows of `weights.csv`: the weight statistics of each arm at each round, pooled over replicates and
    /// repeats, in the order in which `stats` has the arms and rounds.
    pub(super) fn weight_rows(self, stats: &[(&TrainingSpec, Arc<StoredTraining>)]) -> Vec<WeightRow> {
        let mut groups: Vec<((&str, u32), Vec<&WeightStats>)> = Vec::new();
        let mut positions = BTreeMap::new();
        for (spec, result) in stats {
            let arm_round = (spec.arm.as_str(), spec.round.0);
            let position = *positions.entry(arm_round).or_insert(groups.len());
            if position == groups.len() {
                groups.push((arm_round, Vec::new()));
            }
            groups[position].1.extend(result.profile.as_ref());
        }
        let experiment = &self.study.experiment.name;
        groups.iter().flat_map(|((arm, round), stats)| weight_rows(experiment, arm, *round, stats)).collect()
    }

    /// Returns the row of a training run in `timings.csv`; `None` if it has no timing.
    pub(super) fn timing_row(self, spec: &TrainingSpec, result: &StoredTraining) -> Option<TimingRow> {
        let timing = result.timing.clone()?;
        Some(TimingRow {
            experiment: self.study.experiment.name.clone(),
            arm: spec.arm.clone(),
            replicate: spec.replicate,
            repeat: spec.repeat,
            round: spec.round.0,
            seconds: timing.seconds,
            iterations_per_second: timing.iterations_per_second,
            host: timing.host,
            key: spec.key.to_string(),
        })
    }
}
