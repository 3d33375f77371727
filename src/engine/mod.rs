//! Engines: the arithmetic of training. Independent of criteria, files and the terminal.
//!
//! The interface is a [`Trainer`], which takes optimizer steps, and an [`Engine`], which builds trainers and estimates
//! what their steps cost, from a [`Workload`]. [`EngineSelector`] chooses the engine of each training run. A [`Probe`]
//! computes gradients without training. A [`ScoreTrainer`] trains the masks of untrained weights, with another trainer.
//! The engines are [`torch`] (dense, with libtorch) and [`sparse`]. They share the optimizers (`optim`), the places of
//! parameters in flat buffers (`param_layout`), the floating-point types (`element`), loss, dropout, gradient clipping,
//! inputs, and the linear layers of fully connected networks (`linear_stack`).

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
mod score_trainer;
mod selection;
pub mod sparse;
pub mod torch;
mod trainer;
mod workload;

pub use optim::Optimizer;
pub use probe::{
    GradientMap, NamedGradient, NoProbe, PixelBatch, PixelOutput, Probe, ProbeBatchNorm, ProbeObjective, ProbeOptions,
};
pub use registry::{Conflict, Engine, EngineKind, Unsupported};
pub use score_trainer::ScoreTrainer;
pub use selection::EngineSelector;
pub use trainer::{Batch, RunningStatistics, Trainer, TrainerSpec};
pub use workload::{LayerWork, Workload};
