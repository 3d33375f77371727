//! The state of the network: loading it, and reading it back.

use anyhow::{Result, ensure};

use super::super::host_buffer::TorchElement;
use super::super::typed_state::TypedState;
use super::MlpTrainer;
use crate::base::mask::Mask;
use crate::base::tensors::{Float, Snapshot, TensorMap};

impl<T: TorchElement> TypedState for MlpTrainer<T> {
    fn load_state<S: Float>(&mut self, lane: usize, mut from: Snapshot<S>, mask: &Mask) -> Result<()> {
        ensure!(lane == 0, "the dense trainer has one lane");
        self.spec.check_moments(&from)?;
        mask.apply(&mut from.weights);
        from.moments.iter_mut().for_each(|moment| mask.apply(moment));
        self.layout.write(&from.weights, self.weights.slice_mut())?;
        for (index, moment) in self.moments.iter_mut().enumerate() {
            match from.moments.get(index) {
                Some(state) => self.layout.write(state, moment.slice_mut())?,
                // A snapshot without moments means zero moments.
                None => moment.slice_mut().fill(T::default()),
            }
        }
        self.kept = None;
        if mask.kept_total() < mask.total() {
            let mut kept = vec![true; self.layout.len()];
            self.layout.expand_mask(mask, 0, &mut kept)?;
            self.kept = Some(kept);
        }
        self.iteration = from.iteration;
        self.optimizer_steps = from.optimizer_steps;
        Ok(())
    }

    fn read_state<S: Float>(&self, lane: usize) -> Result<Snapshot<S>> {
        ensure!(lane == 0, "the dense trainer has one lane");
        // A snapshot without moments means zero moments, as they are before the first step.
        let moments = if self.optimizer_steps == 0 { &[] } else { self.moments.as_slice() };
        Ok(Snapshot {
            weights: self.layout.read(self.weights.slice()),
            moments: moments.iter().map(|moment| self.layout.read(moment.slice())).collect(),
            buffers: TensorMap::default(),
            scores: TensorMap::default(),
            iteration: self.iteration,
            optimizer_steps: self.optimizer_steps,
        })
    }
}
