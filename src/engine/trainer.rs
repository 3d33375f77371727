//! The seam between what decides about training and what does the arithmetic.

use anyhow::{Result, ensure};

use super::optimizer::Optimizer;
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::rng::CounterRng;
use crate::base::tensors::Snapshot;
use crate::config::{Augment, Dtype, Experiment, MatmulPrecision};
use crate::data::Split;
use crate::network::Network;

/// What a trainer is built for; a worker builds another when this changes.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainerSpec {
    /// The network.
    pub network: Network,
    /// How a gradient becomes a step.
    pub optimizer: Optimizer,
    /// Type of the arithmetic.
    pub dtype: Dtype,
    /// Type that conv and linear products are made in.
    pub products: MatmulPrecision,
    /// How training images are changed.
    pub augment: Augment,
    /// The number of the GPU it runs on; `None` for the CPU.
    pub gpu: Option<usize>,
    /// The largest batch.
    pub batch_size: usize,
    /// The share of the target that is spread over all classes in training.
    pub label_smoothing: f64,
    /// The largest Euclidean norm of a gradient; `None` where none is scaled down.
    pub clip_norm: Option<f64>,
}

impl TrainerSpec {
    /// The recipe of an experiment on the CPU, or on this GPU.
    pub fn new(network: Network, experiment: &Experiment, gpu: Option<usize>) -> Self {
        let Experiment { train, data, .. } = experiment;
        Self {
            dtype: train.dtype,
            products: train.products,
            augment: data.augment,
            gpu,
            label_smoothing: train.label_smoothing,
            clip_norm: train.clip_norm,
            ..Self::plain(network, Optimizer::new(train), train.batch_size as usize)
        }
    }

    /// A recipe on the CPU in float32 with nothing but what must be said.
    pub fn plain(network: Network, optimizer: Optimizer, batch_size: usize) -> Self {
        Self {
            network,
            optimizer,
            dtype: Dtype::Float32,
            products: MatmulPrecision::Exact,
            augment: Augment::default(),
            gpu: None,
            batch_size,
            label_smoothing: 0.0,
            clip_norm: None,
        }
    }

    /// # Errors
    /// Where the moments of a state are not fresh, and not those of this optimizer either.
    pub(super) fn check_moments(&self, from: &Snapshot) -> Result<()> {
        let moments = from.moments.len();
        ensure!(moments == 0 || moments == self.optimizer.moment_count(), "moments of another optimizer");
        ensure!(moments > 0 || from.optimizer_steps == 0, "fresh moments that count steps");
        Ok(())
    }
}

/// The images of one step; the caller uses it again for the next.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Indices into the data set.
    pub images: Vec<u32>,
    /// Steps before this one, counted absolutely.
    pub iteration: u64,
    /// What dropout and augmentation draw from.
    pub elementwise: CounterRng,
}

/// Trains one or more lanes in lockstep.
pub trait Trainer {
    /// The number of networks trained at a time.
    fn lanes(&self) -> usize;

    /// Puts a network into a lane: weights, moments and buffers of `from`, pruned by `mask`.
    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()>;

    /// Takes one optimizer step in every lane; one batch and one learning rate per lane. Nothing waits for a device.
    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()>;

    /// Loss and accuracy of every lane on a part of the data. The caller says when: this is where a device is waited
    /// for.
    fn evaluate(&mut self, split: Split) -> Result<Vec<Score>>;

    /// All that is needed to go on from here in another lane or trainer.
    fn snapshot(&self, lane: usize) -> Result<Snapshot>;

    /// Replaces the running statistics of all batch norms by the mean of the statistics of batches of `images`, which
    /// are not augmented. Weights that no training run led to, such as those between two networks, have no running
    /// statistics of their own. Does nothing for a network without batch norm.
    ///
    /// # Errors
    /// If the device fails.
    fn recompute_batch_norm(&mut self, images: &[u32]) -> Result<()>;

    /// Sets the number of threads that a step may use from now on. No result depends on it; a trainer that uses one
    /// thread only ignores it.
    fn set_threads(&mut self, threads: usize);
}
