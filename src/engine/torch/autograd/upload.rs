//! Small numbers to the device without waiting for it.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// `values` where the device can reach them. The copy is queued behind what the device has to do: up to 64 KiB (8,192 numbers)
/// CUDA reads ordinary memory into a buffer of its own before the call returns, and waits for nothing; more than that it may
/// wait for.
pub(super) fn upload(values: &[i64], device: Device) -> Result<Tensor> {
    let here = Tensor::from_slice(values);
    if device == Device::Cpu {
        return Ok(here);
    }
    Ok(here.f_to_device_(device, Kind::Int64, true, false)?)
}
