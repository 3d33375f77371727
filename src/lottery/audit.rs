//! The audit: after every training, each promise about masks and weights is looked at, not trusted.

use anyhow::{Result, ensure};

use super::prepare::{Context, initial};
use super::training::{MaskRule, StartRule, Training};
use crate::base::mask::Mask;
use crate::base::state::{Snapshot, State};

/// A promise about masks and weights that was broken.
#[derive(Debug, thiserror::Error)]
#[error("audit: {0}")]
pub struct AuditError(String);

/// Fails with an [`AuditError`] where the promise does not hold.
macro_rules! promise {
    ($holds:expr, $($what:tt)+) => {
        ensure!($holds, AuditError(format!($($what)+)))
    };
}

/// Checks a training against its rules before its first step: counts, zeros, and where its mask and the weights that
/// the trainer has `loaded` come from. θ₀ is drawn anew for it, rather than read from where `prepare` read it.
///
/// # Errors
/// The promise that was broken.
pub fn audit_start(training: &Training, context: Context<'_>, mask: &Mask, loaded: &Snapshot) -> Result<()> {
    let Context { experiment, setting, parents } = context;
    promise!(mask.kept() == training.counts.kept, "{} weights kept, {} planned", mask.kept(), training.counts.kept);
    if let Some(layers) = &training.counts.layers {
        promise!(mask.counts() == *layers, "layers keep {:?}, planned {layers:?}", mask.counts());
    }
    match &training.mask {
        MaskRule::Dense => promise!(mask.kept() == mask.total(), "a dense mask that prunes"),
        MaskRule::Prune { parent } => {
            promise!(mask.is_within(&parents.mask(parent)?), "a mask that is not within its parent's");
        }
        MaskRule::Of { parent } => promise!(*mask == parents.mask(parent)?, "a mask other than the one named"),
        MaskRule::Random { like } => {
            promise!(mask.counts() == parents.mask(like)?.counts(), "a random mask with other counts in a layer");
        }
    }
    promise!(mask.holds_in(&loaded.weights), "a pruned weight is not 0 at the start");
    promise!(loaded.moments.is_empty() && loaded.optimizer_steps == 0, "moments that are not fresh");
    let mut theta = initial(training.replicate, experiment, setting);
    mask.apply(&mut theta);
    match &training.start {
        StartRule::Initial | StartRule::Rewind { .. } => {
            promise!(same_bits(&theta, &loaded.weights), "a survivor is not at its rewind point");
        }
        StartRule::Reinit => {
            promise!(is_fresh(&loaded.weights, &theta, mask), "a fresh draw with weights of the first one");
        }
    }
    Ok(())
}

/// Checks a training after its last step: pruned weights and their moments are exactly 0.
///
/// # Errors
/// The promise that was broken.
pub fn audit_end(mask: &Mask, last: &Snapshot) -> Result<()> {
    promise!(mask.holds_in(&last.weights), "a pruned weight is not 0 at the end");
    promise!(last.moments.iter().all(|moment| mask.holds_in(moment)), "a moment of a pruned weight is not 0");
    Ok(())
}

/// Whether hardly any survivor has the value it has in `theta`; a few may by chance.
fn is_fresh(weights: &State, theta: &State, mask: &Mask) -> bool {
    let mut equal = 0;
    for layer in &mask.0 {
        let values = |state: &State| state.get(&layer.name).map(|tensor| tensor.values.clone()).unwrap_or_default();
        let pairs = values(weights).into_iter().zip(values(theta)).zip(&layer.kept);
        equal += pairs.filter(|((a, b), kept)| **kept && a.to_bits() == b.to_bits()).count();
    }
    equal as u64 <= 1 + mask.kept() / 100
}

fn same_bits(a: &State, b: &State) -> bool {
    let bits = |state: &State| -> Vec<u32> {
        state.0.iter().flat_map(|tensor| tensor.values.iter().map(|value| value.to_bits())).collect()
    };
    a.0.iter().map(|t| &t.name).eq(b.0.iter().map(|t| &t.name)) && bits(a) == bits(b)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use anyhow::{Context as _, anyhow};

    use super::*;
    use crate::base::key::Key;
    use crate::config::{Document, Experiment, read};
    use crate::lottery::{Parents, Plan, Setting, prepare};

    /// What finished trainings left, in memory; each ends with the weights it started from.
    #[derive(Default)]
    struct Memory(BTreeMap<Key, (Mask, State, State)>);

    impl Parents for Memory {
        fn mask(&self, key: &Key) -> Result<Mask> {
            Ok(self.0.get(key).context("not there")?.0.clone())
        }
        fn last(&self, key: &Key) -> Result<State> {
            Ok(self.0.get(key).context("not there")?.1.clone())
        }
        fn start(&self, key: &Key) -> Result<State> {
            Ok(self.0.get(key).context("not there")?.2.clone())
        }
    }

    struct House {
        experiment: Experiment,
        setting: Setting,
        plan: Plan,
        memory: Memory,
    }

    impl House {
        fn context(&self) -> Context<'_> {
            Context { experiment: &self.experiment, setting: &self.setting, parents: &self.memory }
        }

        fn training(&self, arm: &str, round: u32) -> &Training {
            self.plan.trainings.iter().find(|t| t.arm == arm && t.round == round && t.repeat == 1).unwrap()
        }
    }

    /// One replicate of the smoke experiment, prepared training by training.
    fn house() -> House {
        let text = include_str!("../../configs/smoke.toml");
        let document = Document::parse("smoke.toml", text, &["replicates=1".to_owned()]).unwrap();
        let experiment = read(&document).unwrap();
        let setting = Setting::new(&experiment, "dense").unwrap();
        let plan = Plan::draw(&experiment, &setting).unwrap();
        let mut house = House { experiment, setting, plan, memory: Memory::default() };
        for training in house.plan.trainings.clone() {
            let (mask, start) = prepare(&training, house.context()).unwrap();
            audit_start(&training, house.context(), &mask, &start).unwrap();
            audit_end(&mask, &start).unwrap();
            house.memory.0.insert(training.key, (mask, start.weights.clone(), start.weights));
        }
        house
    }

    #[test]
    fn tickets_are_nested_and_rewound_and_controls_have_their_counts() {
        let house = house();
        let of = |arm, round| house.memory.mask(&house.training(arm, round).key).unwrap();
        assert!(of("winning_ticket", 2).is_within(&of("winning_ticket", 1)));
        assert_eq!(of("random_reinit", 2), of("winning_ticket", 2));
        assert_eq!(of("random_mask", 2).counts(), of("winning_ticket", 2).counts());
        assert_ne!(of("random_mask", 2), of("winning_ticket", 2));
        let start = |arm, round| house.memory.start(&house.training(arm, round).key).unwrap();
        let mut theta = start("dense", 0);
        of("winning_ticket", 2).apply(&mut theta);
        assert_eq!(theta, start("winning_ticket", 2));
        assert_ne!(start("random_reinit", 1), start("random_reinit", 2), "each round draws its own");
    }

    /// Prepares a training, breaks something, and gives what the audit says.
    fn broken(arm: &str, round: u32, damage: impl FnOnce(&mut Mask, &mut Snapshot, &mut Snapshot)) -> String {
        let house = house();
        let training = house.training(arm, round);
        let (mut mask, mut start) = prepare(training, house.context()).unwrap();
        let mut last = start.clone();
        damage(&mut mask, &mut start, &mut last);
        let verdict = audit_start(training, house.context(), &mask, &start).and_then(|()| audit_end(&mask, &last));
        verdict.map_err(|e| anyhow!("{e}")).unwrap_err().to_string()
    }

    /// Index of a weight of the first layer that the mask prunes, and of one that it keeps.
    fn pruned_and_kept(mask: &Mask) -> (usize, usize) {
        let kept = &mask.0[0].kept;
        (kept.iter().position(|&k| !k).unwrap(), kept.iter().position(|&k| k).unwrap())
    }

    #[test]
    fn every_broken_promise_is_found() {
        let revived = broken("winning_ticket", 1, |mask, _, last| {
            last.weights.0[0].values[pruned_and_kept(mask).0] = -0.0;
        });
        assert!(revived.contains("not 0 at the end"), "{revived}");
        let moment = broken("winning_ticket", 1, |mask, _, last| {
            let mut state = last.weights.clone();
            state.0[0].values[pruned_and_kept(mask).0] = 1e-9;
            last.moments = vec![state];
        });
        assert!(moment.contains("a moment of a pruned weight"), "{moment}");
        let count = broken("winning_ticket", 1, |mask, _, _| {
            let kept = pruned_and_kept(mask).1;
            mask.0[0].kept[kept] = false;
        });
        assert!(count.contains("planned"), "{count}");
        let elsewhere = broken("winning_ticket", 2, |mask, _, _| {
            let parent_less = mask.0[0].kept.iter().rposition(|&k| !k).unwrap();
            let kept = pruned_and_kept(mask).1;
            mask.0[0].kept[kept] = false;
            mask.0[0].kept[parent_less] = true;
        });
        assert!(elsewhere.starts_with("audit: "), "{elsewhere}");
        let moved = broken("winning_ticket", 1, |mask, start, _| {
            start.weights.0[0].values[pruned_and_kept(mask).1] += 1e-3;
        });
        assert!(moved.contains("not at its rewind point"), "{moved}");
        let swapped = broken("random_reinit", 1, |mask, _, _| {
            let (pruned, kept) = pruned_and_kept(mask);
            mask.0[0].kept.swap(pruned, kept);
        });
        assert!(swapped.starts_with("audit: "), "{swapped}");
        let stale = broken("random_reinit", 1, |mask, start, _| {
            let house = house();
            let mut theta = house.memory.start(&house.training("dense", 0).key).unwrap();
            mask.apply(&mut theta);
            start.weights = theta;
        });
        assert!(stale.contains("weights of the first one"), "{stale}");
    }
}
