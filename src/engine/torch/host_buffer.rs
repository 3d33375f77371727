//! Memory shared by libtorch and plain loops: the only place where tensor memory is read and written as slices.
#![expect(unsafe_code, reason = "libtorch hands out its memory as a raw pointer only")]

use std::marker::PhantomData;

use anyhow::{Result, ensure};
use tch::{Device, Tensor};

use crate::engine::element::Element;

/// Values per cache line of 64 bytes in float32, the smaller type: every matrix starts at a multiple of this number.
pub(super) const ALIGN: usize = 16;

/// A floating-point type of the engines that libtorch has too.
pub(super) trait TorchElement: Element + tch::kind::Element {}

impl TorchElement for f32 {}
impl TorchElement for f64 {}

/// A flat buffer in CPU memory, owned by libtorch.
pub(super) struct HostBuffer<T> {
    tensor: Tensor,
    len: usize,
    element: PhantomData<T>,
}

impl<T: TorchElement> HostBuffer<T> {
    /// Returns a buffer of `len` zeros.
    ///
    /// # Errors
    /// Fails if there is too little memory.
    pub(super) fn zeros(len: usize) -> Result<Self> {
        // At least one value: an empty tensor has no address.
        let tensor = Tensor::f_zeros([len.max(1) as i64], (T::KIND, Device::Cpu))?;
        ensure!(tensor.is_contiguous() && tensor.f_kind()? == T::KIND, "libtorch gave memory of another kind");
        Ok(Self { tensor, len, element: PhantomData })
    }

    /// Returns a view of the values from `start` on as a matrix [rows, columns], not a copy.
    ///
    /// Views are for calls into libtorch only. They must not be used while a slice of this buffer is alive; they live
    /// in the same struct as the buffer, whose methods do one or the other.
    ///
    /// # Errors
    /// Fails if the matrix does not fit into the buffer.
    pub(super) fn matrix(&self, start: usize, rows: usize, columns: usize) -> Result<Tensor> {
        ensure!(start + rows * columns <= self.len, "a matrix beyond the end of its memory");
        Ok(self.tensor.f_narrow(0, start as i64, (rows * columns) as i64)?.f_view([rows as i64, columns as i64])?)
    }

    /// Returns all values of the buffer.
    pub(super) fn slice(&self) -> &[T] {
        // SAFETY: the tensor is contiguous, on the CPU, of type T and at least `len` long (checked in `zeros`), and is
        // neither resized nor freed while `self` lives. Nothing writes to it during the borrow: libtorch works only
        // inside calls that `MlpTrainer` makes between its borrows, on this thread (tensors are not Sync).
        unsafe { std::slice::from_raw_parts(self.tensor.data_ptr().cast::<T>(), self.len) }
    }

    /// Returns all values of the buffer, writable.
    pub(super) fn slice_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `slice`; the borrow is unique because `self` is.
        unsafe { std::slice::from_raw_parts_mut(self.tensor.data_ptr().cast::<T>(), self.len) }
    }
}

/// Returns the values of a tensor on the CPU, row-major.
///
/// Other tensors on the same memory are for calls into libtorch only, and none is made while the slice is alive.
///
/// # Errors
/// Fails if the tensor is not contiguous, not of type `T`, not on the CPU, or empty.
pub(super) fn values<T: TorchElement>(tensor: &Tensor) -> Result<&[T]> {
    check::<T>(tensor)?;
    // SAFETY: contiguous, on the CPU and of type T, as was just checked, and neither resized nor freed during the
    // borrow of the tensor. libtorch works only inside calls, on this thread (tensors are not Sync), so nothing writes
    // meanwhile.
    Ok(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<T>(), tensor.numel()) })
}

/// Like [`values`], but writable.
///
/// # Errors
/// Fails like [`values`].
pub(super) fn values_mut<T: TorchElement>(tensor: &mut Tensor) -> Result<&mut [T]> {
    check::<T>(tensor)?;
    // SAFETY: as in `values`; the borrow is unique because that of the tensor is, and its other names are not used.
    Ok(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<T>(), tensor.numel()) })
}

/// Checks that the values of a tensor can be read as a slice of `T`.
fn check<T: TorchElement>(tensor: &Tensor) -> Result<()> {
    let fits = tensor.is_contiguous() && tensor.f_kind()? == T::KIND && tensor.device() == Device::Cpu;
    ensure!(fits && tensor.numel() > 0, "a tensor that is no plain memory of this kind");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrix_and_slices_share_memory() {
        let mut buffer = HostBuffer::<f32>::zeros(6).unwrap();
        buffer.slice_mut().copy_from_slice(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let matrix = buffer.matrix(2, 2, 2).unwrap();
        assert_eq!(Vec::<f32>::try_from(matrix.reshape([4])).unwrap(), [2.0, 3.0, 4.0, 5.0]);
        let _ = matrix.tr().f_mul_scalar_(10.0).unwrap();
        assert_eq!(buffer.slice(), [0.0, 1.0, 20.0, 30.0, 40.0, 50.0]);
        assert!(buffer.matrix(3, 2, 2).is_err());
    }
}
