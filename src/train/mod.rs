//! One training, or several in lockstep: which images when, when to evaluate, and what was measured. Knows no arm and no file.

mod sampler;
mod lr_schedule;
mod training_loop;

pub use lr_schedule::{LrSchedule, validate_lr_schedule};
pub use sampler::BatchSampler;
pub use training_loop::{LaneInput, TrainedLane, TrainingEnd, TrainingLoop};
