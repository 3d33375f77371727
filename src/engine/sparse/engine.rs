//! The sparse engine: its cost, and what it supports.

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

/// Nanoseconds of the estimate, as `benches/roofline.rs` gave them for LeNet-300-100 at batch 60 on one core of an Intel Xeon
/// with AVX-512. A block is 64 images.
mod nanoseconds {
    /// A multiply-add of a remaining weight in the forward pass of a block.
    pub(super) const FORWARD: f64 = 1.15;
    /// A multiply-add in the gradient of a remaining weight, per block.
    pub(super) const WEIGHT_GRADIENT: f64 = 1.35;
    /// A multiply-add of a remaining weight in the gradient of a layer's inputs, per block.
    pub(super) const INPUT_GRADIENT: f64 = 1.3;
    /// The update of a remaining weight by Adam.
    pub(super) const UPDATE: f64 = 0.4;
    /// An input feature of a block of training images: read from scattered addresses, transposed and converted.
    pub(super) const GATHER: f64 = 20.0;
    /// An input feature of a block for evaluation, which has been transposed before.
    pub(super) const UNPACK: f64 = 5.0;
}

/// Stores and multiplies the remaining weights only. One network of linear layers at a time, in float32 on the CPU.
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
        let layers = workload.layers.iter().zip(kept).enumerate().map(|(number, (layer, &kept))| {
            // The gradient of the images is not computed.
            let input_gradient = if number == 0 { 0.0 } else { nanoseconds::INPUT_GRADIENT };
            let products = blocks * (nanoseconds::FORWARD + nanoseconds::WEIGHT_GRADIENT + input_gradient);
            Nanoseconds(kept as f64 * (layer.macs_per_weight as f64 * products + nanoseconds::UPDATE))
        });
        layers.sum::<Nanoseconds>() + Nanoseconds(blocks * workload.inputs as f64 * nanoseconds::GATHER)
    }

    fn evaluation_cost(&self, workload: &Workload, kept: &[u64]) -> Nanoseconds {
        let macs: u64 = workload.layers.iter().zip(kept).map(|(layer, kept)| kept * layer.macs_per_weight).sum();
        let unpack = workload.inputs as f64 * nanoseconds::UNPACK;
        Nanoseconds((macs as f64 * nanoseconds::FORWARD + unpack) / IMAGES as f64)
    }

    fn build(&self, spec: &TrainerSpec, dataset: &Arc<Dataset>, lanes: usize) -> Result<Box<dyn Trainer>> {
        ensure!(lanes == 1, "the sparse trainer trains one network at a time, not {lanes}");
        build(spec, dataset)
    }
}

/// Returns the kind of `layer`, in the plural, if the engine does not support it. Every kind is named, so that the compiler
/// asks about a new one.
fn unsupported_layer(layer: &Layer) -> Option<&'static str> {
    match layer {
        Layer::Flatten | Layer::Linear { .. } | Layer::Relu | Layer::Dropout { .. } => None,
        Layer::Conv { .. } => Some("convolutions"),
        Layer::BatchNorm { .. } => Some("batch norm"),
        Layer::MaxPool { .. } | Layer::AvgPool { .. } | Layer::GlobalAvgPool => Some("pooling"),
        Layer::Residual { .. } => Some("residual blocks"),
    }
}
