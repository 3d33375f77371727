//! A study: an experiment resolved and planned, as one value.

use super::plan::Plan;
use super::resolved::ResolvedExperiment;
use super::surroundings::Surroundings;
use super::validate_arms::validate_arms;
use crate::base::units::Iteration;
use crate::config::{Diagnostic, Experiment};

/// An experiment, resolved and planned: plain values, computed and checked once, before anything runs.
#[derive(Clone, Debug)]
pub struct Study {
    /// The experiment, with the checksum of custom data filled in.
    pub experiment: Experiment,
    /// The network, the rates, the data set, the device and the engines that the experiment names.
    pub resolved: ResolvedExperiment,
    /// Its training runs.
    pub plan: Plan,
}

impl Study {
    /// Resolves the names of an experiment, validates its arms and builds its plan.
    ///
    /// # Errors
    /// Fails with every mistake found, by its key: data that cannot be used, names that do not exist, arms that do not
    /// fit together, rounds that would prune nothing, and an engine or a device that does not support the experiment.
    pub fn resolve(mut experiment: Experiment, surroundings: Surroundings) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let arms = validate_arms(&experiment).map_err(|found| mistakes.extend(found)).ok();
        let resolved = ResolvedExperiment::new(&experiment, surroundings).map_err(|found| mistakes.extend(found)).ok();
        let (Some(arms), Some(resolved)) = (arms, resolved) else { return Err(mistakes) };
        if let Some(checksum) = &resolved.dataset.sha256 {
            experiment.data.set_checksum(checksum);
        }
        experiment.train = experiment.train.with_length_in_iterations(resolved.iterations_per_epoch);
        let plan = Plan::build(&experiment, &arms, &resolved)?;
        Ok(Self { experiment, resolved, plan })
    }

    /// Returns the last iteration of every training run.
    pub fn last_iteration(&self) -> Iteration {
        Iteration(self.experiment.train.iterations)
    }
}
