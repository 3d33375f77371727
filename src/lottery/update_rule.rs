//! The rule by which the mask of a training run changes during its training.

use serde_json::{Value, json};

use crate::base::format::with_thousands;
use crate::base::key::ContentHash;
use crate::base::mask::Mask;
use crate::base::units::Iteration;
use crate::config::{Diagnostic, DropDecay, GradualPruning, Growth, MaskLearning, Regrowth, Supermask};
use crate::prune::RemainingCounts;
use crate::train::{DropAndGrow, UpdateSchedule};

/// How the mask of a training run changes during its training, with all times in iterations.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskUpdateRule {
    /// The iterations of the updates.
    pub schedule: UpdateSchedule,
    /// What an update does.
    pub kind: UpdateKind,
}

/// What an update of a mask does.
#[derive(Clone, Debug, PartialEq)]
pub enum UpdateKind {
    /// Every layer drops its smallest weights and grows as many others.
    Regrow(DropAndGrow),
    /// The mask is pruned, at last to the counts of the training run.
    Prune {
        /// The numbers of weights of the mask at the start.
        start: RemainingCounts,
        /// The training run whose mask has the densities of the layers, if they are not known before it is trained.
        layers_like: Option<ContentHash>,
    },
    /// Scores are trained, which determine the mask, and the weights stay as they are.
    Learn {
        /// How scores determine the mask.
        supermask: Supermask,
        /// The learning rate of scores; `None` for that of weights.
        lr: Option<f64>,
    },
}

/// The times that a rule is made of, in iterations from the beginning of the training.
#[derive(Clone, Copy)]
pub(super) struct UpdateTimes {
    /// The iteration that the training run starts at.
    pub(super) start: Iteration,
    /// Its last iteration.
    pub(super) last: Iteration,
    /// Iterations of one epoch.
    pub(super) per_epoch: u64,
}

impl MaskUpdateRule {
    /// Returns the rule of updates that drop and grow weights.
    ///
    /// # Errors
    /// Fails if the updates would end before they begin. `key` is the path of the table.
    pub(super) fn regrow(updates: &Regrowth, times: UpdateTimes, key: &str) -> Result<Self, Diagnostic> {
        let Regrowth { growth, every, drop, decay, until } = *updates;
        let end = share_of(times.last, until);
        let Some(span) = end.0.checked_sub(times.start.0).filter(|span| *span > 0) else {
            return Err(ends_too_early(until, end, times.start, key));
        };
        let schedule = UpdateSchedule::before(times.start, every.to_iterations(times.per_epoch), end);
        Ok(Self { schedule, kind: UpdateKind::Regrow(DropAndGrow { growth, drop, decay, span }) })
    }

    /// Returns the rule of gradual pruning from a mask with the numbers `start`.
    ///
    /// # Errors
    /// Fails if it would end before it begins. `key` is the path of the table.
    pub(super) fn prune(
        updates: &GradualPruning,
        start: RemainingCounts,
        layers_like: Option<ContentHash>,
        times: UpdateTimes,
        key: &str,
    ) -> Result<Self, Diagnostic> {
        let GradualPruning { every, from, until, .. } = updates;
        let first = share_of(times.last, *from).max(times.start);
        // The network is trained with its last mask.
        let end = share_of(times.last, *until).min(Iteration(times.last.0.saturating_sub(1)));
        let Some(span) = end.0.checked_sub(first.0) else {
            return Err(ends_too_early(*until, end, first, key));
        };
        let every = every.to_iterations(times.per_epoch);
        let schedule = UpdateSchedule { first, every, count: span / every + 1 };
        Ok(Self { schedule, kind: UpdateKind::Prune { start, layers_like } })
    }

    /// Returns the rule of a mask that is trained: it may change at every iteration. `train_lr`: the learning rate of weights.
    pub(super) fn learn(learning: MaskLearning, train_lr: f64, times: UpdateTimes) -> Self {
        let MaskLearning { supermask, lr } = learning;
        let lr = lr.filter(|lr| *lr != train_lr);
        Self { schedule: UpdateSchedule::before(times.start, 1, times.last), kind: UpdateKind::Learn { supermask, lr } }
    }

    /// Returns how scores determine the mask, if these are trained.
    pub fn supermask(&self) -> Option<Supermask> {
        match self.kind {
            UpdateKind::Learn { supermask, .. } => Some(supermask),
            UpdateKind::Regrow(_) | UpdateKind::Prune { .. } => None,
        }
    }

    /// Returns the iteration of the last pruning, if the mask is pruned during training.
    pub(super) fn last_pruning(&self) -> Option<Iteration> {
        match self.kind {
            UpdateKind::Prune { .. } => self.schedule.last(),
            UpdateKind::Regrow(_) | UpdateKind::Learn { .. } => None,
        }
    }

    /// Returns the training run whose mask has the densities of the layers, if they are not known before it is trained.
    pub(super) fn layers_like(&self) -> Option<&ContentHash> {
        match &self.kind {
            UpdateKind::Prune { layers_like, .. } => layers_like.as_ref(),
            UpdateKind::Regrow(_) | UpdateKind::Learn { .. } => None,
        }
    }

    /// Returns the part of the key content that determines the updates. `target`: the numbers of weights at the end.
    pub(super) fn content(&self, target: &RemainingCounts) -> Value {
        let UpdateSchedule { first, every, count } = self.schedule;
        // The interval of a single update has no effect.
        let every = if count > 1 { every } else { 1 };
        let mut rule = json!({ "first": first, "every": every, "count": count });
        match &self.kind {
            UpdateKind::Learn { supermask, lr } => {
                rule = json!({ "learn": supermask.as_str() });
                if let Some(lr) = lr {
                    rule["lr"] = json!(lr);
                }
            }
            UpdateKind::Regrow(DropAndGrow { growth, drop, decay, span }) => {
                let growth = match growth {
                    Growth::Random => "random",
                    Growth::Gradient => "gradient",
                };
                rule["grow"] = json!(growth);
                rule["drop"] = json!(drop);
                rule["decay"] = json!(decay);
                if *decay == DropDecay::Cosine {
                    rule["span"] = json!(span);
                }
            }
            UpdateKind::Prune { layers_like, .. } => {
                rule["prune_to"] = target.layers.as_ref().map_or_else(|| json!(target.kept), |layers| json!(layers));
                if let Some(other) = layers_like {
                    rule["layers_like"] = json!(other);
                }
            }
        }
        rule
    }

    /// Returns the mean of a number over the iterations from `first` to `last`, which is `start` with the mask at the start
    /// and `end` with the mask at the end.
    pub(super) fn mean(&self, [start, end]: [u64; 2], [first, last]: [Iteration; 2]) -> u64 {
        let UpdateKind::Prune { .. } = self.kind else { return end };
        let UpdateSchedule { first: first_update, every, count } = self.schedule;
        // After pruning j of 0 ..= m, the share ((m − j)/m)³ of the difference remains for `every` iterations; the sum of
        // these shares is (m + 1)²/(4m).
        let m = count.saturating_sub(1) as f64;
        let intervals = if m > 0.0 { (m + 1.0).powi(2) / (4.0 * m) } else { 0.0 };
        let whole = first_update.0.saturating_sub(first.0) as f64 + intervals * every as f64;
        let iterations = last.0.saturating_sub(first.0).max(1) as f64;
        end + (start.saturating_sub(end) as f64 * whole / iterations).round() as u64
    }

    /// Returns the largest number of weights that an update may take from a layer of `kept` weights; `None` if there is no
    /// update at this iteration.
    pub(super) fn most_dropped(&self, iteration: Iteration, kept: u64) -> Option<u64> {
        let update = self.schedule.update_at(iteration)?;
        Some(match &self.kind {
            UpdateKind::Regrow(regrowth) => (kept as f64 * regrowth.drop_fraction(update * self.schedule.every)) as u64,
            UpdateKind::Prune { .. } | UpdateKind::Learn { .. } => kept,
        })
    }
}

/// Returns the iteration after a share of all iterations, rounded to the nearest.
fn share_of(last: Iteration, share: f64) -> Iteration {
    Iteration((last.0 as f64 * share).round() as u64)
}

/// Returns the mistake of updates that end before they begin. `key` is the path of the table.
fn ends_too_early(until: f64, end: Iteration, first: Iteration, key: &str) -> Diagnostic {
    let [end, first] = [end, first].map(|iteration| with_thousands(iteration.0));
    let message = format!("`{key}.until` = {until} is iteration {end}, and the first update would be at {first}");
    Diagnostic::new(format!("{key}.until"), message).hint("raise `until`, or train longer")
}

/// Returns the layers, by name, in which a mask keeps fewer weights than it is to keep after updates that only prune.
pub(super) fn denser_layers(mask: &Mask, target: &RemainingCounts) -> Vec<String> {
    let layers = target.layers.as_deref().unwrap_or_default();
    let denser = mask.0.iter().zip(layers).filter(|(layer, target)| layer.kept_count() < **target);
    denser.map(|(layer, _)| layer.name.trim_end_matches(".weight").to_owned()).collect()
}
