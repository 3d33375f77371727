//! The audit: after every training, each promise about masks and weights is looked at, not trusted.

use anyhow::{Result, ensure};

use super::prepare::{Context, initial};
use super::training::{MaskRule, StartRule, Training};
use crate::base::mask::Mask;
use crate::base::state::{Snapshot, State};

/// Checks a finished training against its rules: counts, zeros, moments, and where its mask and weights come from.
///
/// # Errors
/// The promise that was broken.
pub fn audit(training: &Training, context: Context<'_>, mask: &Mask, start: &Snapshot, last: &Snapshot) -> Result<()> {
    let Context { experiment, setting, parents } = context;
    ensure!(
        mask.kept() == training.counts.kept,
        "audit: {} weights kept, {} planned",
        mask.kept(),
        training.counts.kept
    );
    if let Some(layers) = &training.counts.layers {
        ensure!(mask.counts() == *layers, "audit: layers keep {:?}, planned {layers:?}", mask.counts());
    }
    ensure!(mask.holds_in(&start.weights), "audit: a pruned weight is not 0 at the start");
    ensure!(mask.holds_in(&last.weights), "audit: a pruned weight is not 0 at the end");
    ensure!(last.moments.iter().all(|moment| mask.holds_in(moment)), "audit: a moment of a pruned weight is not 0");
    match &training.mask {
        MaskRule::Dense => ensure!(mask.kept() == mask.total(), "audit: a dense mask that prunes"),
        MaskRule::Prune { parent } => {
            ensure!(mask.is_within(&parents.mask(parent)?), "audit: a mask that is not within its parent's");
        }
        MaskRule::Of { parent } => ensure!(*mask == parents.mask(parent)?, "audit: a mask other than the one named"),
        MaskRule::Random { like } => {
            ensure!(mask.counts() == parents.mask(like)?.counts(), "audit: a random mask with other counts in a layer");
        }
    }
    match &training.start {
        StartRule::Initial => {}
        StartRule::Rewind { dense } => {
            let mut rewound = parents.start(dense)?;
            mask.apply(&mut rewound);
            ensure!(same_bits(&rewound, &start.weights), "audit: a survivor is not at its rewind point");
        }
        StartRule::Reinit => {
            ensure!(start.moments.is_empty() && start.optimizer_steps == 0, "audit: a fresh draw with old moments");
            let theta = initial(training.replicate, experiment, setting);
            ensure!(is_fresh(&start.weights, &theta, mask), "audit: a fresh draw with weights of the first one");
        }
    }
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
