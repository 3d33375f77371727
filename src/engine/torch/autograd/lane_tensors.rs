//! Flat tensors that hold the parameters of all lanes in a [`ParamLayout`], and copies of their values to and from the
//! host.

use std::ops::Range;

use anyhow::Result;
use tch::{Device, Tensor};

use super::super::host_buffer;
use super::super::host_buffer::TorchElement;
use crate::base::tensors::{Float, TensorMap};
use crate::engine::param_layout::{ParamLayout, ParamSlot};
use crate::network::TensorSpec;

/// Returns the shape of a parameter of `lanes` networks as layers use it: [lanes · out, in, height, width] for a
/// convolution, whose lanes are groups; [lanes, …] for others.
pub(super) fn lane_shape(spec: &TensorSpec, lanes: usize) -> Vec<i64> {
    let sizes = spec.shape.iter().map(|&n| n as i64);
    match spec.shape.len() {
        4 => std::iter::once(lanes as i64 * spec.shape[0] as i64).chain(sizes.skip(1)).collect(),
        _ => std::iter::once(lanes as i64).chain(sizes).collect(),
    }
}

/// Returns the lane of each value of a flat tensor, as int32 on `device`; 0 in gaps.
pub(super) fn lane_index(layout: &ParamLayout, lanes: usize, device: Device) -> Result<Tensor> {
    let mut index = vec![0_i32; layout.len()];
    for slot in layout.slots() {
        for lane in 0..lanes {
            index[slot.range(lane)].fill(lane as i32);
        }
    }
    Ok(Tensor::from_slice(&index).f_to_device(device)?)
}

/// Joins the gradients of all parameters, in the order of slots, to a flat tensor of this layout, with 0 in gaps.
pub(super) fn flatten_gradients(layout: &ParamLayout, gradients: &[Tensor]) -> Result<Tensor> {
    let mut parts = Vec::new();
    let ends = layout.slots().iter().skip(1).map(|slot| slot.start).chain([layout.len()]);
    for ((gradient, slot), end) in gradients.iter().zip(layout.slots()).zip(ends) {
        parts.push(gradient.f_reshape([-1])?);
        let gap = end - slot.start - gradient.numel();
        if gap > 0 {
            parts.push(gradient.f_new_zeros([gap as i64], (gradient.f_kind()?, gradient.device()))?);
        }
    }
    Ok(Tensor::f_cat(&parts, 0)?)
}

/// Writes the tensors of `state` to one lane of `flat`.
///
/// # Errors
/// Fails if `state` does not have the tensors of the layout.
pub(super) fn write_lane<T: TorchElement, S: Float>(
    layout: &ParamLayout,
    lane: usize,
    state: &TensorMap<S>,
    flat: &Tensor,
) -> Result<()> {
    for (slot, tensor) in layout.tensors(state)? {
        write_values::<T, S>(flat, slot.range(lane), &tensor.values)?;
    }
    Ok(())
}

/// Sets one lane of `flat` to 0.
pub(super) fn zero_lane(layout: &ParamLayout, lane: usize, flat: &Tensor) -> Result<()> {
    for slot in layout.slots() {
        let _ = part(flat, slot.range(lane))?.f_zero_()?;
    }
    Ok(())
}

/// Returns one lane of `flat` as named tensors on the host.
pub(super) fn read_lane<T: TorchElement, S: Float>(
    layout: &ParamLayout,
    lane: usize,
    flat: &Tensor,
) -> Result<TensorMap<S>> {
    let tensor = |slot: &ParamSlot| Ok(slot.named(read_values::<T, S>(flat, slot.range(lane))?));
    Ok(TensorMap(layout.slots().iter().map(tensor).collect::<Result<_>>()?))
}

/// Copies `values` to the values of `flat` at `range`.
pub(super) fn write_values<T: TorchElement, S: Float>(flat: &Tensor, range: Range<usize>, values: &[S]) -> Result<()> {
    let values: Vec<T> = values.iter().map(|value| T::from_f64(value.to_f64())).collect();
    part(flat, range)?.f_copy_(&Tensor::from_slice(&values))?;
    Ok(())
}

/// Returns the values of `flat` at `range`, copied to the host.
pub(super) fn read_values<T: TorchElement, S: Float>(flat: &Tensor, range: Range<usize>) -> Result<Vec<S>> {
    let values = part(flat, range)?.f_to_device(Device::Cpu)?;
    Ok(host_buffer::values::<T>(&values)?.iter().map(|value| S::from_f64(value.to_f64())).collect())
}

/// Returns a view of the values of `flat` at `range`.
fn part(flat: &Tensor, range: Range<usize>) -> Result<Tensor> {
    Ok(flat.f_narrow(0, range.start as i64, range.len() as i64)?)
}
