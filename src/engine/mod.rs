//! Engines: the arithmetic of training. Do not depend on criteria, files or the terminal.
//!
//! The interface is a [`Trainer`], which takes optimizer steps, and an [`Engine`], which builds trainers and estimates what
//! their steps cost. [`EngineSelector`] chooses the engine of each training run. Shared by the engines: the optimizers
//! (`optim`), loss, dropout, gradient clipping, inputs, and the stack of linear layers of fully connected networks.

mod clip;
mod dropout;
mod element;
mod input;
mod linear_stack;
mod loss;
pub mod optim;
mod param_layout;
mod probe;
mod registry;
mod selection;
pub mod sparse;
pub mod torch;
mod trainer;
mod workload;

pub use optim::Optimizer;
pub use probe::{GradientMap, NamedGradient, Probe, ProbeBatchNorm, ProbeObjective, ProbeOptions};
pub use registry::{Conflict, Engine, EngineKind, Unsupported};
pub use selection::EngineSelector;
pub use trainer::{Batch, Trainer, TrainerSpec};
pub use workload::{LayerWork, Workload};
