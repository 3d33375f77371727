//! Where the parameters of all lanes lie in the flat tensors, and their way to the host and back.

use anyhow::{Result, anyhow, ensure};
use tch::{Device, Tensor};

use super::super::host_buffer;
use super::super::host_buffer::TorchElement;
use crate::base::tensors::{NamedTensor, TensorMap};
use crate::network::TensorSpec;

/// A parameter, and where its first lane lies in the flat tensors; the other lanes follow.
pub(super) struct ParamSlot {
    pub(super) parameter: TensorSpec,
    pub(super) start: usize,
}

/// The sizes of all lanes of a parameter as layers want them: convolutions lie behind each other, as groups.
pub(super) fn shape(parameter: &TensorSpec, lanes: usize) -> Vec<i64> {
    let sizes = parameter.shape.iter().map(|&n| n as i64);
    match parameter.shape.len() {
        4 => std::iter::once(lanes as i64 * parameter.shape[0] as i64).chain(sizes.skip(1)).collect(),
        _ => std::iter::once(lanes as i64).chain(sizes).collect(),
    }
}

/// Of each value of the flat tensors the lane it belongs to.
pub(super) fn lane_index(parameters: &[ParamSlot], lanes: usize, length: usize, device: Device) -> Result<Tensor> {
    let mut of = vec![0_i32; length];
    for ParamSlot { parameter, start } in parameters {
        for lane in 0..lanes {
            of[start + lane * parameter.len()..][..parameter.len()].fill(lane as i32);
        }
    }
    Ok(Tensor::from_slice(&of).f_to_device(device)?)
}

/// The gradients of the leaves as one flat tensor, with zeros where the flat tensors have gaps.
pub(super) fn flatten_gradients(parameters: &[ParamSlot], gradients: &[Tensor], length: usize) -> Result<Tensor> {
    let mut parts = Vec::new();
    let ends = parameters.iter().skip(1).map(|placed| placed.start).chain([length]);
    for ((gradient, placed), end) in gradients.iter().zip(parameters).zip(ends) {
        parts.push(gradient.f_reshape([-1])?);
        let gap = end - placed.start - gradient.numel();
        if gap > 0 {
            parts.push(gradient.f_new_zeros([gap as i64], (gradient.f_kind()?, gradient.device()))?);
        }
    }
    Ok(Tensor::f_cat(&parts, 0)?)
}

/// The tensor of a state that is for this parameter.
pub(super) fn lookup<'a>(state: &'a TensorMap, parameter: &TensorSpec) -> Result<&'a NamedTensor> {
    let tensor = state.get(&parameter.name).ok_or_else(|| anyhow!("a state without `{}`", parameter.name))?;
    ensure!(tensor.shape == parameter.shape, "`{}` has shape {:?}", parameter.name, tensor.shape);
    Ok(tensor)
}

/// The values of a parameter, which lie behind each other from `start` on, brought to the host.
pub(super) fn read_tensor<T: TorchElement>(parameter: &TensorSpec, flat: &Tensor, start: usize) -> Result<NamedTensor> {
    let here = flat.f_narrow(0, start as i64, parameter.len() as i64)?.f_to_device(Device::Cpu)?;
    let values = host_buffer::values::<T>(&here)?.iter().map(|value| value.to_f32()).collect();
    Ok(NamedTensor { name: parameter.name.clone(), shape: parameter.shape.clone(), values })
}
