//! What trainings are estimated to cost, so that those of one engine can be set against those of another. How fast a machine
//! is, only recorded times tell.

use crate::config::Experiment;
use crate::engine::EngineKind;
use crate::lottery::{ResolvedExperiment, TrainingSpec};

/// What the iterations of a training are estimated to cost, their share of the evaluations included.
#[derive(Clone, Copy)]
pub(super) struct CostModel<'a> {
    setting: &'a ResolvedExperiment,
    images_per_step: f64,
}

impl<'a> CostModel<'a> {
    pub(super) fn new(experiment: &Experiment, setting: &'a ResolvedExperiment) -> Self {
        Self { setting, images_per_step: setting.images_evaluated as f64 / experiment.train.evaluate_every as f64 }
    }

    /// The weights that a training multiplies, by layer: a mask makes them fewer for the sparse trainer alone.
    pub(super) fn effective_counts(self, training: &TrainingSpec) -> Vec<u64> {
        match training.engine {
            EngineKind::Dense => self.setting.network.sizes().to_vec(),
            EngineKind::Sparse => self.setting.expected_per_layer(&training.counts),
        }
    }

    /// Estimated nanoseconds of so many iterations.
    pub(super) fn nanoseconds(self, training: &TrainingSpec, iterations: u64) -> f64 {
        let (choice, kept) = (&self.setting.engines, self.effective_counts(training));
        let evaluated = self.images_per_step * choice.evaluation_cost(training.engine, &kept);
        iterations as f64 * (choice.step_cost(training.engine, &kept) + evaluated)
    }
    /// The same of trainings in lockstep.
    pub(super) fn group_cost(self, trainings: &[&TrainingSpec], iterations: u64) -> f64 {
        trainings.iter().map(|training| self.nanoseconds(training, iterations)).sum()
    }
}
