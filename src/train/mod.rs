//! The training loop of one network, or of several in lockstep: the order of the images, the learning rate, and when to
//! evaluate. Independent of arms and files.

mod lr_schedule;
mod sampler;
mod training_loop;

pub use lr_schedule::{LrSchedule, validate_lr_schedule};
pub use sampler::{BatchSampler, iterations_per_epoch};
pub use training_loop::{LaneInput, TrainedLane, TrainingEnd, TrainingLoop, TrainingProgress};
