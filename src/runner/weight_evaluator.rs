//! Evaluates weights that are not the result of training, such as those between two networks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};

use super::context::RunContext;
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::tensors::{NamedTensor, Snapshot, TensorMap};
use crate::data::{Dataset, Split};
use crate::engine::{EngineKind, Trainer};
use crate::network::{Network, init_buffers};

/// Evaluates weights of the network of a run, in the thread that built it. Builds one trainer for each engine.
pub(super) struct WeightEvaluator<'a> {
    context: &'a RunContext<'a>,
    dataset: &'a Arc<Dataset>,
    trainers: BTreeMap<EngineKind, Box<dyn Trainer>>,
}

impl<'a> WeightEvaluator<'a> {
    pub(super) fn new(context: &'a RunContext<'a>, dataset: &'a Arc<Dataset>) -> Self {
        Self { context, dataset, trainers: BTreeMap::new() }
    }

    /// Returns the scores of a network on `splits`, in their order; `None` if the run was cancelled.
    ///
    /// `engine`: the engine that trained the network, so that trained weights have the scores that were recorded after
    /// training. Running means and variances of batch norms, which belong to no single network here, are computed anew
    /// from training images: see [`Trainer::recompute_batch_norm`].
    ///
    /// # Errors
    /// Fails if the trainer cannot be built or fails.
    pub(super) fn scores<const N: usize>(
        &mut self,
        engine: EngineKind,
        weights: TensorMap,
        mask: &Mask,
        splits: [Split; N],
    ) -> Result<Option<[Score; N]>> {
        let RunContext { study, cancel, trainers, .. } = *self.context;
        let trainer = match self.trainers.entry(engine) {
            Entry::Occupied(trainer) => trainer.into_mut(),
            Entry::Vacant(vacant) => vacant.insert(trainers.build(engine, 1, self.dataset)?),
        };
        if cancel.is_cancelled() {
            return Ok(None);
        }
        let buffers = init_buffers(&study.resolved.network);
        trainer.load(0, &Snapshot { buffers, ..Snapshot::initial(weights) }, mask)?;
        trainer.recompute_batch_norm(self.dataset.indices(Split::Train))?;
        let mut scores = [Score::default(); N];
        for (score, split) in scores.iter_mut().zip(splits) {
            *score = trainer.evaluate(split)?[0];
        }
        Ok(Some(scores))
    }
}

/// Returns the parameters `alpha · end + (1 − alpha) · start`, computed in float64. Buffers are left out.
///
/// # Errors
/// Fails if a parameter is missing, or has two shapes.
pub(super) fn interpolate(network: &Network, start: &TensorMap, end: &TensorMap, alpha: f64) -> Result<TensorMap> {
    let parameters = network.parameters();
    let tensors = parameters.iter().map(|parameter| {
        let name = &parameter.name;
        let start = tensor(start, name)?;
        let end = tensor(end, name)?;
        ensure!(start.shape == end.shape, "`{name}` has two shapes");
        let blend = |(start, end): (&f32, &f32)| (alpha * f64::from(*end) + (1.0 - alpha) * f64::from(*start)) as f32;
        let values = start.values.iter().zip(&end.values).map(blend).collect();
        Ok(NamedTensor { values, ..start.clone() })
    });
    Ok(TensorMap(tensors.collect::<Result<_>>()?))
}

fn tensor<'a>(weights: &'a TensorMap, name: &str) -> Result<&'a NamedTensor> {
    weights.get(name).ok_or_else(|| anyhow!("weights without `{name}`"))
}
