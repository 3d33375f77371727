//! What trainings are estimated to cost, so that those of one engine can be set against those of another. How fast a machine
//! is, only recorded times tell.

use crate::config::Experiment;
use crate::engine::Kind;
use crate::lottery::{Setting, Training};

/// What the iterations of a training are estimated to cost, their share of the evaluations included.
#[derive(Clone, Copy)]
pub(super) struct Costs<'a> {
    setting: &'a Setting,
    images_per_step: f64,
}

impl<'a> Costs<'a> {
    pub(super) fn new(experiment: &Experiment, setting: &'a Setting) -> Self {
        Self { setting, images_per_step: setting.images_evaluated as f64 / experiment.train.evaluate_every as f64 }
    }

    /// The weights that a training multiplies, by layer: a mask makes them fewer for the sparse trainer alone.
    pub(super) fn multiplied(self, training: &Training) -> Vec<u64> {
        match training.engine {
            Kind::Dense => self.setting.network.sizes(),
            Kind::Sparse => self.setting.by_layer(&training.counts),
        }
    }

    /// Estimated nanoseconds of so many iterations.
    pub(super) fn nanoseconds(self, training: &Training, iterations: u64) -> f64 {
        let (choice, kept) = (&self.setting.choice, self.multiplied(training));
        let evaluated = self.images_per_step * choice.evaluation(training.engine, &kept);
        iterations as f64 * (choice.step(training.engine, &kept) + evaluated)
    }
    /// The same of trainings in lockstep.
    pub(super) fn together(self, trainings: &[&Training], iterations: u64) -> f64 {
        trainings.iter().map(|training| self.nanoseconds(training, iterations)).sum()
    }
}
