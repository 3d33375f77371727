//! The sparse engine: only the weights that the mask keeps are stored and updated, and only the active ones are
//! multiplied, so that the cost of a step is proportional to their number.
//!
//! # Words
//!
//! - *kept*: the mask keeps the weight. Trainers store the kept weights and all biases.
//! - *active*: a kept weight, a unit or an input from which kept weights lead to the logits. Steps compute with these
//!   only.
//! - *idle*: kept, but not active. The gradient of an idle weight is 0, because no logit depends on it; the weight is
//!   stored because weight decay changes it.
//! - *pattern*: which weights of a layer are active: a matrix [active units, active units of the previous layer] in
//!   compressed sparse rows (`TiledCsr`). Its columns are split into *tiles* of 128, so that the
//!   inputs of a tile stay in the first-level cache (one tile if few weights are active); the weights in one row of one
//!   tile are a *segment*.
//! - *block*: 64 images. A batch is computed block by block: the inputs of a tile then take 128 columns · 64 images · 4
//!   bytes = 32 KiB. Arrays of a block are [features, 64 images], one aligned `Feature` per active
//!   input or unit, so that a weight is multiplied with four vectors of 16 images. If the last block of a batch has
//!   fewer images, its arrays have the same size; the inputs and the gradients of the missing images are 0.
//!
//! # A step
//!
//! For each block of the batch (`BlockState`):
//!
//! 1. load: copy the pixels of the images [images, pixels], transpose them to [pixels, images], and normalize the
//!    active ones to inputs [active inputs, images] (`inputs`);
//! 2. forward: layer by layer, outputs [active units, images] = bias + Σ weight · input over the pattern, then `ReLU`
//!    and dropout (`kernels`);
//! 3. backward: the gradient with respect to the logits [classes, images] (`logits`), then from the last layer to the
//!    first the gradient with respect to the inputs of the layer, over the transposed pattern, and the gradients of
//!    active weights and biases, which later blocks add to.
//!
//! Then the optimizer updates all stored values in one pass. Weights, gradients and moments are flat buffers of one
//! layout (`CompactNetwork`): for each layer the active weights in the order of the pattern,
//! the idle weights, the biases of active units, the biases of idle units.
//!
//! Threads share the normalization, the products and the update, split by inputs, rows, segments or values. Each sum is
//! computed by one thread in a fixed order, so the number of threads changes no bit of a result.
//!
//! # Files
//!
//! From the ground up: `tiled_csr` (the pattern of a layer), `kernels` (the products over it), `logits` and `inputs` of
//! a block, `compact` (the part of a network that a mask keeps), `batch_block` (the passes of a block), `mlp` (the
//! trainer), and `engine` (cost and limits). Vectors and threads are those of `compute`. Independent
//! of libtorch, but for the gradients of pruned weights, which a dense trainer computes.

mod batch_block;
mod compact;
mod engine;
mod inputs;
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

/// Builds a trainer with one lane for fully connected networks in float32.
///
/// # Errors
/// Fails if the network has other than linear layers, the type is not float32, or the size of the images is not that of
/// the network's input.
pub fn build(spec: &TrainerSpec, dataset: &Arc<Dataset>) -> Result<Box<dyn Trainer>> {
    ensure!(spec.dtype == Dtype::Float32, "the sparse trainer computes in float32 only");
    Ok(Box::new(mlp::SparseMlpTrainer::new(spec, Arc::clone(dataset), SimdLevel::best())?))
}
