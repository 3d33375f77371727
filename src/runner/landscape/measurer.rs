//! Measures the training loss around the starting and the final weights of training runs.

use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::super::context::RunContext;
use super::super::store::Store;
use super::super::weight_evaluator::{WeightEvaluator, interpolate};
use super::direction::{Direction, masked_tensor, norm};
use super::measurement::{ALPHAS, LandscapeDefinition, LandscapeMeasurement, LossPoint};
use crate::base::mask::Mask;
use crate::base::rng::{Purpose, Stream};
use crate::base::tensors::{Snapshot, TensorMap};
use crate::data::{Dataset, Split};
use crate::engine::{NoProbe, Probe, ProbeOptions};
use crate::lottery::{ArtifactSource as _, PrepareContext, TrainingSpec, prepare_start};

/// Measures training runs, in the thread that built it.
pub(super) struct LandscapeMeasurer<'a> {
    context: &'a RunContext<'a>,
    dataset: &'a Arc<Dataset>,
    definition: LandscapeDefinition,
    evaluator: WeightEvaluator<'a>,
    probe: Box<dyn Probe>,
}

/// The masks and the weights of a training run: kept weights, biases, and scales and shifts of batch norms. The masks
/// differ only if the mask changes during training.
struct TrainedNetwork<'a> {
    spec: &'a TrainingSpec,
    /// The mask at the start.
    start_mask: Mask,
    /// The mask at the end.
    end_mask: Mask,
    /// The weights that one of them keeps.
    either_mask: Mask,
    start: TensorMap,
    end: TensorMap,
}

impl<'a> LandscapeMeasurer<'a> {
    pub(super) fn new(context: &'a RunContext<'a>, dataset: &'a Arc<Dataset>, definition: LandscapeDefinition) -> Self {
        let evaluator = WeightEvaluator::new(context, dataset);
        Self { context, dataset, definition, evaluator, probe: context.trainers.probe(dataset) }
    }

    /// Returns the store of the run.
    pub(super) fn store(&self) -> &'a Store {
        self.context.store
    }

    /// Measures a training run whose final weights are stored; `None` if the run was cancelled.
    ///
    /// # Errors
    /// Fails if weights cannot be read, or a trainer or the probe fails.
    pub(super) fn measurement(&mut self, spec: &TrainingSpec) -> Result<Option<LandscapeMeasurement>> {
        let store = self.context.store;
        let weights = store.final_weights_checksum(&spec.key).context("it has not come to its end")?;
        let network = self.trained_network(spec)?;
        let gradient_norm = self.gradient_norm(&network)?;
        let Some(line) = self.line(&network)? else { return Ok(None) };
        let Some(directions) = self.directions(&network)? else { return Ok(None) };
        let (start_norm, distance) = distance(&network.start, &network.end, &network.either_mask)?;
        Ok(Some(LandscapeMeasurement {
            format: LandscapeMeasurement::FORMAT,
            weights,
            definition: self.definition,
            images: self.dataset.indices(Split::Train).len(),
            start_norm,
            distance,
            gradient_norm,
            line,
            directions,
        }))
    }

    /// Makes the starting weights of a training run again, and reads its masks and its final weights.
    fn trained_network<'s>(&self, spec: &'s TrainingSpec) -> Result<TrainedNetwork<'s>> {
        let RunContext { study, store, .. } = *self.context;
        // The mask is stored, so that no rule for it needs gradients.
        let prepare_context = PrepareContext { study, artifacts: store, probe: &NoProbe };
        let start_mask = store.start_mask(spec)?;
        let end_mask = store.mask(&spec.key)?;
        let mut either_mask = start_mask.clone();
        either_mask.extend(&end_mask);
        let start = prepare_start(spec, &start_mask, prepare_context)?.weights;
        let (end, _) = prepare_context.split_buffers(store.final_weights(&spec.key)?);
        Ok(TrainedNetwork { spec, start_mask, end_mask, either_mask, start, end })
    }

    /// Returns the Euclidean norm of the gradient of the mean training loss at the start, over the kept weights; `None`
    /// if it is not finite.
    fn gradient_norm(&self, network: &TrainedNetwork<'_>) -> Result<Option<f64>> {
        let batch_size = self.context.study.experiment.train.batch_size as usize;
        let batches = whole_batches(self.dataset.indices(Split::Train), batch_size);
        let start = Snapshot::initial(network.start.clone());
        let options = ProbeOptions::cross_entropy(1.0);
        let gradients = self.probe.gradients(&start, &network.start_mask, &batches, &options)?;
        let mut kept_values = Vec::new();
        for layer in &network.start_mask.0 {
            let gradient = gradients.get(&layer.name).with_context(|| format!("no gradient of `{}`", layer.name))?;
            kept_values
                .extend(gradient.values.iter().zip(&layer.kept).filter(|(_, kept)| **kept).map(|(value, _)| *value));
        }
        Ok(Some(norm(kept_values.into_iter())).filter(|norm| norm.is_finite()))
    }

    /// Evaluates the networks on the line from the starting to the final weights; `None` if the run was cancelled.
    fn line(&mut self, network: &TrainedNetwork<'_>) -> Result<Option<Vec<LossPoint>>> {
        let last = self.definition.points.max(2) - 1;
        let mut points = Vec::new();
        for alpha in (0..=last).map(|point| point as f64 / last as f64) {
            let weights = interpolate(&self.context.study.resolved.network, &network.start, &network.end, alpha)?;
            let Some(point) = self.evaluate(network, &network.either_mask, weights, alpha)? else {
                return Ok(None);
            };
            points.push(point);
        }
        Ok(Some(points))
    }

    /// Evaluates the networks along each random direction from the final weights; `None` if the run was cancelled. The
    /// random numbers depend on the replicate alone, so that arms and rounds are compared along equal directions.
    fn directions(&mut self, network: &TrainedNetwork<'_>) -> Result<Option<Vec<Vec<LossPoint>>>> {
        let stream =
            Stream::of_replicate(self.context.study.experiment.seed, network.spec.replicate, Purpose::Direction);
        let mut directions = Vec::new();
        for index in 0..self.definition.directions {
            let mask = &network.end_mask;
            let direction = Direction::draw(&network.end, mask, &mut stream.generator(index as u64))?;
            let mut points = Vec::new();
            for alpha in ALPHAS {
                let weights = direction.moved(&network.end, mask, alpha);
                let Some(point) = self.evaluate(network, mask, weights, alpha)? else { return Ok(None) };
                points.push(point);
            }
            directions.push(points);
        }
        Ok(Some(directions))
    }

    /// Evaluates `weights` under a mask on training images; `None` if the run was cancelled.
    fn evaluate(
        &mut self,
        network: &TrainedNetwork<'_>,
        mask: &Mask,
        weights: TensorMap,
        alpha: f64,
    ) -> Result<Option<LossPoint>> {
        let scores = self.evaluator.scores(network.spec.engine, weights, mask, [Split::Train])?;
        Ok(scores.map(|[score]| LossPoint {
            alpha,
            train_loss: Some(score.loss).filter(|loss| loss.is_finite()),
            train_accuracy: score.accuracy,
        }))
    }
}

/// Splits images into batches of `batch_size`, or into one batch if there are fewer; images after the last whole batch
/// are left out, because a batch norm needs more than one image.
fn whole_batches(images: &[u32], batch_size: usize) -> Vec<Vec<u32>> {
    images.chunks_exact(batch_size.min(images.len()).max(1)).map(<[u32]>::to_vec).collect()
}

/// Returns the Euclidean norm of the starting weights, and their distance from the final weights, both over the weights
/// that the mask keeps.
fn distance(start: &TensorMap, end: &TensorMap, mask: &Mask) -> Result<(f64, f64)> {
    let (mut starts, mut moves) = (Vec::new(), Vec::new());
    for layer in &mask.0 {
        let pairs = masked_tensor(start, layer)?.values.iter().zip(&masked_tensor(end, layer)?.values);
        for ((start, end), _) in pairs.zip(&layer.kept).filter(|(_, kept)| **kept) {
            starts.push(f64::from(*start));
            moves.push(f64::from(*end) - f64::from(*start));
        }
    }
    Ok((norm(starts.into_iter()), norm(moves.into_iter())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mask::LayerMask;
    use crate::base::tensors::NamedTensor;

    #[test]
    fn distance_is_over_kept_weights() {
        let tensors = |weights: [f32; 4], bias: f32| {
            let tensor =
                |name: &str, values: Vec<f32>| NamedTensor { name: name.to_owned(), shape: vec![values.len()], values };
            TensorMap(vec![tensor("a.weight", weights.to_vec()), tensor("a.bias", vec![bias])])
        };
        let kept = vec![true, true, false, true];
        let mask = Mask(vec![LayerMask { name: "a.weight".to_owned(), shape: vec![4], kept }]);
        let (start, end) = (tensors([1.0, 2.0, 9.0, 2.0], 5.0), tensors([1.0, 5.0, -9.0, -2.0], 0.0));
        assert_eq!(distance(&start, &end, &mask).unwrap(), (3.0, 5.0), "√(1 + 4 + 4), √(9 + 16)");
        let other = Mask(vec![LayerMask { shape: vec![2, 2], ..mask.0[0].clone() }]);
        let error = distance(&start, &end, &other).unwrap_err();
        assert_eq!(error.to_string(), "`a.weight` has another shape than its mask");
    }

    #[test]
    fn batches_are_whole() {
        assert_eq!(whole_batches(&[1, 2, 3, 4, 5], 2), [vec![1, 2], vec![3, 4]]);
        assert_eq!(whole_batches(&[1, 2], 60), [vec![1, 2]]);
        assert!(whole_batches(&[], 60).is_empty());
    }
}
