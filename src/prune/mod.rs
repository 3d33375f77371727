//! What is cut: criterion, scope, rate and exact selection, as pure functions of host values. Knows no experiment.

mod criterion;
mod random;
mod schedule;
mod select;

pub use random::random_mask;
pub use schedule::{PruningSchedule, RemainingCounts, ScoreInputs};
