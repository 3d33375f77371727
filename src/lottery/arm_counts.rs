//! The numbers of weights that the masks of an arm keep: by round, or as the masks in files have them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::arm_graph;
use super::resolved::ResolvedExperiment;
use super::source_files::FittedMask;
use crate::base::mask::Mask;
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

/// Returns the counts of a mask of `kept` weights whose layers have densities in proportion to those of the mask `like`.
///
/// # Errors
/// Fails if no such counts exist.
pub(super) fn counts_like(like: &Mask, kept: u64, resolved: &ResolvedExperiment) -> Result<RemainingCounts, String> {
    let sizes = resolved.network.weight_counts();
    let densities = densities(&like.kept_counts(), sizes);
    let layers = divide(&Allocation::Like(String::new()), kept, Some(&densities), sizes, resolved)?;
    Ok(RemainingCounts { kept, layers })
}

/// Returns the share of the weights that each layer keeps.
fn densities(kept: &[u64], sizes: &[u64]) -> Vec<f64> {
    kept.iter().zip(sizes).map(|(&kept, &size)| kept as f64 / size.max(1) as f64).collect()
}

/// Divides `kept` weights among the layers by `allocation`, with at most `at_most` in each. `densities`: those of the
/// layers in the mask that it is like.
fn divide(
    allocation: &Allocation,
    kept: u64,
    densities: Option<&[f64]>,
    at_most: &[u64],
    resolved: &ResolvedExperiment,
) -> Result<Option<Vec<u64>>, String> {
    let weights = resolved.network.weights();
    let rates = resolved.pruning.layer_rates();
    let layer = |(index, weight): (usize, &PrunableTensor)| AllocatedLayer {
        shape: weight.parameter.shape.clone(),
        rate: rates[index].get(),
        is_output: weight.kind == WeightKind::Output,
        density: densities.map_or(1.0, |densities| densities[index]),
        at_most: at_most[index],
    };
    let layers: Vec<AllocatedLayer> = weights.iter().enumerate().map(layer).collect();
    let name = allocation.as_str();
    allocate(allocation, kept, &layers).map_err(|error| match error {
        AllocationError::EmptyLayer(layer) => {
            format!("`{name}` leaves none of {kept} weights in `{}`", weights[layer].layer)
        }
        AllocationError::TooFew { layer, least } => format!(
            "`{name}` keeps at least {least} weights, those that `{}` and the layers before it must have, and {kept} are to \
             be kept",
            weights[layer].layer
        ),
    })
}

impl ArmCounts {
    /// Returns the counts of a replicate at a round that the arm has.
    pub(super) fn of(&self, replicate: u32, round: Round) -> RemainingCounts {
        match self {
            Self::ByRound(counts) => counts[round.0 as usize].clone(),
            Self::OfFiles(counts) => counts[&(replicate, round.0)].clone(),
        }
    }

    /// Returns the counts with the number of each of `rounds`, in ascending order, divided among the layers by
    /// `allocation`. `name`: the arm's name; `like`: the counts of the arm that the allocation names; `is_chain`: whether
    /// each round prunes the one before, so that a layer never keeps more than there.
    ///
    /// # Errors
    /// Fails if no allocation reaches a number.
    pub(super) fn allocated(
        &self,
        name: &str,
        allocation: &Allocation,
        like: Option<&Self>,
        is_chain: bool,
        rounds: &[Round],
        resolved: &ResolvedExperiment,
    ) -> Result<Self, Diagnostic> {
        let last = rounds.iter().map(|round| round.0).max().unwrap_or(0);
        let dense = RemainingCounts { kept: resolved.network.weights_total(), layers: None };
        let mut counts = vec![dense; last as usize + 1];
        let mut at_most = resolved.network.weight_counts().to_vec();
        for &round in rounds {
            let kept = self.of(1, round).kept;
            let refuse = |problem: String| {
                let hint = "choose another allocation, larger masks, or earlier rounds with `at`";
                Diagnostic::new(format!("arms.{name}.allocation"), format!("{problem} at round {round}")).hint(hint)
            };
            let densities = match (allocation, like) {
                (Allocation::Like(_), Some(like)) => like.densities(round, resolved),
                (Allocation::File(path), _) => {
                    let densities = resolved.allocations.densities(path, round.0);
                    let missing = || refuse(format!("`{}` has no densities", path.display()));
                    Some(densities.ok_or_else(missing)?.to_vec())
                }
                _ => None,
            };
            // Unknown before training if they are those of a mask that is.
            let is_unknown = like.is_some() && densities.is_none();
            let layers = if is_unknown {
                None
            } else {
                divide(allocation, kept, densities.as_deref(), &at_most, resolved).map_err(refuse)?
            };
            if let Some(layers) = layers.as_ref().filter(|_| is_chain) {
                at_most.clone_from(layers);
            }
            counts[round.0 as usize] = RemainingCounts { kept, layers };
        }
        Ok(Self::ByRound(Arc::new(counts)))
    }

    /// Returns the densities of the layers at a round, if they are known before training and the same for every
    /// replicate.
    fn densities(&self, round: Round, resolved: &ResolvedExperiment) -> Option<Vec<f64>> {
        let Self::ByRound(counts) = self else { return None };
        let layers = counts[round.0 as usize].layers.as_ref()?;
        Some(densities(layers, resolved.network.weight_counts()))
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
