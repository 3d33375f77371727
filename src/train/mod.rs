//! One training, or several in lockstep: which images when, when to evaluate, and what was measured. Knows no arm and no file.

mod order;
mod schedule;
mod session;

pub use order::BatchSampler;
pub use schedule::{LrSchedule, validate_lr_schedule};
pub use session::{LaneInput, TrainedLane, TrainingEnd, TrainingLoop};
