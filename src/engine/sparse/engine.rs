//! The sparse engine: the cost of its steps, and the networks and options that it supports.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::build;
use super::kernels::IMAGES;
use crate::base::units::Nanoseconds;
use crate::config::Dtype;
use crate::data::Dataset;
use crate::engine::registry::{Conflict, Engine, EngineKind, Unsupported};
use crate::engine::trainer::{Trainer, TrainerSpec};
use crate::engine::workload::Workload;
use crate::network::Layer;

/// Constants of the cost estimate in nanoseconds, measured with `benches/roofline.rs` for LeNet-300-100 at batch 60 on
/// one core of an Intel Xeon with AVX-512. A block is 64 images.
mod nanoseconds {
    /// A multiply-add of a kept weight in the forward pass of a block.
    pub(super) const FORWARD: f64 = 1.15;
    /// A multiply-add in the gradient of a kept weight, per block.
    pub(super) const WEIGHT_GRADIENT: f64 = 1.35;
    /// A multiply-add of a kept weight in the gradient of a layer's inputs, per block.
    pub(super) const INPUT_GRADIENT: f64 = 1.3;
    /// The update of a kept weight by Adam.
    pub(super) const UPDATE: f64 = 0.4;
    /// An input of a block of training images: read from scattered addresses, transposed and normalized.
    pub(super) const LOAD_AND_NORMALIZE: f64 = 20.0;
    /// An input of a block for evaluation, whose pixels have been transposed before: normalized only.
    pub(super) const NORMALIZE: f64 = 5.0;
}

/// Stores the kept weights only, and computes with the active ones. Supports one network of linear layers at a time, in
/// float32 on the CPU.
pub(in crate::engine) struct SparseEngine;

impl Engine for SparseEngine {
    fn name(&self) -> &'static str {
        "sparse"
    }

    fn supports(&self, spec: &TrainerSpec, lanes: usize) -> Result<(), Unsupported> {
        let unsupported = |limit, conflict| Err(Unsupported { engine: EngineKind::Sparse, limit, conflict });
        if spec.gpu.is_some() {
            return unsupported("it runs on the CPU", Conflict::Device { supported: "cpu" });
        }
        if spec.dtype != Dtype::Float32 {
            return unsupported("it computes in float32", Conflict::Dtype { supported: Dtype::Float32 });
        }
        if !spec.augment.is_none() {
            return unsupported("it shows images as they are", Conflict::Augmentation);
        }
        if let Some(layers) = spec.network.layers.iter().find_map(unsupported_layer) {
            return unsupported("it knows linear layers only", Conflict::Layer { layers });
        }
        if lanes > 1 {
            return unsupported("it trains one network at a time", Conflict::Lanes { supported: 1 });
        }
        Ok(())
    }

    fn step_cost(&self, workload: &Workload, kept: &[u64]) -> Nanoseconds {
        let blocks = workload.batch_size.div_ceil(IMAGES as u64) as f64;
        let layers = workload.layers.iter().zip(kept).enumerate().map(|(index, (layer, &kept))| {
            // The gradient of the images is not computed.
            let input_gradient = if index == 0 { 0.0 } else { nanoseconds::INPUT_GRADIENT };
            let products = blocks * (nanoseconds::FORWARD + nanoseconds::WEIGHT_GRADIENT + input_gradient);
            Nanoseconds(kept as f64 * (layer.macs_per_weight as f64 * products + nanoseconds::UPDATE))
        });
        layers.sum::<Nanoseconds>() + Nanoseconds(blocks * workload.inputs as f64 * nanoseconds::LOAD_AND_NORMALIZE)
    }

    fn evaluation_cost(&self, workload: &Workload, kept: &[u64]) -> Nanoseconds {
        let macs: u64 = workload.layers.iter().zip(kept).map(|(layer, kept)| kept * layer.macs_per_weight).sum();
        let normalize = workload.inputs as f64 * nanoseconds::NORMALIZE;
        Nanoseconds((macs as f64 * nanoseconds::FORWARD + normalize) / IMAGES as f64)
    }

    fn build(&self, spec: &TrainerSpec, dataset: &Arc<Dataset>, lanes: usize) -> Result<Box<dyn Trainer>> {
        ensure!(lanes == 1, "the sparse trainer trains one network at a time, not {lanes}");
        build(spec, dataset)
    }
}

/// Returns the kind of `layer`, in the plural, if the engine does not support the layer. The match names every kind, so
/// that the compiler rejects it when a kind is added.
fn unsupported_layer(layer: &Layer) -> Option<&'static str> {
    match layer {
        Layer::Flatten | Layer::Linear { .. } | Layer::Relu | Layer::Dropout { .. } => None,
        Layer::Conv { .. } => Some("convolutions"),
        Layer::BatchNorm { .. } => Some("batch norm"),
        Layer::MaxPool { .. } | Layer::AvgPool { .. } | Layer::GlobalAvgPool => Some("pooling"),
        Layer::Residual { .. } => Some("residual blocks"),
    }
}
