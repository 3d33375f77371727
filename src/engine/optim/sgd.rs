//! Stochastic gradient descent, with and without momentum.

use super::{KeepPolicy, ParameterSlices, flush_moment};
use crate::engine::element::Element;

/// Stochastic gradient descent with its parameters, in `PyTorch`'s form: v ← μv + g; w ← w − lr·v, with Nesterov
/// momentum w ← w − lr·(g + μv).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// μ, in 0..1. With 0, v is g, and no moment is stored.
    pub momentum: f64,
    /// Whether the step uses Nesterov momentum.
    pub nesterov: bool,
    /// λ of the L2 penalty: λ·w is added to the gradient.
    pub weight_decay: f64,
}

impl Sgd {
    /// Returns the number of moments per weight: v, if there is momentum.
    pub(super) fn moment_count(&self) -> usize {
        usize::from(self.momentum > 0.0)
    }

    /// Takes a step; its formula is the same for every step.
    #[inline(always)]
    pub(super) fn update<T: Element>(&self, lr: f64, parameters: ParameterSlices<'_, T>, kept: impl KeepPolicy) {
        let constants = Constants {
            momentum: T::from_f64(self.momentum),
            nesterov: self.nesterov,
            lr: T::from_f64(lr),
            decay: T::from_f64(self.weight_decay),
        };
        let ParameterSlices { weights, gradients, moments: [velocity, _], .. } = parameters;
        if self.momentum > 0.0 {
            update_with_momentum(&constants, weights, gradients, velocity, kept);
        } else {
            update_plain(&constants, weights, gradients, kept);
        }
    }
}

/// The factors of one step.
struct Constants<T> {
    /// μ.
    momentum: T,
    /// Whether the step uses Nesterov momentum.
    nesterov: bool,
    /// The learning rate.
    lr: T,
    /// λ of the L2 penalty.
    decay: T,
}

/// Updates weights w and velocities v from gradients g.
#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "the letters of the papers")]
fn update_with_momentum<T: Element>(c: &Constants<T>, w: &mut [T], g: &[T], v: &mut [T], kept: impl KeepPolicy) {
    let zero = T::default();
    let n = w.len();
    // Slices of equal length, so that the loop checks no bounds.
    let (w, g, v, kept) = (&mut w[..n], &g[..n], &mut v[..n], kept.first(n));
    for i in 0..n {
        let gradient = if kept.at(i) { g[i] + c.decay * w[i] } else { zero };
        let velocity = flush_moment(c.momentum * v[i] + gradient);
        let direction = if c.nesterov { gradient + c.momentum * velocity } else { velocity };
        v[i] = velocity;
        w[i] = if kept.at(i) { w[i] - c.lr * direction } else { zero };
    }
}

/// Updates weights w from gradients g without momentum.
#[inline(always)]
fn update_plain<T: Element>(c: &Constants<T>, w: &mut [T], g: &[T], kept: impl KeepPolicy) {
    let n = w.len();
    // Slices of equal length, so that the loop checks no bounds.
    let (w, g, kept) = (&mut w[..n], &g[..n], kept.first(n));
    for i in 0..n {
        w[i] = if kept.at(i) { w[i] - c.lr * (g[i] + c.decay * w[i]) } else { T::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::super::Optimizer;
    use super::super::tests::run;
    use super::*;

    #[test]
    fn sgd_momentum_by_hand() {
        let sgd = |nesterov| Optimizer::Sgd(Sgd { momentum: 0.5, nesterov, weight_decay: 0.0 });
        let (mut w, mut moments) = ([0.0], vec![vec![2.0]]);
        run(&sgd(false), &mut w, &[3.0], &mut moments, None, 2);
        assert!((w[0] + 0.4).abs() < 1e-12 && moments[0][0] == 4.0, "v = 0.5·2 + 3 = 4; w = −0.1·4");
        let (mut w, mut moments) = ([0.0], vec![vec![2.0]]);
        run(&sgd(true), &mut w, &[3.0], &mut moments, None, 2);
        assert!((w[0] + 0.5).abs() < 1e-12, "w = −0.1·(3 + 0.5·4)");
    }

    #[test]
    fn sgd_weight_decay_pulls_towards_zero() {
        let optimizer = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.5 });
        let mut w = [2.0];
        run(&optimizer, &mut w, &[0.0], &mut [], None, 1);
        assert!((w[0] - 1.9).abs() < 1e-12, "2 − 0.1·0.5·2");
    }
}
