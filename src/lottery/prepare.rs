//! Prepares a training run: makes its mask and its starting weights by the rules of the plan.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use super::arm_counts::counts_like;
use super::at_init::{Untrained, at_init_mask};
use super::early_bird::EarlyBirdRule;
use super::initial_scores::initial_scores;
use super::rules::{MaskRule, ReferencePoint, RewindPoint, StartRule};
use super::score_images::score_batches;
use super::source_files::FileUse;
use super::study::Study;
use super::training::TrainingSpec;
use super::transform::{add_noise, constant_sign, shuffle};
use super::update_rule::{UpdateKind, denser_layers};
use crate::base::format::with_thousands;
use crate::base::key::ContentHash;
use crate::base::mask::{LayerMask, Mask};
use crate::base::rng::{Generator, Purpose, Stream};
use crate::base::tensors::{Snapshot, TensorMap};
use crate::base::units::{Iteration, Round};
use crate::config::{Criterion, RewindOptimizerState};
use crate::engine::Probe;
use crate::network::{Network, TensorSpec, init_buffers, init_stds, init_weights};
use crate::prune::{RemainingCounts, ScoreInputs, random_mask};
use crate::train::UpdateRule;

/// The outputs of finished training runs that others depend on.
pub trait ArtifactSource {
    /// Returns the mask of a training run.
    ///
    /// # Errors
    /// Fails if it is not stored, or damaged.
    fn mask(&self, key: &ContentHash) -> Result<Mask>;
    /// Returns the final weights and buffers of a training run.
    ///
    /// # Errors
    /// Fails if they are not stored, or damaged.
    fn final_weights(&self, key: &ContentHash) -> Result<TensorMap>;
    /// Returns θ₀ of a dense training run.
    ///
    /// # Errors
    /// Fails if it is not stored, or damaged.
    fn initial_weights(&self, key: &ContentHash) -> Result<TensorMap>;
    /// Returns θₖ of a dense training run, with its optimizer state.
    ///
    /// # Errors
    /// Fails if it is not stored, or damaged.
    fn snapshot(&self, key: &ContentHash, iteration: Iteration) -> Result<Snapshot>;
}

/// The inputs of preparing training runs of a study.
#[derive(Clone, Copy)]
pub struct PrepareContext<'a> {
    /// The experiment, resolved and planned.
    pub study: &'a Study,
    /// The outputs of finished training runs.
    pub artifacts: &'a dyn ArtifactSource,
    /// Gradients and activations on the training images, for masks that are scored on them.
    pub probe: &'a dyn Probe,
}

impl PrepareContext<'_> {
    /// Returns the random stream of a purpose for what is drawn before training. It depends on replicate, repeat and
    /// round.
    fn stream(&self, training: &TrainingSpec, purpose: Purpose) -> Stream {
        let TrainingSpec { replicate, repeat, round: Round(round), .. } = *training;
        Stream { seed: self.study.experiment.seed, replicate, purpose, repeat, round }
    }

    /// Reads the state of a rewind point of a replicate from the store.
    pub(super) fn rewind_state(&self, point: &RewindPoint, replicate: u32) -> Result<Snapshot> {
        if point.iteration == Iteration(0) {
            let weights = self.artifacts.initial_weights(&point.dense)?;
            // The store has θ₀ without buffers.
            return Ok(Snapshot { buffers: self.initial_buffers(replicate), ..Snapshot::initial(weights) });
        }
        self.artifacts.snapshot(&point.dense, point.iteration)
    }

    /// Returns θ₀ of a replicate: drawn from its random stream, or from a file if the experiment has pretrained weights.
    pub(super) fn draw_initial(&self, replicate: u32) -> TensorMap {
        self.initial_state(replicate).weights
    }

    /// Returns the state of the dense network of a replicate before training: see
    /// [`draw_initial`](Self::draw_initial).
    pub(super) fn initial_state(&self, replicate: u32) -> Snapshot {
        let drawn = self.drawn_init(replicate);
        match self.study.resolved.files.pretrained(replicate) {
            Some(pretrained) => pretrained.state(drawn),
            None => Snapshot::initial(drawn),
        }
    }

    /// Returns the buffers of the dense network of a replicate before training: none, which stands for fresh ones, unless
    /// the weights are pretrained.
    pub(super) fn initial_buffers(&self, replicate: u32) -> TensorMap {
        self.study.resolved.files.pretrained(replicate).map_or_else(TensorMap::default, |file| file.buffers().clone())
    }

    /// Draws weights from the random stream of the initial weights of a replicate.
    fn drawn_init(&self, replicate: u32) -> TensorMap {
        self.draw_weights(Stream::of_replicate(self.study.experiment.seed, replicate, Purpose::Init))
    }

    /// Returns the state that weights in a file give a training run of a replicate. An output layer that is not in the
    /// file has the weights that are drawn as initial weights of the replicate.
    pub(super) fn file_state(&self, file: &FileUse, replicate: u32) -> Result<Snapshot> {
        let fitted = self.study.resolved.files.weights(file).context("the weights of a file were not read")?;
        Ok(fitted.state(self.drawn_init(replicate)))
    }

    /// Returns the mask in a file for a training run.
    pub(super) fn file_mask(&self, file: &FileUse, training: &TrainingSpec) -> Result<Mask> {
        let fitted = self.study.resolved.files.mask(file).context("the mask of a file was not read")?;
        Ok(fitted.mask(&mut self.stream(training, Purpose::Mask).generator(0)))
    }

    /// Draws weights from the configured distribution of initial weights.
    fn draw_weights(&self, stream: Stream) -> TensorMap {
        let network = &self.study.experiment.network;
        init_weights(&self.study.resolved.network, network.init, network.init_std(), &mut stream.generator(0))
    }

    /// Returns the norms of the inputs of linear layers in a trained network, if the criterion needs them; else nothing.
    fn input_norms(
        &self,
        training: &TrainingSpec,
        mask: &Mask,
        trained: &TensorMap,
    ) -> Result<BTreeMap<String, Vec<f64>>> {
        let Some(images) = self.study.experiment.prune.score else { return Ok(BTreeMap::new()) };
        let (weights, buffers) = self.split_buffers(trained.clone());
        let dataset = self.probe.dataset().context("there are no images to score weights on")?;
        let mut generator = self.stream(training, Purpose::Score).generator(0);
        let batches = score_batches(images, dataset, self.study.experiment.train.batch_size, &mut generator);
        self.probe.input_norms(&Snapshot { buffers, ..Snapshot::initial(weights) }, mask, &batches)
    }

    /// Returns the buffers of a network before training.
    pub fn fresh_buffers(&self) -> TensorMap {
        init_buffers(&self.study.resolved.network)
    }

    /// Splits the tensors of a stored network into its weights and its buffers.
    pub fn split_buffers(&self, stored: TensorMap) -> (TensorMap, TensorMap) {
        self.study.resolved.network.split_buffers(stored)
    }

    /// Returns the standard deviation of the distribution of the initial weights of each layer, by the name of the
    /// tensor.
    pub(super) fn init_stds(&self) -> BTreeMap<String, f64> {
        let network = &self.study.experiment.network;
        init_stds(&self.study.resolved.network, network.init, network.init_std())
    }
}

/// The mask of a training run and the state that it starts from.
pub struct Prepared {
    /// The mask at the start of training.
    pub mask: Mask,
    /// The state.
    pub start: Snapshot,
    /// The iteration of the dense network at which the mask was drawn, if it is an early-bird mask.
    pub drawn_at: Option<Iteration>,
}

/// Makes the mask of a training run and the state it starts from, with pruned weights and their moments at 0. Where scores
/// are trained, the state has all weights, and the scores that determine the mask.
///
/// # Errors
/// Fails if an output of another training run cannot be read, or does not fit the network.
pub fn prepare(training: &TrainingSpec, context: PrepareContext<'_>) -> Result<Prepared> {
    let (mask, drawn_at) = make_mask(training, context)?;
    let start = match training.supermask() {
        None => prepare_start(training, &mask, context)?,
        Some(supermask) => {
            let mut generator = context.stream(training, Purpose::Scores).generator(0);
            let scores = initial_scores(supermask, &mask, &mut generator);
            let start = unmasked_start(training, &mask, context)?;
            Snapshot { scores, moments: Vec::new(), optimizer_steps: 0, ..start }
        }
    };
    Ok(Prepared { mask, start, drawn_at })
}

/// Makes the state that a training run starts from under its mask, with pruned weights and their moments at 0.
///
/// # Errors
/// Fails if an output of another training run cannot be read, or does not fit the network.
pub fn prepare_start(training: &TrainingSpec, mask: &Mask, context: PrepareContext<'_>) -> Result<Snapshot> {
    let mut start = unmasked_start(training, mask, context)?;
    mask.apply(&mut start.weights);
    start.moments.iter_mut().for_each(|moment| mask.apply(moment));
    Ok(start)
}

/// Makes the state that a training run starts from, before its mask is applied; the mask has an effect only where the
/// rule of the weights uses it, as `shuffle` does.
///
/// # Errors
/// Fails if an output of another training run cannot be read, or does not fit the network.
pub fn unmasked_start(training: &TrainingSpec, mask: &Mask, context: PrepareContext<'_>) -> Result<Snapshot> {
    // The purpose is a placeholder: `make_start` replaces it by that of each draw.
    let draws = context.stream(training, Purpose::Reinit);
    make_start(&training.start, draws, mask, context)
}

/// Returns the mask of a training run by its [`MaskRule`], and the iteration that an early-bird mask was drawn at.
fn make_mask(training: &TrainingSpec, context: PrepareContext<'_>) -> Result<(Mask, Option<Iteration>)> {
    if let MaskRule::EarlyBird { rule, .. } = &training.mask {
        return draw_early_bird(rule, training, context).map(|(mask, iteration)| (mask, Some(iteration)));
    }
    prune_or_copy(training, context).map(|mask| (mask, None))
}

/// Returns a mask that is not drawn from several states.
fn prune_or_copy(training: &TrainingSpec, context: PrepareContext<'_>) -> Result<Mask> {
    let PrepareContext { study, artifacts, .. } = context;
    let counts = target_counts(training, context)?;
    let prune = |mask: &Mask, reference: &TensorMap, trained: &TensorMap| {
        let stream = context.stream(training, Purpose::Criterion);
        let input_norms = &context.input_norms(training, mask, trained)?;
        let criterion = study.experiment.prune.criterion;
        let inputs = ScoreInputs { criterion, reference, trained, input_norms, stream };
        let scores = inputs.scores(mask).map_err(|missing| anyhow!("a state that prunes has {missing}"))?;
        Ok(study.resolved.pruning.prune_to(&counts, mask, &scores, stream))
    };
    match &training.mask {
        MaskRule::Dense => Ok(all_ones(&study.resolved.network)),
        MaskRule::Prune { parent, reference: ReferencePoint::TrainingStart { round, start: rule }, .. } => {
            let mask = artifacts.mask(parent)?;
            // Makes the start of the parent again: the draws of its round, under its mask. The purpose is a
            // placeholder.
            let draws = Stream { round: round.0, ..context.stream(training, Purpose::Reinit) };
            let reference = make_start(rule, draws, &mask, context)?.weights;
            prune(&mask, &reference, &artifacts.final_weights(parent)?)
        }
        MaskRule::Prune { parent, reference: ReferencePoint::Initial, .. } | MaskRule::OneShot { parent, .. } => prune(
            &artifacts.mask(parent)?,
            &context.draw_initial(training.replicate),
            &artifacts.final_weights(parent)?,
        ),
        MaskRule::AtInit { scoring, .. } => {
            let untrained = Untrained {
                network: &study.resolved.network,
                initial: &context.initial_state(training.replicate),
                pruning: &study.resolved.pruning,
                probe: context.probe,
                batch_size: study.experiment.train.batch_size,
                draws: context.stream(training, Purpose::Mask),
            };
            at_init_mask(scoring, &counts, untrained)
        }
        MaskRule::EarlyBird { .. } => bail!("an early-bird mask is drawn from several states"),
        MaskRule::Of { parent } => artifacts.mask(parent),
        MaskRule::Random { like } => {
            Ok(random_mask(&artifacts.mask(like)?, &mut context.stream(training, Purpose::Mask).generator(0)))
        }
        MaskRule::File(file) => context.file_mask(file, training),
    }
}

/// Draws the mask of a training run from the dense one. Returns it and the iteration of the weights that it was drawn by.
fn draw_early_bird(
    rule: &EarlyBirdRule,
    training: &TrainingSpec,
    context: PrepareContext<'_>,
) -> Result<(Mask, Iteration)> {
    let counts = target_counts(training, context)?;
    let all = all_ones(&context.study.resolved.network);
    let stream = context.stream(training, Purpose::Criterion);
    let mask_at = |iteration: Iteration| {
        let state = context.rewind_state(&RewindPoint { dense: rule.dense, iteration }, training.replicate)?;
        let scores = ScoreInputs {
            criterion: Criterion::Magnitude,
            reference: &state.weights,
            trained: &state.weights,
            input_norms: &BTreeMap::new(),
            stream,
        };
        let scores = scores.scores(&all).map_err(|missing| anyhow!("a state that prunes has {missing}"))?;
        Ok(context.study.resolved.pruning.prune_to(&counts, &all, &scores, stream))
    };
    rule.draw(mask_at)
}

/// Returns the state that `rule` gives a training run with this mask, before the mask is applied. `draws` names the
/// replicate, repeat and round that random numbers are drawn for; its purpose is replaced by that of each draw.
fn make_start(rule: &StartRule, draws: Stream, mask: &Mask, context: PrepareContext<'_>) -> Result<Snapshot> {
    let generator = |purpose| Stream { purpose, ..draws }.generator(0);
    // Returns the weights of the rewind point, changed by `transform`, without optimizer state.
    let transformed = |point: &RewindPoint, purpose, transform: &dyn Fn(&mut TensorMap, &mut Generator)| {
        let Snapshot { mut weights, buffers, .. } = context.rewind_state(point, draws.replicate)?;
        transform(&mut weights, &mut generator(purpose));
        Ok(Snapshot { iteration: point.iteration.0, buffers, ..Snapshot::initial(weights) })
    };
    match rule {
        StartRule::Initial => Ok(context.initial_state(draws.replicate)),
        StartRule::Rewind { point, moments } => {
            let state = context.rewind_state(point, draws.replicate)?;
            Ok(match moments {
                RewindOptimizerState::Restore => state,
                RewindOptimizerState::Reset => Snapshot { moments: Vec::new(), optimizer_steps: 0, ..state },
            })
        }
        StartRule::Reinit { iteration } => {
            let weights = context.draw_weights(Stream { purpose: Purpose::Reinit, ..draws });
            Ok(Snapshot { iteration: iteration.0, ..Snapshot::initial(weights) })
        }
        StartRule::Shuffle { point } => {
            transformed(point, Purpose::Shuffle, &|weights, generator| shuffle(weights, mask, generator))
        }
        StartRule::ConstantSign { point } => {
            // Draws nothing.
            transformed(point, Purpose::Noise, &|weights, _| constant_sign(weights, &context.init_stds()))
        }
        StartRule::Noise { point, factor } => transformed(point, Purpose::Noise, &|weights, generator| {
            add_noise(weights, *factor, &context.init_stds(), generator);
        }),
        StartRule::Final { parent, iteration } => {
            let (weights, buffers) = context.split_buffers(context.artifacts.final_weights(parent)?);
            Ok(Snapshot { iteration: iteration.0, buffers, ..Snapshot::initial(weights) })
        }
        StartRule::File { file, .. } => context.file_state(file, draws.replicate),
        StartRule::Untrained { weights, iteration } => {
            let Snapshot { weights, buffers, .. } = make_start(weights, draws, mask, context)?;
            Ok(Snapshot { iteration: iteration.0, buffers, ..Snapshot::initial(weights) })
        }
    }
}

/// Returns the rule by which the training loop changes the mask of a training run from `start` on, if it does.
///
/// # Errors
/// Fails if a mask that has the numbers of its layers cannot be read, or if the updates would have to add weights.
pub fn prepare_updates(
    training: &TrainingSpec,
    context: PrepareContext<'_>,
    start: &Mask,
) -> Result<Option<UpdateRule>> {
    let Some(updates) = &training.updates else { return Ok(None) };
    Ok(Some(match updates.kind {
        UpdateKind::Regrow(regrowth) => UpdateRule::Regrow(regrowth),
        UpdateKind::Learn { .. } => return Ok(None),
        UpdateKind::Prune { .. } => {
            let target = target_counts(training, context)?;
            let denser = denser_layers(start, &target);
            ensure!(
                denser.is_empty(),
                "it cannot be pruned to {} weights: the mask that it starts with keeps fewer in {} than it has to keep at the \
                 end",
                with_thousands(target.kept),
                denser.join(", ")
            );
            UpdateRule::Prune { target }
        }
    }))
}

/// Returns the random stream by which the mask of a training run changes.
pub fn update_stream(training: &TrainingSpec, context: PrepareContext<'_>) -> Stream {
    context.stream(training, Purpose::MaskUpdates)
}

/// Returns the number of weights that the mask of a training run keeps at the end, in every layer if its layers are like those of
/// another mask.
pub(super) fn target_counts(training: &TrainingSpec, context: PrepareContext<'_>) -> Result<RemainingCounts> {
    let Some(other) = training.layers_like() else { return Ok(training.counts.clone()) };
    let counts = counts_like(&context.artifacts.mask(other)?, training.counts.kept, &context.study.resolved);
    let named = || context.study.plan.get(other).map_or_else(|| other.to_string(), |spec| format!("`{}`", spec.arm));
    counts.map_err(|problem| anyhow!("it cannot have the layer densities of {}: {problem}", named()))
}

/// Returns the mask of the dense network, which keeps every weight.
pub fn all_ones(network: &Network) -> Mask {
    let layer = |parameter: &TensorSpec| LayerMask {
        kept: vec![true; parameter.len()],
        name: parameter.name.clone(),
        shape: parameter.shape.clone(),
    };
    Mask(network.weights().iter().map(|weight| layer(&weight.parameter)).collect())
}
