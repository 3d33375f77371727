//! Engines: what takes optimizer steps. Knows no criterion, no file, no terminal.

mod selection;
mod clip;
pub mod torch;
mod dropout;
mod element;
mod input;
mod linear_stack;
mod loss;
mod optimizer;
mod param_layout;
mod probe;
pub mod sparse;
mod trainer;

pub use optimizer::Optimizer;
pub use probe::{GradientMap, NamedGradient, Probe, ProbeBatchNorm, ProbeObjective, ProbeOptions};
pub use selection::{EngineKind, EngineSelector, build};
pub use trainer::{Batch, Trainer, TrainerSpec};
