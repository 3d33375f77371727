//! The interface of training. A [`Trainer`] takes optimizer steps; its callers choose the initial weights, the images
//! of each step, the learning rate, and the iterations after which to evaluate.

use anyhow::{Result, bail, ensure};

use super::optim::Optimizer;
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::rng::CounterRng;
use crate::base::tensors::{LaneState, Snapshot, TensorMap};
use crate::config::{Augment, Dtype, Experiment, MatmulPrecision};
use crate::data::Split;
use crate::network::Network;

/// Everything that a trainer is specialized for. Training runs with equal specifications can share a trainer.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainerSpec {
    /// The network.
    pub network: Network,
    /// The optimizer with its parameters.
    pub optimizer: Optimizer,
    /// The floating-point type of weights, activations and gradients.
    pub dtype: Dtype,
    /// The precision of matrix products and convolutions.
    pub matmul_precision: MatmulPrecision,
    /// The augmentation of training images.
    pub augment: Augment,
    /// The index of the GPU, from 0; `None` for the CPU.
    pub gpu: Option<usize>,
    /// Images of the largest batch.
    pub batch_size: usize,
    /// The share of the target that training spreads evenly over all classes, in 0..1.
    pub label_smoothing: f64,
    /// The largest Euclidean norm of a gradient, to which larger ones are scaled; `None` for no limit.
    pub clip_norm: Option<f64>,
}

impl TrainerSpec {
    /// Returns the specification of an experiment on the GPU with index `gpu`, or on the CPU for `None`.
    pub fn new(network: Network, experiment: &Experiment, gpu: Option<usize>) -> Self {
        let Experiment { train, data, .. } = experiment;
        Self {
            dtype: train.dtype,
            matmul_precision: train.matmul_precision,
            augment: data.augment,
            gpu,
            label_smoothing: train.label_smoothing,
            clip_norm: train.clip_norm,
            ..Self::plain(network, Optimizer::new(train), train.batch_size as usize)
        }
    }

    /// Returns a specification for the CPU in float32, without augmentation, label smoothing and clipping.
    pub fn plain(network: Network, optimizer: Optimizer, batch_size: usize) -> Self {
        Self {
            network,
            optimizer,
            dtype: Dtype::Float32,
            matmul_precision: MatmulPrecision::Exact,
            augment: Augment::default(),
            gpu: None,
            batch_size,
            label_smoothing: 0.0,
            clip_norm: None,
        }
    }

    /// Checks that `from` has no moments (and has taken no steps with them), or as many as this optimizer.
    ///
    /// # Errors
    /// Fails if the number of moments is another one, or if steps are counted without moments.
    pub(super) fn check_moments<S>(&self, from: &Snapshot<S>) -> Result<()> {
        let moments = from.moments.len();
        ensure!(moments == 0 || moments == self.optimizer.moment_count(), "moments of another optimizer");
        let is_fresh = moments == 0 && self.optimizer.moment_count() > 0;
        ensure!(!is_fresh || from.optimizer_steps == 0, "fresh moments that count steps");
        Ok(())
    }
}

/// The images of one step of one lane. Callers reuse the memory for the next step.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The images, as indices into the data set.
    pub images: Vec<u32>,
    /// The iteration: the number of steps from the initial weights to this step.
    pub iteration: u64,
    /// The elementwise stream: the generator of the random numbers of dropout and augmentation.
    pub elementwise: CounterRng,
}

/// What a pass in training mode does with the running statistics of batch norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningStatistics {
    /// They stay as they are.
    Keep,
    /// The statistics of the batch enter them, as in a step.
    Update,
}

/// Trains one or more networks in lockstep, each in its own lane. Lanes have indices from 0.
pub trait Trainer {
    /// Returns the number of networks trained in lockstep.
    fn lanes(&self) -> usize;

    /// Loads a network into a lane: weights, moments and buffers of `from`, pruned by `mask`.
    ///
    /// # Errors
    /// Fails if there is no such lane, if tensors, moments or mask do not fit the network and the optimizer, or if the
    /// device fails.
    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()>;

    /// Takes one optimizer step in every lane. `batches` and `lr` (learning rates) have one entry per lane, in the
    /// order of lanes. Does not wait for the device.
    ///
    /// # Errors
    /// Fails if the number of entries is not the number of lanes, a batch is empty, lanes have batches of different
    /// sizes, or the device fails.
    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()>;

    /// Returns the gradients of the loss of every lane on its batch, in the order of lanes: of all parameters, also of
    /// weights that the mask prunes, as an optimizer step would compute them, but without weight decay and clipping.
    /// Changes nothing but the running statistics of batch norms, if those are to be updated.
    ///
    /// # Errors
    /// Fails like [`step`](Self::step).
    fn gradients(&mut self, batches: &[Batch], statistics: RunningStatistics) -> Result<Vec<TensorMap>>;

    /// Replaces all parameters of a lane; everything else stays.
    ///
    /// # Errors
    /// Fails if there is no such lane, if tensors do not fit the network, the device fails, or the trainer cannot.
    fn replace_weights(&mut self, _lane: usize, _weights: &TensorMap) -> Result<()> {
        bail!("this trainer cannot replace weights")
    }

    /// Returns the mask of a lane, if the trainer finds it by training; else `None`.
    fn mask(&self, _lane: usize) -> Option<&Mask> {
        None
    }

    /// Returns loss and accuracy of every lane on a split of the data, in the order of lanes. Waits for the device.
    /// Calls `should_stop` before every block of images, and returns `None` once it returns true.
    ///
    /// # Errors
    /// Fails if the split is empty or the device fails.
    fn evaluate_unless(&mut self, split: Split, should_stop: &dyn Fn() -> bool) -> Result<Option<Vec<Score>>>;

    /// Like [`evaluate_unless`](Self::evaluate_unless), but is never stopped.
    ///
    /// # Errors
    /// Fails like `evaluate_unless`.
    fn evaluate(&mut self, split: Split) -> Result<Vec<Score>> {
        Ok(self.evaluate_unless(split, &|| false)?.unwrap_or_default())
    }

    /// Returns the state of a lane in float32, from which another lane or trainer can continue.
    ///
    /// # Errors
    /// Fails if there is no such lane or the device fails.
    fn snapshot(&self, lane: usize) -> Result<Snapshot>;

    /// Returns the exact state of a lane: training that [resumes](Self::resume) from it gives the same bits as training
    /// that goes on.
    ///
    /// # Errors
    /// Fails if there is no such lane or the device fails.
    fn state(&self, lane: usize) -> Result<LaneState> {
        Ok(LaneState::Float32(self.snapshot(lane)?))
    }

    /// Loads the state that [`state`](Self::state) returned for a lane of a trainer with the same specification and
    /// the same number of lanes.
    ///
    /// # Errors
    /// Fails like [`load`](Self::load), and for a state of another floating-point type.
    fn resume(&mut self, lane: usize, from: &LaneState, mask: &Mask) -> Result<()> {
        match from {
            LaneState::Float32(state) => self.load(lane, state, mask),
            LaneState::Float64(_) => bail!("a state in float64 for a network in float32"),
        }
    }

    /// Replaces the running statistics of all batch norms by the means of the statistics of batches of images.
    ///
    /// `image_indices` are split into batches of [`TrainerSpec::batch_size`] images, or into one batch if there are
    /// fewer images; images after the last whole batch are ignored. Images are not augmented. Meant for weights that
    /// are not the result of training, such as the mean of two networks' weights, and therefore have no running
    /// statistics of their own. Does nothing for a network without batch norm.
    ///
    /// # Errors
    /// Fails if the device fails.
    fn recompute_batch_norm(&mut self, image_indices: &[u32]) -> Result<()>;

    /// Sets the number of threads that a step may use from now on. No result depends on the number; a trainer that
    /// always uses one thread ignores the call.
    fn set_threads(&mut self, threads: usize);
}
