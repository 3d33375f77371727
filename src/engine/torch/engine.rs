//! The dense engine: the cost of its steps, and the networks and options that it supports (all).

use std::sync::Arc;

use anyhow::Result;

use super::build;
use crate::base::units::Nanoseconds;
use crate::data::Dataset;
use crate::engine::registry::{Engine, Unsupported};
use crate::engine::trainer::{Trainer, TrainerSpec};
use crate::engine::workload::Workload;

/// Constants of the cost estimate in nanoseconds, measured with `benches/dense_step.rs` and `benches/roofline.rs` for
/// LeNet-300-100 at batch 60 on one core of an Intel Xeon with AVX-512 (libtorch 2.11.0).
mod nanoseconds {
    /// A multiply-add of a matrix product.
    pub(super) const PRODUCT: f64 = 13e-3;
    /// A weight in all of a step but the products. Most of this time is the update by Adam, which waits for memory.
    pub(super) const UPDATE: f64 = 0.55;
}

/// Trains on libtorch: stores and multiplies every weight. Supports every network and option.
pub(in crate::engine) struct DenseEngine;

impl Engine for DenseEngine {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn supports(&self, _spec: &TrainerSpec, _lanes: usize) -> Result<(), Unsupported> {
        Ok(())
    }

    fn step_cost(&self, workload: &Workload, _kept: &[u64]) -> Nanoseconds {
        let layers = workload.layers.iter().enumerate().map(|(index, layer)| {
            // Three products: the outputs, the gradient of the weights, and, in all layers but the first, that of the
            // inputs.
            let passes = if index == 0 { 2.0 } else { 3.0 };
            let products = passes * workload.batch_size as f64 * nanoseconds::PRODUCT;
            Nanoseconds(layer.weights as f64 * (layer.macs_per_weight as f64 * products + nanoseconds::UPDATE))
        });
        layers.sum()
    }

    fn evaluation_cost(&self, workload: &Workload, _kept: &[u64]) -> Nanoseconds {
        let macs: u64 = workload.layers.iter().map(|layer| layer.weights * layer.macs_per_weight).sum();
        Nanoseconds(macs as f64 * nanoseconds::PRODUCT)
    }

    fn build(&self, spec: &TrainerSpec, dataset: &Arc<Dataset>, lanes: usize) -> Result<Box<dyn Trainer>> {
        build(spec, dataset, lanes)
    }
}
