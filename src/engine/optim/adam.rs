//! Adam, and with decoupled weight decay `AdamW`.

use super::{KeepPolicy, ParameterSlices, flush_to_zero};
use crate::engine::element::Element;

/// The parameters of Adam and `AdamW`.
///
/// With gradient g and step number t: m ← β₁m + (1 − β₁)g; v ← β₂v + (1 − β₂)g²;
/// w ← w − lr·m/(1 − β₁ᵗ) / (√v/√(1 − β₂ᵗ) + ε), `PyTorch`'s form of Kingma & Ba, arXiv 1412.6980, algorithm 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// β₁ and β₂: decay of the first and second moment per step, in 0..1.
    pub betas: [f64; 2],
    /// ε, added to the denominator.
    pub eps: f64,
    /// λ of weight decay: Adam adds λ·w to the gradient, `AdamW` subtracts lr·λ·w from the weight.
    pub weight_decay: f64,
}

impl Adam {
    /// Moments per weight: m and v.
    pub(super) const MOMENTS: usize = 2;

    /// Takes step number `step`, from 1. `decay` is added to the gradient in proportion to the weight, `decoupled_decay` is
    /// not.
    #[inline(always)]
    pub(super) fn update<T: Element>(
        &self,
        decay: f64,
        decoupled_decay: f64,
        lr: f64,
        step: u64,
        parameters: ParameterSlices<'_, T>,
        kept: impl KeepPolicy,
    ) {
        // Bias correction in float64: at step 1 it divides by 1 − β₂ = 0.001.
        let correction = self.betas.map(|beta| 1.0 - libm::pow(beta, step as f64));
        let constants = Constants {
            beta: self.betas.map(T::from_f64),
            rest: self.betas.map(|beta| T::from_f64(1.0 - beta)),
            size: T::from_f64(lr / correction[0]),
            root: T::from_f64(1.0 / correction[1].sqrt()),
            eps: T::from_f64(self.eps),
            decay: T::from_f64(decay),
            shrink: T::from_f64(1.0 - lr * decoupled_decay),
        };
        let ParameterSlices { weights, gradients, moments: [first, second], .. } = parameters;
        update_slices(&constants, weights, gradients, first, second, kept);
    }
}

/// The factors of one step.
struct Constants<T> {
    /// β.
    beta: [T; 2],
    /// 1 − β.
    rest: [T; 2],
    /// lr / (1 − β₁ᵗ).
    size: T,
    /// 1 / √(1 − β₂ᵗ).
    root: T,
    /// ε.
    eps: T,
    /// λ of the L2 penalty.
    decay: T,
    /// 1 − lr·λ: 1 without decoupled decay, which changes no bit.
    shrink: T,
}

/// Updates weights w and moments m and v from gradients g.
#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "the letters of the papers")]
fn update_slices<T: Element>(c: &Constants<T>, w: &mut [T], g: &[T], m: &mut [T], v: &mut [T], kept: impl KeepPolicy) {
    let zero = T::default();
    let n = w.len();
    let (w, g, m, v, kept) = (&mut w[..n], &g[..n], &mut m[..n], &mut v[..n], kept.first(n));
    for i in 0..n {
        let gradient = if kept.at(i) { g[i] + c.decay * w[i] } else { zero };
        let first = flush_to_zero(c.beta[0] * m[i] + c.rest[0] * gradient);
        let second = flush_to_zero(c.beta[1] * v[i] + c.rest[1] * gradient * gradient);
        let stepped = w[i] * c.shrink - c.size * first / (second.sqrt() * c.root + c.eps);
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
        let rule = Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 0.0, weight_decay: 0.0 });
        let (mut w, mut moments) = ([1.0, 1.0], vec![vec![0.0; 2], vec![0.0; 2]]);
        run(&rule, &mut w, &[5.0, -0.01], &mut moments, None, 1);
        assert!((w[0] - 0.9).abs() < 1e-12 && (w[1] - 1.1).abs() < 1e-12, "{w:?}");
        assert!((moments[0][0] - 0.5).abs() < 1e-12 && (moments[1][0] - 0.025).abs() < 1e-12);
    }

    #[test]
    fn adamw_decay_does_not_enter_the_gradient() {
        let rule = Optimizer::AdamW(Adam { betas: [0.9, 0.999], eps: 0.0, weight_decay: 0.5 });
        let (mut w, mut moments) = ([2.0, 2.0], vec![vec![0.0; 2], vec![0.0; 2]]);
        run(&rule, &mut w, &[5.0, -0.01], &mut moments, None, 1);
        assert!((w[0] - 1.8).abs() < 1e-12 && (w[1] - 2.0).abs() < 1e-12, "2·(1 − 0.1·0.5) ∓ 0.1, not {w:?}");
        assert!((moments[0][0] - 0.5).abs() < 1e-12, "the moments do not see it");
    }

    #[test]
    fn adam_denormal_moments_become_zero() {
        let rule = Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 });
        let (mut w, mut moments) = ([1.0], vec![vec![1e-30], vec![1e-31]]);
        run(&rule, &mut w, &[0.0], &mut moments, None, 3);
        assert_eq!((moments[0][0], moments[1][0]), (0.0, 0.0));
    }
}
