//! The learning rate as a function of the iteration alone, so that training can start at any iteration.

use crate::base::units::Iteration;
use crate::config::{Diagnostic, LrScheduleConfig, TrainConfig};

/// The learning rate of each iteration.
///
/// The warm-up is a factor on the schedule and shifts no part of it: a warm-up of 20,000 iterations ends when a
/// milestone at iteration 20,000 is reached (Frankle & Carbin 2019, section 4, Resnet-18).
#[derive(Clone, Debug, PartialEq)]
pub struct LrSchedule {
    /// The learning rate before any change by `shape`.
    lr: f64,
    /// Iterations over which the factor of the warm-up rises from 0 to 1; 0 for none.
    warmup: u64,
    shape: LrShape,
}

/// The change of the learning rate over a training run.
#[derive(Clone, Debug, PartialEq)]
enum LrShape {
    /// No change.
    Constant,
    /// A factor of `gamma` every `every` iterations.
    Step { every: u64, gamma: f64 },
    /// A factor of `gamma` at each of the iterations `milestones`.
    MultiStep { milestones: Vec<u64>, gamma: f64 },
    /// Half a cosine, down to `min` after `iterations` iterations.
    Cosine { min: f64, iterations: u64 },
}

impl LrSchedule {
    /// Returns the schedule that `train` configures; times in epochs are converted by `iterations_per_epoch`.
    pub fn new(train: &TrainConfig, iterations_per_epoch: u64) -> Self {
        let shape = match &train.lr_schedule {
            LrScheduleConfig::Constant => LrShape::Constant,
            LrScheduleConfig::Step { every, gamma } => {
                LrShape::Step { every: every.to_iterations(iterations_per_epoch).max(1), gamma: *gamma }
            }
            LrScheduleConfig::MultiStep { milestones, gamma } => {
                let milestones = milestones.iter().map(|time| time.to_iterations(iterations_per_epoch)).collect();
                LrShape::MultiStep { milestones, gamma: *gamma }
            }
            LrScheduleConfig::Cosine { lr_min } => LrShape::Cosine { min: *lr_min, iterations: train.iterations },
        };
        Self {
            lr: train.lr,
            warmup: train.warmup.map_or(0, |warmup| warmup.to_iterations(iterations_per_epoch)),
            shape,
        }
    }

    /// Returns the learning rate of the step that has `iteration` steps before it, with the same bits on every machine.
    pub fn at(&self, iteration: Iteration) -> f64 {
        let Iteration(iteration) = iteration;
        let after = |steps: u64, gamma: f64| self.lr * libm::pow(gamma, steps as f64);
        let lr = match &self.shape {
            LrShape::Constant => self.lr,
            LrShape::Step { every, gamma } => after(iteration / every, *gamma),
            LrShape::MultiStep { milestones, gamma } => {
                after(milestones.iter().filter(|&&milestone| milestone <= iteration).count() as u64, *gamma)
            }
            LrShape::Cosine { min, iterations } => {
                let angle = std::f64::consts::PI * iteration as f64 / *iterations as f64;
                min + (self.lr - min) * (1.0 + libm::cos(angle)) / 2.0
            }
        };
        if iteration < self.warmup { lr * (iteration as f64 / self.warmup as f64) } else { lr }
    }
}

/// Returns a mistake for each part of the learning-rate schedule that would have no effect, or that begins or ends
/// after the last iteration of a training run.
pub fn validate_lr_schedule(train: &TrainConfig, iterations_per_epoch: u64) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let epoch = format!("an epoch has {iterations_per_epoch} iterations");
    let longer = format!("{epoch}; or raise `train.iterations`");
    let mut refuse = |key: &str, message: String, hint: &str| problems.push(Diagnostic::new(key, message).hint(hint));
    let last_iteration = train.iterations;
    let too_late = |iteration: u64| format!("iteration {iteration} is not before the last one, {last_iteration}");
    if let LrScheduleConfig::Step { every, .. } = train.lr_schedule {
        match every.to_iterations(iterations_per_epoch) {
            0 => refuse("train.step_every", "`train.step_every` must be at least 1 iteration".to_owned(), &epoch),
            every if every >= last_iteration => refuse("train.step_every", too_late(every), &longer),
            _ => {}
        }
    }
    let milestones = match &train.lr_schedule {
        LrScheduleConfig::MultiStep { milestones, .. } => milestones.as_slice(),
        _ => &[],
    };
    let mut before = 0;
    for (index, milestone) in milestones.iter().enumerate() {
        let key = format!("train.milestones[{index}]");
        let milestone = milestone.to_iterations(iterations_per_epoch);
        if milestone == 0 {
            refuse(&key, "a milestone at iteration 0 changes nothing".to_owned(), "leave it out, and set `train.lr`");
        } else if milestone <= before {
            refuse(&key, format!("iteration {milestone} is not after the milestone before it, {before}"), &epoch);
        } else if milestone >= last_iteration {
            refuse(&key, too_late(milestone), &longer);
        }
        before = milestone;
    }
    if let Some(warmup) =
        train.warmup.map(|warmup| warmup.to_iterations(iterations_per_epoch)).filter(|&warmup| warmup > last_iteration)
    {
        // `lr` would never be reached, which is not the experiment that was intended.
        let message = format!("a warm-up of {warmup} iterations does not end within the training's {last_iteration}");
        refuse("train.warmup", message, &longer);
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_support::experiment;

    /// A training run of 120 iterations at a rate of 1, with epochs of 10 iterations.
    fn train(sets: &[&str]) -> TrainConfig {
        let sets: Vec<String> = sets.iter().chain(&["lr=1"]).map(|set| format!("train.{set}")).collect();
        experiment(&sets.iter().map(String::as_str).collect::<Vec<_>>()).train
    }

    fn rates<const N: usize>(sets: &[&str], iterations: [u64; N]) -> [f64; N] {
        let schedule = LrSchedule::new(&train(sets), 10);
        iterations.map(|iteration| schedule.at(Iteration(iteration)))
    }

    #[test]
    fn lr_schedules_by_hand() {
        assert_eq!(rates(&[], [0, 1, 119]), [1.0; 3]);
        let step = ["schedule=step", "step_every=2ep", "gamma=0.5"];
        assert_eq!(rates(&step, [0, 19, 20, 39, 40, 119]), [1.0, 1.0, 0.5, 0.5, 0.25, 0.03125]);
        let multi_step = ["schedule=multi_step", "milestones=[\"3ep\",\"35it\"]", "gamma=0.5"];
        assert_eq!(rates(&multi_step, [0, 29, 30, 34, 35, 119]), [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
        let [first, third, half, last] = rates(&["schedule=cosine", "lr_min=0.2"], [0, 40, 60, 120]);
        assert_eq!((first, last), (1.0, 0.2));
        assert!((half - 0.6).abs() < 1e-15 && (third - 0.8).abs() < 1e-15, "cos 60° = 1/2: {third}");
    }

    #[test]
    fn warm_up_is_a_factor_on_any_schedule() {
        assert_eq!(rates(&["warmup=4it"], [0, 1, 2, 3, 4, 5]), [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]);
        // The first milestone comes when the warm-up ends, as with the paper's Resnet-18 (Frankle & Carbin 2019,
        // Section 4): the full rate is never reached.
        let paper = ["warmup=4ep", "schedule=multi_step", "milestones=[\"4ep\",\"8ep\"]", "gamma=0.25"];
        assert_eq!(rates(&paper, [0, 20, 40, 80]), [0.0, 0.5, 0.25, 0.0625]);
        let cosine = rates(&["warmup=30it", "schedule=cosine"], [0, 15, 30, 60]);
        assert_eq!((cosine[0], cosine[2..].to_vec()), (0.0, rates(&["schedule=cosine"], [30, 60]).to_vec()));
        assert_eq!(cosine[1], rates(&["schedule=cosine"], [15])[0] / 2.0);
    }

    #[test]
    fn lr_schedule_without_effect_is_refused() {
        let keys = |sets: &[&str]| -> Vec<String> {
            validate_lr_schedule(&train(sets), 10).into_iter().map(|problem| problem.key).collect()
        };
        let milestones = |list: &str| keys(&["schedule=multi_step", &format!("milestones={list}")]);
        assert!(milestones("[\"1it\",\"119it\"]").is_empty());
        assert_eq!(
            milestones("[\"0it\",\"3ep\",\"30it\",\"12ep\"]"),
            [0, 2, 3].map(|i| format!("train.milestones[{i}]"))
        );
        assert_eq!(keys(&["schedule=step", "step_every=12ep"]), ["train.step_every"]);
        assert_eq!(keys(&["schedule=step", "step_every=0it"]), ["train.step_every"]);
        assert_eq!((keys(&["warmup=12ep"]).len(), keys(&["warmup=121it"])), (0, vec!["train.warmup".to_owned()]));
    }
}
