//! Networks on the straight line between the weights of two networks, and their errors.

use std::sync::Arc;

use anyhow::Result;

use super::super::context::RunContext;
use super::super::weight_evaluator::{WeightEvaluator, interpolate};
use super::copies::{CopyPair, InterpolationPoint};
use crate::data::{Dataset, Split};
use crate::lottery::ArtifactSource as _;

/// Measures the lines of pairs, in the thread that built it.
pub(super) struct Interpolator<'a> {
    context: &'a RunContext<'a>,
    evaluator: WeightEvaluator<'a>,
}

impl<'a> Interpolator<'a> {
    pub(super) fn new(context: &'a RunContext<'a>, dataset: &'a Arc<Dataset>) -> Self {
        Self { context, evaluator: WeightEvaluator::new(context, dataset) }
    }

    /// Returns the errors at each of `alphas` (0 is the copy, 1 the training run); `None` if the run was cancelled.
    pub(super) fn measure(
        &mut self,
        pair: &CopyPair,
        alphas: impl Iterator<Item = f64>,
    ) -> Result<Option<Vec<InterpolationPoint>>> {
        let RunContext { study, store, .. } = *self.context;
        let network = &study.resolved.network;
        // The masks differ only if they change during training. Weights between the two networks have those of both.
        let mut mask = store.mask(&pair.training.key)?;
        mask.extend(&store.mask(&pair.copy.key)?);
        let original = store.final_weights(&pair.training.key)?;
        let copy = store.final_weights(&pair.copy.key)?;
        let mut points = Vec::new();
        for alpha in alphas {
            let weights = interpolate(network, &copy, &original, alpha)?;
            let scores = self.evaluator.scores(pair.training.engine, weights, &mask, [Split::Train, Split::Test])?;
            let Some([train, test]) = scores else { return Ok(None) };
            points.push(InterpolationPoint {
                alpha,
                train_error: 1.0 - train.accuracy,
                test_error: 1.0 - test.accuracy,
            });
        }
        Ok(Some(points))
    }
}
