//! Masks at initialization: the untrained network, pruned by the scores of a method.
//!
//! [`at_init_mask`] is the algorithm. A method is a file with one function that scores every weight; it is named here in
//! [`at_init_scores`], and in [`AtInitMethod`] with its name and defaults.

mod grasp;
mod snip;
mod steps;
mod synflow;

use anyhow::{Context as _, Result, bail, ensure};

use self::steps::counts_after_step;
use super::prepare::all_ones;
use super::score_images::score_batches;
use crate::base::mask::Mask;
use crate::base::rng::{Generator, Purpose, Stream};
use crate::base::tensors::{Snapshot, TensorMap};
use crate::config::{AtInitMethod, Dtype, ScoreBatchNorm, Scoring};
use crate::engine::{GradientMap, Probe, ProbeBatchNorm, ProbeOptions};
use crate::network::Network;
use crate::prune::{PruningRates, RemainingCounts};

/// An untrained network, and what its masks are made with.
#[derive(Clone, Copy)]
pub struct Untrained<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its initial weights.
    pub initial: &'a Snapshot,
    /// Which layers are pruned.
    pub pruning: &'a PruningRates,
    /// Gradients on the training images.
    pub probe: &'a dyn Probe,
    /// The number of images of a batch in training.
    pub batch_size: u32,
    /// Seed, replicate, repeat and round of random draws; the purpose is replaced by that of each draw.
    pub draws: Stream,
}

/// A network that is scored.
pub struct ScoredNetwork<'a> {
    /// The untrained network before any pruning.
    pub initial: &'a Snapshot,
    /// The weights that the steps before have kept.
    pub mask: &'a Mask,
    /// The images, as indices into the data set; none for methods without data.
    pub batches: &'a [Vec<u32>],
    /// Gradients of the network.
    pub probe: &'a dyn Probe,
    /// The statistics of batch norms on images.
    pub batch_norm: ScoreBatchNorm,
    /// The generator of random scores.
    pub generator: Generator,
}

/// The score of every weight, by layer in the network's order.
type Scores = Vec<Vec<f64>>;

/// Returns the mask that keeps the weights with the highest scores, as many as `target` says. In each of the method's
/// steps, the network is scored as the step before left it, and pruned to the numbers of the step.
///
/// # Errors
/// Fails if gradients cannot be computed, or if scores are not finite or all equal.
pub fn at_init_mask(scoring: &Scoring, target: &RemainingCounts, untrained: Untrained<'_>) -> Result<Mask> {
    let Untrained { network, initial, pruning, probe, batch_size, draws } = untrained;
    let generator = |stream: Stream, step: u32| stream.generator(u64::from(step));
    let included = pruning.included();
    let dense = all_ones(network);
    let mut mask = dense.clone();
    for step in 1..=scoring.steps {
        let batches = match scoring.images {
            // The same images for every size of mask, so that masks of a method with one step lie within larger ones.
            Some(images) => {
                let stream = Stream { round: 0, purpose: Purpose::Score, ..draws };
                let dataset = probe.dataset().context("there are no images to score weights on")?;
                score_batches(images, dataset, batch_size, &mut generator(stream, step))
            }
            None => Vec::new(),
        };
        let generator = generator(Stream { purpose: Purpose::Mask, ..draws }, step);
        let scored =
            ScoredNetwork { initial, mask: &mask, batches: &batches, probe, batch_norm: scoring.batch_norm, generator };
        let mut scores = at_init_scores(scoring.method, scored)?;
        if scoring.is_inverted {
            scores.iter_mut().flatten().for_each(|score| *score = -*score);
        }
        // FORCE ranks all weights in each step, so that a weight may come back; the others rank those that are left.
        let candidates = if scoring.method == AtInitMethod::Force { &dense } else { &mask };
        check(scoring.method, candidates, &scores, &included, &mask)?;
        let counts = counts_after_step(step, scoring.steps, target, network.weight_counts(), &included);
        mask = pruning.prune_to(&counts, candidates, &scores, Stream { purpose: Purpose::Criterion, ..draws });
    }
    Ok(mask)
}

/// Returns the score of every weight, by layer in the network's order.
///
/// # Errors
/// Fails if gradients cannot be computed.
pub fn at_init_scores(method: AtInitMethod, network: ScoredNetwork<'_>) -> Result<Scores> {
    match method {
        AtInitMethod::Magnitude => Ok(magnitudes(&network.initial.weights, network.mask)),
        AtInitMethod::Random => Ok(random(network)),
        AtInitMethod::Snip | AtInitMethod::IterativeSnip | AtInitMethod::Force => snip::scores(&network),
        AtInitMethod::Grasp => grasp::scores(&network),
        AtInitMethod::Synflow => synflow::scores(&network),
    }
}

impl ScoredNetwork<'_> {
    /// Returns the options of gradients of cross-entropy at a temperature.
    fn cross_entropy(&self, temperature: f64) -> ProbeOptions {
        let batch_norm = match self.batch_norm {
            ScoreBatchNorm::Batch => ProbeBatchNorm::Batch,
            ScoreBatchNorm::Running => ProbeBatchNorm::Running,
        };
        ProbeOptions { batch_norm, dtype: Dtype::Float64, ..ProbeOptions::cross_entropy(temperature) }
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
        let (weights, gradients) =
            weights.zip(gradients).with_context(|| format!("no gradient of `{}`", layer.name))?;
        ensure!(weights.values.len() == gradients.values.len(), "a gradient of another size in `{}`", layer.name);
        Ok(weights.values.iter().zip(&gradients.values).map(|(&w, &g)| score(f64::from(w), g)).collect())
    });
    layers.collect()
}

/// Checks that the scores of the candidates, of a network under `mask`, can be ranked. Where a layer of it is empty, nothing
/// flows through the network and all scores may be 0: then weights are pruned at random.
///
/// # Errors
/// Fails if a score is not finite, or if all are equal although no layer is empty.
fn check(method: AtInitMethod, candidates: &Mask, scores: &Scores, included: &[bool], mask: &Mask) -> Result<()> {
    let method = method.as_str();
    let mut least = f64::INFINITY;
    let mut greatest = f64::NEG_INFINITY;
    let layers = candidates.0.iter().zip(scores).zip(included);
    for ((layer, scores), _) in layers.filter(|(_, included)| **included) {
        for score in scores.iter().zip(&layer.kept).filter(|(_, kept)| **kept).map(|(score, _)| *score) {
            if !score.is_finite() {
                bail!("`{method}` gives a weight of `{}` the score {score}, which has no rank", layer.name);
            }
            least = least.min(score);
            greatest = greatest.max(score);
        }
    }
    if least >= greatest && empty_layers(mask).is_empty() {
        // Adding 0 makes 0 of −0.
        bail!("`{method}` gives all weights the score {}, so that none can be preferred", least + 0.0);
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
