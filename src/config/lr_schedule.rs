//! The learning-rate schedule: keys of `[train]` on one level in a file, an enum with payload in memory. The number of
//! iterations in an epoch is not needed here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::mistakes::diagnostic::Diagnostic;
use super::training_time::TrainingTime;

/// Default factor of a step.
const DEFAULT_GAMMA: f64 = 0.1;

/// How the learning rate changes over a training run, without warm-up.
#[derive(Clone, Debug, PartialEq)]
pub enum LrScheduleConfig {
    /// The constant learning rate `lr`.
    Constant,
    /// The learning rate is multiplied by `gamma` at regular intervals.
    Step {
        /// Iterations or epochs between two steps.
        every: TrainingTime,
        /// Factor of each step, in (0, 1].
        gamma: f64,
    },
    /// The learning rate is multiplied by `gamma` at each milestone.
    MultiStep {
        /// The times of the steps, at least one.
        milestones: Vec<TrainingTime>,
        /// Factor of each step, in (0, 1].
        gamma: f64,
    },
    /// The learning rate falls from `lr` along half a cosine, over all iterations.
    Cosine {
        /// The learning rate after the last iteration, in [0, `lr`).
        lr_min: f64,
    },
}

impl LrScheduleConfig {
    /// Returns the name of the schedule, without its parameters.
    pub fn kind(&self) -> LrScheduleKind {
        match self {
            Self::Constant => LrScheduleKind::Constant,
            Self::Step { .. } => LrScheduleKind::Step,
            Self::MultiStep { .. } => LrScheduleKind::MultiStep,
            Self::Cosine { .. } => LrScheduleKind::Cosine,
        }
    }

    /// Returns the schedule with every time in iterations. `per_epoch`: iterations in an epoch.
    #[must_use]
    pub(super) fn without_epochs(&self, per_epoch: u64) -> Self {
        self.map_times(|time| time.without_epochs(per_epoch))
    }

    /// Returns the schedule of a training that is `factor` times as long.
    #[must_use]
    pub(super) fn stretched(&self, factor: u32) -> Self {
        self.map_times(|time| time.times(factor))
    }

    /// Returns the schedule with `change` made to every time.
    fn map_times(&self, change: impl Fn(TrainingTime) -> TrainingTime) -> Self {
        match self {
            Self::Step { every, gamma } => Self::Step { every: change(*every), gamma: *gamma },
            Self::MultiStep { milestones, gamma } => {
                Self::MultiStep { milestones: milestones.iter().map(|time| change(*time)).collect(), gamma: *gamma }
            }
            Self::Constant | Self::Cosine { .. } => self.clone(),
        }
    }
}

/// A learning-rate schedule by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Schedule")]
pub enum LrScheduleKind {
    /// The constant learning rate `lr`.
    #[default]
    Constant,
    /// `lr`, multiplied by `gamma` every `step_every`.
    Step,
    /// `lr`, multiplied by `gamma` at each of `milestones`.
    MultiStep,
    /// From `lr` to `lr_min` along half a cosine, over all iterations.
    Cosine,
}

impl LrScheduleKind {
    /// Returns whether the learning rate stays constant.
    pub fn is_constant(&self) -> bool {
        *self == Self::Constant
    }
}

/// The keys of `[train]` that describe the schedule, as they are written.
#[derive(Clone, Default)]
pub(super) struct LrScheduleKeys {
    pub(super) schedule: LrScheduleKind,
    pub(super) step_every: Option<TrainingTime>,
    pub(super) milestones: Option<Vec<TrainingTime>>,
    pub(super) gamma: Option<f64>,
    pub(super) lr_min: Option<f64>,
}

impl LrScheduleKeys {
    /// Checks that no key belongs to another schedule.
    pub(super) fn check_combinations(&self, checker: &mut Checker) {
        let is_step = self.schedule == LrScheduleKind::Step;
        let is_multi_step = self.schedule == LrScheduleKind::MultiStep;
        let is_cosine = self.schedule == LrScheduleKind::Cosine;
        let steps = "`schedule = \"step\"` or `\"multi_step\"`";
        checker.only_with_choice("train.step_every", self.step_every.is_some(), is_step, "`schedule = \"step\"`");
        let multi_step = "`schedule = \"multi_step\"`";
        checker.only_with_choice("train.milestones", self.milestones.is_some(), is_multi_step, multi_step);
        checker.only_with_choice("train.gamma", self.gamma.is_some(), is_step || is_multi_step, steps);
        checker.only_with_choice("train.lr_min", self.lr_min.is_some(), is_cosine, "`schedule = \"cosine\"`");
    }

    /// Checks the range of every number, and that the schedule has the keys it requires. `lr`: the learning rate.
    pub(super) fn check_values(&self, lr: f64, checker: &mut Checker) {
        let is_factor = self.gamma.is_none_or(|gamma| gamma > 0.0 && gamma <= 1.0);
        checker.require("train.gamma", is_factor, "must be above 0 and at most 1");
        let is_below_lr = self.lr_min.is_none_or(|lr_min| lr_min >= 0.0 && lr_min < lr);
        checker.require("train.lr_min", is_below_lr, "must be at least 0 and below `train.lr`");
        let has_milestone = self.milestones.as_ref().is_none_or(|milestones| !milestones.is_empty());
        let message = "names no iteration: choose `schedule = \"constant\"`, or name one";
        checker.require("train.milestones", has_milestone, message);
        checker.require_length("train.milestones", self.milestones.as_ref().map_or(0, Vec::len));
        checker.push_error(self.resolve());
    }

    /// Returns the schedule with its defaults filled in.
    ///
    /// # Errors
    /// Fails if a key that the schedule requires is missing.
    pub(super) fn resolve(&self) -> Result<LrScheduleConfig, Diagnostic> {
        let gamma = self.gamma.unwrap_or(DEFAULT_GAMMA);
        Ok(match self.schedule {
            LrScheduleKind::Constant => LrScheduleConfig::Constant,
            LrScheduleKind::Step => {
                let hint = "when the learning rate steps down: such as `step_every = \"20ep\"`";
                let missing = || Diagnostic::missing_key("train.step_every").hint(hint);
                LrScheduleConfig::Step { every: self.step_every.ok_or_else(missing)?, gamma }
            }
            LrScheduleKind::MultiStep => {
                let hint = "when the learning rate steps down: such as `milestones = [\"20000it\", \"25000it\"]`";
                let missing = || Diagnostic::missing_key("train.milestones").hint(hint);
                LrScheduleConfig::MultiStep { milestones: self.milestones.clone().ok_or_else(missing)?, gamma }
            }
            LrScheduleKind::Cosine => LrScheduleConfig::Cosine { lr_min: self.lr_min.unwrap_or(0.0) },
        })
    }
}

impl From<LrScheduleConfig> for LrScheduleKeys {
    fn from(config: LrScheduleConfig) -> Self {
        let bare = Self { schedule: config.kind(), ..Self::default() };
        match config {
            LrScheduleConfig::Constant => bare,
            LrScheduleConfig::Step { every, gamma } => Self { step_every: Some(every), gamma: Some(gamma), ..bare },
            LrScheduleConfig::MultiStep { milestones, gamma } => {
                Self { milestones: Some(milestones), gamma: Some(gamma), ..bare }
            }
            LrScheduleConfig::Cosine { lr_min } => Self { lr_min: Some(lr_min), ..bare },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrainConfig;
    use crate::config::test_support::experiment;

    fn train(sets: &[&str]) -> TrainConfig {
        let sets: Vec<String> = sets.iter().map(|set| format!("train.{set}")).collect();
        experiment(&sets.iter().map(String::as_str).collect::<Vec<_>>()).train
    }

    #[test]
    fn schedule_without_effect_is_not_written() {
        let plain = serde_json::to_string(&train(&[])).unwrap();
        let without_effect = ["schedule=constant", "warmup=0ep", "label_smoothing=0"];
        assert_eq!(serde_json::to_string(&train(&without_effect)).unwrap(), plain);
        for new in ["schedule", "step_every", "milestones", "gamma", "lr_min", "warmup", "clip_norm", "label_smoothing"]
        {
            assert!(!plain.contains(new), "{new}");
        }
    }

    #[test]
    fn schedule_defaults_are_written_beside_their_schedule() {
        let cosine = serde_json::to_string(&train(&["schedule=cosine"])).unwrap();
        assert!(cosine.contains(r#""schedule":"cosine","lr_min":0.0,"#), "{cosine}");
        let step = serde_json::to_string(&train(&["schedule=step", "step_every=20ep"])).unwrap();
        assert!(step.contains(r#""schedule":"step","step_every":"20ep","gamma":0.1,"#), "{step}");
    }

    #[test]
    fn schedule_in_iterations_has_no_epochs() {
        let train = train(&["schedule=multi_step", "milestones=[\"2ep\",\"2ep50it\"]", "warmup=1ep"]);
        let resolved = train.without_epochs(40);
        let milestones = [80, 130].map(TrainingTime::of_iterations).to_vec();
        assert_eq!(resolved.lr_schedule, LrScheduleConfig::MultiStep { milestones, gamma: 0.1 });
        assert_eq!(resolved.warmup, Some(TrainingTime::of_iterations(40)));
        assert_eq!(resolved.without_epochs(7), resolved);
    }
}
