//! The exact state of a network in its own floating-point type, for both trainers of this engine.

use anyhow::Result;

use crate::base::mask::Mask;
use crate::base::tensors::{Float, LaneState, Snapshot};
use crate::config::Dtype;

/// A trainer whose state is loaded and read in any floating-point type.
pub(super) trait TypedState {
    /// Loads a state into a lane, pruned by `mask`; its values are converted exactly or rounded to the nearest.
    fn load_state<S: Float>(&mut self, lane: usize, from: Snapshot<S>, mask: &Mask) -> Result<()>;

    /// Returns the state of a lane; its values are converted exactly or rounded to the nearest.
    fn read_state<S: Float>(&self, lane: usize) -> Result<Snapshot<S>>;

    /// Returns the state of a lane in the type `dtype`.
    fn lane_state(&self, lane: usize, dtype: Dtype) -> Result<LaneState> {
        Ok(match dtype {
            Dtype::Float32 => LaneState::Float32(self.read_state(lane)?),
            Dtype::Float64 => LaneState::Float64(self.read_state(lane)?),
        })
    }

    /// Loads what [`lane_state`](Self::lane_state) has returned.
    fn load_lane_state(&mut self, lane: usize, from: &LaneState, mask: &Mask) -> Result<()> {
        match from {
            LaneState::Float32(state) => self.load_state(lane, state.clone(), mask),
            LaneState::Float64(state) => self.load_state(lane, state.clone(), mask),
        }
    }
}
