//! The numbers of weights that the masks of an arm keep: by round, or as the masks in files have them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::arm_graph;
use super::resolved::ResolvedExperiment;
use super::source_files::FittedMask;
use crate::base::units::Round;
use crate::config::{Allocation, Arm, Diagnostic, Experiment, SourceFile};
use crate::network::{PrunableTensor, WeightKind};
use crate::prune::{AllocatedLayer, AllocationError, RemainingCounts, allocate};

/// The numbers of weights that the masks of an arm keep.
#[derive(Clone)]
pub(super) enum ArmCounts {
    /// By round from 0, the same for every replicate.
    ByRound(Arc<Vec<RemainingCounts>>),
    /// Those of masks in files, by replicate and round.
    OfFiles(Arc<BTreeMap<(u32, u32), RemainingCounts>>),
}

impl ArmCounts {
    /// Returns the counts of a replicate at a round that the arm has.
    pub(super) fn of(&self, replicate: u32, round: Round) -> RemainingCounts {
        match self {
            Self::ByRound(counts) => counts[round.0 as usize].clone(),
            Self::OfFiles(counts) => counts[&(replicate, round.0)].clone(),
        }
    }

    /// Returns the counts with the number of each of `rounds` divided among the layers by `allocation`. `name`: the arm's
    /// name.
    ///
    /// # Errors
    /// Fails if no allocation reaches a number.
    pub(super) fn allocated(
        &self,
        name: &str,
        allocation: Allocation,
        rounds: &[Round],
        resolved: &ResolvedExperiment,
    ) -> Result<Self, Diagnostic> {
        let weights = resolved.network.weights();
        let included = resolved.pruning.included();
        let layer = |(weight, is_included): (&'_ PrunableTensor, bool)| AllocatedLayer {
            shape: weight.parameter.shape.clone(),
            is_included,
            is_output: weight.kind == WeightKind::Output,
        };
        let layers: Vec<AllocatedLayer> = weights.iter().zip(included).map(layer).collect();
        let last = rounds.iter().map(|round| round.0).max().unwrap_or(0);
        let dense = RemainingCounts { kept: resolved.network.weights_total(), layers: None };
        let mut counts = vec![dense; last as usize + 1];
        for &round in rounds {
            let kept = self.of(1, round).kept;
            let layers = allocate(allocation, kept, &layers).map_err(|error| {
                let layer_name = |index: usize| &weights[index].layer;
                let message = match error {
                    AllocationError::EmptyLayer(layer) => format!(
                        "`{}` leaves no weight in `{}` at round {round}, where the network keeps {kept}",
                        allocation.as_str(),
                        layer_name(layer)
                    ),
                    AllocationError::TooFew { layer, least } => format!(
                        "`{}` keeps at least {least} weights, up to `{}`, and {kept} are to be kept at round {round}",
                        allocation.as_str(),
                        layer_name(layer)
                    ),
                };
                let hint = "choose another allocation, larger masks, or earlier rounds with `at`";
                Diagnostic::new(format!("arms.{name}.allocation"), message).hint(hint)
            })?;
            counts[round.0 as usize] = RemainingCounts { kept, layers };
        }
        Ok(Self::ByRound(Arc::new(counts)))
    }

    /// Returns the numbers of weights that the masks in the files of an arm keep. `name`: the arm's name.
    ///
    /// # Errors
    /// Fails if the masks of two replicates keep different numbers at a round: their mean would have no size.
    pub(super) fn of_files(
        name: &str,
        file: &SourceFile,
        experiment: &Experiment,
        arm: &Arm,
        resolved: &ResolvedExperiment,
    ) -> Result<Self, Diagnostic> {
        let files = &resolved.files;
        let mut counts = BTreeMap::new();
        for round in arm_graph::rounds(arm, experiment) {
            for replicate in 1..=experiment.replicates {
                let mask = files.mask(&files.mask_use(file, replicate, round));
                let layers = mask.map(FittedMask::kept_counts).unwrap_or_default();
                counts.insert((replicate, round), RemainingCounts { kept: layers.iter().sum(), layers: Some(layers) });
            }
            let kept = |replicate| counts[&(replicate, round)].kept;
            if let Some(other) = (2..=experiment.replicates).find(|&replicate| kept(replicate) != kept(1)) {
                let message = format!(
                    "the masks of round {round} keep {} weights in replicate 1 and {} in replicate {other}",
                    kept(1),
                    kept(other)
                );
                let hint = "take masks of one size at each round, or one experiment for each";
                return Err(Diagnostic::new(format!("arms.{name}.mask.file"), message).hint(hint));
            }
        }
        Ok(Self::OfFiles(Arc::new(counts)))
    }
}
