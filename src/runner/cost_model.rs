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
        Self { study, images_evaluated_per_step: study.resolved.images.evaluated() as f64 / evaluate_every }
    }

    /// Returns the number of weights that a training run multiplies in each layer, in network order: all weights with
    /// the dense engine, the expected number of kept weights with the sparse one, on average over its iterations.
    pub(super) fn effective_counts(self, spec: &TrainingSpec) -> Vec<u64> {
        match spec.engine {
            EngineKind::Dense => self.study.resolved.network.weight_counts().to_vec(),
            EngineKind::Sparse => self.study.mean_per_layer(spec),
        }
    }

    /// Returns the estimated nanoseconds of `iterations` iterations of a training run.
    pub(super) fn nanoseconds(self, spec: &TrainingSpec, iterations: u64) -> f64 {
        let kept = self.effective_counts(spec);
        iterations as f64 * self.iteration_nanoseconds(spec.engine, &kept, self.images_evaluated_per_step)
    }

    /// Returns the estimated nanoseconds of one iteration on an engine that multiplies `kept` weights in each layer, with
    /// its share of the evaluations: `images_evaluated` images per iteration.
    pub(super) fn iteration_nanoseconds(self, engine: EngineKind, kept: &[u64], images_evaluated: f64) -> f64 {
        let engines = &self.study.resolved.engines;
        (engines.step_cost(engine, kept) + images_evaluated * engines.evaluation_cost(engine, kept)).0
    }

    /// Returns the number of images that evaluations read per iteration.
    pub(super) fn images_evaluated_per_step(self) -> f64 {
        self.images_evaluated_per_step
    }

    /// Returns the multiply-adds of `iterations` iterations of a lockstep group, evaluations included: the forward pass
    /// three times for each trained image (forward, gradient of the inputs, gradient of the weights) and once for each
    /// evaluated image.
    pub(super) fn group_macs(self, lanes: &[&TrainingSpec], iterations: u64) -> f64 {
        let batch_size = f64::from(self.study.experiment.train.batch_size);
        let forward_passes = 3.0 * batch_size + self.images_evaluated_per_step;
        let macs = |spec: &&TrainingSpec| self.study.resolved.network.macs(&self.effective_counts(spec)) as f64;
        iterations as f64 * forward_passes * lanes.iter().map(macs).sum::<f64>()
    }

    /// Returns whether the training runs are trained on a GPU.
    pub(super) fn is_on_gpu(self) -> bool {
        self.study.resolved.gpu.is_some()
    }

    /// Like [`CostModel::nanoseconds`], but for a lockstep group: the sum over its lanes.
    pub(super) fn group_nanoseconds(self, lanes: &[&TrainingSpec], iterations: u64) -> f64 {
        lanes.iter().map(|spec| self.nanoseconds(spec, iterations)).sum()
    }
}
