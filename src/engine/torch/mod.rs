//! The dense trainer: every weight is stored and multiplied, the mask applied. The only room that knows libtorch.

mod cuda;
mod engine;
mod host_buffer;
mod mlp;
mod autograd;
mod elementwise;
mod error;

use std::sync::Arc;

use anyhow::Result;
use tch::Device;

use super::linear_stack::LinearStack;
use super::trainer::{Trainer, TrainerSpec};
use crate::config::Dtype;
use crate::data::Dataset;
use error::{Place, Told};
use host_buffer::TorchElement;

pub use cuda::{cuda_devices, cuda_unavailable_reason};
pub(super) use engine::TorchEngine;

/// Version of the libtorch this program was made for.
pub const LIBTORCH: &str = "2.11.0";

/// Version of the bindings.
pub const TCH: &str = "0.24.0";

/// What of a training on a GPU comes out the same again, on the same kind of GPU with the same number of lanes.
pub const DETERMINISTIC: &str = "initial weights, masks, order of images, augmentation, dropout and pruning are the CPU's to \
    the bit; cuDNN is held to its deterministic kernels and none is chosen by timing";

/// What need not.
pub const NOT_DETERMINISTIC: &str = "cuBLAS promises its sums in one order only within a stream and a version, and pooling \
    with squares that overlap adds gradients in no order: last digits may differ from run to run, and do on another kind of \
    GPU or with another number of lanes";

/// Builds a trainer in this thread, which it must not leave; on the CPU libtorch gets one thread here.
///
/// # Errors
/// A GPU that is not there, or has too little memory.
pub fn build(recipe: &TrainerSpec, dataset: &Arc<Dataset>, lanes: usize) -> Result<Box<dyn Trainer>> {
    match recipe.dtype {
        Dtype::Float32 => of_type::<f32>(recipe, dataset, lanes),
        Dtype::Float64 => of_type::<f64>(recipe, dataset, lanes),
    }
}

fn of_type<T: TorchElement>(recipe: &TrainerSpec, dataset: &Arc<Dataset>, lanes: usize) -> Result<Box<dyn Trainer>> {
    cuda::register_cuda_backend();
    let device = match recipe.gpu {
        None => Device::Cpu,
        Some(gpu) => cuda::device(gpu, recipe)?,
    };
    tch::set_num_threads(1);
    let is_plain = recipe.augment.is_none() && recipe.products.is_exact();
    let by_hand = device == Device::Cpu && lanes == 1 && is_plain && LinearStack::new(&recipe.network).is_ok();
    let place = Place::new(recipe, lanes);
    if by_hand {
        let mlp = mlp::MlpTrainer::<T>::new(recipe, Arc::clone(dataset)).map_err(|error| place.tell(error))?;
        return Ok(Box::new(Told::new(mlp, place)));
    }
    let net = autograd::AutogradTrainer::<T>::new(recipe, dataset, device, lanes).map_err(|error| place.tell(error))?;
    Ok(Box::new(Told::new(net, place)))
}
