//! Networks on the straight line between the weights of two networks, and their errors.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};

use super::super::context::RunContext;
use super::copies::{CopyPair, InterpolationPoint};
use crate::base::tensors::{NamedTensor, Snapshot, TensorMap};
use crate::data::{Dataset, Split};
use crate::engine::{EngineKind, Trainer};
use crate::lottery::ArtifactSource as _;
use crate::network::{Network, init_buffers};

/// Measures the lines of pairs, in the thread that built it. Builds one trainer for each engine that trained a pair.
pub(super) struct Interpolator<'a> {
    context: &'a RunContext<'a>,
    dataset: &'a Arc<Dataset>,
    trainers: BTreeMap<EngineKind, Box<dyn Trainer>>,
}

impl<'a> Interpolator<'a> {
    pub(super) fn new(context: &'a RunContext<'a>, dataset: &'a Arc<Dataset>) -> Self {
        Self { context, dataset, trainers: BTreeMap::new() }
    }

    /// Returns the errors at each of `alphas` (0 is the copy, 1 the training run); `None` if the run was cancelled.
    pub(super) fn measure(
        &mut self,
        pair: &CopyPair,
        alphas: impl Iterator<Item = f64>,
    ) -> Result<Option<Vec<InterpolationPoint>>> {
        let RunContext { study, store, cancel, trainers, .. } = *self.context;
        let network = &study.resolved.network;
        let mask = store.mask(&pair.training.key)?;
        let image_indices = self.dataset.indices(Split::Train);
        let original = store.final_weights(&pair.training.key)?;
        let copy = store.final_weights(&pair.copy.key)?;
        // The engine that trained the pair, so that both ends of the line have the errors that were recorded after
        // training.
        let trainer = match self.trainers.entry(pair.training.engine) {
            Entry::Occupied(trainer) => trainer.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(trainers.build(pair.training.engine, 1, self.dataset)?),
        };
        // Running means and variances cannot be interpolated; they are computed anew for each network.
        let fresh_buffers = init_buffers(network);
        let mut points = Vec::new();
        for alpha in alphas {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            let weights = interpolate(network, &original, &copy, alpha)?;
            trainer.load(0, &Snapshot { buffers: fresh_buffers.clone(), ..Snapshot::initial(weights) }, &mask)?;
            trainer.recompute_batch_norm(image_indices)?;
            let mut error = |split| Ok::<_, anyhow::Error>(1.0 - trainer.evaluate(split)?[0].accuracy);
            points.push(InterpolationPoint {
                alpha,
                train_error: error(Split::Train)?,
                test_error: error(Split::Test)?,
            });
        }
        Ok(Some(points))
    }
}

/// Returns the parameters `alpha · original + (1 − alpha) · copy`, computed in float64. Buffers are left out.
fn interpolate(network: &Network, original: &TensorMap, copy: &TensorMap, alpha: f64) -> Result<TensorMap> {
    let parameters = network.parameters();
    let tensors = parameters.iter().map(|parameter| {
        let name = &parameter.name;
        let original = tensor(original, name)?;
        let copy = tensor(copy, name)?;
        ensure!(original.shape == copy.shape, "`{name}` has two shapes");
        let blend =
            |(original, copy): (&f32, &f32)| (alpha * f64::from(*original) + (1.0 - alpha) * f64::from(*copy)) as f32;
        let values = original.values.iter().zip(&copy.values).map(blend).collect();
        Ok(NamedTensor { values, ..original.clone() })
    });
    Ok(TensorMap(tensors.collect::<Result<_>>()?))
}

fn tensor<'a>(weights: &'a TensorMap, name: &str) -> Result<&'a NamedTensor> {
    weights.get(name).ok_or_else(|| anyhow!("final weights without `{name}`"))
}
