//! Adam, and with decoupled weight decay `AdamW`.

use super::{KeepPolicy, ParameterSlices, flush_moment};
use crate::engine::element::Element;

/// Adam and `AdamW` with their parameters.
///
/// With gradient g and step t, from 1: m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²;
/// w ← w − lr·m/(1 − β₁ᵗ) / (√v/√(1 − β₂ᵗ) + ε), `PyTorch`'s form of Kingma & Ba, arXiv 1412.6980, algorithm 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// β₁ and β₂: decay of the first and second moment per step, in 0..1.
    pub betas: [f64; 2],
    /// ε, added to the denominator.
    pub eps: f64,
    /// λ of weight decay.
    pub weight_decay: f64,
    /// Whether weight decay is decoupled from the gradient. False is Adam: λ·w is added to the gradient (L2 penalty).
    /// True is `AdamW` (Loshchilov & Hutter, arXiv 1711.05101, algorithm 2) in `PyTorch`'s form: w ← w − lr·λ·w before
    /// Adam's step.
    pub decoupled: bool,
}

impl Adam {
    /// Moments per weight: m and v.
    pub(super) const MOMENTS: usize = 2;

    /// Returns λ of the L2 penalty: λ·w is added to the gradient. 0 with decoupled weight decay.
    pub(in crate::engine) fn l2_penalty(&self) -> f64 {
        if self.decoupled { 0.0 } else { self.weight_decay }
    }

    /// Returns λ of decoupled weight decay: each step subtracts lr·λ·w from a weight w. 0 with an L2 penalty.
    pub(in crate::engine) fn decoupled_decay(&self) -> f64 {
        if self.decoupled { self.weight_decay } else { 0.0 }
    }

    /// Takes step `step`, counted from 1 since the moments were reset.
    #[inline(always)]
    pub(super) fn update<T: Element>(
        &self,
        lr: f64,
        step: u64,
        parameters: ParameterSlices<'_, T>,
        kept: impl KeepPolicy,
    ) {
        // Bias correction in float64: at step 1 it divides by 1 − β₂ = 0.001.
        let correction = self.betas.map(|beta| 1.0 - libm::pow(beta, step as f64));
        let constants = Constants {
            beta: self.betas.map(T::from_f64),
            one_minus_beta: self.betas.map(|beta| T::from_f64(1.0 - beta)),
            step_size: T::from_f64(lr / correction[0]),
            second_correction: T::from_f64(1.0 / correction[1].sqrt()),
            eps: T::from_f64(self.eps),
            decay: T::from_f64(self.l2_penalty()),
            weight_factor: T::from_f64(1.0 - lr * self.decoupled_decay()),
        };
        let ParameterSlices { weights, gradients, moments: [first, second], .. } = parameters;
        update_slices(&constants, weights, gradients, first, second, kept);
    }
}

/// The factors of one step.
struct Constants<T> {
    /// β₁ and β₂.
    beta: [T; 2],
    /// 1 − β₁ and 1 − β₂.
    one_minus_beta: [T; 2],
    /// lr / (1 − β₁ᵗ).
    step_size: T,
    /// 1 / √(1 − β₂ᵗ), the factor of √v.
    second_correction: T,
    /// ε.
    eps: T,
    /// λ of the L2 penalty.
    decay: T,
    /// 1 − lr·λ with decoupled weight decay. 1 without, and a product with 1 changes no bit.
    weight_factor: T,
}

/// Updates weights w and moments m and v from gradients g.
#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "the letters of the papers")]
fn update_slices<T: Element>(c: &Constants<T>, w: &mut [T], g: &[T], m: &mut [T], v: &mut [T], kept: impl KeepPolicy) {
    let zero = T::default();
    let n = w.len();
    // Slices of equal length, so that the loop checks no bounds.
    let (w, g, m, v, kept) = (&mut w[..n], &g[..n], &mut m[..n], &mut v[..n], kept.first(n));
    for i in 0..n {
        let gradient = if kept.at(i) { g[i] + c.decay * w[i] } else { zero };
        let first = flush_moment(c.beta[0] * m[i] + c.one_minus_beta[0] * gradient);
        let second = flush_moment(c.beta[1] * v[i] + c.one_minus_beta[1] * gradient * gradient);
        let denominator = second.sqrt() * c.second_correction + c.eps;
        let stepped = w[i] * c.weight_factor - c.step_size * first / denominator;
        m[i] = first;
        v[i] = second;
        w[i] = if kept.at(i) { stepped } else { zero };
    }
}

#[cfg(test)]
mod tests {
    use super::super::Optimizer;
    use super::super::tests::run;
    use super::*;

    #[test]
    fn adam_first_step_is_the_learning_rate() {
        let optimizer = Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 0.0, weight_decay: 0.0, decoupled: false });
        let (mut w, mut moments) = ([1.0, 1.0], vec![vec![0.0; 2], vec![0.0; 2]]);
        run(&optimizer, &mut w, &[5.0, -0.01], &mut moments, None, 1);
        assert!((w[0] - 0.9).abs() < 1e-12 && (w[1] - 1.1).abs() < 1e-12, "{w:?}");
        assert!((moments[0][0] - 0.5).abs() < 1e-12 && (moments[1][0] - 0.025).abs() < 1e-12);
    }

    #[test]
    fn adamw_decay_does_not_enter_the_gradient() {
        let optimizer = Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 0.0, weight_decay: 0.5, decoupled: true });
        let (mut w, mut moments) = ([2.0, 2.0], vec![vec![0.0; 2], vec![0.0; 2]]);
        run(&optimizer, &mut w, &[5.0, -0.01], &mut moments, None, 1);
        assert!((w[0] - 1.8).abs() < 1e-12 && (w[1] - 2.0).abs() < 1e-12, "2·(1 − 0.1·0.5) ∓ 0.1, not {w:?}");
        assert!((moments[0][0] - 0.5).abs() < 1e-12, "the moments do not see it");
    }

    #[test]
    fn adam_denormal_moments_become_zero() {
        let optimizer = Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, decoupled: false });
        let (mut w, mut moments) = ([1.0], vec![vec![1e-30], vec![1e-31]]);
        run(&optimizer, &mut w, &[0.0], &mut moments, None, 3);
        assert_eq!((moments[0][0], moments[1][0]), (0.0, 0.0));
    }
}
