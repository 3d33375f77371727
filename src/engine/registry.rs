//! The list of engines, and the interface of an engine.
//!
//! A new engine is a variant of [`EngineKind`] (with its entry in [`EngineKind::ALL`]), an implementation of
//! [`Engine`], and a line in [`EngineKind::engine`]. If users may request it by name, it is a variant of
//! [`EngineChoice`](crate::config::EngineChoice) too.

use std::sync::Arc;

use anyhow::Result;

use super::trainer::{Trainer, TrainerSpec};
use super::workload::Workload;
use super::{sparse, torch};
use crate::base::units::Nanoseconds;
use crate::config::Dtype;
use crate::data::Dataset;

/// An implementation of training: builds trainers, and estimates the cost of their steps.
///
/// Costs are a function of shapes and counts alone and never of a timing, so that an experiment uses the same engines
/// on every machine. Keys depend on them: if an estimate changes, some training runs are assigned to another engine and
/// get another key.
pub trait Engine: Sync {
    /// Returns the name in keys, configurations and CSV files.
    fn name(&self) -> &'static str;

    /// Checks that a trainer for `lanes` networks can be built. Depends on the arguments alone, not on the machine.
    ///
    /// # Errors
    /// Returns the first limit of the engine that the request exceeds.
    fn supports(&self, spec: &TrainerSpec, lanes: usize) -> Result<(), Unsupported>;

    /// Returns the estimated time of one optimizer step of one network. `kept` is the number of kept weights of each
    /// prunable layer, in the network's order.
    fn step_cost(&self, workload: &Workload, kept: &[u64]) -> Nanoseconds;

    /// Returns the estimated time per image of an evaluation of many images. `kept` is as in [`Engine::step_cost`].
    fn evaluation_cost(&self, workload: &Workload, kept: &[u64]) -> Nanoseconds;

    /// Builds a trainer for `lanes` networks, in the thread that will use it.
    ///
    /// # Errors
    /// Fails if the engine does not support the request, or the device is missing or has too little memory.
    fn build(&self, spec: &TrainerSpec, dataset: &Arc<Dataset>, lanes: usize) -> Result<Box<dyn Trainer>>;
}

/// Names an engine without building it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineKind {
    /// [`torch`]: stores every weight and multiplies with it.
    Dense,
    /// [`sparse`]: stores the kept weights only.
    Sparse,
}

impl EngineKind {
    /// Every engine. Of engines with equal cost, [`EngineSelector`](super::EngineSelector) selects the first.
    pub const ALL: [Self; 2] = [Self::Dense, Self::Sparse];

    /// Returns the engine of this kind.
    pub fn engine(self) -> &'static dyn Engine {
        match self {
            Self::Dense => &torch::DenseEngine,
            Self::Sparse => &sparse::SparseEngine,
        }
    }

    /// Returns the name in keys and CSV files.
    pub fn as_str(self) -> &'static str {
        self.engine().name()
    }
}

/// The reason why an engine cannot train a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {} trainer cannot be used: {limit}", engine.as_str())]
pub struct Unsupported {
    /// The engine.
    pub engine: EngineKind,
    /// The engine's limit as a clause, such as `it computes in float32`.
    pub limit: &'static str,
    /// The part of the request that exceeds it.
    pub conflict: Conflict,
}

/// The part of a request that exceeds a limit of an engine, and the values that the engine supports instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The device.
    Device {
        /// The kind of device that is supported.
        supported: &'static str,
    },
    /// The type of the arithmetic.
    Dtype {
        /// The type that is supported.
        supported: Dtype,
    },
    /// The augmentation of training images.
    Augmentation,
    /// A layer of the network.
    Layer {
        /// The kind of layer, in the plural.
        layers: &'static str,
    },
    /// The number of networks trained in lockstep.
    Lanes {
        /// The largest number that is supported.
        supported: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engine_list_is_complete_and_names_are_pinned() {
        // With a new engine this match does not compile: add the engine here and to `EngineKind::ALL`.
        let name = |kind: EngineKind| match kind {
            EngineKind::Dense => "dense",
            EngineKind::Sparse => "sparse",
        };
        assert_eq!(EngineKind::ALL.map(EngineKind::as_str), ["dense", "sparse"]);
        assert!(EngineKind::ALL.into_iter().all(|kind| kind.as_str() == name(kind)));
    }
}
