//! Mask updates: how the mask of a network changes during its training (sparse-to-sparse training).

use std::f64::consts::PI;

use crate::base::mask::Mask;
use crate::base::rng::Stream;
use crate::base::tensors::{Float, LaneState, TensorMap};
use crate::base::units::Iteration;
use crate::config::{DropDecay, Growth};
use crate::prune::{PruningRates, RegrowScores, RemainingCounts, regrow};

/// The iterations at which a mask is updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateSchedule {
    /// The iteration of the first update.
    pub first: Iteration,
    /// Iterations from one update to the next, at least 1.
    pub every: u64,
    /// The number of updates.
    pub count: u64,
}

impl UpdateSchedule {
    /// Returns the schedule of the updates from `first` on that are before `end`.
    pub fn before(first: Iteration, every: u64, end: Iteration) -> Self {
        Self { first, every, count: end.0.saturating_sub(first.0).div_ceil(every) }
    }

    /// Returns the number of the update at an iteration, from 0; `None` if there is none.
    pub fn update_at(&self, iteration: Iteration) -> Option<u64> {
        let since_first = iteration.0.checked_sub(self.first.0)?;
        let update = since_first / self.every;
        (since_first.is_multiple_of(self.every) && update < self.count).then_some(update)
    }

    /// Returns the iteration of the last update; `None` if there is none.
    pub fn last(&self) -> Option<Iteration> {
        Some(Iteration(self.first.0 + self.count.checked_sub(1)? * self.every))
    }
}

/// Updates that drop weights and grow as many others in the same layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropAndGrow {
    /// The weights that grow.
    pub growth: Growth,
    /// The share of a layer's weights that the first update drops.
    pub drop: f64,
    /// The course of that share.
    pub decay: DropDecay,
    /// Iterations from the first update until the share is 0.
    pub span: u64,
}

/// The rule by which a mask changes.
#[derive(Clone, Debug, PartialEq)]
pub enum UpdateRule {
    /// Every layer drops its smallest weights and grows as many others.
    Regrow(DropAndGrow),
    /// The mask is pruned to `target`: the number of weights falls from that of the mask at the start by a cubic (Zhu & Gupta
    /// 2017, arXiv 1710.01878, equation 1).
    Prune {
        /// The numbers of weights after the last update.
        target: RemainingCounts,
    },
}

/// The updates of the mask of one training run.
#[derive(Clone, Debug)]
pub struct MaskUpdates<'a> {
    /// The rule.
    pub rule: &'a UpdateRule,
    /// Its iterations.
    pub schedule: UpdateSchedule,
    /// The mask at the start of training.
    pub start: &'a Mask,
    /// Prunes across layers where the target has no numbers of layers.
    pub pruning: &'a PruningRates,
    /// The random stream of growth and of ties.
    pub stream: Stream,
}

impl DropAndGrow {
    /// Returns the share of a layer's weights that the update `since_first` iterations after the first one drops.
    pub fn drop_fraction(&self, since_first: u64) -> f64 {
        match self.decay {
            DropDecay::Cosine => self.drop * 0.5 * (1.0 + libm::cos(PI * since_first as f64 / self.span as f64)),
            DropDecay::Constant => self.drop,
        }
    }
}

/// Returns the numbers of weights after the pruning `update` (from 0) of `count`.
fn pruned_counts(start: &[u64], target: &RemainingCounts, update: u64, count: u64) -> RemainingCounts {
    let progress = if update + 1 >= count { 1.0 } else { update as f64 / (count - 1) as f64 };
    let left = (1.0 - progress).powi(3);
    let between = |start: u64, target: u64| target + (start.saturating_sub(target) as f64 * left).round() as u64;
    match &target.layers {
        Some(layers) => {
            let layers: Vec<u64> = start.iter().zip(layers).map(|(&start, &target)| between(start, target)).collect();
            RemainingCounts { kept: layers.iter().sum(), layers: Some(layers) }
        }
        None => RemainingCounts { kept: between(start.iter().sum(), target.kept), layers: None },
    }
}

impl MaskUpdates<'_> {
    /// Returns whether an update takes the place of the optimizer step of its iteration, and needs the gradient of all
    /// weights on the batch of that step. Other updates follow the step.
    pub(super) fn replaces_step(&self) -> bool {
        matches!(self.rule, UpdateRule::Regrow(DropAndGrow { growth: Growth::Gradient, .. }))
    }

    /// Returns the mask after an update, by the state of the network before it. `gradients`: those of all weights, where
    /// [`replaces_step`](Self::replaces_step).
    pub(super) fn updated(&self, update: u64, mask: &Mask, state: &LaneState, gradients: Option<&TensorMap>) -> Mask {
        let magnitudes = match state {
            LaneState::Float32(state) => magnitudes(mask, &state.weights),
            LaneState::Float64(state) => magnitudes(mask, &state.weights),
        };
        match self.rule {
            UpdateRule::Regrow(regrowth) => {
                let fraction = regrowth.drop_fraction(update * self.schedule.every);
                let growth = match gradients {
                    Some(gradients) => self::magnitudes(mask, gradients),
                    None => self.random_scores(mask, update),
                };
                let scores = RegrowScores { magnitudes: &magnitudes, growth: &growth };
                regrow(mask, &scores, fraction, self.stream, update)
            }
            UpdateRule::Prune { target } => {
                let counts = pruned_counts(&self.start.kept_counts(), target, update, self.schedule.count);
                self.pruning.prune_to(&counts, mask, &magnitudes, self.stream)
            }
        }
    }

    /// Draws a score for each weight.
    fn random_scores(&self, mask: &Mask, update: u64) -> Vec<Vec<f64>> {
        let mut generator = self.stream.generator(update);
        mask.0.iter().map(|layer| layer.kept.iter().map(|_| generator.unit()).collect()).collect()
    }
}

/// Returns the absolute value of every prunable weight, by layer in the mask's order.
fn magnitudes<T: Float>(mask: &Mask, tensors: &TensorMap<T>) -> Vec<Vec<f64>> {
    let of_layer = |name: &str| {
        let values = tensors.get(name).map(|tensor| tensor.values.as_slice()).unwrap_or_default();
        values.iter().map(|value| value.to_f64().abs()).collect()
    };
    mask.0.iter().map(|layer| of_layer(&layer.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_at_multiples_of_the_interval_from_the_first_on() {
        let schedule = UpdateSchedule::before(Iteration(20), 10, Iteration(45));
        let at: Vec<(u64, u64)> = (0..100).filter_map(|i| Some((i, schedule.update_at(Iteration(i))?))).collect();
        assert_eq!(at, [(20, 0), (30, 1), (40, 2)]);
        assert_eq!(schedule.last(), Some(Iteration(40)));
        let none = UpdateSchedule::before(Iteration(20), 10, Iteration(20));
        assert_eq!((none.count, none.last(), none.update_at(Iteration(20))), (0, None, None));
        // The end is not an update.
        assert_eq!(UpdateSchedule::before(Iteration(0), 10, Iteration(20)).count, 2);
    }

    #[test]
    fn drop_fraction_falls_along_half_a_cosine() {
        let cosine = DropAndGrow { growth: Growth::Random, drop: 0.3, decay: DropDecay::Cosine, span: 600 };
        let at = |since_first| cosine.drop_fraction(since_first);
        assert_eq!(at(0), 0.3);
        // cos(π/3) is 1/2, and cos(π/2) is 0.
        assert!((at(200) - 0.225).abs() < 1e-15 && (at(300) - 0.15).abs() < 1e-15 && at(600).abs() < 1e-15);
        assert_eq!(DropAndGrow { decay: DropDecay::Constant, ..cosine }.drop_fraction(599), 0.3);
    }

    #[test]
    fn gradual_pruning_falls_by_a_cubic_to_the_exact_target() {
        let target = RemainingCounts { kept: 120, layers: Some(vec![100, 20]) };
        let kept = |update| pruned_counts(&[900, 20], &target, update, 5).layers.unwrap();
        // (3/4)³ = 27/64 and (1/2)³ = 1/8 of 800 weights are left to be pruned, then (1/4)³ = 1/64.
        assert_eq!([kept(0), kept(1), kept(2)], [[900, 20], [100 + 338, 20], [200, 20]]);
        assert_eq!([kept(3), kept(4)], [[113, 20], [100, 20]]);
        let global = RemainingCounts { kept: 120, layers: None };
        assert_eq!(pruned_counts(&[900, 20], &global, 2, 5), RemainingCounts { kept: 220, layers: None });
        assert_eq!(pruned_counts(&[900, 20], &target, 0, 1), target, "a single update prunes to the target");
    }
}
