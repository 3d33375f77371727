//! What a training starts from: its mask and its weights, as the rules of the plan say.

use anyhow::{Result, anyhow};

use super::setting::Setting;
use super::training::{MaskRule, StartRule, Training};
use crate::base::key::Key;
use crate::base::mask::{LayerMask, Mask};
use crate::base::random::{Purpose, Stream};
use crate::base::state::{Snapshot, State};
use crate::config::Experiment;
use crate::network::{Network, draw};
use crate::prune::random_mask;

/// What finished trainings left for others.
pub trait Parents {
    /// The mask of a training.
    fn mask(&self, key: &Key) -> Result<Mask>;
    /// The weights a training ended with.
    fn last(&self, key: &Key) -> Result<State>;
    /// θ₀ of a dense training.
    fn start(&self, key: &Key) -> Result<State>;
}

/// What every training of an experiment is prepared with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// Its names, resolved.
    pub setting: &'a Setting,
    /// What finished trainings left.
    pub parents: &'a dyn Parents,
}

/// Makes the mask of `training` and the state it starts from, pruned weights at 0.
pub fn prepare(training: &Training, context: Context<'_>) -> Result<(Mask, Snapshot)> {
    let Context { experiment, setting, parents } = context;
    let stream = |purpose| Stream {
        seed: experiment.seed,
        replicate: training.replicate,
        purpose,
        repeat: training.repeat,
        round: training.round,
    };
    let mask = match &training.mask {
        MaskRule::Dense => all_ones(&setting.network),
        MaskRule::Prune { parent } => setting
            .pruning
            .apply(&parents.mask(parent)?, &parents.last(parent)?)
            .map_err(|missing| anyhow!("the parent's final state has {missing}"))?,
        MaskRule::Of { parent } => parents.mask(parent)?,
        MaskRule::Random { like } => random_mask(&parents.mask(like)?, &mut stream(Purpose::Mask).generator(0)),
    };
    let mut weights = match &training.start {
        StartRule::Initial => initial(training.replicate, experiment, setting),
        StartRule::Rewind { dense } => parents.start(dense)?,
        StartRule::Reinit => drawn(stream(Purpose::Reinit), experiment, setting),
    };
    mask.apply(&mut weights);
    Ok((mask, Snapshot::fresh(weights)))
}

/// θ₀ of a replicate.
pub(super) fn initial(replicate: u32, experiment: &Experiment, setting: &Setting) -> State {
    drawn(Stream::of_replicate(experiment.seed, replicate, Purpose::Init), experiment, setting)
}

fn drawn(stream: Stream, experiment: &Experiment, setting: &Setting) -> State {
    let network = &experiment.network;
    draw(&setting.network, network.init, network.init_std(), &mut stream.generator(0))
}

/// The mask of the dense network.
pub fn all_ones(network: &Network) -> Mask {
    let layer = |parameter: crate::network::Parameter| LayerMask {
        kept: vec![true; parameter.len()],
        name: parameter.name,
        shape: parameter.shape,
    };
    Mask(network.weights().into_iter().map(|weight| layer(weight.parameter)).collect())
}
