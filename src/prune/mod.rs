//! Pruning: criterion, scope, rate and exact selection, as pure functions of host values. Independent of experiments.
//!
//! A round of pruning computes how many weights remain ([`PruningRates::after_round`], before anything is trained),
//! scores the weights ([`scores`]), and prunes those with the lowest scores ([`PruningRates::prune_to`]).

mod allocation;
mod criterion;
mod mask_distance;
mod random;
mod rates;
mod regrow;
mod select;
mod tie_break;

pub use allocation::{AllocatedLayer, AllocationError, allocate};
pub use criterion::{LayerWeights, scores};
pub use mask_distance::mask_distance;
pub use random::random_mask;
pub use rates::{PruningRates, RemainingCounts, ScoreInputs};
pub use regrow::{RegrowScores, regrow};
pub use select::keep_highest;
