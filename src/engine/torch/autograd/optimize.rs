//! The optimizer's part of a step: by loops on the host, by tensor operations on a device.

use anyhow::Result;
use tch::Tensor;

use super::super::host_buffer;
use super::super::host_buffer::TorchElement;
use super::lane_tensors::flatten_gradients;
use super::step_inputs::{InputsShape, StepInputs};
use super::update::FlatParams;
use super::{AutogradTrainer, clip, update};
use crate::engine::optim::{self, MAX_MOMENTS, ParameterSlices, moment_slots};

impl<T: TorchElement> AutogradTrainer<T> {
    /// Applies the optimizer. `gradients` are those of the leaves; `lr` has one learning rate per lane.
    pub(super) fn update(&mut self, gradients: &[Tensor], inputs: &StepInputs, lr: &[f64]) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let clipped = self.spec.clip_norm.map(|max_norm| self.clipped(gradients, max_norm)).transpose()?;
        let gradients = clipped.as_deref().unwrap_or(gradients);
        let Some(lane_index) = &self.lane_index else { return self.update_on_host(gradients, lr) };
        let InputsShape { shares_factors, .. } = inputs.shape();
        let factors = update::expanded(&inputs.factors()?, shares_factors, lane_index, &self.weights)?;
        let flat = FlatParams {
            weights: &mut self.weights,
            gradients: flatten_gradients(&self.layout, gradients)?,
            moments: &mut self.moments,
            kept: self.device_mask.as_ref(),
        };
        update::update(&self.spec.optimizer, &factors, flat)
    }

    /// Applies the optimizer by loops over the weights.
    fn update_on_host(&mut self, gradients: &[Tensor], lr: &[f64]) -> Result<()> {
        for (slot, gradient) in self.layout.slots().iter().zip(gradients) {
            let gradient = gradient.f_contiguous()?;
            let gradient = host_buffer::values::<T>(&gradient)?.chunks_exact(slot.spec.len());
            for (lane, ((gradients, &lr), progress)) in gradient.zip(lr).zip(&self.progress).enumerate() {
                let range = slot.range(lane);
                let mut moments = Vec::with_capacity(MAX_MOMENTS);
                for moment in &mut self.moments {
                    moments.push(&mut host_buffer::values_mut::<T>(moment)?[range.clone()]);
                }
                let parameters = ParameterSlices {
                    weights: &mut host_buffer::values_mut::<T>(&mut self.weights)?[range.clone()],
                    gradients,
                    moments: moment_slots(moments.into_iter()),
                    kept: self.kept.as_ref().map(|kept| &kept[range]),
                };
                optim::update(&self.spec.optimizer, lr, progress.optimizer_steps + 1, parameters);
            }
        }
        Ok(())
    }

    /// Returns the gradients of the leaves, scaled down in each lane to a norm of at most `max_norm`.
    fn clipped(&self, gradients: &[Tensor], max_norm: f64) -> Result<Vec<Tensor>> {
        clip::clipped(gradients, max_norm, self.lane_count(), |index| {
            let start = self.layout.slots()[index].start as i64;
            let n = gradients[index].numel() as i64;
            Ok(self.device_mask.as_ref().map(|mask| mask.f_narrow(0, start, n)).transpose()?)
        })
    }
}
