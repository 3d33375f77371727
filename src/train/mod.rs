//! The training loop of one network, or of several in lockstep: the order of the images, the learning rate, and when to
//! evaluate. And `robustness`, which measures a trained network. Independent of arms and files.

mod lr_schedule;
mod mask_updates;
pub mod robustness;
mod sampler;
mod training_loop;

pub use lr_schedule::{LrSchedule, validate_lr_schedule};
pub use mask_updates::{DropAndGrow, MaskUpdates, UpdateRule, UpdateSchedule};
pub use sampler::{BatchSampler, iterations_per_epoch};
pub use training_loop::{
    LaneInput, MaskUpdate, TrainedLane, TrainingEnd, TrainingLoop, TrainingProgress, UpdatedMasks,
};
