//! The dense engine: every weight is stored and multiplied, the mask applied. The only module that uses libtorch.

mod cuda;
mod host_buffer;
mod mlp;
mod autograd;
mod elementwise;
mod engine;
mod error;

use std::sync::Arc;

use anyhow::Result;
use tch::Device;

use super::linear_stack::LinearStack;
use super::trainer::{Trainer, TrainerSpec};
use crate::config::Dtype;
use crate::data::Dataset;
use host_buffer::TorchElement;

pub use autograd::TorchProbe;
pub use cuda::{cuda_devices, cuda_unavailable_reason};
pub(super) use engine::TorchEngine;
pub use error::friendly_torch_error;

/// The version of libtorch that this program is made for.
pub const LIBTORCH: &str = "2.11.0";

/// The version of the Rust bindings of libtorch.
pub const TCH: &str = "0.24.0";

/// The deterministic part of a training run on a GPU: equal on every run, on the same kind of GPU with the same number
/// of lanes.
pub const DETERMINISTIC: &str = "initial weights, masks, order of images, augmentation, dropout and pruning are the CPU's to \
    the bit; cuDNN is held to its deterministic kernels and none is chosen by timing";

/// The part of a training run on a GPU that is not deterministic.
pub const NOT_DETERMINISTIC: &str = "cuBLAS promises its sums in one order only within a stream and a version, and pooling \
    with squares that overlap adds gradients in no order: last digits may differ from run to run, and do on another kind of \
    GPU or with another number of lanes";

/// Builds a trainer for use in this thread only; on the CPU libtorch gets one thread here.
///
/// # Errors
/// If the GPU does not exist, or there is too little memory.
pub fn build(spec: &TrainerSpec, dataset: &Arc<Dataset>, lanes: usize) -> Result<Box<dyn Trainer>> {
    match spec.dtype {
        Dtype::Float32 => build_typed::<f32>(spec, dataset, lanes),
        Dtype::Float64 => build_typed::<f64>(spec, dataset, lanes),
    }
}

fn build_typed<T: TorchElement>(spec: &TrainerSpec, dataset: &Arc<Dataset>, lanes: usize) -> Result<Box<dyn Trainer>> {
    cuda::register_cuda_backend();
    let device = match spec.gpu {
        None => Device::Cpu,
        Some(gpu) => cuda::device(gpu, spec)?,
    };
    tch::set_num_threads(1);
    let is_plain = spec.augment.is_none() && spec.products.is_exact();
    if device == Device::Cpu && lanes == 1 && is_plain && LinearStack::new(&spec.network).is_ok() {
        return Ok(Box::new(mlp::MlpTrainer::<T>::new(spec, Arc::clone(dataset))?));
    }
    Ok(Box::new(autograd::AutogradTrainer::<T>::new(spec, dataset, device, lanes)?))
}
