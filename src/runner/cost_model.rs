//! The estimated cost of training runs, so that those of different engines can be compared: in nanoseconds of the
//! machine on which the constants of the engines were measured. How long they take on this machine is estimated from
//! recorded timings ([`Estimate`](super::Estimate)).

use crate::engine::EngineKind;
use crate::lottery::{Study, TrainingSpec};

/// Estimates the cost of the iterations of training runs, the evaluations among them included.
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

    /// Returns the number of weights that a training run multiplies in each layer, in network order: all weights with
    /// the dense engine, the expected number of kept weights with the sparse one.
    pub(super) fn effective_counts(self, spec: &TrainingSpec) -> Vec<u64> {
        match spec.engine {
            EngineKind::Dense => self.study.resolved.network.weight_counts().to_vec(),
            EngineKind::Sparse => self.study.resolved.expected_per_layer(&spec.counts),
        }
    }

    /// Returns the estimated nanoseconds of `iterations` iterations of a training run.
    pub(super) fn nanoseconds(self, spec: &TrainingSpec, iterations: u64) -> f64 {
        let engines = &self.study.resolved.engines;
        let kept = self.effective_counts(spec);
        let evaluation = self.images_evaluated_per_step * engines.evaluation_cost(spec.engine, &kept);
        (iterations as f64 * (engines.step_cost(spec.engine, &kept) + evaluation)).0
    }

    /// Like [`CostModel::nanoseconds`], but for a lockstep group: the sum over its lanes.
    pub(super) fn group_nanoseconds(self, lanes: &[&TrainingSpec], iterations: u64) -> f64 {
        lanes.iter().map(|spec| self.nanoseconds(spec, iterations)).sum()
    }
}
