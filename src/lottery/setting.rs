//! What an experiment means before anything is trained: its names resolved against each other.

use crate::config::{Device, Experiment, Problem};
use crate::data::Source;
use crate::engine::{Choice, Recipe, dense};
use crate::network::{Network, build};
use crate::prune::{Counts, Pruning};

/// 2²⁸: four copies of so many (weights, gradients, moments) take 4 GiB.
const MOST_WEIGHTS: u64 = 1 << 28;

/// An experiment's names, resolved.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The network.
    pub network: Network,
    /// What each round cuts.
    pub pruning: Pruning,
    /// What is known of the data.
    pub source: Source,
    /// Which engine a training takes.
    pub choice: Choice,
    /// The kind of device.
    pub device: &'static str,
    /// Images that an evaluation looks at: the validation images, as many training images, and the test set.
    pub images_evaluated: u64,
    /// Steps that an epoch takes.
    pub iterations_per_epoch: u64,
}

impl Setting {
    /// Resolves network, pruning, data and engines, on the CPU.
    ///
    /// # Errors
    /// Own data that cannot be used, parts of the data that are too small, names that fit no layer, and an engine that
    /// cannot do what is asked.
    pub fn new(experiment: &Experiment) -> Result<Self, Vec<Problem>> {
        // Without data there is no shape for a network: what else is wrong with it is told when they are there.
        let source = Source::new(&experiment.data).map_err(|problem| vec![problem])?;
        let mut problems: Vec<Problem> = no_cuda(experiment.run.device).into_iter().collect();
        let (mut iterations_per_epoch, mut images_evaluated) = (1, 0);
        match source.sizes(&experiment.data) {
            Err(problem) => problems.push(problem),
            Ok((train, ..)) if experiment.train.batch_size > train => {
                let message = format!("a batch of {} from {train} training images", experiment.train.batch_size);
                problems.push(Problem::new("train.batch_size", message).hint(format!("at most {train}")));
            }
            Ok((train, validation, test)) => {
                images_evaluated = 2 * u64::from(validation) + u64::from(test);
                let (train, batch) = (u64::from(train), u64::from(experiment.train.batch_size));
                iterations_per_epoch = if experiment.train.drop_last { train / batch } else { train.div_ceil(batch) };
            }
        }
        let network = match build(&experiment.network, source.shape, source.classes) {
            Ok(network) => network,
            Err(more) => {
                problems.extend(more);
                return Err(problems);
            }
        };
        if network.weights_total() > MOST_WEIGHTS {
            let message = "the network has more than 268 million weights, which this program does not hold";
            problems.push(Problem::new("network.architecture", message));
            return Err(problems);
        }
        let device = "cpu";
        let recipe = Recipe::new(network.clone(), experiment, None);
        let choice = Choice::new(experiment.run.engine, &recipe, device).map_err(|problem| problems.push(problem));
        let pruning = Pruning::new(&experiment.prune, &network).map_err(|more| problems.extend(more));
        match (choice, pruning) {
            (Ok(choice), Ok(pruning)) if problems.is_empty() => {
                Ok(Self { network, pruning, source, choice, device, images_evaluated, iterations_per_epoch })
            }
            _ => Err(problems),
        }
    }

    /// What each layer keeps, as far as that is known before training; else what it is expected to keep.
    pub fn by_layer(&self, counts: &Counts) -> Vec<u64> {
        self.pruning.by_layer(counts, &self.network.sizes())
    }
}

/// What is wrong with a wish for CUDA: it is never met by the CPU in silence.
fn no_cuda(device: Device) -> Option<Problem> {
    if device != Device::Cuda {
        return None;
    }
    let reason = dense::cuda_missing().unwrap_or_else(|| "this version trains on the CPU only".to_owned());
    let hint = "`auto` and `cpu` train on the CPU, as all of this version does; `lth doctor` tells what is there";
    Some(Problem::new("run.device", format!("CUDA cannot be used: {reason}")).hint(hint))
}
