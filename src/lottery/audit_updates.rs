//! The audit of mask updates: checks every change of a mask during training.

use anyhow::Result;

use super::audit::invariant;
use super::prepare::{PrepareContext, target_counts};
use super::training::TrainingSpec;
use super::update_rule::UpdateKind;
use crate::base::mask::{LayerMask, Mask};
use crate::base::tensors::{Snapshot, TensorMap};
use crate::train::{MaskUpdate, UpdatedMasks};

/// Checks an update of the mask of a training run: its time, the numbers of weights, how many a layer dropped, and that
/// weights which have grown are 0 in the `loaded` state, as the trainer holds it.
///
/// # Errors
/// Fails with an [`AuditError`](super::AuditError) if an invariant does not hold.
pub fn audit_update(training: &TrainingSpec, update: &MaskUpdate, loaded: &Snapshot) -> Result<()> {
    let MaskUpdate { iteration, before, after, .. } = update;
    let rule = training.updates.as_ref();
    for (old, new) in before.0.iter().zip(&after.0) {
        let kept = old.kept_count();
        let most = rule.and_then(|rule| rule.most_dropped(*iteration, kept));
        invariant!(most.is_some(), "its mask changed at iteration {iteration}, which is none of its updates");
        let dropped = old.kept.iter().zip(&new.kept).filter(|(old, new)| **old && !**new).count() as u64;
        invariant!(Some(dropped) <= most, "`{}` dropped {dropped} weights at iteration {iteration}", new.name);
    }
    match rule.map(|rule| &rule.kind) {
        Some(UpdateKind::Regrow { .. }) => {
            invariant!(after.kept_counts() == before.kept_counts(), "an update that changed the number of weights");
        }
        _ => invariant!(after.is_subset_of(before), "a pruned weight came back at iteration {iteration}"),
    }
    invariant!(after.is_respected_by(&loaded.weights), "a dropped weight is not 0 after an update");
    invariant!(
        loaded.moments.iter().all(|moment| after.is_respected_by(moment)),
        "a moment of a dropped weight is not 0"
    );
    let grown = grown(before, after);
    let is_zero = |tensors: &TensorMap| grown.is_respected_by(tensors);
    invariant!(is_zero(&loaded.weights) && loaded.moments.iter().all(is_zero), "a weight has grown from another value");
    Ok(())
}

/// Checks the masks of a training run at its end: those of the last update have the planned numbers, and no weight of the
/// first or the last mask is missing among those that were ever kept.
///
/// # Errors
/// Fails with an [`AuditError`](super::AuditError) if an invariant does not hold, or with another error if a mask that
/// the numbers come from cannot be read.
pub fn audit_updated_masks(
    training: &TrainingSpec,
    context: PrepareContext<'_>,
    start: &Mask,
    masks: &UpdatedMasks,
) -> Result<()> {
    let UpdatedMasks { current, ever_kept } = masks;
    let counts = target_counts(training, context)?;
    invariant!(
        current.kept_total() == counts.kept,
        "{} weights kept at the end, {} planned",
        current.kept_total(),
        counts.kept
    );
    if let Some(layers) = &counts.layers {
        invariant!(current.kept_counts() == *layers, "layers keep {:?}, planned {layers:?}", current.kept_counts());
    }
    invariant!(
        start.is_subset_of(ever_kept) && current.is_subset_of(ever_kept),
        "a weight of the first or the last mask is not among those that were ever kept"
    );
    let only_prunes = matches!(training.updates.as_ref().map(|rule| &rule.kind), Some(UpdateKind::Prune { .. }));
    invariant!(!only_prunes || ever_kept == start, "pruning that kept weights which its first mask does not");
    Ok(())
}

/// Returns the mask that prunes exactly the weights that `after` keeps and `before` does not.
fn grown(before: &Mask, after: &Mask) -> Mask {
    let layer = |(old, new): (&LayerMask, &LayerMask)| LayerMask {
        kept: old.kept.iter().zip(&new.kept).map(|(old, new)| *old || !new).collect(),
        ..new.clone()
    };
    Mask(before.0.iter().zip(&after.0).map(layer).collect())
}
