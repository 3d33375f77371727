//! Masks at initialization: the untrained network, pruned by the scores of a method.
//!
//! [`mask`] is the algorithm. A method is a file with one function that scores every weight; it is named here in
//! [`scores`], and in [`AtInitMethod`] with its name and defaults.

mod grasp;
mod images;
mod snip;
mod steps;
mod synflow;

use anyhow::{Context as _, Result, bail, ensure};

use self::images::batches;
use self::steps::counts_after_step;
use super::prepare::{PrepareContext, all_ones};
use super::training::TrainingSpec;
use crate::base::mask::Mask;
use crate::base::rng::{Generator, Purpose, Stream};
use crate::base::tensors::{Snapshot, TensorMap};
use crate::config::{AtInitMethod, Scoring};
use crate::engine::{GradientMap, Probe};
use crate::prune::RemainingCounts;

/// A network that is scored, and what scores are computed with.
struct ScoredNetwork<'a> {
    /// The untrained network before any pruning.
    initial: &'a Snapshot,
    /// The weights that the steps before have kept.
    mask: &'a Mask,
    /// The images, as indices into the data set; none for methods without data.
    batches: &'a [Vec<u32>],
    probe: &'a dyn Probe,
    /// For random scores.
    generator: Generator,
}

/// The score of every weight, by layer in the network's order.
type Scores = Vec<Vec<f64>>;

/// Makes the mask of a training run that keeps the weights with the highest scores, as many as `target` says. In each of
/// the method's steps, the network is scored as the step before left it, and pruned to the numbers of the step.
///
/// # Errors
/// Fails if gradients cannot be computed, or if scores are not finite or all equal.
pub(super) fn mask(
    scoring: &Scoring,
    target: &RemainingCounts,
    training: &TrainingSpec,
    context: PrepareContext<'_>,
) -> Result<Mask> {
    let PrepareContext { study, probe, .. } = context;
    let network = &study.resolved.network;
    let pruning = &study.resolved.pruning;
    let initial = context.initial_state(training.replicate);
    let dense = all_ones(network);
    let mut mask = dense.clone();
    for step in 1..=scoring.steps {
        let batches = match scoring.images {
            // The same images for every size of mask, so that smaller masks lie within larger ones.
            Some(images) => {
                let stream = Stream { round: 0, ..context.stream(training, Purpose::Score) };
                let dataset = probe.dataset().context("there are no images to score weights on")?;
                batches(images, dataset, study.experiment.train.batch_size, &mut stream.generator(u64::from(step)))
            }
            None => Vec::new(),
        };
        let generator = context.stream(training, Purpose::Mask).generator(u64::from(step));
        let scored = ScoredNetwork { initial: &initial, mask: &mask, batches: &batches, probe, generator };
        let mut scores = scores(scoring.method, scored)?;
        if scoring.is_inverted {
            scores.iter_mut().flatten().for_each(|score| *score = -*score);
        }
        // FORCE ranks all weights in each step, so that a weight may come back; the others rank those that are left.
        let candidates = if scoring.method == AtInitMethod::Force { &dense } else { &mask };
        check(scoring.method, candidates, &scores, &pruning.included())?;
        let counts = counts_after_step(step, scoring.steps, target, network.weight_counts(), &pruning.included());
        mask = pruning.prune_to(&counts, candidates, &scores, context.stream(training, Purpose::Criterion));
    }
    Ok(mask)
}

/// Returns the scores of a method.
fn scores(method: AtInitMethod, network: ScoredNetwork<'_>) -> Result<Scores> {
    match method {
        AtInitMethod::Magnitude => Ok(magnitudes(&network.initial.weights, network.mask)),
        AtInitMethod::Random => Ok(random(network)),
        AtInitMethod::Snip | AtInitMethod::IterativeSnip | AtInitMethod::Force => snip::scores(&network),
        AtInitMethod::Grasp => grasp::scores(&network),
        AtInitMethod::Synflow => synflow::scores(&network),
    }
}

/// Returns the magnitude of every weight.
fn magnitudes(weights: &TensorMap, mask: &Mask) -> Scores {
    let values = |name: &str| weights.get(name).map(|tensor| tensor.values.as_slice()).unwrap_or_default();
    mask.0.iter().map(|layer| values(&layer.name).iter().map(|w| f64::from(w.abs())).collect()).collect()
}

/// Returns a uniformly random number for every weight.
fn random(mut network: ScoredNetwork<'_>) -> Scores {
    let mut drawn = |count: usize| (0..count).map(|_| network.generator.unit()).collect();
    network.mask.0.iter().map(|layer| drawn(layer.kept.len())).collect()
}

/// Returns `score(weight, gradient)` of every weight. The weight is its value before any pruning.
fn score_by_gradient(
    network: &ScoredNetwork<'_>,
    gradients: &GradientMap,
    score: impl Fn(f64, f64) -> f64,
) -> Result<Scores> {
    let layers = network.mask.0.iter().map(|layer| {
        let weights = network.initial.weights.get(&layer.name);
        let gradients = gradients.get(&layer.name);
        let (weights, gradients) = weights.zip(gradients).with_context(|| format!("no gradient of `{}`", layer.name))?;
        ensure!(weights.values.len() == gradients.values.len(), "a gradient of another size in `{}`", layer.name);
        Ok(weights.values.iter().zip(&gradients.values).map(|(&w, &g)| score(f64::from(w), g)).collect())
    });
    layers.collect()
}

/// Checks that the scores of the candidates can be ranked.
///
/// # Errors
/// Fails if a score is not finite, or if all are equal.
fn check(method: AtInitMethod, candidates: &Mask, scores: &Scores, included: &[bool]) -> Result<()> {
    let method = method.as_str();
    let mut least = f64::INFINITY;
    let mut greatest = f64::NEG_INFINITY;
    for (layer, scores) in candidates.0.iter().zip(scores).zip(included).filter(|(_, included)| **included).map(|(l, _)| l) {
        for score in scores.iter().zip(&layer.kept).filter(|(_, kept)| **kept).map(|(score, _)| *score) {
            if !score.is_finite() {
                bail!("`{method}` gives a weight of `{}` the score {score}, which has no rank", layer.name);
            }
            least = least.min(score);
            greatest = greatest.max(score);
        }
    }
    if least >= greatest {
        let empty = empty_layers(candidates);
        let because = if empty.is_empty() { String::new() } else { format!("; no weight is left in {}", empty.join(", ")) };
        bail!("`{method}` gives all weights the score {least}, so that none can be preferred{because}");
    }
    Ok(())
}

/// Returns the layers of which a mask keeps no weight, in backticks.
pub fn empty_layers(mask: &Mask) -> Vec<String> {
    let empty = mask.0.iter().filter(|layer| !layer.kept.iter().any(|&kept| kept));
    empty.map(|layer| format!("`{}`", layer.name.trim_end_matches(".weight"))).collect()
}

#[cfg(test)]
mod tests;
