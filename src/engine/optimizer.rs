//! The optimizers, each one pass over flat slices. Ours, because libtorch's keep their state to themselves.
//!
//! Masking is part of the pass: the gradient of a pruned weight counts as 0 before it, the weight is 0 after it, so
//! its moments stay exactly 0. Both are selections, not products, which would keep NaN and −0.0.

use super::element::Element;
use crate::config::{OptimizerConfig, TrainConfig};

/// Moments smaller than this become 0: they change nothing, and denormal numbers are slow.
pub(super) const MOMENT_CUTOFF: f64 = 1e-30;

/// How a gradient becomes a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Adam (Kingma & Ba, arXiv 1412.6980, algorithm 1), with weight decay added to the gradient.
    Adam {
        /// Decay of the first and second moment.
        betas: [f64; 2],
        /// Added to the denominator.
        eps: f64,
        /// L2.
        weight_decay: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101, algorithm 2) in `PyTorch`'s form:
    /// w ← w − lr·λ·w before Adam's step.
    AdamW {
        /// Decay of the first and second moment.
        betas: [f64; 2],
        /// Added to the denominator.
        eps: f64,
        /// λ.
        weight_decay: f64,
    },
    /// Stochastic gradient descent in `PyTorch`'s form: v ← μv + g; w ← w − lr·v, Nesterov: w ← w − lr·(g + μv).
    Sgd {
        /// μ.
        momentum: f64,
        /// Whether the step looks ahead.
        nesterov: bool,
        /// L2.
        weight_decay: f64,
    },
}

impl Optimizer {
    /// The update that a configuration asks for.
    pub fn new(train: &TrainConfig) -> Self {
        let weight_decay = train.weight_decay;
        match train.optimizer {
            OptimizerConfig::Adam { betas, eps } => Self::Adam { betas, eps, weight_decay },
            OptimizerConfig::AdamW { betas, eps } => Self::AdamW { betas, eps, weight_decay },
            OptimizerConfig::Sgd { momentum, nesterov } => Self::Sgd { momentum, nesterov, weight_decay },
        }
    }

    /// L2, added to the gradient.
    pub(super) fn weight_decay(&self) -> f64 {
        match self {
            Self::Adam { weight_decay, .. } | Self::Sgd { weight_decay, .. } => *weight_decay,
            Self::AdamW { .. } => 0.0,
        }
    }

    /// Times the learning rate, the share of each weight that is taken off it.
    pub(super) fn decoupled_decay(&self) -> f64 {
        match self {
            Self::AdamW { weight_decay, .. } => *weight_decay,
            Self::Adam { .. } | Self::Sgd { .. } => 0.0,
        }
    }

    /// The number of moments it keeps per weight.
    pub fn moment_count(&self) -> usize {
        match self {
            Self::Adam { .. } | Self::AdamW { .. } => 2,
            Self::Sgd { momentum, .. } => usize::from(*momentum > 0.0),
        }
    }
}

/// Flat slices of equal length: all parameters of a network, or the surviving ones.
pub(super) struct ParameterSlices<'a, T> {
    pub(super) weights: &'a mut [T],
    pub(super) gradients: &'a [T],
    /// Of these as many as the update has moments; the others are empty.
    pub(super) moments: [&'a mut [T]; 2],
    /// Per weight whether it is kept; `None` where all are.
    pub(super) kept: Option<&'a [bool]>,
}

/// The moments there are, as `Parameters` wants them.
pub(super) fn moment_slots<'a, T>(mut moments: impl Iterator<Item = &'a mut [T]>) -> [&'a mut [T]; 2] {
    std::array::from_fn(|_| moments.next().unwrap_or_default())
}

/// Takes step number `step` (from 1, counted since the moments were fresh).
pub(super) fn update<T: Element>(rule: &Optimizer, lr: f64, step: u64, parameters: ParameterSlices<'_, T>) {
    let arch = pulp::Arch::new();
    match parameters.kept {
        None => arch.dispatch(UpdateKernel { rule, lr, step, parameters, kept: KeepAll }),
        Some(kept) => arch.dispatch(UpdateKernel { rule, lr, step, parameters, kept: KeepMasked(kept) }),
    }
}

/// Which weights are kept. Two types, so that masks cost a dense network nothing.
trait KeepPolicy: Copy {
    /// The same for the first `n` weights: said inside each loop, so that it needs no check of bounds.
    fn first(self, n: usize) -> Self;
    fn at(self, i: usize) -> bool;
}

#[derive(Clone, Copy)]
struct KeepAll;

impl KeepPolicy for KeepAll {
    #[inline(always)]
    fn first(self, _: usize) -> Self {
        self
    }
    #[inline(always)]
    fn at(self, _: usize) -> bool {
        true
    }
}

#[derive(Clone, Copy)]
struct KeepMasked<'a>(&'a [bool]);

impl KeepPolicy for KeepMasked<'_> {
    #[inline(always)]
    fn first(self, n: usize) -> Self {
        Self(&self.0[..n])
    }
    #[inline(always)]
    fn at(self, i: usize) -> bool {
        self.0[i]
    }
}

/// One pass over the parameters, compiled once for each kind of processor. A struct with a method, because a closure
/// would not be inlined into the code for the processor at hand.
struct UpdateKernel<'a, T, K> {
    rule: &'a Optimizer,
    lr: f64,
    step: u64,
    parameters: ParameterSlices<'a, T>,
    kept: K,
}

impl<T: Element, K: KeepPolicy> pulp::NullaryFnOnce for UpdateKernel<'_, T, K> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let ParameterSlices { weights, gradients, moments: [first, second], .. } = self.parameters;
        let keep = self.kept;
        match *self.rule {
            Optimizer::Adam { betas, eps, .. } | Optimizer::AdamW { betas, eps, .. } => {
                // Bias correction in float64: at step 1 it divides by 1 − β₂ = 0.001.
                let correction = betas.map(|beta| 1.0 - libm::pow(beta, self.step as f64));
                let c = Adam {
                    beta: betas.map(T::from_f64),
                    rest: betas.map(|beta| T::from_f64(1.0 - beta)),
                    size: T::from_f64(self.lr / correction[0]),
                    root: T::from_f64(1.0 / correction[1].sqrt()),
                    eps: T::from_f64(eps),
                    decay: T::from_f64(self.rule.weight_decay()),
                    shrink: T::from_f64(1.0 - self.lr * self.rule.decoupled_decay()),
                };
                adam(&c, weights, gradients, first, second, keep);
            }
            Optimizer::Sgd { momentum, nesterov, weight_decay } => {
                let decay = T::from_f64(weight_decay);
                let c = Sgd { momentum: T::from_f64(momentum), nesterov, lr: T::from_f64(self.lr), decay };
                if momentum > 0.0 {
                    sgd_momentum(&c, weights, gradients, first, keep);
                } else {
                    sgd(&c, weights, gradients, keep);
                }
            }
        }
    }
}

/// `x`, or 0 where it is too small to matter.
#[inline(always)]
fn flush_to_zero<T: Element>(x: T) -> T {
    if x.abs() < T::from_f64(MOMENT_CUTOFF) { T::default() } else { x }
}

struct Adam<T> {
    beta: [T; 2],
    /// 1 − β.
    rest: [T; 2],
    /// lr / (1 − β₁ᵗ).
    size: T,
    /// 1 / √(1 − β₂ᵗ).
    root: T,
    eps: T,
    decay: T,
    /// 1 − lr·λ: 1 without decoupled decay, which changes no bit.
    shrink: T,
}

#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "the letters of the papers")]
fn adam<T: Element>(c: &Adam<T>, w: &mut [T], g: &[T], m: &mut [T], v: &mut [T], kept: impl KeepPolicy) {
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

struct Sgd<T> {
    momentum: T,
    nesterov: bool,
    lr: T,
    decay: T,
}

#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "the letters of the papers")]
fn sgd_momentum<T: Element>(c: &Sgd<T>, w: &mut [T], g: &[T], v: &mut [T], kept: impl KeepPolicy) {
    let zero = T::default();
    let n = w.len();
    let (w, g, v, kept) = (&mut w[..n], &g[..n], &mut v[..n], kept.first(n));
    for i in 0..n {
        let gradient = if kept.at(i) { g[i] + c.decay * w[i] } else { zero };
        let velocity = flush_to_zero(c.momentum * v[i] + gradient);
        let direction = if c.nesterov { gradient + c.momentum * velocity } else { velocity };
        v[i] = velocity;
        w[i] = if kept.at(i) { w[i] - c.lr * direction } else { zero };
    }
}

#[inline(always)]
fn sgd<T: Element>(c: &Sgd<T>, w: &mut [T], g: &[T], kept: impl KeepPolicy) {
    let n = w.len();
    let (w, g, kept) = (&mut w[..n], &g[..n], kept.first(n));
    for i in 0..n {
        w[i] = if kept.at(i) { w[i] - c.lr * (g[i] + c.decay * w[i]) } else { T::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(rule: &Optimizer, w: &mut [f64], g: &[f64], moments: &mut [Vec<f64>], kept: Option<&[bool]>, step: u64) {
        let moments = moment_slots(moments.iter_mut().map(Vec::as_mut_slice));
        update(rule, 0.1, step, ParameterSlices { weights: w, gradients: g, moments, kept });
    }

    #[test]
    fn adams_first_step_is_the_learning_rate() {
        let rule = Optimizer::Adam { betas: [0.9, 0.999], eps: 0.0, weight_decay: 0.0 };
        let (mut w, mut moments) = ([1.0, 1.0], vec![vec![0.0; 2], vec![0.0; 2]]);
        run(&rule, &mut w, &[5.0, -0.01], &mut moments, None, 1);
        assert!((w[0] - 0.9).abs() < 1e-12 && (w[1] - 1.1).abs() < 1e-12, "{w:?}");
        assert!((moments[0][0] - 0.5).abs() < 1e-12 && (moments[1][0] - 0.025).abs() < 1e-12);
    }

    #[test]
    fn momentum_by_hand() {
        let sgd = |nesterov| Optimizer::Sgd { momentum: 0.5, nesterov, weight_decay: 0.0 };
        let (mut w, mut moments) = ([0.0], vec![vec![2.0]]);
        run(&sgd(false), &mut w, &[3.0], &mut moments, None, 2);
        assert!((w[0] + 0.4).abs() < 1e-12 && moments[0][0] == 4.0, "v = 0.5·2 + 3 = 4; w = −0.1·4");
        let (mut w, mut moments) = ([0.0], vec![vec![2.0]]);
        run(&sgd(true), &mut w, &[3.0], &mut moments, None, 2);
        assert!((w[0] + 0.5).abs() < 1e-12, "w = −0.1·(3 + 0.5·4)");
    }

    #[test]
    fn pruned_weights_and_their_moments_stay_exactly_zero() {
        // With momentum and weight decay, which move a weight whose gradient is 0, and with a gradient that is NaN.
        for rule in [
            Optimizer::Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.1 },
            Optimizer::AdamW { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.1 },
            Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.1 },
            Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.1 },
        ] {
            let mut w = vec![0.5, -0.0, 0.0];
            let mut moments = vec![vec![0.0; 3]; rule.moment_count()];
            for step in 1..=150 {
                run(&rule, &mut w, &[0.1, -3.0, f64::NAN], &mut moments, Some(&[true, false, false]), step);
                assert!(w[1].to_bits() == 0 && w[2].to_bits() == 0, "{rule:?}");
                assert!(moments.iter().all(|m| m[1].to_bits() == 0 && m[2].to_bits() == 0), "{rule:?}");
            }
            assert!(w[0].is_finite() && w[0] != 0.5);
        }
    }

    #[test]
    fn weight_decay_pulls_towards_zero() {
        let rule = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.5 };
        let mut w = [2.0];
        run(&rule, &mut w, &[0.0], &mut [], None, 1);
        assert!((w[0] - 1.9).abs() < 1e-12, "2 − 0.1·0.5·2");
    }

    #[test]
    fn decoupled_decay_is_no_gradient() {
        let rule = Optimizer::AdamW { betas: [0.9, 0.999], eps: 0.0, weight_decay: 0.5 };
        let (mut w, mut moments) = ([2.0, 2.0], vec![vec![0.0; 2], vec![0.0; 2]]);
        run(&rule, &mut w, &[5.0, -0.01], &mut moments, None, 1);
        assert!((w[0] - 1.8).abs() < 1e-12 && (w[1] - 2.0).abs() < 1e-12, "2·(1 − 0.1·0.5) ∓ 0.1, not {w:?}");
        assert!((moments[0][0] - 0.5).abs() < 1e-12, "the moments do not see it");
    }

    #[test]
    fn denormal_moments_become_zero() {
        let rule = Optimizer::Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 };
        let (mut w, mut moments) = ([1.0], vec![vec![1e-30], vec![1e-31]]);
        run(&rule, &mut w, &[0.0], &mut moments, None, 3);
        assert_eq!((moments[0][0], moments[1][0]), (0.0, 0.0));
    }
}
