//! The dense trainer of any network, on any device, in any number of lanes: libtorch's layers and its autograd.
//!
//! All lanes are one batched network (see [`layers`]): the kernels of K small networks cost a GPU hardly more than
//! those of one. Parameters, gradients and moments are flat tensors: all lanes of the first parameter, then all lanes
//! of the second, and so on. On the CPU the optimizer is the loop of [`optim`](crate::engine::optim), as in the other
//! trainers; on a GPU it is tensor operations on the flat tensors (`update`). No operation of a step waits for the
//! device (but see [`step_inputs::upload`]), and a GPU's steps are recorded as CUDA graphs, each of which starts all
//! kernels of a step by one call.

mod clip;
mod loss;
mod layers;
mod dropout;
mod inference;
mod device_images;
mod lane_tensors;
mod memory;
mod optimize;
mod pixel_gradient;
mod probe;
mod recorder;
mod state;
mod step_inputs;
#[cfg(test)]
mod tests;
mod update;

use std::sync::Arc;

use anyhow::{Result, ensure};
use tch::{Device, Tensor};

use super::cuda_graph::no_recording;
use super::host_buffer::{ALIGN, TorchElement};
use super::typed_state::TypedState;
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::tensors::{LaneState, Snapshot, TensorMap};
use crate::data::{Dataset, Split};
use crate::engine::dropout::Dropout;
use crate::engine::param_layout::{ParamLayout, ParamSlot};
use crate::engine::trainer::{Batch, RunningStatistics, Trainer, TrainerSpec};
use crate::network::{Layer, Network, TensorSpec};
use device_images::{DeviceImages, augmentations, channels_last};
use dropout::DropoutMasks;
use lane_tensors::{flatten_gradients, lane_index, lane_shape, read_lane, write_lane};
use layers::{BatchNormMode, Forward};
use loss::{ScoreAccumulator, logit_gradient};
use memory::Memory;
use recorder::Recorder;
use step_inputs::{HostInputs, StepInputs};

pub use inference::DenseInference;
pub use probe::TorchProbe;

/// The weight of a batch's statistics in the running statistics (`PyTorch`'s default momentum).
const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// The progress of a lane.
#[derive(Clone, Copy, Default)]
struct LaneProgress {
    /// The number of steps from the initial weights to the current ones.
    iteration: u64,
    /// Optimizer steps since the moments were reset.
    optimizer_steps: u64,
}

/// Trainer of networks of one architecture, one per lane.
pub(super) struct AutogradTrainer<T> {
    spec: TrainerSpec,
    dataset: Arc<Dataset>,
    device: Device,
    memory: Memory,
    /// One entry per lane.
    progress: Vec<LaneProgress>,
    /// The positions of all parameters in `weights` and in each of `moments`.
    layout: ParamLayout,
    weights: Tensor,
    /// The parameters as layers and autograd use them (the leaves of the autograd graph), in the order of the slots:
    /// views of `weights` with the shape [`lane_shape`].
    leaves: Vec<Tensor>,
    /// The optimizer's moments, in the layout of `weights`.
    moments: Vec<Tensor>,
    /// Names and shapes of the running statistics.
    buffer_layout: ParamLayout,
    /// Running statistics [lanes · channels], one tensor per slot of `buffer_layout`.
    buffers: Vec<Tensor>,
    /// The dropout layers in the order they are applied.
    dropouts: Vec<Dropout>,
    /// For each value of `weights` whether the mask keeps it; `None` if all are kept, so that masks cost a dense
    /// network nothing.
    kept: Option<Vec<bool>>,
    /// `kept` as a tensor on the device: for [`Memory::Device`], or with gradient clipping.
    device_mask: Option<Tensor>,
    /// The lane of each value of `weights`, for [`Memory::Device`].
    lane_index: Option<Tensor>,
    images: DeviceImages,
    recorder: Recorder,
    element: std::marker::PhantomData<T>,
}

impl<T: TorchElement> AutogradTrainer<T> {
    /// Allocates all memory that lasts longer than a step, and copies the data set to the device.
    ///
    /// # Errors
    /// Fails if there is no lane, if the images do not fit the network, or there is too little memory.
    pub(super) fn new(spec: &TrainerSpec, dataset: &Arc<Dataset>, device: Device, lanes: usize) -> Result<Self> {
        Self::with_memory(spec, dataset, device, lanes, Memory::of(device))
    }

    /// Like [`AutogradTrainer::new`], but with the operations for `memory`: tests use those for [`Memory::Device`] on
    /// the CPU.
    fn with_memory(
        spec: &TrainerSpec,
        dataset: &Arc<Dataset>,
        device: Device,
        lanes: usize,
        memory: Memory,
    ) -> Result<Self> {
        let network = &spec.network;
        ensure!(lanes > 0, "a trainer without a lane");
        ensure!(dataset.shape == network.input, "images of another shape than the network's");
        let layout = ParamLayout::new(network.parameters(), lanes, ALIGN);
        let flat = || Tensor::f_zeros([layout.len() as i64], (T::KIND, device));
        let weights = flat()?;
        let leaf = |slot: &ParamSlot| {
            let values = weights.f_narrow(0, slot.start as i64, (lanes * slot.spec.len()) as i64)?;
            values.f_view(lane_shape(&slot.spec, lanes).as_slice())?.f_detach()?.f_set_requires_grad(true)
        };
        let leaves = layout.slots().iter().map(leaf).collect::<Result<_, _>>()?;
        let moments = (0..spec.optimizer.moment_count()).map(|_| flat()).collect::<Result<_, _>>()?;
        let buffer = |buffer: &TensorSpec| Tensor::f_zeros([(lanes * buffer.len()) as i64], (T::KIND, device));
        let lane_index = match memory {
            Memory::Host => None,
            Memory::Device => Some(lane_index(&layout, lanes, device)?),
        };
        Ok(Self {
            spec: spec.clone(),
            dataset: Arc::clone(dataset),
            device,
            memory,
            progress: vec![LaneProgress::default(); lanes],
            weights,
            leaves,
            moments,
            buffer_layout: ParamLayout::new(network.buffers(), lanes, 1),
            buffers: network.buffers().iter().map(buffer).collect::<Result<_, _>>()?,
            dropouts: dropouts(network),
            kept: None,
            device_mask: None,
            lane_index,
            images: DeviceImages::new(dataset, (device, memory), T::KIND, channels_last(memory, lanes, spec))?,
            layout,
            recorder: Recorder::default(),
            element: std::marker::PhantomData,
        })
    }

    /// Checks that there are a batch and a learning rate for every lane, and that batches have one size.
    fn check_batches(&self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        let lanes = self.progress.len();
        ensure!(
            batches.len() == lanes && lr.len() == lanes,
            "a trainer takes one batch and one learning rate per lane"
        );
        let images = batches[0].images.len();
        ensure!(images > 0, "an empty batch");
        ensure!(batches.iter().all(|batch| batch.images.len() == images), "batches of different sizes in the lanes");
        Ok(())
    }

    /// Returns the number of lanes as a size of a tensor.
    fn lane_count(&self) -> i64 {
        self.progress.len() as i64
    }

    /// Returns a forward pass through all networks; `draw_keys` are those of [`AutogradTrainer::draw_keys`], or `None`
    /// to drop nothing.
    fn forward<'a>(&'a self, batch_norm: BatchNormMode, draw_keys: Option<&'a Tensor>) -> Forward<'a> {
        Forward {
            lanes: self.lane_count(),
            parameters: self.leaves.iter(),
            buffers: self.buffers.iter(),
            batch_norm,
            dropout: DropoutMasks::new(&self.dropouts, draw_keys),
            matmul_precision: self.spec.matmul_precision,
            on_linear_input: None,
        }
    }

    /// Returns what the host chooses for the next step.
    fn host_inputs(&self, batches: &[Batch], lr: &[f64]) -> HostInputs {
        let steps: Vec<u64> = self.progress.iter().map(|progress| progress.optimizer_steps + 1).collect();
        let augment = self.spec.augment;
        let layer_keys = |dropout: &Dropout| {
            let site = dropout.site;
            batches.iter().map(move |batch| batch.elementwise.key(batch.iteration, site) as i64)
        };
        HostInputs {
            images: batches.iter().flat_map(|batch| batch.images.iter().map(|&image| i64::from(image))).collect(),
            augmentations: if augment.is_none() { Vec::new() } else { augmentations(batches, augment) },
            draw_keys: self.dropouts.iter().flat_map(layer_keys).collect(),
            factors: update::factors(&self.spec.optimizer, lr, &steps),
        }
    }

    /// Takes a step in every lane: replays a recorded one, records one, or runs its operations.
    fn take_step(&mut self, host_inputs: &HostInputs, lr: &[f64]) -> Result<()> {
        let shape = host_inputs.shape(self.progress.len());
        if self.recorder.replay(host_inputs, shape)? {
            return Ok(());
        }
        if self.recorder.should_record(shape, self.device) {
            let mut recorder = std::mem::take(&mut self.recorder);
            let inputs = StepInputs::new(host_inputs, shape, self.device)?;
            let is_recorded = recorder.record(inputs, |inputs| self.run_step(inputs, lr));
            self.recorder = recorder;
            if is_recorded? {
                return Ok(());
            }
        }
        let inputs = StepInputs::new(host_inputs, shape, self.device)?;
        let _guard = no_recording(self.device);
        self.run_step(&inputs, lr)
    }

    /// Runs the operations of a step. `lr` is for the update on the host; that on a device reads `inputs`.
    fn run_step(&mut self, inputs: &StepInputs, lr: &[f64]) -> Result<()> {
        let gradients = self.leaf_gradients(inputs, BATCH_NORM_MOMENTUM)?;
        self.update(&gradients, inputs, lr)
    }

    /// Returns the gradients of the leaves. `momentum`: the weight of the batch's statistics in the running statistics.
    fn leaf_gradients(&self, inputs: &StepInputs, momentum: f64) -> Result<Vec<Tensor>> {
        let network = &self.spec.network;
        let (input, labels) = {
            let _guard = tch::no_grad_guard();
            let packed = inputs.augmentations()?;
            let augmentations = packed.as_ref().map(|packed| (packed, self.spec.augment));
            self.images.batch(&inputs.images()?, augmentations, self.lane_count(), takes_features(network))?
        };
        let draw_keys = inputs.draw_keys()?;
        let batch_norm = BatchNormMode::Train { momentum };
        let logits = self.forward(batch_norm, draw_keys.as_ref()).logits(&network.layers, input)?;
        let delta = {
            let _guard = tch::no_grad_guard();
            logit_gradient(&logits.f_detach()?, &labels, self.spec.label_smoothing)?
        };
        // The gradient of this sum with respect to the logits is `delta`.
        let objective = logits.f_mul(&delta)?.f_sum(T::KIND)?;
        Ok(Tensor::f_run_backward(&[objective], &self.leaves, false, false)?)
    }
}

/// Returns whether the first layer takes features, so that its inputs are [lanes, images, features] instead of images.
fn takes_features(network: &Network) -> bool {
    let mut layers = network.layers.iter().filter(|layer| !matches!(layer, Layer::Dropout { .. }));
    matches!(layers.next(), Some(Layer::Flatten | Layer::Linear { .. }))
}

/// Returns the dropout layers of a network in the order they are applied.
fn dropouts(network: &Network) -> Vec<Dropout> {
    network.dropout_rates().into_iter().enumerate().map(|(site, rate)| Dropout::new(site as u64, rate)).collect()
}

impl<T: TorchElement> Trainer for AutogradTrainer<T> {
    fn lanes(&self) -> usize {
        self.progress.len()
    }

    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        self.load_state(lane, from.clone(), mask)
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        self.check_batches(batches, lr)?;
        self.take_step(&self.host_inputs(batches, lr), lr)?;
        for (progress, batch) in self.progress.iter_mut().zip(batches) {
            progress.iteration = batch.iteration + 1;
            progress.optimizer_steps += 1;
        }
        Ok(())
    }

    fn gradients(&mut self, batches: &[Batch], statistics: RunningStatistics) -> Result<Vec<TensorMap>> {
        // The factors of the optimizer are not used.
        let lr = vec![0.0; batches.len()];
        self.check_batches(batches, &lr)?;
        let host_inputs = self.host_inputs(batches, &lr);
        let inputs = StepInputs::new(&host_inputs, host_inputs.shape(self.progress.len()), self.device)?;
        let _recording_guard = no_recording(self.device);
        let momentum = match statistics {
            RunningStatistics::Keep => 0.0,
            RunningStatistics::Update => BATCH_NORM_MOMENTUM,
        };
        let gradients = self.leaf_gradients(&inputs, momentum)?;
        let _guard = tch::no_grad_guard();
        let flat = flatten_gradients(&self.layout, &gradients)?;
        (0..self.progress.len()).map(|lane| read_lane::<T, f32>(&self.layout, lane, &flat)).collect()
    }

    fn replace_weights(&mut self, lane: usize, weights: &TensorMap) -> Result<()> {
        ensure!(lane < self.progress.len(), "a lane that is not there");
        let _guard = tch::no_grad_guard();
        write_lane::<T, f32>(&self.layout, lane, weights, &self.weights)
    }

    fn evaluate_unless(&mut self, split: Split, should_stop: &dyn Fn() -> bool) -> Result<Option<Vec<Score>>> {
        let _guard = tch::no_grad_guard();
        let images = self.dataset.indices(split);
        ensure!(!images.is_empty(), "no images to evaluate on");
        let network = &self.spec.network;
        let lanes = self.progress.len();
        let mut sums = ScoreAccumulator::zero(lanes, self.memory, self.device)?;
        let recording_guard = no_recording(self.device);
        for block in images.chunks(self.memory.evaluation_block(lanes)) {
            if should_stop() {
                return Ok(None);
            }
            let (input, labels) = self.images.plain_batch(block, lanes as i64, takes_features(network))?;
            let logits = self.forward(BatchNormMode::Eval, None).logits(&network.layers, input)?;
            sums.add::<T>(&logits, &labels)?;
        }
        drop(recording_guard);
        sums.scores(images.len()).map(Some)
    }

    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        self.read_state(lane)
    }

    fn state(&self, lane: usize) -> Result<LaneState> {
        self.lane_state(lane, self.spec.dtype)
    }

    fn resume(&mut self, lane: usize, from: &LaneState, mask: &Mask) -> Result<()> {
        self.load_lane_state(lane, from, mask)
    }

    fn recompute_batch_norm(&mut self, image_indices: &[u32]) -> Result<()> {
        if self.buffers.is_empty() {
            return Ok(());
        }
        let _guard = tch::no_grad_guard();
        let network = &self.spec.network;
        let batch_size = image_indices.len().min(self.spec.batch_size);
        let _recording_guard = no_recording(self.device);
        for (index, batch) in image_indices.chunks_exact(batch_size.max(1)).enumerate() {
            let (input, _) = self.images.plain_batch(batch, self.lane_count(), takes_features(network))?;
            // The mean over batches as a running mean: the first batch replaces the running statistics, batch i (from
            // 1) enters them with the weight 1/i.
            let batch_norm = BatchNormMode::Train { momentum: 1.0 / (index as f64 + 1.0) };
            let _ = self.forward(batch_norm, None).logits(&network.layers, input)?;
        }
        Ok(())
    }

    /// Does nothing: on the CPU, libtorch computes in the calling thread only.
    fn set_threads(&mut self, _threads: usize) {}
}
