//! Gradients on data by libtorch's autograd, for any network, on the CPU or on a GPU.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

use super::super::cuda;
use super::super::cuda_graph::no_recording;
use super::device_images::DeviceImages;
use super::dropout::DropoutMasks;
use super::lane_tensors::lane_shape;
use super::layers::{Activation, BatchNormMode, Forward, OnInput};
use super::memory::Memory;
use super::{dropouts, pixel_gradient, takes_features};
use crate::base::mask::Mask;
use crate::base::tensors::{NamedTensor, Snapshot};
use crate::config::{Dtype, MatmulPrecision};
use crate::data::Dataset;
use crate::engine::dropout::Dropout;
use crate::engine::param_layout::{ParamLayout, ParamSlot, match_mask};
use crate::engine::probe::{
    GradientMap, NamedGradient, PixelBatch, PixelOutput, Probe, ProbeBatchNorm, ProbeObjective, ProbeOptions,
};
use crate::engine::trainer::TrainerSpec;
use crate::network::{Network, PrunableTensor, TensorRole, WeightKind, init_buffers};

/// A [`Probe`] made with libtorch. It holds no tensors between calls, and opens the device at the first call. Never rounds
/// products to TF32 or bfloat16: a mask is computed once, so speed does not matter.
pub struct TorchProbe {
    spec: TrainerSpec,
    dataset: Arc<Dataset>,
}

impl TorchProbe {
    /// Returns a probe for the network and the device of `spec`, with the images of `dataset`.
    pub fn new(spec: TrainerSpec, dataset: Arc<Dataset>) -> Self {
        Self { spec, dataset }
    }

    /// Returns the run of one call of a [`Probe`] method, whose arguments these are.
    fn run<'a>(
        &'a self,
        snapshot: &Snapshot,
        mask: &Mask,
        batches: &'a [Vec<u32>],
        options: &ProbeOptions,
    ) -> Result<ProbeRun<'a>> {
        cuda::register_cuda_backend();
        let device = match self.spec.gpu {
            None => Device::Cpu,
            Some(gpu) => cuda::device(gpu, &self.spec)?,
        };
        tch::set_num_threads(1);
        // TF32 is a flag of the whole process, and rounds products of float32 numbers only.
        let is_tf32 = device.is_cuda() && self.spec.matmul_precision == MatmulPrecision::Tf32;
        let options = if is_tf32 { ProbeOptions { dtype: Dtype::Float64, ..*options } } else { *options };
        ProbeRun::new(&self.spec.network, &self.dataset, device, (snapshot, mask), batches, options)
    }
}

impl Probe for TorchProbe {
    fn dataset(&self) -> Option<&Dataset> {
        Some(&self.dataset)
    }

    fn gradients(
        &self,
        snapshot: &Snapshot,
        mask: &Mask,
        batches: &[Vec<u32>],
        options: &ProbeOptions,
    ) -> Result<GradientMap> {
        let run = self.run(snapshot, mask, batches, options)?;
        let _guard = no_recording(run.device);
        run.named(&run.gradients()?)
    }

    fn hessian_gradient_product(
        &self,
        snapshot: &Snapshot,
        mask: &Mask,
        batches: &[Vec<u32>],
        options: &ProbeOptions,
    ) -> Result<GradientMap> {
        let run = self.run(snapshot, mask, batches, options)?;
        let _guard = no_recording(run.device);
        run.named(&run.hessian_product(&run.gradients()?)?)
    }

    fn input_norms(
        &self,
        snapshot: &Snapshot,
        mask: &Mask,
        batches: &[Vec<u32>],
    ) -> Result<BTreeMap<String, Vec<f64>>> {
        let options = ProbeOptions {
            batch_norm: ProbeBatchNorm::Running,
            dtype: Dtype::Float64,
            ..ProbeOptions::cross_entropy(1.0)
        };
        let run = self.run(snapshot, mask, batches, &options)?;
        let _guard = no_recording(run.device);
        let is_linear = |weight: &&PrunableTensor| matches!(weight.kind, WeightKind::Linear | WeightKind::Output);
        let names = run.network.weights().iter().filter(is_linear).map(|weight| weight.parameter.name.clone());
        Ok(names.zip(run.input_norms()?).collect())
    }

    fn on_pixels(
        &self,
        snapshot: &Snapshot,
        mask: &Mask,
        batch: PixelBatch<'_>,
        has_gradient: bool,
    ) -> Result<PixelOutput> {
        let options = ProbeOptions { batch_norm: ProbeBatchNorm::Running, ..ProbeOptions::cross_entropy(1.0) };
        let run = self.run(snapshot, mask, &[], &options)?;
        let _guard = no_recording(run.device);
        pixel_gradient::output(&run, &self.dataset.normalization, batch, has_gradient)
    }
}

/// One call of a [`Probe`] method: a network on the device, and the batches over which the objective is the mean.
pub(super) struct ProbeRun<'a> {
    pub(super) network: &'a Network,
    images: DeviceImages,
    batches: &'a [Vec<u32>],
    options: ProbeOptions,
    pub(super) device: Device,
    pub(super) kind: Kind,
    /// The parameters in the network's order, in their shapes for one lane ([`lane_shape`]).
    parameters: Vec<Tensor>,
    /// Running statistics [channels] each.
    buffers: Vec<Tensor>,
    /// The conv and linear weights among `parameters`, in the network's order: the variables of the derivatives.
    weights: Vec<Tensor>,
    dropouts: Vec<Dropout>,
}

impl<'a> ProbeRun<'a> {
    fn new(
        network: &'a Network,
        dataset: &Arc<Dataset>,
        device: Device,
        (snapshot, mask): (&Snapshot, &Mask),
        batches: &'a [Vec<u32>],
        options: ProbeOptions,
    ) -> Result<Self> {
        ensure!(dataset.shape == network.input, "images of another shape than the network's");
        ensure!(batches.iter().all(|batch| !batch.is_empty()), "an empty batch");
        let kind = match options.dtype {
            Dtype::Float32 => Kind::Float,
            Dtype::Float64 => Kind::Double,
        };
        match_mask(network.parameters().iter(), mask)?;
        let mut state = snapshot.weights.clone();
        mask.apply(&mut state);
        let _guard = tch::no_grad_guard();
        let tensor = |(slot, tensor): (&ParamSlot, &NamedTensor)| {
            let values = Tensor::from_slice(&tensor.values).f_view(lane_shape(&slot.spec, 1).as_slice())?;
            let values = values.f_to_device(device)?.f_to_kind(kind)?;
            match options.objective {
                ProbeObjective::CrossEntropy { .. } => Ok(values),
                ProbeObjective::SynapticFlow => values.f_abs(),
            }
        };
        let mut parameters = Vec::new();
        let mut weights = Vec::new();
        for (slot, named) in ParamLayout::new(network.parameters(), 1, 1).tensors(&state)? {
            let mut parameter = tensor((slot, named))?;
            if slot.spec.role == TensorRole::Weight {
                parameter = parameter.f_set_requires_grad(true)?;
                weights.push(parameter.shallow_clone());
            }
            parameters.push(parameter);
        }
        let initial = init_buffers(network);
        let buffers = if snapshot.buffers.0.is_empty() { &initial } else { &snapshot.buffers };
        let buffer_layout = ParamLayout::new(network.buffers(), 1, 1);
        let buffers = buffer_layout.tensors(buffers)?.into_iter();
        let buffers = buffers.map(|pair| tensor(pair)?.f_view([-1])).collect::<Result<_, _>>()?;
        Ok(Self {
            network,
            // Batches are few and small. They are made on the host, so that the data set does not have to be on the
            // device.
            images: DeviceImages::new(dataset, (Device::Cpu, Memory::Host), kind, true)?,
            batches,
            options,
            device,
            kind,
            parameters,
            buffers,
            weights,
            dropouts: dropouts(network),
        })
    }

    /// Returns the terms whose sum is the objective, as scalars with autograd graphs that are built when the term is
    /// taken: one per batch, its mean times its share of all images.
    fn terms(&self) -> Result<Box<dyn Iterator<Item = Result<Tensor>> + '_>> {
        match self.options.objective {
            ProbeObjective::SynapticFlow => Ok(Box::new(std::iter::once_with(|| self.synaptic_flow()))),
            ProbeObjective::CrossEntropy { temperature } => {
                let images: usize = self.batches.iter().map(Vec::len).sum();
                ensure!(images > 0, "no batch to take the gradient on");
                ensure!(temperature > 0.0, "a temperature that is not positive");
                Ok(Box::new(self.batches.iter().map(move |batch| {
                    let share = batch.len() as f64 / images as f64;
                    Ok(self.cross_entropy(batch, temperature)?.f_mul_scalar(share)?)
                })))
            }
        }
    }

    /// Returns the sum of all logits for one image of ones.
    fn synaptic_flow(&self) -> Result<Tensor> {
        let [channels, height, width] = self.network.input.map(|n| n as i64);
        let options = (self.kind, self.device);
        let ones = if takes_features(self.network) {
            Activation::Features(Tensor::f_ones([1, 1, channels * height * width], options)?)
        } else {
            Activation::Image(Tensor::f_ones([1, channels, height, width], options)?)
        };
        Ok(self.logits(ones)?.f_sum(self.kind)?)
    }

    /// Returns the images and the labels of a batch on the device.
    fn batch(&self, batch: &[u32]) -> Result<(Activation, Tensor)> {
        let (input, labels) = self.images.plain_batch(batch, 1, takes_features(self.network))?;
        let input = match input {
            Activation::Image(x) => Activation::Image(x.f_to_device(self.device)?),
            Activation::Features(x) => Activation::Features(x.f_to_device(self.device)?),
        };
        Ok((input, labels.f_to_device(self.device)?))
    }

    /// Returns the Euclidean norm over all images of each input of the linear layers, in the network's order.
    fn input_norms(&self) -> Result<Vec<Vec<f64>>> {
        let _guard = tch::no_grad_guard();
        let mut squares: Vec<Tensor> = Vec::new();
        for batch in self.batches {
            let of_batch = RefCell::new(Vec::new());
            let observe = |input: &Tensor| -> Result<()> {
                let squares = input.f_square()?.f_sum_dim_intlist([0_i64, 1].as_slice(), false, Kind::Double)?;
                of_batch.borrow_mut().push(squares);
                Ok(())
            };
            let _logits = self.observed_logits(self.batch(batch)?.0, Some(&observe))?;
            let of_batch = of_batch.into_inner();
            if squares.is_empty() { squares = of_batch } else { add(&mut squares, &of_batch)? }
        }
        let host = |squares: &Tensor| Ok(Vec::<f64>::try_from(squares.f_sqrt()?.f_to_device(Device::Cpu)?)?);
        squares.iter().map(host).collect()
    }

    /// Returns the mean cross-entropy of a batch.
    fn cross_entropy(&self, batch: &[u32], temperature: f64) -> Result<Tensor> {
        let (input, labels) = self.batch(batch)?;
        let labels = labels.f_unsqueeze(1)?;
        let logits = self.logits(input)?.f_squeeze_dim(0)?.f_div_scalar(temperature)?;
        Ok(logits.f_log_softmax(-1, self.kind)?.f_gather(1, &labels, false)?.f_neg()?.f_mean(self.kind)?)
    }

    /// Returns the logits [1, images, classes].
    pub(super) fn logits(&self, input: Activation) -> Result<Tensor> {
        self.observed_logits(input, None)
    }

    /// Returns the logits [1, images, classes]. `on_linear_input` as in [`Forward`].
    fn observed_logits(&self, input: Activation, on_linear_input: Option<OnInput<'_>>) -> Result<Tensor> {
        let forward = Forward {
            lanes: 1,
            parameters: self.parameters.iter(),
            buffers: self.buffers.iter(),
            batch_norm: match self.options.batch_norm {
                // Without momentum, running statistics stay as they are.
                ProbeBatchNorm::Batch => BatchNormMode::Train { momentum: 0.0 },
                ProbeBatchNorm::Running => BatchNormMode::Eval,
            },
            dropout: DropoutMasks::new(&self.dropouts, None),
            matmul_precision: MatmulPrecision::Exact,
            on_linear_input,
        };
        forward.logits(&self.network.layers, input)
    }

    /// Returns the gradient of the objective with respect to each of `weights`, in its shape.
    fn gradients(&self) -> Result<Vec<Tensor>> {
        let mut sums = self.zeros()?;
        for term in self.terms()? {
            add(&mut sums, &Tensor::f_run_backward(&[term?], &self.weights, false, false)?)?;
        }
        Ok(sums)
    }

    /// Returns the Hessian of the objective times `vector`, by differentiating the product of gradient and vector; both
    /// have one tensor per weight.
    fn hessian_product(&self, vector: &[Tensor]) -> Result<Vec<Tensor>> {
        let mut sums = self.zeros()?;
        for term in self.terms()? {
            let gradients = Tensor::f_run_backward(&[term?], &self.weights, true, true)?;
            let mut product = Tensor::f_zeros([1], (self.kind, self.device))?;
            for (gradient, vector) in gradients.iter().zip(vector).filter(|(gradient, _)| gradient.defined()) {
                product = product.f_add(&gradient.f_mul(vector)?.f_sum(self.kind)?)?;
            }
            // Without an autograd graph the product does not depend on the weights: the objective is linear, its
            // Hessian 0.
            if product.requires_grad() {
                add(&mut sums, &Tensor::f_run_backward(&[product], &self.weights, false, false)?)?;
            }
        }
        Ok(sums)
    }

    /// Returns a tensor of zeros for each of `weights`.
    fn zeros(&self) -> Result<Vec<Tensor>> {
        let _guard = tch::no_grad_guard();
        Ok(self.weights.iter().map(Tensor::f_zeros_like).collect::<Result<_, _>>()?)
    }

    /// Returns `gradients`, one tensor per weight, by name and on the host.
    fn named(&self, gradients: &[Tensor]) -> Result<GradientMap> {
        let named = |(weight, gradient): (&PrunableTensor, &Tensor)| {
            let host = gradient.f_to_device(Device::Cpu)?.f_to_kind(Kind::Double)?.f_reshape([-1])?;
            Ok(NamedGradient {
                name: weight.parameter.name.clone(),
                shape: weight.parameter.shape.clone(),
                values: Vec::<f64>::try_from(host)?,
            })
        };
        Ok(GradientMap(self.network.weights().iter().zip(gradients).map(named).collect::<Result<_>>()?))
    }
}

/// Adds `terms` to `sums`, tensor by tensor. An undefined term is a gradient of 0: the function does not depend on that
/// weight.
fn add(sums: &mut [Tensor], terms: &[Tensor]) -> Result<()> {
    let _guard = tch::no_grad_guard();
    for (sum, term) in sums.iter_mut().zip(terms).filter(|(_, term)| term.defined()) {
        *sum = sum.f_add(term)?;
    }
    Ok(())
}
