//! The sparse engine: only the remaining weights are stored, multiplied and updated, so that the cost of a step is
//! proportional to them.
//!
//! From the ground up: the positions of the remaining weights of a layer (`tiled_csr`), the matrix products over them
//! (`kernels`), cross-entropy (`logits`) and inputs (`gather`) of a block of 64 images, the network that a mask leaves
//! (`compact`), the passes of a block through it (`batch_block`), the trainer (`mlp`), and its cost and limits (`engine`). The
//! vectors and the threads are those of [`compute`](crate::compute). Does not use libtorch.

mod batch_block;
mod compact;
mod engine;
mod gather;
mod kernels;
mod logits;
mod mlp;
mod tiled_csr;

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::trainer::{Trainer, TrainerSpec};
use crate::compute::simd::SimdLevel;
use crate::config::Dtype;
use crate::data::Dataset;

pub(super) use engine::SparseEngine;
pub use mlp::{KernelTiming, time_kernels};

/// Builds a trainer with one lane, for fully connected networks in float32.
///
/// # Errors
/// Fails if the network has other than linear layers, the type is not float32, or the size of the images is not that of the
/// network's input.
pub fn build(spec: &TrainerSpec, dataset: &Arc<Dataset>) -> Result<Box<dyn Trainer>> {
    ensure!(spec.dtype == Dtype::Float32, "the sparse trainer computes in float32 only");
    Ok(Box::new(mlp::SparseMlpTrainer::new(spec, Arc::clone(dataset), SimdLevel::best())?))
}
