//! Any network, on any device, in any number of lanes: libtorch's layers and its autograd.
//!
//! All lanes are one batched network (see `layers`): the kernels of K small networks cost a GPU hardly more than those of
//! one. Parameters, gradients and moments are flat: first all lanes of the first parameter, then all of the second. On the
//! CPU the optimizer is the same loop as that of the other engines; elsewhere it is tensor operations on the whole.
//! Nothing in a step waits for a device.

mod clip;
mod loss;
mod layers;
mod dropout;
mod device_images;
mod param_slots;
#[cfg(test)]
mod tests;
mod update;
mod upload;

use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};
use tch::{Device, Tensor};

use super::host_buffer;
use super::host_buffer::{ALIGN, TorchElement};
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::tensors::{Snapshot, TensorMap};
use crate::data::{Dataset, Split};
use crate::engine::dropout::Dropout;
use crate::engine::optim::{ParameterSlices, moment_slots, update};
use crate::engine::trainer::{Batch, Trainer, TrainerSpec};
use crate::network::{Layer, Network, TensorSpec};
use device_images::DeviceImages;
use dropout::DropoutMasks;
use layers::{BatchNormMode, Forward};
use loss::{ScoreAccumulator, logit_gradient};
use param_slots::{ParamSlot, flatten_gradients, lane_index, lookup, read_tensor, shape};
use update::FlatParams;
use upload::upload;

/// How much of a batch's statistics goes into the running ones (`PyTorch`'s default).
const SHARE: f64 = 0.1;

/// What a lane has behind it.
#[derive(Clone, Copy, Default)]
struct Age {
    iteration: u64,
    optimizer_steps: u64,
}

/// Networks of one architecture, side by side.
pub(super) struct AutogradTrainer<T> {
    recipe: TrainerSpec,
    dataset: Arc<Dataset>,
    device: Device,
    /// Whether the device's memory is out of reach for plain loops.
    there: bool,
    ages: Vec<Age>,
    parameters: Vec<ParamSlot>,
    dropouts: Vec<Dropout>,
    weights: Tensor,
    /// The parameters, as autograd and the layers want them, on the memory of `weights`.
    leaves: Vec<Tensor>,
    moments: Vec<Tensor>,
    /// Running statistics, [lanes · channels] each.
    buffers: Vec<Tensor>,
    /// Per value of `weights` whether it is kept; `None` where all are, which then costs nothing.
    kept: Option<Vec<bool>>,
    /// The same on a device, or where gradients are clipped; and the lane of every value, on a device.
    kept_there: Option<Tensor>,
    lane_of: Option<Tensor>,
    pixels: DeviceImages,
    element: std::marker::PhantomData<T>,
}

impl<T: TorchElement> AutogradTrainer<T> {
    /// Takes the memory that stays, and brings the data to the device.
    pub(super) fn new(recipe: &TrainerSpec, dataset: &Arc<Dataset>, device: Device, lanes: usize) -> Result<Self> {
        Self::placed(recipe, dataset, device, lanes, device != Device::Cpu)
    }

    /// The same; `there` where everything is done as for a device whose memory plain loops do not reach.
    fn placed(recipe: &TrainerSpec, dataset: &Arc<Dataset>, device: Device, lanes: usize, there: bool) -> Result<Self> {
        let network = &recipe.network;
        ensure!(lanes > 0, "a trainer without a lane");
        ensure!(dataset.shape == network.input, "images of another shape than the network's");
        let mut length = 0;
        let mut parameters = Vec::new();
        for parameter in network.parameters() {
            let start = length;
            length = (start + lanes * parameter.len()).next_multiple_of(ALIGN);
            parameters.push(ParamSlot { parameter, start });
        }
        let flat = || Tensor::f_zeros([length as i64], (T::KIND, device));
        let weights = flat()?;
        let leaf = |placed: &ParamSlot| {
            let n = (lanes * placed.parameter.len()) as i64;
            let view =
                weights.f_narrow(0, placed.start as i64, n)?.f_view(shape(&placed.parameter, lanes).as_slice())?;
            view.f_detach()?.f_set_requires_grad(true)
        };
        let leaves = parameters.iter().map(leaf).collect::<Result<_, _>>()?;
        let moments = (0..recipe.optimizer.moment_count()).map(|_| flat()).collect::<Result<_, _>>()?;
        let buffer = |buffer: TensorSpec| Tensor::f_zeros([(lanes * buffer.len()) as i64], (T::KIND, device));
        let lane_of = there.then(|| lane_index(&parameters, lanes, length, device)).transpose()?;
        Ok(Self {
            recipe: recipe.clone(),
            dataset: Arc::clone(dataset),
            device,
            there,
            ages: vec![Age::default(); lanes],
            dropouts: dropouts(&network.layers),
            weights,
            leaves,
            moments,
            buffers: network.buffers().into_iter().map(buffer).collect::<Result<_, _>>()?,
            kept: None,
            kept_there: None,
            lane_of,
            pixels: DeviceImages::new(dataset, device, there, T::KIND)?,
            parameters,
            element: std::marker::PhantomData,
        })
    }

    fn lane_count(&self) -> i64 {
        self.ages.len() as i64
    }

    fn pass<'a>(&'a self, norms: BatchNormMode, keys: Option<&'a Tensor>) -> Forward<'a> {
        Forward {
            lanes: self.lane_count(),
            parameters: self.leaves.iter(),
            buffers: self.buffers.iter(),
            norms,
            drops: DropoutMasks::new(&self.dropouts, keys),
            products: self.recipe.products,
        }
    }

    /// The keys of the dropout layers, [layers, lanes].
    fn keys(&self, batches: &[Batch]) -> Result<Option<Tensor>> {
        if self.dropouts.is_empty() {
            return Ok(None);
        }
        let of_layer = |dropout: &Dropout| {
            let place = dropout.site;
            batches.iter().map(move |batch| batch.elementwise.key(batch.iteration, place) as i64)
        };
        let keys: Vec<i64> = self.dropouts.iter().flat_map(of_layer).collect();
        Ok(Some(upload(&keys, self.device)?.f_view([-1, self.lane_count()])?))
    }

    /// Takes the optimizer's step with these gradients of the leaves.
    fn update(&mut self, gradients: &[Tensor], lr: &[f64]) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let clipped = self.recipe.clip_norm.map(|most| self.clipped(gradients, most)).transpose()?;
        let gradients = clipped.as_deref().unwrap_or(gradients);
        if let Some(lane_of) = &self.lane_of {
            let steps: Vec<u64> = self.ages.iter().map(|age| age.optimizer_steps).collect();
            let gradients = flatten_gradients(&self.parameters, gradients, self.weights.numel())?;
            let (weights, moments) = (&mut self.weights, self.moments.as_mut_slice());
            let flat = FlatParams { weights, gradients, moments, kept: self.kept_there.as_ref(), lane_of };
            return update::update(&self.recipe.optimizer, lr, &steps, flat);
        }
        for (placed, gradient) in self.parameters.iter().zip(gradients) {
            let gradient = gradient.f_contiguous()?;
            for (lane, (&lr, age)) in lr.iter().zip(&self.ages).enumerate() {
                let n = placed.parameter.len();
                let here = placed.start + lane * n..placed.start + (lane + 1) * n;
                let mut moments = Vec::with_capacity(2);
                for moment in &mut self.moments {
                    moments.push(&mut host_buffer::values_mut::<T>(moment)?[here.clone()]);
                }
                let parameters = ParameterSlices {
                    weights: &mut host_buffer::values_mut::<T>(&mut self.weights)?[here.clone()],
                    gradients: &host_buffer::values::<T>(&gradient)?[lane * n..(lane + 1) * n],
                    moments: moment_slots(moments.into_iter()),
                    kept: self.kept.as_ref().map(|kept| &kept[here]),
                };
                update(&self.recipe.optimizer, lr, age.optimizer_steps, parameters);
            }
        }
        Ok(())
    }

    /// The gradients of the leaves, scaled down in each lane to a norm of at most `most`.
    fn clipped(&self, gradients: &[Tensor], most: f64) -> Result<Vec<Tensor>> {
        clip::clipped(gradients, most, self.lane_count(), |at| {
            let (start, n) = (self.parameters[at].start as i64, gradients[at].numel() as i64);
            Ok(self.kept_there.as_ref().map(|kept| kept.f_narrow(0, start, n)).transpose()?)
        })
    }

    /// Writes the tensors of a state into one lane of a flat tensor; what the state lacks is an error.
    fn fill(&self, lane: usize, state: &TensorMap, flat: &Tensor) -> Result<()> {
        for ParamSlot { parameter, start } in &self.parameters {
            let tensor = lookup(state, parameter)?;
            let n = parameter.len();
            let mut place = flat.f_narrow(0, (start + lane * n) as i64, n as i64)?;
            place.f_copy_(&Tensor::from_slice(&tensor.values))?;
        }
        Ok(())
    }

    /// One lane of a flat tensor, brought to the host.
    fn state(&self, lane: usize, flat: &Tensor) -> Result<TensorMap> {
        let tensor = |ParamSlot { parameter, start }: &ParamSlot| {
            read_tensor::<T>(parameter, flat, start + lane * parameter.len())
        };
        Ok(TensorMap(self.parameters.iter().map(tensor).collect::<Result<_>>()?))
    }

    fn load_mask(&mut self, lane: usize, mask: &Mask) -> Result<()> {
        let is_dense = mask.kept() == mask.total();
        if is_dense && self.kept.is_none() {
            return Ok(());
        }
        let length = self.weights.numel();
        let kept = self.kept.get_or_insert_with(|| vec![true; length]);
        for layer in &mask.0 {
            let place = self.parameters.iter().find(|placed| placed.parameter.name == layer.name);
            let placed = place.ok_or_else(|| anyhow!("a mask for `{}`, which there is not", layer.name))?;
            let n = placed.parameter.len();
            ensure!(layer.kept.len() == n, "a mask of another size for `{}`", layer.name);
            kept[placed.start + lane * n..][..n].copy_from_slice(&layer.kept);
        }
        if kept.iter().all(|&kept| kept) {
            self.kept = None;
        }
        if self.there || self.recipe.clip_norm.is_some() {
            let there = |kept: &Vec<bool>| Tensor::from_slice(kept).f_to_device(self.device);
            self.kept_there = self.kept.as_ref().map(there).transpose()?;
        }
        Ok(())
    }

    /// What a pass gets first, as a row where no layer wants an image.
    fn wants_row(network: &Network) -> bool {
        let mut layers = network.layers.iter().filter(|layer| !matches!(layer, Layer::Dropout { .. }));
        matches!(layers.next(), Some(Layer::Flatten | Layer::Linear { .. }))
    }
}

/// The dropout layers of a list in their order.
fn dropouts(layers: &[Layer]) -> Vec<Dropout> {
    fn collect(layers: &[Layer], all: &mut Vec<Dropout>) {
        for layer in layers {
            match layer {
                Layer::Dropout { rate } => all.push(Dropout::new(all.len() as u64, *rate)),
                Layer::Residual { body, shortcut } => {
                    collect(body, all);
                    collect(shortcut, all);
                }
                _ => {}
            }
        }
    }
    let mut all = Vec::new();
    collect(layers, &mut all);
    all
}

impl<T: TorchElement> Trainer for AutogradTrainer<T> {
    fn lanes(&self) -> usize {
        self.ages.len()
    }

    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        ensure!(lane < self.ages.len(), "a lane that is not there");
        self.recipe.check_moments(from)?;
        let _guard = tch::no_grad_guard();
        let mut from = from.clone();
        mask.apply(&mut from.weights);
        from.moments.iter_mut().for_each(|moment| mask.apply(moment));
        self.fill(lane, &from.weights, &self.weights)?;
        for (at, moment) in self.moments.iter().enumerate() {
            match from.moments.get(at) {
                Some(state) => self.fill(lane, state, moment)?,
                None => {
                    for ParamSlot { parameter, start } in &self.parameters {
                        let n = parameter.len();
                        let _ = moment.f_narrow(0, (start + lane * n) as i64, n as i64)?.f_zero_()?;
                    }
                }
            }
        }
        for (buffer, place) in self.recipe.network.buffers().into_iter().zip(&self.buffers) {
            let n = buffer.len();
            let mut place = place.f_narrow(0, (lane * n) as i64, n as i64)?;
            // Without buffers it starts as a network that has seen nothing.
            if from.buffers.0.is_empty() {
                let _ = place.f_fill_(f64::from(buffer.initial().unwrap_or_default()))?;
            } else {
                place.f_copy_(&Tensor::from_slice(&lookup(&from.buffers, &buffer)?.values))?;
            }
        }
        self.load_mask(lane, mask)?;
        self.ages[lane] = Age { iteration: from.iteration, optimizer_steps: from.optimizer_steps };
        Ok(())
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        let lanes = self.ages.len();
        ensure!(
            batches.len() == lanes && lr.len() == lanes,
            "a trainer takes one batch and one learning rate per lane"
        );
        let images = batches[0].images.len();
        ensure!(images > 0, "an empty batch");
        ensure!(batches.iter().all(|batch| batch.images.len() == images), "batches of different sizes in the lanes");
        let (input, labels) = {
            let _guard = tch::no_grad_guard();
            self.pixels.batch(batches, self.recipe.augment, Self::wants_row(&self.recipe.network))?
        };
        let keys = self.keys(batches)?;
        let logits = self
            .pass(BatchNormMode::Train { share: SHARE }, keys.as_ref())
            .logits(&self.recipe.network.layers, input)?;
        let delta = {
            let _guard = tch::no_grad_guard();
            logit_gradient(&logits.f_detach()?, &labels, self.recipe.label_smoothing)?
        };
        // Its gradient by the logits is delta.
        let objective = logits.f_mul(&delta)?.f_sum(T::KIND)?;
        let gradients = Tensor::f_run_backward(&[objective], &self.leaves, false, false)?;
        self.ages.iter_mut().for_each(|age| age.optimizer_steps += 1);
        self.update(&gradients, lr)?;
        for (age, batch) in self.ages.iter_mut().zip(batches) {
            age.iteration = batch.iteration + 1;
        }
        Ok(())
    }

    fn evaluate(&mut self, split: Split) -> Result<Vec<Score>> {
        let _guard = tch::no_grad_guard();
        let images = self.dataset.indices(split);
        ensure!(!images.is_empty(), "no images to evaluate on");
        let lanes = self.ages.len();
        let mut judged = ScoreAccumulator::zero(lanes, self.there, self.device)?;
        let block = if self.there { (BLOCK_THERE / lanes).max(BLOCK_HERE) } else { BLOCK_HERE };
        for images in images.chunks(block) {
            let (input, labels) =
                self.pixels.plain_batch(images, lanes as i64, Self::wants_row(&self.recipe.network))?;
            let logits = self.pass(BatchNormMode::Eval, None).logits(&self.recipe.network.layers, input)?;
            judged.add::<T>(&logits, &labels)?;
        }
        judged.scores(images.len())
    }

    fn recompute_statistics(&mut self, images: &[u32]) -> Result<()> {
        if self.buffers.is_empty() {
            return Ok(());
        }
        let _guard = tch::no_grad_guard();
        let is_whole = |block: &&[u32]| block.len() == images.len().min(self.recipe.batch_size);
        for (behind, block) in images.chunks(self.recipe.batch_size).filter(is_whole).enumerate() {
            let (input, _) =
                self.pixels.plain_batch(block, self.lane_count(), Self::wants_row(&self.recipe.network))?;
            // The first batch replaces what was there; the i-th has the i-th part of the mean.
            let norms = BatchNormMode::Train { share: 1.0 / (behind as f64 + 1.0) };
            let _ = self.pass(norms, None).logits(&self.recipe.network.layers, input)?;
        }
        Ok(())
    }

    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        ensure!(lane < self.ages.len(), "a lane that is not there");
        let Age { iteration, optimizer_steps } = self.ages[lane];
        // Before the first step moments are fresh: the same as none.
        let moments = if optimizer_steps == 0 { &[] } else { self.moments.as_slice() };
        let buffer = |(buffer, all): (TensorSpec, &Tensor)| read_tensor::<T>(&buffer, all, lane * buffer.len());
        let buffers = self.recipe.network.buffers().into_iter().zip(&self.buffers).map(buffer);
        Ok(Snapshot {
            weights: self.state(lane, &self.weights)?,
            moments: moments.iter().map(|moment| self.state(lane, moment)).collect::<Result<_>>()?,
            buffers: TensorMap(buffers.collect::<Result<_>>()?),
            iteration,
            optimizer_steps,
        })
    }
}

/// Images per block of an evaluation: on the CPU few enough that activations stay in the cache, on a GPU, in all lanes
/// together, enough to fill it.
const BLOCK_HERE: usize = 50;
const BLOCK_THERE: usize = 2000;
