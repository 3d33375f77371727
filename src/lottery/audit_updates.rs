//! The audit of mask updates: checks every change of a mask during training.

use anyhow::Result;

use super::audit::{invariant, same_bits};
use super::prepare::{PrepareContext, target_counts, unmasked_start};
use super::training::TrainingSpec;
use super::update_rule::UpdateKind;
use crate::base::mask::{LayerMask, Mask};
use crate::base::tensors::{Snapshot, TensorMap};
use crate::config::Supermask;
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
        Some(UpdateKind::Regrow(_)) => {
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
    let is_free = training.supermask() == Some(Supermask::Bernoulli);
    invariant!(
        is_free || current.kept_total() == counts.kept,
        "{} weights kept at the end, {} planned",
        current.kept_total(),
        counts.kept
    );
    if let Some(layers) = counts.layers.as_ref().filter(|_| !is_free) {
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

/// Checks the final weights of a training run that trains scores: those that it started with, pruned by the mask at the end.
///
/// # Errors
/// Fails with an [`AuditError`](super::AuditError) if they are not, or with another error if an output of another training
/// run cannot be read.
pub fn audit_learned_weights(
    training: &TrainingSpec,
    context: PrepareContext<'_>,
    [start, end]: [&Mask; 2],
    weights: &TensorMap,
) -> Result<()> {
    let mut expected = unmasked_start(training, start, context)?.weights;
    end.apply(&mut expected);
    invariant!(same_bits(&expected, weights), "a weight has changed, where only scores are trained");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Iteration;
    use crate::engine::NoProbe;
    use crate::lottery::tests::InMemoryStore;
    use crate::lottery::{Study, all_ones, prepare, test_support};

    /// Arms whose masks are updated every 10 of 120 iterations, until iteration 90.
    const ARMS: &str = "arms={rigl={mask={at_init={method='random',cut=[0.8]}},weights='rewind',\
                        mask_updates={method='rigl',every='10it'}},\
                        gmp={mask='dense',weights='reinit',mask_updates={method='gmp',cut=[0.8],every='10it'}}}";

    struct Fixture {
        study: Study,
        memory: InMemoryStore,
    }

    impl Fixture {
        fn new() -> Self {
            let study = test_support::study(&["replicates=1", "rounds=1", ARMS]);
            Self { study, memory: InMemoryStore::default() }
        }

        fn spec(&self, arm: &str) -> &TrainingSpec {
            self.study.plan.trainings.iter().find(|spec| spec.arm == arm).unwrap()
        }

        fn context(&self) -> PrepareContext<'_> {
            PrepareContext { study: &self.study, artifacts: &self.memory, probe: &NoProbe }
        }

        /// Returns the mask at the start of an arm.
        fn start(&self, arm: &str) -> Mask {
            let mut mask = all_ones(&self.study.resolved.network);
            for (layer, kept) in mask.0.iter_mut().zip(self.spec(arm).start_counts().layers.as_ref().unwrap()) {
                layer.kept.iter_mut().skip(*kept as usize).for_each(|kept| *kept = false);
            }
            mask
        }

        /// Returns the state with 1 for every weight that a mask keeps.
        fn ones(&self, mask: &Mask) -> Snapshot {
            let mut weights = self.context().draw_initial(1);
            weights.0.iter_mut().for_each(|tensor| tensor.values.fill(1.0));
            mask.apply(&mut weights);
            Snapshot { moments: vec![weights.clone()], ..Snapshot::initial(weights) }
        }
    }

    /// Returns the mask in which the first `count` weights of the first layer are swapped with as many pruned ones.
    fn moved(mask: &Mask, count: usize) -> Mask {
        let mut moved = mask.clone();
        let layer = &mut moved.0[0].kept;
        let free: Vec<usize> = (0..layer.len()).filter(|&index| !layer[index]).take(count).collect();
        layer[..count].fill(false);
        for index in free {
            layer[index] = true;
        }
        moved
    }

    fn audited(fixture: &Fixture, arm: &str, iteration: u64, masks: [&Mask; 2], loaded: &Snapshot) -> String {
        let [before, after] = masks.map(Clone::clone);
        let update = MaskUpdate { lane: 0, iteration: Iteration(iteration), before, after };
        audit_update(fixture.spec(arm), &update, loaded)
            .map_or_else(|error| error.to_string(), |()| "passed".to_owned())
    }

    #[test]
    fn updates_that_drop_and_grow_are_audited() {
        let fixture = Fixture::new();
        let before = fixture.start("rigl");
        // 0.3 · ½(1 + cos(π · 30/90)) = 0.225 of the weights of the first layer.
        let most = (before.0[0].kept_count() as f64 * 0.225) as usize;
        let after = moved(&before, most);
        let both = {
            let mut both = before.clone();
            both.extend(&after);
            both
        };
        let mut loaded = fixture.ones(&after);
        let grown = grown(&before, &after);
        grown.apply(&mut loaded.weights);
        loaded.moments.iter_mut().for_each(|moment| grown.apply(moment));
        let audited = |iteration, masks, loaded: &Snapshot| audited(&fixture, "rigl", iteration, masks, loaded);
        assert_eq!(audited(30, [&before, &after], &loaded), "passed");
        assert!(audited(31, [&before, &after], &loaded).contains("none of its updates"));
        assert!(audited(90, [&before, &after], &loaded).contains("none of its updates"), "the end is no update");
        let more = moved(&before, most + 1);
        assert!(audited(30, [&before, &more], &fixture.ones(&more)).contains(&format!("dropped {} weights", most + 1)));
        assert!(audited(30, [&before, &both], &loaded).contains("changed the number of weights"));
        assert!(audited(30, [&before, &after], &fixture.ones(&after)).contains("grown from another value"));
        assert!(audited(30, [&before, &after], &fixture.ones(&both)).contains("a dropped weight is not 0"));
        let stale = Snapshot { moments: fixture.ones(&both).moments, ..loaded.clone() };
        assert!(audited(30, [&before, &after], &stale).contains("a moment of a dropped weight is not 0"));
        let revived = Snapshot { moments: fixture.ones(&after).moments, ..loaded };
        assert!(audited(30, [&before, &after], &revived).contains("grown from another value"));
    }

    #[test]
    fn updates_that_prune_and_masks_at_the_end_are_audited() {
        let fixture = Fixture::new();
        let (rigl, gmp) = (fixture.start("rigl"), fixture.start("gmp"));
        let audited_gmp = |iteration, masks, loaded: &Snapshot| audited(&fixture, "gmp", iteration, masks, loaded);
        // From a fifth of 120 iterations on.
        assert_eq!(audited_gmp(44, [&gmp, &rigl], &fixture.ones(&rigl)), "passed");
        assert!(audited_gmp(45, [&gmp, &rigl], &fixture.ones(&rigl)).contains("none of its updates"));
        assert!(audited_gmp(44, [&rigl, &moved(&rigl, 1)], &fixture.ones(&rigl)).contains("a pruned weight came back"));
        let end = |arm: &str, start: &Mask, current: &Mask, ever_kept: &Mask| {
            let masks = UpdatedMasks { current: current.clone(), ever_kept: ever_kept.clone() };
            let audited = audit_updated_masks(fixture.spec(arm), fixture.context(), start, &masks);
            audited.map_or_else(|error| error.to_string(), |()| "passed".to_owned())
        };
        let other = moved(&rigl, 5);
        assert_eq!(end("rigl", &rigl, &other, &gmp), "passed");
        assert!(end("rigl", &rigl, &gmp, &gmp).contains("weights kept at the end, "));
        assert!(end("rigl", &rigl, &other, &rigl).contains("not among those that were ever kept"));
        assert_eq!(end("gmp", &gmp, &rigl, &gmp), "passed");
        assert!(end("gmp", &rigl, &rigl, &gmp).contains("which its first mask does not"));
        let mut uneven = rigl.clone();
        let (first, last) =
            (rigl.0[0].kept.iter().position(|kept| *kept), rigl.0[2].kept.iter().position(|kept| !kept));
        if let (Some(first), Some(last)) = (first, last) {
            uneven.0[0].kept[first] = false;
            uneven.0[2].kept[last] = true;
            assert!(end("rigl", &rigl, &uneven, &gmp).contains("layers keep"));
        }
        // A stored mask at the start is the one that its rule makes.
        let made = prepare(fixture.spec("gmp"), fixture.context()).unwrap();
        assert_eq!(made.mask, gmp);
    }
}
