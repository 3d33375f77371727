//! What a training starts from: its mask and its weights, as the rules of the plan say.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};

use super::reinit::{add_noise, constant_sign, shuffle};
use super::study::Study;
use super::training::{MaskRule, ReferencePoint, RewindPoint, StartRule, TrainingSpec};
use crate::base::key::ContentHash;
use crate::base::mask::{LayerMask, Mask};
use crate::base::rng::{Generator, Purpose, Stream};
use crate::base::tensors::{Snapshot, TensorMap};
use crate::base::units::{Iteration, Round};
use crate::config::{Criterion, RewindOptimizerState};
use crate::engine::Probe;
use crate::network::{Network, TensorSpec, init_buffers, init_stds, init_weights};
use crate::prune::{ScoreInputs, random_mask};

/// What finished trainings left for others.
pub trait ArtifactSource {
    /// The mask of a training.
    fn mask(&self, key: &ContentHash) -> Result<Mask>;
    /// The weights a training ended with.
    fn final_weights(&self, key: &ContentHash) -> Result<TensorMap>;
    /// θ₀ of a dense training.
    fn initial_weights(&self, key: &ContentHash) -> Result<TensorMap>;
    /// θₖ of a dense training, with its moments.
    fn snapshot(&self, key: &ContentHash, iteration: Iteration) -> Result<Snapshot>;
}

/// What every training of an experiment is prepared with.
#[derive(Clone, Copy)]
pub struct PrepareContext<'a> {
    /// The experiment, resolved and planned.
    pub study: &'a Study,
    /// What finished trainings left.
    pub artifacts: &'a dyn ArtifactSource,
    /// Gradients on the training images, for criteria that score with them.
    pub probe: &'a dyn Probe,
}

impl PrepareContext<'_> {
    /// What the training draws for a purpose.
    fn stream(&self, training: &TrainingSpec, purpose: Purpose) -> Stream {
        let TrainingSpec { replicate, repeat, round: Round(round), .. } = *training;
        Stream { seed: self.study.experiment.seed, replicate, purpose, repeat, round }
    }

    /// θ₀ or θₖ.
    pub(super) fn rewound(&self, point: &RewindPoint) -> Result<Snapshot> {
        if point.iteration == Iteration(0) {
            return Ok(Snapshot::initial(self.artifacts.initial_weights(&point.dense)?));
        }
        self.artifacts.snapshot(&point.dense, point.iteration)
    }

    /// θ₀ of a replicate, drawn anew.
    pub(super) fn initial(&self, replicate: u32) -> TensorMap {
        self.drawn(Stream::of_replicate(self.study.experiment.seed, replicate, Purpose::Init))
    }

    fn drawn(&self, stream: Stream) -> TensorMap {
        let network = &self.study.experiment.network;
        init_weights(&self.study.resolved.network, network.init, network.init_std(), &mut stream.generator(0))
    }

    /// The buffers of a network that has seen nothing.
    pub(super) fn fresh_buffers(&self) -> TensorMap {
        init_buffers(&self.study.resolved.network)
    }

    /// A network as it is kept, in its parts: what is trained, and the buffers behind it.
    pub(super) fn split_buffers(&self, network: TensorMap) -> (TensorMap, TensorMap) {
        let mut weights = network.0;
        let buffers = weights.split_off(weights.len().saturating_sub(self.study.resolved.network.buffers().len()));
        (TensorMap(weights), TensorMap(buffers))
    }

    /// The standard deviation of each layer's initial weights.
    pub(super) fn init_stds(&self) -> BTreeMap<String, f64> {
        let network = &self.study.experiment.network;
        init_stds(&self.study.resolved.network, network.init, network.init_std())
    }
}

/// Makes the mask of `training` and the state it starts from, pruned weights and their moments at 0.
pub fn prepare(training: &TrainingSpec, context: PrepareContext<'_>) -> Result<(Mask, Snapshot)> {
    let mask = mask(training, context)?;
    let mut start = start(&training.start, context.stream(training, Purpose::Reinit), &mask, context)?;
    mask.apply(&mut start.weights);
    start.moments.iter_mut().for_each(|moment| mask.apply(moment));
    Ok((mask, start))
}

fn mask(training: &TrainingSpec, context: PrepareContext<'_>) -> Result<Mask> {
    let PrepareContext { study, artifacts, .. } = context;
    let criterion = study.experiment.prune.criterion;
    let cut = |from: &Mask, criterion: Criterion, reference: &TensorMap, last: &TensorMap| {
        let weights =
            ScoreInputs { criterion, reference, trained: last, stream: context.stream(training, Purpose::Criterion) };
        study
            .resolved
            .pruning
            .prune_to(&training.counts, from, &weights)
            .map_err(|lack| anyhow!("a state that prunes has {lack}"))
    };
    match &training.mask {
        MaskRule::Dense => Ok(all_ones(&study.resolved.network)),
        MaskRule::Prune { parent, reference: ReferencePoint::TrainingStart { round, start: rule } } => {
            let mask = artifacts.mask(parent)?;
            let draws = Stream { round: round.0, ..context.stream(training, Purpose::Reinit) };
            let reference = start(rule, draws, &mask, context)?.weights;
            cut(&mask, criterion, &reference, &artifacts.final_weights(parent)?)
        }
        MaskRule::Prune { parent, reference: ReferencePoint::Initial } | MaskRule::OneShot { parent } => cut(
            &artifacts.mask(parent)?,
            criterion,
            &context.initial(training.replicate),
            &artifacts.final_weights(parent)?,
        ),
        MaskRule::MagnitudeAtInit => {
            let initial = context.initial(training.replicate);
            cut(&all_ones(&study.resolved.network), Criterion::LargeInit, &initial, &initial)
        }
        MaskRule::Of { parent } => artifacts.mask(parent),
        MaskRule::Random { like } => {
            Ok(random_mask(&artifacts.mask(like)?, &mut context.stream(training, Purpose::Mask).generator(0)))
        }
    }
}

/// The state that `rule` gives a training run with this mask. `draws` names the replicate, repeat and round that random
/// numbers are drawn for; its purpose is replaced by that of each draw.
fn start(rule: &StartRule, draws: Stream, mask: &Mask, context: PrepareContext<'_>) -> Result<Snapshot> {
    let generator = |purpose| Stream { purpose, ..draws }.generator(0);
    // Weights made from those of the rewind point, with fresh moments.
    let remade = |point: &RewindPoint, purpose, make: &dyn Fn(&mut TensorMap, &mut Generator)| {
        let Snapshot { mut weights, buffers, .. } = context.rewound(point)?;
        make(&mut weights, &mut generator(purpose));
        Ok(Snapshot { iteration: point.iteration.0, buffers, ..Snapshot::initial(weights) })
    };
    match rule {
        StartRule::Initial => Ok(Snapshot::initial(context.initial(draws.replicate))),
        StartRule::Rewind { point, moments } => {
            let there = context.rewound(point)?;
            Ok(match moments {
                RewindOptimizerState::Restore => there,
                RewindOptimizerState::Reset => Snapshot { moments: Vec::new(), optimizer_steps: 0, ..there },
            })
        }
        StartRule::Reinit { iteration } => {
            let weights = context.drawn(Stream { purpose: Purpose::Reinit, ..draws });
            Ok(Snapshot { iteration: iteration.0, ..Snapshot::initial(weights) })
        }
        StartRule::Shuffle { point } => {
            remade(point, Purpose::Shuffle, &|weights, generator| shuffle(weights, mask, generator))
        }
        StartRule::ConstantSign { point } => {
            remade(point, Purpose::Noise, &|weights, _| constant_sign(weights, &context.init_stds()))
        }
        StartRule::Noise { point, factor } => remade(point, Purpose::Noise, &|weights, generator| {
            add_noise(weights, *factor, &context.init_stds(), generator);
        }),
        StartRule::Final { parent, iteration } => {
            let (weights, buffers) = context.split_buffers(context.artifacts.final_weights(parent)?);
            Ok(Snapshot { iteration: iteration.0, buffers, ..Snapshot::initial(weights) })
        }
    }
}

/// The mask of the dense network.
pub fn all_ones(network: &Network) -> Mask {
    let layer = |parameter: &TensorSpec| LayerMask {
        kept: vec![true; parameter.len()],
        name: parameter.name.clone(),
        shape: parameter.shape.clone(),
    };
    Mask(network.weights().iter().map(|weight| layer(&weight.parameter)).collect())
}
