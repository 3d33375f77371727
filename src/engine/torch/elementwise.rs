//! Elementwise kernels between the matrix products: bias, `ReLU`, dropout, row sums. Each is one pass, compiled once
//! for each instruction set.

use super::host_buffer::TorchElement;
use crate::engine::dropout::Dropout;

/// Adds `bias` [outputs] to every row of `rows` [rows, outputs], then takes max(x, 0) if `relu`.
pub(super) fn add_bias<T: TorchElement>(bias: &[T], relu: bool, rows: &mut [T]) {
    pulp::Arch::new().dispatch(AddBias { bias, relu, rows });
}

struct AddBias<'a, T> {
    bias: &'a [T],
    relu: bool,
    rows: &'a mut [T],
}

impl<T: TorchElement> pulp::NullaryFnOnce for AddBias<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let zero = T::default();
        for row in self.rows.chunks_exact_mut(self.bias.len()) {
            for (x, &b) in row.iter_mut().zip(self.bias) {
                let sum = *x + b;
                // Written so that NaN passes: divergence must not be hidden.
                *x = if self.relu && sum < zero { zero } else { sum };
            }
        }
    }
}

/// Sets `deltas` to 0 where the `ReLU` was not active, that is where `outputs` are 0 or less.
pub(super) fn relu_backward<T: TorchElement>(outputs: &[T], deltas: &mut [T]) {
    pulp::Arch::new().dispatch(ReluBackward { outputs, deltas });
}

struct ReluBackward<'a, T> {
    outputs: &'a [T],
    deltas: &'a mut [T],
}

impl<T: TorchElement> pulp::NullaryFnOnce for ReluBackward<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let zero = T::default();
        for (delta, &output) in self.deltas.iter_mut().zip(self.outputs) {
            *delta = if output > zero { *delta } else { zero };
        }
    }
}

/// Applies a dropout layer to outputs in the forward pass, or to their gradients in the backward pass: dropped values
/// become 0, the others are scaled. `key` is that of the iteration and the layer.
pub(super) fn drop_out<T: TorchElement>(dropout: Dropout, key: u64, values: &mut [T]) {
    pulp::Arch::new().dispatch(DropOut { dropout, key, values });
}

struct DropOut<'a, T> {
    dropout: Dropout,
    key: u64,
    values: &'a mut [T],
}

impl<T: TorchElement> pulp::NullaryFnOnce for DropOut<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (zero, scale) = (T::default(), T::from_f64(self.dropout.scale));
        for (element, value) in self.values.iter_mut().enumerate() {
            *value = if self.dropout.keeps(self.key, element as u64) { *value * scale } else { zero };
        }
    }
}

/// Writes the sum of `rows` [rows, outputs] over the rows, in their order, to `sum` [outputs].
pub(super) fn sum_rows<T: TorchElement>(rows: &[T], sum: &mut [T]) {
    pulp::Arch::new().dispatch(SumRows { rows, sum });
}

struct SumRows<'a, T> {
    rows: &'a [T],
    sum: &'a mut [T],
}

impl<T: TorchElement> pulp::NullaryFnOnce for SumRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.sum.fill(T::default());
        for row in self.rows.chunks_exact(self.sum.len()) {
            for (sum, &x) in self.sum.iter_mut().zip(row) {
                *sum = *sum + x;
            }
        }
    }
}
