//! Gradient clipping by the norm of the complete gradient, as in `PyTorch`'s `clip_grad_norm_`. The gradients of pruned
//! weights count as 0.

use super::element::Element;

/// Number of partial sums, one for each value of a chunk: enough to fill vector registers. The rounding of the norm
/// depends on it.
const SUMS: usize = 16;

/// The Euclidean norm of a gradient that is added part by part. The sums are in float64, and in the same order on every
/// processor.
#[derive(Default)]
pub(super) struct GradNorm([f64; SUMS]);

impl GradNorm {
    /// Adds a part of the gradient. `kept` has a flag per value, false if the value counts as 0; `None` if all values
    /// count.
    pub(super) fn add<T: Element>(&mut self, gradients: &[T], kept: Option<&[bool]>) {
        pulp::Arch::new().dispatch(SumOfSquaresKernel { sums: &mut self.0, gradients, kept });
    }

    /// Returns the factor, at most 1, that scales the gradient to a norm of at most `max_norm`.
    pub(super) fn clip_factor(&self, max_norm: f64) -> f64 {
        let norm = self.0.iter().sum::<f64>().sqrt();
        let factor = max_norm / (norm + 1e-6);
        // The comparison is false for NaN, which is returned: divergence must not be hidden.
        if factor > 1.0 { 1.0 } else { factor }
    }
}

/// Adds the square of value `i` of a part to `sums[i % SUMS]`.
struct SumOfSquaresKernel<'a, T> {
    sums: &'a mut [f64; SUMS],
    gradients: &'a [T],
    kept: Option<&'a [bool]>,
}

impl<T: Element> pulp::NullaryFnOnce for SumOfSquaresKernel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { sums, gradients, kept } = self;
        // A loop of its own without a mask, so that a dense network pays nothing for masks.
        let Some(kept) = kept else {
            for gradients in gradients.chunks(SUMS) {
                for (sum, gradient) in sums.iter_mut().zip(gradients) {
                    *sum += gradient.to_f64() * gradient.to_f64();
                }
            }
            return;
        };
        for (gradients, kept) in gradients.chunks(SUMS).zip(kept.chunks(SUMS)) {
            for ((sum, gradient), &kept) in sums.iter_mut().zip(gradients).zip(kept) {
                let gradient = if kept { gradient.to_f64() } else { 0.0 };
                *sum += gradient * gradient;
            }
        }
    }
}

/// Multiplies gradients by `factor`, from [`GradNorm::clip_factor`].
pub(super) fn scale<T: Element>(factor: f64, gradients: &mut [T]) {
    pulp::Arch::new().dispatch(ScaleKernel { factor: T::from_f64(factor), gradients });
}

struct ScaleKernel<'a, T> {
    factor: T,
    gradients: &'a mut [T],
}

impl<T: Element> pulp::NullaryFnOnce for ScaleKernel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for gradient in self.gradients {
            *gradient = *gradient * self.factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clip_factor_scales_to_the_largest_norm() {
        let clipped = |max_norm: f64| {
            let mut gradients = [3.0_f32, f32::NAN, -4.0];
            let mut norm = GradNorm::default();
            norm.add(&gradients[..2], Some(&[true, false]));
            norm.add(&gradients[2..], None);
            scale(norm.clip_factor(max_norm), &mut gradients);
            [gradients[0], gradients[2]]
        };
        assert_eq!(clipped(7.0), [3.0, -4.0], "a norm of 5 is small enough: no bit changes");
        assert!(clipped(2.5).iter().zip([1.5, -2.0]).all(|(a, b)| (a - b).abs() < 1e-6), "{:?}", clipped(2.5));
    }

    #[test]
    fn grad_norm_counts_every_kept_value_once() {
        let gradients: Vec<f64> = (0..37).map(f64::from).collect();
        let kept: Vec<bool> = (0..37).map(|i| i % 3 > 0).collect();
        let measured = |kept: Option<&[bool]>| {
            let mut norm = GradNorm::default();
            norm.add(&gradients, kept);
            1.0 / norm.clip_factor(1.0) - 1e-6
        };
        let expected =
            |counts: &dyn Fn(usize) -> bool| (0..37).filter(|&i| counts(i)).map(|i| (i * i) as f64).sum::<f64>().sqrt();
        assert!((measured(None) - expected(&|_| true)).abs() < 1e-9);
        assert!((measured(Some(&kept)) - expected(&|i| i % 3 > 0)).abs() < 1e-9);
    }

    #[test]
    fn clip_factor_passes_nan() {
        let factor = |gradient: f64| {
            let mut norm = GradNorm::default();
            norm.add(&[gradient], None);
            norm.clip_factor(1.0)
        };
        assert!(factor(f64::NAN).is_nan());
        assert_eq!(factor(f64::INFINITY), 0.0, "and ∞ · 0 is NaN");
    }
}
