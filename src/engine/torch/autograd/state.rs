//! The state of each lane: loading it, and reading it back.

use std::ops::Range;

use anyhow::{Result, ensure};
use tch::Tensor;

use super::super::host_buffer::TorchElement;
use super::super::typed_state::TypedState;
use super::lane_tensors::{read_lane, read_values, write_lane, write_values, zero_lane};
use super::memory::Memory;
use super::{AutogradTrainer, LaneProgress};
use crate::base::mask::Mask;
use crate::base::tensors::{Float, Snapshot, TensorMap};
use crate::engine::param_layout::ParamSlot;
use crate::network::init_buffers;

impl<T: TorchElement> AutogradTrainer<T> {
    /// Sets the mask of one lane.
    fn load_mask(&mut self, lane: usize, mask: &Mask) -> Result<()> {
        let is_dense = mask.kept_total() == mask.total();
        if is_dense && self.kept.is_none() {
            return Ok(());
        }
        let mut kept = self.kept.clone().unwrap_or_else(|| vec![true; self.layout.len()]);
        self.layout.expand_mask(mask, lane, &mut kept)?;
        self.kept = kept.contains(&false).then_some(kept);
        if self.memory == Memory::Device || self.spec.clip_norm.is_some() {
            let to_device = |kept: &Vec<bool>| Tensor::from_slice(kept).f_to_device(self.device);
            self.device_mask = self.kept.as_ref().map(to_device).transpose()?;
        }
        Ok(())
    }

    /// Sets the running statistics of one lane: those of `state`, or those of an untrained network if `state` is empty.
    fn load_buffers<S: Float>(&mut self, lane: usize, state: &TensorMap<S>) -> Result<()> {
        if state.0.is_empty() && !self.buffers.is_empty() {
            return self.load_buffers(lane, &init_buffers(&self.spec.network));
        }
        for ((slot, tensor), buffer) in self.buffer_layout.tensors(state)?.into_iter().zip(&self.buffers) {
            write_values::<T, S>(buffer, buffer_range(slot, lane), &tensor.values)?;
        }
        Ok(())
    }
}

impl<T: TorchElement> TypedState for AutogradTrainer<T> {
    fn load_state<S: Float>(&mut self, lane: usize, mut from: Snapshot<S>, mask: &Mask) -> Result<()> {
        ensure!(lane < self.progress.len(), "a lane that is not there");
        self.spec.check_moments(&from)?;
        self.recorder.clear();
        let _guard = tch::no_grad_guard();
        mask.apply(&mut from.weights);
        from.moments.iter_mut().for_each(|moment| mask.apply(moment));
        write_lane::<T, S>(&self.layout, lane, &from.weights, &self.weights)?;
        for (index, moment) in self.moments.iter().enumerate() {
            match from.moments.get(index) {
                Some(state) => write_lane::<T, S>(&self.layout, lane, state, moment)?,
                // A snapshot without moments means zero moments.
                None => zero_lane(&self.layout, lane, moment)?,
            }
        }
        self.load_buffers(lane, &from.buffers)?;
        self.load_mask(lane, mask)?;
        self.progress[lane] = LaneProgress { iteration: from.iteration, optimizer_steps: from.optimizer_steps };
        Ok(())
    }

    fn read_state<S: Float>(&self, lane: usize) -> Result<Snapshot<S>> {
        ensure!(lane < self.progress.len(), "a lane that is not there");
        let LaneProgress { iteration, optimizer_steps } = self.progress[lane];
        // A snapshot without moments means zero moments, as they are before the first step.
        let moments = if optimizer_steps == 0 { &[] } else { self.moments.as_slice() };
        let mut buffers = Vec::new();
        for (slot, buffer) in self.buffer_layout.slots().iter().zip(&self.buffers) {
            buffers.push(slot.named(read_values::<T, S>(buffer, buffer_range(slot, lane))?));
        }
        Ok(Snapshot {
            weights: read_lane::<T, S>(&self.layout, lane, &self.weights)?,
            moments: moments
                .iter()
                .map(|moment| read_lane::<T, S>(&self.layout, lane, moment))
                .collect::<Result<_>>()?,
            buffers: TensorMap(buffers),
            scores: TensorMap::default(),
            iteration,
            optimizer_steps,
        })
    }
}

/// Returns the positions of one lane in the tensor that holds all lanes of a running statistic.
fn buffer_range(slot: &ParamSlot, lane: usize) -> Range<usize> {
    let channels = slot.spec.len();
    lane * channels..(lane + 1) * channels
}
