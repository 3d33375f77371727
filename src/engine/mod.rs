//! Engines: what takes optimizer steps. Knows no criterion, no file, no terminal.

mod choice;
mod aligned;
mod clip;
pub mod dense;
mod dropout;
mod element;
mod input;
mod linears;
mod loss;
mod optimizer;
pub mod sparse;
mod trainer;

pub use choice::{EngineKind, EngineSelector, build};
pub use optimizer::Optimizer;
pub use trainer::{Batch, Trainer, TrainerSpec};
