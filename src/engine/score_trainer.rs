//! The trainer of scores: weights keep their initial values, and training finds the mask (supermasks).
//!
//! Every weight of a layer has a score, and the scores determine the mask: by edge-popup (Ramanujan et al. 2020, arXiv
//! 1911.13299) those with the largest |score| of each layer are kept; by Zhou et al. 2019 (arXiv 1905.01067) each is kept
//! with the probability σ(score), drawn anew for every batch. Another trainer computes the gradient with respect to the
//! masked weights, of all of them; the gradient with respect to the mask is that times the weight, and passes through the
//! choice of the mask as if that were the identity (straight-through). The optimizer is applied to the scores.

use std::cell::RefCell;

use anyhow::{Context as _, Result, bail, ensure};

use super::clip::{GradNorm, scale};
use super::optim::{Optimizer, ParameterSlices, moment_slots, update};
use super::trainer::{Batch, RunningStatistics, Trainer};
use crate::base::curve::Score;
use crate::base::mask::{LayerMask, Mask};
use crate::base::rng::{CounterRng, mix, unit};
use crate::base::tensors::{LaneState, NamedTensor, Snapshot, TensorMap};
use crate::config::Supermask;
use crate::data::Split;
use crate::prune::keep_highest;

/// Draws of a mask over which an evaluation is averaged, where masks are drawn (Zhou et al. 2019).
const EVALUATION_DRAWS: u64 = 10;

/// The first random site of scores: dropout layers have the sites from 0 on, and augmentation has 2³².
const FIRST_SITE: u64 = 1 << 33;

/// Trains the scores of the networks of another trainer.
pub struct ScoreTrainer {
    /// Holds the masked weights. A cell, because reading a lane's state writes its weights first.
    inner: RefCell<Box<dyn Trainer>>,
    optimizer: Optimizer,
    clip_norm: Option<f64>,
    supermask: Supermask,
    lanes: Vec<ScoreLane>,
}

/// The weights and the scores of one lane.
#[derive(Default)]
struct ScoreLane {
    /// All parameters, as they were loaded.
    frozen: TensorMap,
    /// One score per prunable weight, by layer in the network's order.
    layers: Vec<ScoreLayer>,
    /// The mask of the scores: that of the largest, or of those whose probability is at least one half.
    mask: Mask,
    iteration: u64,
    /// Optimizer steps since the moments were reset.
    optimizer_steps: u64,
}

/// The scores of one layer.
struct ScoreLayer {
    /// The index of its weights in [`ScoreLane::frozen`].
    parameter: usize,
    scores: Vec<f32>,
    moments: Vec<Vec<f32>>,
    /// The number of weights that the layer keeps, where that is fixed.
    kept: u64,
}

impl ScoreTrainer {
    /// Returns the trainer of scores for the networks that `inner` holds, with this optimizer for scores.
    pub fn new(inner: Box<dyn Trainer>, optimizer: Optimizer, clip_norm: Option<f64>, supermask: Supermask) -> Self {
        let lanes = (0..inner.lanes()).map(|_| ScoreLane::default()).collect();
        Self { inner: RefCell::new(inner), optimizer, clip_norm, supermask, lanes }
    }

    /// Loads weights and scores into a lane; `mask` has the number of weights that each layer keeps.
    fn load_lane(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        ensure!(lane < self.lanes.len(), "a lane that is not there");
        let count = from.moments.len();
        ensure!(count == 0 || count == self.optimizer.moment_count(), "moments of another optimizer");
        let layer = |layer: &LayerMask| {
            let position = |tensors: &TensorMap| tensors.0.iter().position(|tensor| tensor.name == layer.name);
            let missing = || format!("no scores of `{}`", layer.name);
            let scores = &from.scores.0[position(&from.scores).with_context(missing)?];
            ensure!(scores.values.len() == layer.kept.len(), "scores of `{}` in another shape", layer.name);
            let moment = |index: usize| match from.moments.get(index).and_then(|moment| moment.get(&layer.name)) {
                Some(moment) => moment.values.clone(),
                // No moments mean zero moments.
                None => vec![0.0; scores.values.len()],
            };
            Ok(ScoreLayer {
                parameter: position(&from.weights).with_context(|| format!("no weights of `{}`", layer.name))?,
                scores: scores.values.clone(),
                moments: (0..self.optimizer.moment_count()).map(moment).collect(),
                kept: layer.kept_count(),
            })
        };
        let layers = mask.0.iter().map(layer).collect::<Result<_>>()?;
        let Snapshot { iteration, optimizer_steps, .. } = *from;
        let lane_mask = mask.clone();
        self.lanes[lane] =
            ScoreLane { frozen: from.weights.clone(), layers, mask: lane_mask, iteration, optimizer_steps };
        self.lanes[lane].choose_mask(self.supermask);
        let plain = Snapshot { moments: Vec::new(), optimizer_steps: 0, scores: TensorMap::default(), ..from.clone() };
        let all_kept = Mask(Vec::new());
        self.inner.borrow_mut().load(lane, &plain, &all_kept)
    }

    /// Returns the mask of a lane for the step of a batch, or for a draw of an evaluation.
    fn drawn_mask(&self, lane: usize, generator: CounterRng, draw: u64) -> Mask {
        let lane = &self.lanes[lane];
        match self.supermask {
            Supermask::EdgePopup => lane.mask.clone(),
            Supermask::Bernoulli => {
                let layer = |(site, (layer, scores)): (u64, (&LayerMask, &ScoreLayer))| {
                    let key = generator.key(draw, FIRST_SITE + site);
                    let is_kept = |(index, score): (usize, &f32)| unit(mix(key, index as u64)) < sigmoid(*score);
                    LayerMask { kept: scores.scores.iter().enumerate().map(is_kept).collect(), ..layer.clone() }
                };
                Mask((0..).zip(lane.mask.0.iter().zip(&lane.layers)).map(layer).collect())
            }
        }
    }

    /// Gives the inner trainer the weights of a lane that `mask` keeps.
    fn write_weights(&self, lane: usize, mask: &Mask) -> Result<()> {
        let mut weights = self.lanes[lane].frozen.clone();
        mask.apply(&mut weights);
        self.inner.borrow_mut().replace_weights(lane, &weights)
    }

    /// Applies the optimizer to the scores of a lane. `gradients`: those with respect to the masked weights.
    fn update_scores(&mut self, lane: usize, gradients: &TensorMap, lr: f64) {
        let supermask = self.supermask;
        let lane = &mut self.lanes[lane];
        let mut of_layers: Vec<Vec<f32>> = Vec::with_capacity(lane.layers.len());
        for layer in &lane.layers {
            let (weights, gradients) = (&lane.frozen.0[layer.parameter].values, &gradients.0[layer.parameter].values);
            let of_mask = weights.iter().zip(gradients).map(|(weight, gradient)| weight * gradient);
            let slope = |score: f32| match supermask {
                // The derivative of |score|, which is 0 at 0.
                Supermask::EdgePopup => {
                    if score == 0.0 {
                        0.0
                    } else {
                        score.signum()
                    }
                }
                Supermask::Bernoulli => (sigmoid(score) * (1.0 - sigmoid(score))) as f32,
            };
            of_layers.push(of_mask.zip(&layer.scores).map(|(gradient, score)| gradient * slope(*score)).collect());
        }
        if let Some(max_norm) = self.clip_norm {
            let mut norm = GradNorm::default();
            for gradients in &of_layers {
                norm.add(gradients, None);
            }
            let factor = norm.clip_factor(max_norm);
            for gradients in &mut of_layers {
                scale(factor, gradients);
            }
        }
        lane.optimizer_steps += 1;
        for (layer, gradients) in lane.layers.iter_mut().zip(&of_layers) {
            let moments = moment_slots(layer.moments.iter_mut().map(Vec::as_mut_slice));
            let parameters = ParameterSlices { weights: &mut layer.scores, gradients, moments, kept: None };
            update(&self.optimizer, lr, lane.optimizer_steps, parameters);
        }
        lane.choose_mask(supermask);
    }
}

impl ScoreLane {
    /// Sets the mask to that of the scores.
    fn choose_mask(&mut self, supermask: Supermask) {
        for (mask, layer) in self.mask.0.iter_mut().zip(&self.layers) {
            match supermask {
                Supermask::EdgePopup => keep_highest(&mut mask.kept, layer.kept, |index| layer.scores[index].abs()),
                Supermask::Bernoulli => {
                    mask.kept.iter_mut().zip(&layer.scores).for_each(|(kept, &score)| *kept = score >= 0.0);
                }
            }
        }
    }

    /// Returns the tensors of all parameters with `values` for the prunable weights of each layer, and 0 for others.
    fn with_values<'s>(&'s self, values: impl Fn(&'s ScoreLayer) -> &'s [f32]) -> TensorMap {
        let mut tensors = self.frozen.clone();
        tensors.0.iter_mut().for_each(|tensor| tensor.values.fill(0.0));
        for layer in &self.layers {
            tensors.0[layer.parameter].values.copy_from_slice(values(layer));
        }
        tensors
    }
}

impl Trainer for ScoreTrainer {
    fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        self.load_lane(lane, from, mask)
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        let count = self.lanes.len();
        ensure!(
            batches.len() == count && lr.len() == count,
            "a trainer takes one batch and one learning rate per lane"
        );
        for (lane, batch) in batches.iter().enumerate() {
            self.write_weights(lane, &self.drawn_mask(lane, batch.elementwise, batch.iteration))?;
        }
        let gradients = self.inner.get_mut().gradients(batches, RunningStatistics::Update)?;
        for (lane, gradients) in gradients.iter().enumerate() {
            self.update_scores(lane, gradients, lr[lane]);
            self.lanes[lane].iteration = batches[lane].iteration + 1;
        }
        Ok(())
    }

    fn gradients(&mut self, _: &[Batch], _: RunningStatistics) -> Result<Vec<TensorMap>> {
        bail!("a trainer of scores has no gradients of weights, which stay as they are")
    }

    fn evaluate_unless(&mut self, split: Split, should_stop: &dyn Fn() -> bool) -> Result<Option<Vec<Score>>> {
        let draws = if self.supermask == Supermask::Bernoulli { EVALUATION_DRAWS } else { 1 };
        let mut means = vec![Score { loss: 0.0, accuracy: 0.0 }; self.lanes.len()];
        for draw in 0..draws {
            for lane in 0..self.lanes.len() {
                // The same random numbers for every network and iteration, so that evaluations differ by scores alone.
                self.write_weights(lane, &self.drawn_mask(lane, CounterRng::default(), draw))?;
            }
            let Some(scores) = self.inner.get_mut().evaluate_unless(split, should_stop)? else { return Ok(None) };
            for (mean, score) in means.iter_mut().zip(scores) {
                mean.loss += score.loss / draws as f64;
                mean.accuracy += score.accuracy / draws as f64;
            }
        }
        Ok(Some(means))
    }

    /// Returns the weights that the mask keeps.
    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        ensure!(lane < self.lanes.len(), "a lane that is not there");
        let ScoreLane { mask, iteration, .. } = &self.lanes[lane];
        self.write_weights(lane, mask)?;
        let state = self.inner.borrow().snapshot(lane)?;
        Ok(Snapshot { moments: Vec::new(), optimizer_steps: 0, iteration: *iteration, ..state })
    }

    /// Returns all weights with scores, and the moments of scores.
    fn state(&self, lane: usize) -> Result<LaneState> {
        let buffers = self.snapshot(lane)?.buffers;
        let ScoreLane { frozen, layers, mask, iteration, optimizer_steps } = &self.lanes[lane];
        let of_layer = |(layer, mask): (&ScoreLayer, &LayerMask)| NamedTensor {
            name: mask.name.clone(),
            shape: mask.shape.clone(),
            values: layer.scores.clone(),
        };
        let moment_count = if *optimizer_steps == 0 { 0 } else { self.optimizer.moment_count() };
        let moment = |index: usize| self.lanes[lane].with_values(|layer| &layer.moments[index]);
        Ok(LaneState::Float32(Snapshot {
            weights: frozen.clone(),
            moments: (0..moment_count).map(moment).collect(),
            buffers,
            scores: TensorMap(layers.iter().zip(&mask.0).map(of_layer).collect()),
            iteration: *iteration,
            optimizer_steps: *optimizer_steps,
        }))
    }

    fn resume(&mut self, lane: usize, from: &LaneState, mask: &Mask) -> Result<()> {
        match from {
            LaneState::Float32(state) => self.load_lane(lane, state, mask),
            LaneState::Float64(_) => bail!("a state in float64 for scores in float32"),
        }
    }

    fn mask(&self, lane: usize) -> Option<&Mask> {
        Some(&self.lanes.get(lane)?.mask)
    }

    fn recompute_batch_norm(&mut self, image_indices: &[u32]) -> Result<()> {
        for lane in 0..self.lanes.len() {
            self.write_weights(lane, &self.lanes[lane].mask)?;
        }
        self.inner.get_mut().recompute_batch_norm(image_indices)
    }

    fn set_threads(&mut self, threads: usize) {
        self.inner.get_mut().set_threads(threads);
    }
}

/// Returns 1 / (1 + e^−x), with the same bits on every machine.
fn sigmoid(x: f32) -> f64 {
    1.0 / (1.0 + libm::exp(-f64::from(x)))
}
