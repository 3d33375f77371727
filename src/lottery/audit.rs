//! The audit: checks every invariant of masks and weights before and after each training run.

use std::collections::BTreeMap;

use anyhow::Result;

use super::prepare::{PrepareContext, prepare_start, target_counts};
use super::rules::{MaskRule, RewindPoint, StartRule};
use super::training::TrainingSpec;
use crate::base::mask::Mask;
use crate::base::tensors::{NamedTensor, Snapshot, TensorMap};
use crate::base::units::Iteration;
use crate::config::{AtInitMethod, RewindOptimizerState};

/// An invariant of masks and weights that does not hold.
#[derive(Debug, thiserror::Error)]
#[error("audit: {0}")]
pub struct AuditError(String);

impl AuditError {
    /// Returns the error of an invariant that does not hold. `what`: what is wrong instead.
    pub fn new(what: &str) -> Self {
        Self(what.to_owned())
    }
}

/// Returns an [`AuditError`] if an invariant does not hold.
macro_rules! invariant {
    ($holds:expr, $($what:tt)+) => {
        anyhow::ensure!($holds, $crate::lottery::AuditError::new(&format!($($what)+)))
    };
}
pub(super) use invariant;

/// Checks a training run against its rules before its first step: the counts of its mask, the zeros of pruned weights,
/// and whether mask and `loaded` state (as the trainer holds it) are what the rules say. To be independent of
/// [`prepare`](super::prepare()), θ₀ is drawn again instead of read from the store.
///
/// # Errors
/// Fails with an [`AuditError`] if an invariant does not hold, or with another error if an output of another training
/// run cannot be read.
pub fn audit_start(training: &TrainingSpec, context: PrepareContext<'_>, mask: &Mask, loaded: &Snapshot) -> Result<()> {
    audit_mask(training, context, mask)?;
    invariant!(mask.is_respected_by(&loaded.weights), "a pruned weight is not 0 at the start");
    invariant!(
        loaded.moments.iter().all(|moment| mask.is_respected_by(moment)),
        "a moment of a pruned weight is not 0"
    );
    invariant!(
        Iteration(loaded.iteration) == training.start.iteration(),
        "it starts at iteration {}",
        loaded.iteration
    );
    let may_have_moments = match &training.start {
        StartRule::Rewind { moments, point } => {
            *moments == RewindOptimizerState::Restore && point.iteration > Iteration(0)
        }
        _ => false,
    };
    let has_fresh_moments = loaded.moments.is_empty() && loaded.optimizer_steps == 0;
    invariant!(has_fresh_moments || may_have_moments, "moments that are not fresh");
    audit_weights(&training.start, training.replicate, context, mask, loaded)?;
    audit_buffers(&training.start, training.replicate, context, &loaded.buffers)
}

/// Makes the starting state of a stored training run again, under its stored `mask`, and checks it like
/// [`audit_start`].
///
/// # Errors
/// Fails like [`audit_start`].
pub fn audit_stored_start(training: &TrainingSpec, context: PrepareContext<'_>, mask: &Mask) -> Result<()> {
    let mut start = prepare_start(training, mask, context)?;
    if start.buffers.0.is_empty() {
        // A trainer starts with these.
        start.buffers = context.fresh_buffers();
    }
    audit_start(training, context, mask, &start)
}

/// Checks that the `stored` θ₀ of a dense training run is what its random stream draws.
///
/// # Errors
/// Fails with an [`AuditError`] if it is not.
pub fn audit_initial(training: &TrainingSpec, context: PrepareContext<'_>, stored: &TensorMap) -> Result<()> {
    let drawn = context.draw_initial(training.replicate);
    invariant!(same_bits(&drawn, stored), "initial weights other than those that its seed draws");
    Ok(())
}

/// Checks that the running statistics are those of the state that the weights come from, or fresh if that has none.
fn audit_buffers(rule: &StartRule, replicate: u32, context: PrepareContext<'_>, loaded: &TensorMap) -> Result<()> {
    let expected = match rule {
        StartRule::Initial => context.initial_buffers(replicate),
        StartRule::Reinit { .. } => TensorMap::default(),
        StartRule::File { file, .. } => context.file_state(file, replicate)?.buffers,
        StartRule::Rewind { point, .. }
        | StartRule::Shuffle { point }
        | StartRule::ConstantSign { point }
        | StartRule::Noise { point, .. } => context.rewind_state(point, replicate)?.buffers,
        StartRule::Untrained { weights, .. } => return audit_buffers(weights, replicate, context, loaded),
        StartRule::Final { parent, .. } => context.split_buffers(context.artifacts.final_weights(parent)?).1,
    };
    let expected = if expected.0.is_empty() { context.fresh_buffers() } else { expected };
    invariant!(same_bits(&expected, loaded), "running statistics other than where it starts");
    Ok(())
}

/// Checks the counts of the mask at the start of a training run, and its relation to the masks and weights that it is
/// made from.
///
/// # Errors
/// Fails with an [`AuditError`] if an invariant does not hold, or with another error if an output of another training
/// run cannot be read.
pub fn audit_mask(training: &TrainingSpec, context: PrepareContext<'_>, mask: &Mask) -> Result<()> {
    let artifacts = context.artifacts;
    let counts = training.start_counts();
    invariant!(mask.kept_total() == counts.kept, "{} weights kept, {} planned", mask.kept_total(), counts.kept);
    // The layers that are like those of another mask are those of the mask at the end.
    let counts = if *counts == training.counts { target_counts(training, context)? } else { counts.clone() };
    if let Some(layers) = &counts.layers {
        invariant!(mask.kept_counts() == *layers, "layers keep {:?}, planned {layers:?}", mask.kept_counts());
    }
    match &training.mask {
        MaskRule::Dense => invariant!(mask.kept_total() == mask.total(), "a dense mask that prunes"),
        MaskRule::Prune { parent, .. } | MaskRule::OneShot { parent, .. } => {
            invariant!(mask.is_subset_of(&artifacts.mask(parent)?), "a mask that is not within its parent's");
        }
        // Its weights may have been freed; retraining makes the mask again.
        MaskRule::EarlyBird { .. } => {}
        MaskRule::AtInit { scoring, .. } => {
            // Scores of other methods depend on the device: retraining makes their masks again.
            if scoring.method == AtInitMethod::Magnitude && !scoring.is_inverted {
                invariant!(
                    keeps_the_largest(mask, &context.draw_initial(training.replicate)),
                    "a larger weight was cut"
                );
            }
        }
        MaskRule::Of { parent } => invariant!(*mask == artifacts.mask(parent)?, "a mask other than the one named"),
        MaskRule::Random { like } => {
            invariant!(
                mask.kept_counts() == artifacts.mask(like)?.kept_counts(),
                "a random mask with other counts in a layer"
            );
        }
        MaskRule::File(file) => {
            invariant!(*mask == context.file_mask(file, training)?, "a mask other than that in its file");
        }
    }
    Ok(())
}

/// Checks the weights of the loaded state, and its moments if they are restored, against the rule for them.
fn audit_weights(
    rule: &StartRule,
    replicate: u32,
    context: PrepareContext<'_>,
    mask: &Mask,
    loaded: &Snapshot,
) -> Result<()> {
    let masked = |mut state: TensorMap| {
        mask.apply(&mut state);
        state
    };
    // θ₀ is drawn again; θₖ is read from the store, which verifies its bytes.
    let rewind_state = |point: &RewindPoint| {
        if point.iteration == Iteration(0) {
            return Ok::<_, anyhow::Error>(Snapshot::initial(masked(context.draw_initial(replicate))));
        }
        let stored = context.rewind_state(point, replicate)?;
        let moments = stored.moments.into_iter().map(masked).collect();
        Ok(Snapshot { weights: masked(stored.weights), moments, ..stored })
    };
    let weights = &loaded.weights;
    match rule {
        StartRule::Initial => {
            let source = masked(context.draw_initial(replicate));
            invariant!(same_bits(&source, weights), "a weight is not at its initial value");
        }
        StartRule::Rewind { point, moments } => {
            let expected = rewind_state(point)?;
            invariant!(same_bits(&expected.weights, weights), "a survivor is not at its rewind point");
            if *moments == RewindOptimizerState::Restore {
                let mut pairs = expected.moments.iter().zip(&loaded.moments);
                let has_same_moments =
                    expected.moments.len() == loaded.moments.len() && pairs.all(|(a, b)| same_bits(a, b));
                invariant!(
                    has_same_moments && expected.optimizer_steps == loaded.optimizer_steps,
                    "moments other than restored"
                );
            }
        }
        StartRule::Reinit { .. } => {
            let source = masked(context.draw_initial(replicate));
            invariant!(is_fresh(weights, &source, mask), "a fresh draw with weights of the first one");
        }
        StartRule::Shuffle { point } => {
            let source = rewind_state(point)?.weights;
            invariant!(same_values(weights, &source), "a layer with other values than those it shuffles");
        }
        StartRule::ConstantSign { point } => {
            let source = rewind_state(point)?.weights;
            invariant!(
                is_constant(weights, &source, mask, &context.init_stds()),
                "a weight that is not ± the constant"
            );
        }
        StartRule::Noise { point, factor } => {
            let source = rewind_state(point)?.weights;
            invariant!(is_noisy(weights, &source, mask, *factor, &context.init_stds()), "noise of another strength");
        }
        StartRule::Final { parent, .. } => {
            let source = masked(context.split_buffers(context.artifacts.final_weights(parent)?).0);
            invariant!(same_bits(&source, weights), "a survivor is not at its trained value");
        }
        StartRule::Untrained { weights, .. } => audit_weights(weights, replicate, context, mask, loaded)?,
        StartRule::File { file, .. } => {
            let source = masked(context.file_state(file, replicate)?.weights);
            invariant!(same_bits(&source, weights), "a survivor is not at its value in the file");
        }
    }
    Ok(())
}

/// Checks a training run after its last step: pruned weights and their moments are exactly 0 in the `trained` state.
///
/// # Errors
/// Fails with an [`AuditError`] if an invariant does not hold.
pub fn audit_end(mask: &Mask, trained: &Snapshot) -> Result<()> {
    invariant!(mask.is_respected_by(&trained.weights), "a pruned weight is not 0 at the end");
    invariant!(
        trained.moments.iter().all(|moment| mask.is_respected_by(moment)),
        "a moment of a pruned weight is not 0"
    );
    Ok(())
}

/// Returns, for each layer, its name and the pairs of values that its kept weights have in two states.
fn kept_pairs<'a>(
    mask: &'a Mask,
    a: &'a TensorMap,
    b: &'a TensorMap,
) -> impl Iterator<Item = (&'a str, Vec<(f32, f32)>)> {
    mask.0.iter().map(move |layer| {
        let values =
            |state: &'a TensorMap| state.get(&layer.name).map(|tensor| tensor.values.as_slice()).unwrap_or_default();
        let pairs = values(a).iter().copied().zip(values(b).iter().copied()).zip(&layer.kept);
        (layer.name.as_str(), pairs.filter(|(_, kept)| **kept).map(|(pair, _)| pair).collect())
    })
}

/// Returns whether at most 1 % of the kept weights, plus one, have the value that they have in `source`: a few may by
/// chance.
fn is_fresh(weights: &TensorMap, source: &TensorMap, mask: &Mask) -> bool {
    let count_equal =
        |(_, pairs): (&str, Vec<(f32, f32)>)| pairs.iter().filter(|(a, b)| a.to_bits() == b.to_bits()).count();
    let equal: usize = kept_pairs(mask, weights, source).map(count_equal).sum();
    equal as u64 <= 1 + mask.kept_total() / 100
}

/// Returns whether every tensor has the same values in both states, in any order.
fn same_values(a: &TensorMap, b: &TensorMap) -> bool {
    let sorted = |state: &TensorMap| -> Vec<Vec<u32>> {
        let sorted_bits = |tensor: &NamedTensor| {
            let mut bits: Vec<u32> = tensor.values.iter().map(|value| value.to_bits()).collect();
            bits.sort_unstable();
            bits
        };
        state.0.iter().map(sorted_bits).collect()
    };
    sorted(a) == sorted(b)
}

/// Returns whether every kept weight is ± the standard deviation of its layer's initial weights, with the sign that it
/// has in `source`. `deviations`: the standard deviations by the name of the weight tensor.
fn is_constant(weights: &TensorMap, source: &TensorMap, mask: &Mask, deviations: &BTreeMap<String, f64>) -> bool {
    kept_pairs(mask, weights, source).all(|(name, pairs)| {
        let constant = deviations.get(name).map_or(f32::NAN, |&deviation| deviation as f32);
        pairs.iter().all(|(w, source)| w.abs() == constant && w.is_sign_negative() == source.is_sign_negative())
    })
}

/// Returns whether the differences of kept weights from `source` have the standard deviation of the noise: `factor`
/// times that of the layer's initial weights. Layers that keep fewer than 1,000 weights are not checked.
fn is_noisy(
    weights: &TensorMap,
    source: &TensorMap,
    mask: &Mask,
    factor: f64,
    deviations: &BTreeMap<String, f64>,
) -> bool {
    kept_pairs(mask, weights, source).all(|(name, pairs)| {
        let strength = factor * deviations.get(name).copied().unwrap_or(f64::NAN);
        let squares =
            pairs.iter().map(|(w, source)| ((f64::from(*w) - f64::from(*source)) / strength).powi(2)).sum::<f64>();
        // The bound is eight standard deviations of the mean square of n normal numbers.
        let n = pairs.len() as f64;
        pairs.len() < 1000 || (squares / n - 1.0).abs() < 8.0 * (2.0 / n).sqrt()
    })
}

/// Returns whether no pruned weight of a layer is larger in magnitude than a kept one, by the values in `source`.
fn keeps_the_largest(mask: &Mask, source: &TensorMap) -> bool {
    mask.0.iter().all(|layer| {
        let values = source.get(&layer.name).map(|tensor| tensor.values.as_slice()).unwrap_or_default();
        let magnitudes =
            |kept: bool| values.iter().zip(&layer.kept).filter(move |(_, k)| **k == kept).map(|(w, _)| w.abs());
        let smallest_kept = magnitudes(true).fold(f32::INFINITY, f32::min);
        let largest_pruned = magnitudes(false).fold(0.0, f32::max);
        largest_pruned <= smallest_kept
    })
}

/// Returns whether two states have the same tensors with the same bits.
pub(super) fn same_bits(a: &TensorMap, b: &TensorMap) -> bool {
    let bits = |state: &TensorMap| -> Vec<u32> {
        state.0.iter().flat_map(|tensor| tensor.values.iter().map(|value| value.to_bits())).collect()
    };
    a.0.iter().map(|t| &t.name).eq(b.0.iter().map(|t| &t.name)) && bits(a) == bits(b)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::lottery::tests::PreparedReplicate;
    use crate::lottery::{ArtifactSource as _, Prepared, prepare};

    fn replicate() -> PreparedReplicate {
        PreparedReplicate::new(&[])
    }

    #[test]
    fn tickets_are_nested_and_rewound_and_controls_have_their_counts() {
        let replicate = replicate();
        let mask = |arm, round| replicate.memory.mask(&replicate.training(arm, round).key).unwrap();
        assert!(mask("winning_ticket", 2).is_subset_of(&mask("winning_ticket", 1)));
        assert_eq!(mask("random_reinit", 2), mask("winning_ticket", 2));
        assert_eq!(mask("random_mask", 2).kept_counts(), mask("winning_ticket", 2).kept_counts());
        assert_ne!(mask("random_mask", 2), mask("winning_ticket", 2));
        let start = |arm, round| replicate.memory.initial_weights(&replicate.training(arm, round).key).unwrap();
        let mut expected = start("dense", 0);
        mask("winning_ticket", 2).apply(&mut expected);
        assert_eq!(expected, start("winning_ticket", 2));
        assert_ne!(start("random_reinit", 1), start("random_reinit", 2), "each round draws its own");
    }

    /// Prepares a training run, changes its mask, its start or its end by `damage`, and returns the message of the
    /// audit.
    fn audit_message(arm: &str, round: u32, damage: impl FnOnce(&mut Mask, &mut Snapshot, &mut Snapshot)) -> String {
        let replicate = replicate();
        let training = replicate.training(arm, round);
        let Prepared { mut mask, mut start, .. } = prepare(training, replicate.context()).unwrap();
        let mut trained = start.clone();
        damage(&mut mask, &mut start, &mut trained);
        let result =
            audit_start(training, replicate.context(), &mask, &start).and_then(|()| audit_end(&mask, &trained));
        result.map_err(|e| anyhow!("{e}")).unwrap_err().to_string()
    }

    /// Index of a weight of the first layer that the mask prunes, and of one that it keeps.
    fn pruned_and_kept(mask: &Mask) -> (usize, usize) {
        let kept = &mask.0[0].kept;
        (kept.iter().position(|&k| !k).unwrap(), kept.iter().position(|&k| k).unwrap())
    }

    #[test]
    fn audit_reports_each_broken_invariant() {
        let revived = audit_message("winning_ticket", 1, |mask, _, trained| {
            trained.weights.0[0].values[pruned_and_kept(mask).0] = -0.0;
        });
        assert!(revived.contains("not 0 at the end"), "{revived}");
        let moment = audit_message("winning_ticket", 1, |mask, _, trained| {
            let mut state = trained.weights.clone();
            state.0[0].values[pruned_and_kept(mask).0] = 1e-9;
            trained.moments = vec![state];
        });
        assert!(moment.contains("a moment of a pruned weight"), "{moment}");
        let count = audit_message("winning_ticket", 1, |mask, _, _| {
            let kept = pruned_and_kept(mask).1;
            mask.0[0].kept[kept] = false;
        });
        assert!(count.contains("planned"), "{count}");
        let outside_parent = audit_message("winning_ticket", 2, |mask, _, _| {
            let pruned_by_parent = mask.0[0].kept.iter().rposition(|&k| !k).unwrap();
            let kept = pruned_and_kept(mask).1;
            mask.0[0].kept[kept] = false;
            mask.0[0].kept[pruned_by_parent] = true;
        });
        assert!(outside_parent.starts_with("audit: "), "{outside_parent}");
        let moved = audit_message("winning_ticket", 1, |mask, start, _| {
            start.weights.0[0].values[pruned_and_kept(mask).1] += 1e-3;
        });
        assert!(moved.contains("not at its rewind point"), "{moved}");
        let swapped = audit_message("random_reinit", 1, |mask, _, _| {
            let (pruned, kept) = pruned_and_kept(mask);
            mask.0[0].kept.swap(pruned, kept);
        });
        assert!(swapped.starts_with("audit: "), "{swapped}");
        let stale = audit_message("random_reinit", 1, |mask, start, _| {
            let replicate = replicate();
            let mut theta = replicate.memory.initial_weights(&replicate.training("dense", 0).key).unwrap();
            mask.apply(&mut theta);
            start.weights = theta;
        });
        assert!(stale.contains("weights of the first one"), "{stale}");
    }
}
