//! Estimated cost of training runs, so that those of one engine can be compared with those of another. How fast a machine is, only
//! recorded timings say.

use crate::engine::EngineKind;
use crate::lottery::{Study, TrainingSpec};

/// Estimates the cost of iterations of a training run, their share of the evaluations included, in nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct CostModel<'a> {
    study: &'a Study,
    images_evaluated_per_step: f64,
}

impl<'a> CostModel<'a> {
    pub(super) fn new(study: &'a Study) -> Self {
        let evaluate_every = study.experiment.train.evaluate_every as f64;
        Self { study, images_evaluated_per_step: study.resolved.images_evaluated as f64 / evaluate_every }
    }

    /// Returns the weights of each layer that a training run multiplies: a mask reduces them for the sparse trainer only.
    pub(super) fn effective_counts(self, spec: &TrainingSpec) -> Vec<u64> {
        match spec.engine {
            EngineKind::Dense => self.study.resolved.network.weight_counts().to_vec(),
            EngineKind::Sparse => self.study.resolved.expected_per_layer(&spec.counts),
        }
    }

    /// Returns the estimated nanoseconds of `iterations` iterations.
    pub(super) fn nanoseconds(self, spec: &TrainingSpec, iterations: u64) -> f64 {
        let (engines, kept) = (&self.study.resolved.engines, self.effective_counts(spec));
        let evaluation = self.images_evaluated_per_step * engines.evaluation_cost(spec.engine, &kept);
        (iterations as f64 * (engines.step_cost(spec.engine, &kept) + evaluation)).0
    }

    /// Like [`CostModel::nanoseconds`], of all lanes of a lockstep group.
    pub(super) fn group_cost(self, lanes: &[&TrainingSpec], iterations: u64) -> f64 {
        lanes.iter().map(|spec| self.nanoseconds(spec, iterations)).sum()
    }
}
