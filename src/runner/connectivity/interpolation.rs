//! Networks on the straight line between two, and their errors.

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

/// Measures lines in one thread, with the trainers that it builds there.
pub(super) struct Interpolator<'a> {
    context: &'a RunContext<'a>,
    dataset: &'a Arc<Dataset>,
    trainers: BTreeMap<EngineKind, Box<dyn Trainer>>,
}

impl<'a> Interpolator<'a> {
    pub(super) fn new(context: &'a RunContext<'a>, dataset: &'a Arc<Dataset>) -> Self {
        Self { context, dataset, trainers: BTreeMap::new() }
    }

    /// Returns the errors at `alphas`, from the copy at 0 to the training run at 1; `None` if the run was cancelled.
    pub(super) fn measure(
        &mut self,
        pair: &CopyPair,
        alphas: impl Iterator<Item = f64>,
    ) -> Result<Option<Vec<InterpolationPoint>>> {
        let RunContext { study, store, cancel, trainers, .. } = *self.context;
        let network = &study.resolved.network;
        let mask = store.mask(&pair.training.key)?;
        let images = self.dataset.indices(Split::Train);
        let weights = store.final_weights(&pair.training.key)?;
        let copy_weights = store.final_weights(&pair.copy.key)?;
        // The engine that trained them, so that the ends have the errors they had.
        let trainer = match self.trainers.entry(pair.training.engine) {
            Entry::Occupied(trainer) => trainer.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(trainers.build(pair.training.engine, 1, self.dataset)?),
        };
        let fresh = init_buffers(network);
        let mut points = Vec::new();
        for alpha in alphas {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            let weights = interpolate(network, &weights, &copy_weights, alpha)?;
            trainer.load(0, &Snapshot { buffers: fresh.clone(), ..Snapshot::initial(weights) }, &mask)?;
            trainer.recompute_batch_norm(images)?;
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

/// Returns the parameters at `alpha` on the line from `copy` (0) to `weights` (1). Buffers are left out.
fn interpolate(network: &Network, weights: &TensorMap, copy: &TensorMap, alpha: f64) -> Result<TensorMap> {
    let parameters = network.parameters();
    let tensors = parameters.iter().map(|parameter| {
        let name = &parameter.name;
        let (end, start) = (named(weights, name)?, named(copy, name)?);
        ensure!(end.shape == start.shape, "`{name}` has two shapes");
        let mix = |(end, start): (&f32, &f32)| (alpha * f64::from(*end) + (1.0 - alpha) * f64::from(*start)) as f32;
        let values = end.values.iter().zip(&start.values).map(mix).collect();
        Ok(NamedTensor { values, ..end.clone() })
    });
    Ok(TensorMap(tensors.collect::<Result<_>>()?))
}

fn named<'a>(weights: &'a TensorMap, name: &str) -> Result<&'a NamedTensor> {
    weights.get(name).ok_or_else(|| anyhow!("final weights without `{name}`"))
}
