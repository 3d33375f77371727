//! Evaluates stored final weights again, and compares the scores with those of the last evaluation.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::super::context::RunContext;
use super::super::events::TrainingId;
use super::super::store::Unavailable;
use super::check::{Check, DEFECT, OTHER_NUMBERS, advice_on_error};
use super::verifier::Verifier;
use crate::base::curve::{Evaluation, Score};
use crate::base::tensors::{Snapshot, TensorMap};
use crate::config::{MAX_LANES, Supermask};
use crate::data::Split;
use crate::engine::{EngineKind, Trainer};
use crate::lottery::{ArtifactSource as _, TrainingSpec};

/// Evaluates the stored final weights of each training run whose entry is whole, on all splits, and compares the
/// scores with its last evaluation: exactly for training runs on the CPU of `exact_host`, the host that has this kind of
/// processor and these versions, and else within 0.1 points of accuracy and 0.1 % of the loss. `None` if the process is
/// to stop.
///
/// # Errors
/// Fails if the data cannot be loaded, or a trainer fails.
pub fn re_evaluate(
    verifier: &Verifier<'_>,
    context: &RunContext<'_>,
    exact_host: Option<&str>,
) -> Result<Option<Check>> {
    let mut check = Check::new("evaluation", "stored final weights evaluated again on all splits", "network");
    let dataset = Arc::new(context.trainers.dataset()?);
    let mut trainers: BTreeMap<(EngineKind, usize), Box<dyn Trainer>> = BTreeMap::new();
    let mut without_weights = 0;
    let mut drawn = 0;
    for (spec, _) in verifier.trainings() {
        if context.cancel.is_cancelled() {
            return Ok(None);
        }
        if spec.supermask() == Some(Supermask::Bernoulli) {
            drawn += 1;
            continue;
        }
        let stored = verifier.store.load(spec)?.ok_or_else(|| anyhow!("its entry changed meanwhile"))?;
        let weights = match verifier.store.final_weights(&spec.key) {
            Err(error) if error.is::<Unavailable>() => None,
            Err(error) => {
                check.differ(TrainingId::of(spec).to_string(), format!("{error:#}"), advice_on_error(&error, DEFECT));
                continue;
            }
            Ok(weights) => Some(weights),
        };
        let (Some(last), Some(weights)) = (stored.curve.last(), weights) else {
            without_weights += 1;
            continue;
        };
        // As many lanes as it was trained with: that number may change the last digits.
        let lanes = stored.timing.as_ref().map_or(1, |timing| timing.lanes.clamp(1, MAX_LANES as usize));
        if context.study.resolved.gpu.is_some() {
            // A GPU's memory holds one trainer at a time.
            trainers.retain(|key, _| *key == (spec.engine, lanes));
        }
        let explained = |error| context.trainers.explain(error, lanes);
        let trainer = match trainers.entry((spec.engine, lanes)) {
            Entry::Occupied(trainer) => trainer.into_mut(),
            Entry::Vacant(vacant) => {
                vacant.insert(context.trainers.build(spec.engine, lanes, &dataset).map_err(explained)?)
            }
        };
        let scores = evaluate(verifier, trainer.as_mut(), spec, weights).map_err(explained)?;
        let host = stored.timing.as_ref().map(|timing| timing.host.as_str());
        let is_exact = host.is_some() && host == exact_host && verifier.study.resolved.device == "cpu";
        match scores_that_differ(last, &scores, is_exact) {
            None => check.pass(),
            Some(difference) => check.differ(TrainingId::of(spec).to_string(), difference, OTHER_NUMBERS),
        }
    }
    check.note_left_out(without_weights, "their final weights were freed, or they diverged");
    check.note_left_out(drawn, "their evaluations are means over drawn masks, of which only the likeliest is stored");
    Ok(Some(check))
}

/// Returns the scores of a network on the splits, in the order of [`Split::ALL`].
fn evaluate(
    verifier: &Verifier<'_>,
    trainer: &mut dyn Trainer,
    spec: &TrainingSpec,
    weights: TensorMap,
) -> Result<Vec<Score>> {
    let mask = verifier.store.mask(&spec.key)?;
    let (weights, buffers) = verifier.context().split_buffers(weights);
    let state = Snapshot { buffers, ..Snapshot::initial(weights) };
    for lane in 0..trainer.lanes() {
        trainer.load(lane, &state, &mask)?;
    }
    Split::ALL.into_iter().map(|split| Ok(trainer.evaluate(split)?[0])).collect()
}

/// Returns the first score that differs from the recorded one as text; `None` if all are equal, or, unless `is_exact`,
/// within the tolerances.
fn scores_that_differ(recorded: &Evaluation, scores: &[Score], is_exact: bool) -> Option<String> {
    let names = ["training", "validation", "test"];
    let recorded = [recorded.train, recorded.validation, recorded.test];
    let mut pairs = names.into_iter().zip(recorded).zip(scores);
    let (name, recorded, found) = pairs.find_map(|((name, recorded), found)| {
        let is_equal = if is_exact { recorded == *found } else { found.is_close_to(recorded) };
        (!is_equal).then_some((name, recorded, found))
    })?;
    Some(format!(
        "its {name} accuracy is {} and its loss {}, recorded are {} and {}",
        found.accuracy, found.loss, recorded.accuracy, recorded.loss
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_equal_exactly_on_the_cpu_and_within_tolerances_on_a_gpu() {
        let score = |loss| Score { loss, accuracy: 0.5 };
        let recorded = Evaluation { iteration: 9, train: score(1.0), validation: score(2.0), test: score(3.0) };
        let equal = [score(1.0), score(2.0), score(3.0)];
        let close = [score(1.0), score(2.001), score(3.0)];
        let far = [score(1.0), score(2.01), score(3.0)];
        assert_eq!(scores_that_differ(&recorded, &equal, true), None);
        let text = "its validation accuracy is 0.5 and its loss 2.001, recorded are 0.5 and 2";
        assert_eq!(scores_that_differ(&recorded, &close, true).as_deref(), Some(text));
        assert_eq!(scores_that_differ(&recorded, &close, false), None);
        assert!(scores_that_differ(&recorded, &far, false).is_some());
    }
}
