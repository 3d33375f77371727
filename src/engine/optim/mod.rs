//! The optimizers, one file each: the rule and its parameters, the number of moments, and the update of host memory in one
//! pass over flat slices. Implemented here because libtorch's optimizers do not expose their state.
//!
//! Masking is part of the pass: the gradient of a pruned weight counts as 0 before it, the weight is 0 after it, so
//! its moments stay exactly 0. Both are selections, not products, which would keep NaN and −0.0.
//!
//! The same updates as tensor operations, for memory of a GPU, are in `engine/torch/autograd/update.rs`.
//!
//! A new optimizer is a file like `sgd`, a variant of [`Optimizer`], and the matches that the compiler asks for.

mod adam;
mod sgd;

use super::element::Element;
use crate::config::{OptimizerConfig, TrainConfig};

pub use adam::Adam;
pub use sgd::Sgd;

/// Moments smaller than this become 0: they change nothing, and denormal numbers are slow.
pub(super) const MOMENT_CUTOFF: f64 = 1e-30;

/// Moments per weight that an optimizer keeps at most.
pub(super) const MAX_MOMENTS: usize = 2;

/// The rule by which gradients change weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Adam (Kingma & Ba, arXiv 1412.6980, algorithm 1), with weight decay added to the gradient.
    Adam(Adam),
    /// Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101, algorithm 2) in `PyTorch`'s form:
    /// w ← w − lr·λ·w before Adam's step.
    AdamW(Adam),
    /// Stochastic gradient descent.
    Sgd(Sgd),
}

impl Optimizer {
    /// Returns the optimizer that a configuration requests.
    pub fn new(train: &TrainConfig) -> Self {
        let weight_decay = train.weight_decay;
        match train.optimizer {
            OptimizerConfig::Adam { betas, eps } => Self::Adam(Adam { betas, eps, weight_decay }),
            OptimizerConfig::AdamW { betas, eps } => Self::AdamW(Adam { betas, eps, weight_decay }),
            OptimizerConfig::Sgd { momentum, nesterov } => Self::Sgd(Sgd { momentum, nesterov, weight_decay }),
        }
    }

    /// Returns the factor λ of the weight that is added to the gradient (L2 penalty).
    pub(super) fn weight_decay(&self) -> f64 {
        match self {
            Self::Adam(adam) => adam.weight_decay,
            Self::AdamW(_) => 0.0,
            Self::Sgd(sgd) => sgd.weight_decay,
        }
    }

    /// Returns λ of decoupled weight decay: each step subtracts lr·λ·w from a weight w. 0 without it.
    pub(super) fn decoupled_decay(&self) -> f64 {
        match self {
            Self::AdamW(adam) => adam.weight_decay,
            Self::Adam(_) | Self::Sgd(_) => 0.0,
        }
    }

    /// Returns the number of moments per weight, at most 2.
    pub fn moment_count(&self) -> usize {
        match self {
            Self::Adam(_) | Self::AdamW(_) => Adam::MOMENTS,
            Self::Sgd(sgd) => sgd.moment_count(),
        }
    }
}

/// Flat slices of equal length: all parameters of a network, or the remaining ones.
pub(super) struct ParameterSlices<'a, T> {
    pub(super) weights: &'a mut [T],
    pub(super) gradients: &'a [T],
    /// The optimizer's moments in its order; slices behind the last moment are empty.
    pub(super) moments: [&'a mut [T]; MAX_MOMENTS],
    /// Per weight whether it is kept; `None` if all are.
    pub(super) kept: Option<&'a [bool]>,
}

/// Returns the moments as [`ParameterSlices`] holds them, with empty slices behind the last.
pub(super) fn moment_slots<'a, T>(mut moments: impl Iterator<Item = &'a mut [T]>) -> [&'a mut [T]; MAX_MOMENTS] {
    std::array::from_fn(|_| moments.next().unwrap_or_default())
}

/// Takes step number `step`, which counts from 1 since the moments were fresh.
pub(super) fn update<T: Element>(rule: &Optimizer, lr: f64, step: u64, parameters: ParameterSlices<'_, T>) {
    let arch = pulp::Arch::new();
    match parameters.kept {
        None => arch.dispatch(UpdateKernel { rule, lr, step, parameters, kept: KeepAll }),
        Some(kept) => arch.dispatch(UpdateKernel { rule, lr, step, parameters, kept: KeepMasked(kept) }),
    }
}

/// A mask of weights. Two types implement it, so that a dense network pays nothing for masks.
trait KeepPolicy: Copy {
    /// Returns the mask of the first `n` weights. Used before each loop, so that the loop checks no bounds.
    fn first(self, n: usize) -> Self;
    /// Returns whether weight `i` is kept.
    fn at(self, i: usize) -> bool;
}

/// Keeps every weight.
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

/// Keeps the weights whose flag is set.
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
        let Self { rule, lr, step, parameters, kept } = self;
        match rule {
            Optimizer::Adam(adam) | Optimizer::AdamW(adam) => {
                adam.update(rule.weight_decay(), rule.decoupled_decay(), lr, step, parameters, kept);
            }
            Optimizer::Sgd(sgd) => sgd.update(lr, parameters, kept),
        }
    }
}

/// Returns `x`, or 0 if its magnitude is below [`MOMENT_CUTOFF`]; NaN stays.
#[inline(always)]
fn flush_to_zero<T: Element>(x: T) -> T {
    if x.abs() < T::from_f64(MOMENT_CUTOFF) { T::default() } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes step number `step` at a learning rate of 0.1.
    pub(super) fn run(
        rule: &Optimizer,
        weights: &mut [f64],
        gradients: &[f64],
        moments: &mut [Vec<f64>],
        kept: Option<&[bool]>,
        step: u64,
    ) {
        let moments = moment_slots(moments.iter_mut().map(Vec::as_mut_slice));
        update(rule, 0.1, step, ParameterSlices { weights, gradients, moments, kept });
    }

    #[test]
    fn pruned_weights_and_their_moments_stay_exactly_zero() {
        // With momentum and weight decay, which move a weight whose gradient is 0, and with a gradient that is NaN.
        let adam = Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.1 };
        for rule in [
            Optimizer::Adam(adam),
            Optimizer::AdamW(adam),
            Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.1 }),
            Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.1 }),
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
}
