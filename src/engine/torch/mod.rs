//! The dense engine ([`EngineKind::Dense`](super::EngineKind::Dense)), made with libtorch: every weight is stored and
//! multiplied, and pruned weights are held at 0 by the mask. The only module that uses libtorch.
//!
//! It has two trainers: `mlp` for a single fully connected network on the CPU, and `autograd` for any network, on any
//! device, in any number of lanes. [`build`] chooses.

mod cuda;
mod cuda_graph;
mod host_buffer;
mod mlp;
mod mlp_kernels;
mod autograd;
mod engine;
mod error;
mod typed_state;

use std::sync::Arc;

use anyhow::Result;
use tch::Device;

use super::linear_stack::LinearStack;
use super::trainer::{Trainer, TrainerSpec};
use crate::config::Dtype;
use crate::data::Dataset;
use host_buffer::TorchElement;

pub use autograd::{DenseInference, TorchProbe};
pub use cuda::{cuda_devices, cuda_unavailable_reason};
pub(super) use engine::DenseEngine;
pub use error::{friendly_torch_error, is_out_of_memory, torch_error_of_panic};

/// The version of libtorch that this program is made for.
pub const LIBTORCH: &str = "2.11.0";

/// The version of the Rust bindings of libtorch.
pub const TCH: &str = "0.24.0";

/// The deterministic part of a training run on a GPU, in words for users: equal each time the training run is repeated
/// on the same kind of GPU with the same number of lanes.
pub const DETERMINISTIC: &str = "initial weights, masks, order of images, augmentation, dropout and pruning are the CPU's to \
    the bit; cuDNN is held to its deterministic kernels and none is chosen by timing";

/// The part of a training run on a GPU that is not deterministic, in words for users.
pub const NOT_DETERMINISTIC: &str = "cuBLAS promises its sums in one order only for one version, one kind of GPU and \
    one stream at a time; cuDNN takes another kernel where memory is short; pooling with squares that overlap adds gradients \
    in no order: last digits may differ from run to run, and do on another kind of GPU or with another number of lanes";

/// Builds a trainer for `lanes` networks, which must be used in the calling thread. Limits libtorch's computations on
/// the CPU in this thread to one thread.
///
/// # Errors
/// Fails if the images do not fit the network, the GPU does not exist, or there is too little memory.
pub fn build(spec: &TrainerSpec, dataset: &Arc<Dataset>, lanes: usize) -> Result<Box<dyn Trainer>> {
    match spec.dtype {
        Dtype::Float32 => build_typed::<f32>(spec, dataset, lanes),
        Dtype::Float64 => build_typed::<f64>(spec, dataset, lanes),
    }
}

/// Like [`build`], for arithmetic in the type `T`.
fn build_typed<T: TorchElement>(spec: &TrainerSpec, dataset: &Arc<Dataset>, lanes: usize) -> Result<Box<dyn Trainer>> {
    cuda::register_cuda_backend();
    let device = match spec.gpu {
        None => Device::Cpu,
        Some(gpu) => cuda::device(gpu, spec)?,
    };
    tch::set_num_threads(1);
    let is_plain = spec.augment.is_none() && spec.matmul_precision.is_exact();
    if device == Device::Cpu && lanes == 1 && is_plain && LinearStack::new(&spec.network).is_ok() {
        return Ok(Box::new(mlp::MlpTrainer::<T>::new(spec, Arc::clone(dataset))?));
    }
    Ok(Box::new(autograd::AutogradTrainer::<T>::new(spec, dataset, device, lanes)?))
}
