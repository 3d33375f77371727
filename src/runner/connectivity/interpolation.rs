//! The networks on the straight line between two, and their errors.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};

use super::super::run::TrainerFactory;
use super::super::store::Store;
use super::{CopyPair, InterpolationPoint};
use crate::base::tensors::{NamedTensor, Snapshot, TensorMap};
use crate::data::{Dataset, Split};
use crate::engine::{EngineKind, Trainer};
use crate::lottery::{ArtifactSource, ResolvedExperiment};
use crate::network::{Network, init_buffers};
use crate::system::cancel::CancelToken;

/// What measures lines in one thread, with the trainers it builds there.
pub(super) struct Interpolator<'a> {
    setting: &'a ResolvedExperiment,
    store: &'a Store,
    dataset: &'a Arc<Dataset>,
    build: &'a TrainerFactory<'a>,
    stop: &'a CancelToken,
    trainers: BTreeMap<EngineKind, Box<dyn Trainer>>,
}

impl<'a> Interpolator<'a> {
    pub(super) fn new(
        setting: &'a ResolvedExperiment,
        store: &'a Store,
        dataset: &'a Arc<Dataset>,
        build: &'a TrainerFactory<'a>,
        stop: &'a CancelToken,
    ) -> Self {
        Self { setting, store, dataset, build, stop, trainers: BTreeMap::new() }
    }

    /// The errors at `alphas`, from the copy at 0 to the training at 1; `None` where there was a wish to stop.
    pub(super) fn measure(
        &mut self,
        pair: &CopyPair,
        alphas: impl Iterator<Item = f64>,
    ) -> Result<Option<Vec<InterpolationPoint>>> {
        let network = &self.setting.network;
        let (mask, images) = (self.store.mask(&pair.training.key)?, self.dataset.indices(Split::Train));
        let (one, other) = (self.store.final_weights(&pair.training.key)?, self.store.final_weights(&pair.copy.key)?);
        // The engine that trained them, so that the ends have the errors they had.
        let trainer = match self.trainers.entry(pair.training.engine) {
            Entry::Occupied(trainer) => trainer.into_mut(),
            Entry::Vacant(place) => place.insert((self.build)(pair.training.engine, 1, self.dataset)?),
        };
        let fresh = init_buffers(network);
        let mut points = Vec::new();
        for alpha in alphas {
            if self.stop.is_cancelled() {
                return Ok(None);
            }
            let weights = between(network, &one, &other, alpha)?;
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

/// The parameters at `alpha` on the line from `other` to `one`; what is not trained is left out.
fn between(network: &Network, one: &TensorMap, other: &TensorMap, alpha: f64) -> Result<TensorMap> {
    let tensor = |name: &str| {
        let find =
            |state: &'_ TensorMap| state.get(name).cloned().ok_or_else(|| anyhow!("final weights without `{name}`"));
        let (one, other) = (find(one)?, find(other)?);
        ensure!(one.shape == other.shape, "`{name}` has two shapes");
        let mix = |(a, b): (&f32, &f32)| (alpha * f64::from(*a) + (1.0 - alpha) * f64::from(*b)) as f32;
        let values = one.values.iter().zip(&other.values).map(mix).collect();
        Ok(NamedTensor { values, ..one })
    };
    Ok(TensorMap(network.parameters().iter().map(|parameter| tensor(&parameter.name)).collect::<Result<_>>()?))
}
