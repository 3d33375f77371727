//! The optimizers, one file each: formula and parameters, the number of moments, and the update of host memory in one
//! pass over flat slices. Implemented here because libtorch's optimizers do not expose their state.
//!
//! The pass applies the mask: it reads the gradient of a pruned weight as 0 and writes the weight as 0, so the moments
//! stay 0. It selects instead of multiplying by the mask, because 0·NaN is NaN and 0·(−1) is −0.
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

/// Moments whose magnitude is below this become 0: they change no weight, and denormal numbers are slow.
pub(super) const MOMENT_CUTOFF: f64 = 1e-30;

/// The largest number of moments per weight of any optimizer.
pub(super) const MAX_MOMENTS: usize = 2;

/// An optimizer and its parameters: how a gradient changes the weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Adam, or with decoupled weight decay `AdamW`.
    Adam(Adam),
    /// Stochastic gradient descent, with or without momentum.
    Sgd(Sgd),
}

impl Optimizer {
    /// Returns the optimizer that a configuration requests.
    pub fn new(train: &TrainConfig) -> Self {
        let weight_decay = train.weight_decay;
        match train.optimizer {
            OptimizerConfig::Adam { betas, eps } => Self::Adam(Adam { betas, eps, weight_decay, decoupled: false }),
            OptimizerConfig::AdamW { betas, eps } => Self::Adam(Adam { betas, eps, weight_decay, decoupled: true }),
            OptimizerConfig::Sgd { momentum, nesterov } => Self::Sgd(Sgd { momentum, nesterov, weight_decay }),
        }
    }

    /// Returns λ of the L2 penalty: λ·w is added to the gradient.
    pub(super) fn l2_penalty(&self) -> f64 {
        match self {
            Self::Adam(adam) => adam.l2_penalty(),
            Self::Sgd(sgd) => sgd.weight_decay,
        }
    }

    /// Returns the number of moments per weight, at most 2.
    pub fn moment_count(&self) -> usize {
        match self {
            Self::Adam(_) => Adam::MOMENTS,
            Self::Sgd(sgd) => sgd.moment_count(),
        }
    }
}

/// Flat slices of equal length: all parameters of a network, or the kept ones.
pub(super) struct ParameterSlices<'a, T> {
    /// The weights before the step, which the step replaces.
    pub(super) weights: &'a mut [T],
    /// The gradient of the loss with respect to each weight.
    pub(super) gradients: &'a [T],
    /// The optimizer's moments in its order; slices after the last moment are empty.
    pub(super) moments: [&'a mut [T]; MAX_MOMENTS],
    /// Whether the mask keeps each weight; `None` if it keeps all.
    pub(super) kept: Option<&'a [bool]>,
}

/// Returns the moments as [`ParameterSlices`] holds them, with empty slices after the last.
pub(super) fn moment_slots<'a, T>(mut moments: impl Iterator<Item = &'a mut [T]>) -> [&'a mut [T]; MAX_MOMENTS] {
    std::array::from_fn(|_| moments.next().unwrap_or_default())
}

/// Takes a step: updates weights and moments. `step` is 1 for the first step after the moments were reset.
pub(super) fn update<T: Element>(optimizer: &Optimizer, lr: f64, step: u64, parameters: ParameterSlices<'_, T>) {
    let arch = pulp::Arch::new();
    match parameters.kept {
        None => arch.dispatch(UpdateKernel { optimizer, lr, step, parameters, kept: KeepAll }),
        Some(kept) => arch.dispatch(UpdateKernel { optimizer, lr, step, parameters, kept: KeepMasked(kept) }),
    }
}

/// A mask of weights. There are two implementations, so that a dense network pays nothing for masks.
trait KeepPolicy: Copy {
    /// Returns the mask of the first `n` weights. Called before a loop over `n` weights, so that the loop checks no
    /// bounds.
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

/// One pass over the parameters, compiled once for each instruction set. A struct with a method, because a closure
/// might not be inlined, and would then be compiled without the instruction set.
struct UpdateKernel<'a, T, K> {
    optimizer: &'a Optimizer,
    lr: f64,
    step: u64,
    parameters: ParameterSlices<'a, T>,
    kept: K,
}

impl<T: Element, K: KeepPolicy> pulp::NullaryFnOnce for UpdateKernel<'_, T, K> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { optimizer, lr, step, parameters, kept } = self;
        match optimizer {
            Optimizer::Adam(adam) => adam.update(lr, step, parameters, kept),
            Optimizer::Sgd(sgd) => sgd.update(lr, parameters, kept),
        }
    }
}

/// Returns `x`, or 0 if its magnitude is below [`MOMENT_CUTOFF`]; NaN stays.
#[inline(always)]
fn flush_moment<T: Element>(x: T) -> T {
    if x.abs() < T::from_f64(MOMENT_CUTOFF) { T::default() } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes step `step`, counted from 1, at a learning rate of 0.1.
    pub(super) fn run(
        optimizer: &Optimizer,
        weights: &mut [f64],
        gradients: &[f64],
        moments: &mut [Vec<f64>],
        kept: Option<&[bool]>,
        step: u64,
    ) {
        let moments = moment_slots(moments.iter_mut().map(Vec::as_mut_slice));
        update(optimizer, 0.1, step, ParameterSlices { weights, gradients, moments, kept });
    }

    #[test]
    fn pruned_weights_and_their_moments_stay_exactly_zero() {
        // With momentum and weight decay, which move a weight whose gradient is 0, and with a gradient that is NaN.
        let adam = Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.1, decoupled: false };
        for optimizer in [
            Optimizer::Adam(adam),
            Optimizer::Adam(Adam { decoupled: true, ..adam }),
            Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.1 }),
            Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.1 }),
        ] {
            let mut w = vec![0.5, -0.0, 0.0];
            let mut moments = vec![vec![0.0; 3]; optimizer.moment_count()];
            for step in 1..=150 {
                run(&optimizer, &mut w, &[0.1, -3.0, f64::NAN], &mut moments, Some(&[true, false, false]), step);
                assert!(w[1].to_bits() == 0 && w[2].to_bits() == 0, "{optimizer:?}");
                assert!(moments.iter().all(|m| m[1].to_bits() == 0 && m[2].to_bits() == 0), "{optimizer:?}");
            }
            assert!(w[0].is_finite() && w[0] != 0.5);
        }
    }
}
