//! The dense trainer: every weight is stored and multiplied, the mask applied. The only room that knows libtorch.

mod cuda;
mod memory;
mod mlp;
mod passes;

use std::sync::Arc;

use anyhow::Result;

use super::trainer::{Recipe, Trainer};
use crate::config::Dtype;
use crate::data::Dataset;

pub use cuda::{cuda_devices, cuda_missing};

/// The name of this engine in keys and CSVs.
pub const NAME: &str = "dense";

/// Version of the libtorch this program was made for.
pub const LIBTORCH: &str = "2.11.0";

/// Version of the bindings.
pub const TCH: &str = "0.24.0";

/// Builds a trainer with one lane in this thread, which it must not leave; libtorch gets one thread here.
pub fn build(recipe: &Recipe, dataset: &Arc<Dataset>) -> Result<Box<dyn Trainer>> {
    tch::set_num_threads(1);
    Ok(match recipe.dtype {
        Dtype::Float32 => Box::new(mlp::Mlp::<f32>::new(recipe, Arc::clone(dataset))?),
        Dtype::Float64 => Box::new(mlp::Mlp::<f64>::new(recipe, Arc::clone(dataset))?),
    })
}
