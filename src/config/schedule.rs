//! What the values of a learning-rate schedule say about each other. How long an epoch is, is not known here.

use super::diagnostic::Diagnostic;
use super::experiment::{ScheduleConfig, TrainConfig};
use super::training_time::TrainingTime;

/// The defaults of parameters that stand beside a schedule; the only place that knows them.
impl TrainConfig {
    /// What a step multiplies the learning rate by.
    pub fn gamma(&self) -> f64 {
        self.gamma.unwrap_or(0.1)
    }

    /// Where a cosine ends.
    pub fn lr_min(&self) -> f64 {
        self.lr_min.unwrap_or(0.0)
    }

    /// The same with every moment in iterations, given how many an epoch has.
    #[must_use]
    pub fn in_iterations(&self, per_epoch: u64) -> Self {
        let resolved = |step: TrainingTime| TrainingTime::of_iterations(step.iterations(per_epoch));
        let milestones = self.milestones.as_ref().map(|all| all.iter().map(|&step| resolved(step)).collect());
        let (step_every, warmup) = (self.step_every.map(resolved), self.warmup.map(resolved));
        Self { step_every, milestones, warmup, ..self.clone() }
    }

    /// Fills in the defaults that depend on the schedule, and takes out a warm-up of nothing.
    pub(super) fn resolve_schedule(&mut self) {
        match self.schedule {
            ScheduleConfig::Constant => {}
            ScheduleConfig::Step | ScheduleConfig::MultiStep => self.gamma = Some(self.gamma()),
            ScheduleConfig::Cosine => self.lr_min = Some(self.lr_min()),
        }
        self.warmup = self.warmup.filter(|warmup| warmup.iterations(1) > 0);
    }

    /// That a schedule has what it needs, and that its numbers make sense.
    pub(super) fn check_schedule(&self, problems: &mut Vec<Diagnostic>) {
        let mut need = |fine: bool, key: &str, message: &str| {
            if !fine {
                problems.push(Diagnostic::new(key, format!("`{key}` {message}")));
            }
        };
        need(
            self.gamma.is_none_or(|gamma| gamma > 0.0 && gamma <= 1.0),
            "train.gamma",
            "must be above 0 and at most 1",
        );
        let fits = |min: f64| min >= 0.0 && min < self.lr;
        need(self.lr_min.is_none_or(fits), "train.lr_min", "must be at least 0 and below `train.lr`");
        let nothing = self.milestones.as_ref().is_some_and(Vec::is_empty);
        need(!nothing, "train.milestones", "names no iteration: choose `schedule = \"constant\"`, or name one");
        let mut missing = |is_missing: bool, key: &str, hint: &str| {
            if is_missing {
                problems.push(Diagnostic::new(key, format!("`{key}` is missing")).hint(hint).on_key());
            }
        };
        let step = self.schedule == ScheduleConfig::Step && self.step_every.is_none();
        missing(step, "train.step_every", "when the learning rate steps down: such as `step_every = \"20ep\"`");
        let multi_step = self.schedule == ScheduleConfig::MultiStep && self.milestones.is_none();
        let hint = "when the learning rate steps down: such as `milestones = [\"20000it\", \"25000it\"]`";
        missing(multi_step, "train.milestones", hint);
    }
}

impl ScheduleConfig {
    /// Whether the learning rate stays what it is.
    pub fn is_constant(&self) -> bool {
        *self == Self::Constant
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ConfigDocument, read};
    use super::*;

    fn train(sets: &[&str]) -> TrainConfig {
        let sets: Vec<String> = sets.iter().map(|set| format!("train.{set}")).collect();
        let text = include_str!("../../configs/smoke.toml");
        read(&ConfigDocument::parse("smoke.toml", text, &sets).unwrap()).unwrap().train
    }

    #[test]
    fn what_changes_nothing_is_not_written_down() {
        let plain = serde_json::to_string(&train(&[])).unwrap();
        let nothing = ["schedule=constant", "warmup=0ep", "label_smoothing=0"];
        assert_eq!(serde_json::to_string(&train(&nothing)).unwrap(), plain);
        for new in ["schedule", "step_every", "milestones", "gamma", "lr_min", "warmup", "clip_norm", "label_smoothing"]
        {
            assert!(!plain.contains(new), "{new}");
        }
    }

    #[test]
    fn defaults_are_written_down_beside_their_schedule() {
        let cosine = train(&["schedule=cosine"]);
        assert_eq!((cosine.lr_min, cosine.gamma), (Some(0.0), None));
        let step = train(&["schedule=step", "step_every=20ep"]);
        assert_eq!((step.lr_min, step.gamma), (None, Some(0.1)));
    }

    #[test]
    fn epochs_become_iterations() {
        let train = train(&["schedule=multi_step", "milestones=[\"2ep\",\"2ep50it\"]", "warmup=1ep"]);
        let resolved = train.in_iterations(40);
        let written = |step: TrainingTime| step.to_string();
        assert_eq!(
            resolved.milestones.clone().unwrap().into_iter().map(written).collect::<Vec<_>>(),
            ["80it", "130it"]
        );
        assert_eq!(resolved.warmup.map(written).as_deref(), Some("40it"));
        assert_eq!(resolved.in_iterations(7), resolved);
    }
}
