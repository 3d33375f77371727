//! The sparse trainer: only surviving weights are stored, multiplied and updated, so that a step costs what survives.
//!
//! From the ground up: vectors on every kind of processor (`simd`), where the weights are (`pattern`), the products over
//! them (`kernels`), cross-entropy (`logits`) and inputs (`gather`), threads that share one step (`team`), what a mask leaves
//! of a network (`layer`), the way of a block of images through it (`block`), and the trainer (`mlp`). Knows nothing of
//! libtorch.

mod batch_block;
mod gather;
mod kernels;
mod compact;
mod logits;
mod mlp;
mod tiled_csr;

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::trainer::{Trainer, TrainerSpec};
use crate::config::Dtype;
use crate::data::Dataset;

pub use mlp::{KernelTiming, time_kernels};

/// The name of this engine in keys and CSVs.
pub const NAME: &str = "sparse";

/// Builds a trainer with one lane, for fully connected networks in float32.
pub fn build(recipe: &TrainerSpec, dataset: &Arc<Dataset>) -> Result<Box<dyn Trainer>> {
    ensure!(recipe.dtype == Dtype::Float32, "the sparse trainer computes in float32 only");
    Ok(Box::new(mlp::SparseMlpTrainer::new(recipe, Arc::clone(dataset), crate::compute::simd::SimdLevel::best())?))
}
