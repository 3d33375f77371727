//! The kernels of the MLP trainer between the matrix products: bias, `ReLU`, dropout, row sums. Each is one pass over
//! its values, compiled once for each instruction set.

use super::host_buffer::TorchElement;
use crate::engine::dropout::{Dropout, DropoutContext};

/// Adds `bias` [outputs] to every row of `rows` [rows, outputs], then takes max(x, 0) if `relu`.
pub(super) fn add_bias<T: TorchElement>(bias: &[T], relu: bool, rows: &mut [T]) {
    pulp::Arch::new().dispatch(AddBiasKernel { bias, relu, rows });
}

struct AddBiasKernel<'a, T> {
    bias: &'a [T],
    relu: bool,
    rows: &'a mut [T],
}

impl<T: TorchElement> pulp::NullaryFnOnce for AddBiasKernel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let zero = T::default();
        for row in self.rows.chunks_exact_mut(self.bias.len()) {
            for (x, &b) in row.iter_mut().zip(self.bias) {
                let sum = *x + b;
                // The comparison is false for NaN, which stays: divergence must not be hidden.
                *x = if self.relu && sum < zero { zero } else { sum };
            }
        }
    }
}

/// Computes the gradient with respect to the inputs of a `ReLU` from the gradient with respect to its outputs: sets
/// `deltas` to 0 where `outputs` are not positive.
pub(super) fn relu_backward<T: TorchElement>(outputs: &[T], deltas: &mut [T]) {
    pulp::Arch::new().dispatch(ReluBackwardKernel { outputs, deltas });
}

struct ReluBackwardKernel<'a, T> {
    outputs: &'a [T],
    deltas: &'a mut [T],
}

impl<T: TorchElement> pulp::NullaryFnOnce for ReluBackwardKernel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let zero = T::default();
        for (delta, &output) in self.deltas.iter_mut().zip(self.outputs) {
            *delta = if output > zero { *delta } else { zero };
        }
    }
}

/// Applies a dropout layer to outputs [images, features] in the forward pass, or to their gradients in the backward
/// pass: dropped values become 0, the others are scaled. Does nothing for `None`, or if `context` drops nothing.
pub(super) fn apply_dropout<T: TorchElement>(context: DropoutContext, dropout: Option<Dropout>, values: &mut [T]) {
    if let Some((dropout, draw_key)) = context.draw_key(dropout) {
        pulp::Arch::new().dispatch(DropoutKernel { dropout, draw_key, values });
    }
}

struct DropoutKernel<'a, T> {
    dropout: Dropout,
    draw_key: u64,
    values: &'a mut [T],
}

impl<T: TorchElement> pulp::NullaryFnOnce for DropoutKernel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let zero = T::default();
        let scale = T::from_f64(self.dropout.scale);
        for (element, value) in self.values.iter_mut().enumerate() {
            *value = if self.dropout.keeps(self.draw_key, element as u64) { *value * scale } else { zero };
        }
    }
}

/// Writes the sum of `rows` [rows, outputs] over the rows, added in their order, to `sum` [outputs].
pub(super) fn sum_rows<T: TorchElement>(rows: &[T], sum: &mut [T]) {
    pulp::Arch::new().dispatch(SumRowsKernel { rows, sum });
}

struct SumRowsKernel<'a, T> {
    rows: &'a [T],
    sum: &'a mut [T],
}

impl<T: TorchElement> pulp::NullaryFnOnce for SumRowsKernel<'_, T> {
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
