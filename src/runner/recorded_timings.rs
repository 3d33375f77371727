//! The timings of stored training runs of one network on this machine, whatever their data set, learning rate and mask.

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use super::cost_model::CostModel;
use super::store::Store;
use super::store_listing::Listing;
use super::time_estimate::TimingSample;
use crate::artifacts::Timing;
use crate::base::outcome::Outcome;
use crate::config::{Dtype, MatmulPrecision};
use crate::engine::EngineKind;
use crate::lottery::Study;
use crate::system::paths::TrainingDir;
use crate::system::{files, machine};

/// The part of the manifest of an entry that its cost depends on. Entries of other versions, which may lack a field, are
/// left out.
#[derive(Deserialize)]
struct RecordedEntry {
    content: RecordedContent,
    outcome: Outcome,
    weights_kept: Vec<u64>,
}

/// The part of the content of a key that the cost of a training run depends on.
#[derive(Deserialize)]
struct RecordedContent {
    data: Value,
    network: Value,
    train: RecordedTrain,
    engine: String,
    device: String,
}

/// The part of `[train]` that the cost of a training run depends on.
#[derive(Deserialize)]
struct RecordedTrain {
    batch_size: u32,
    evaluate_every: u64,
    #[serde(default)]
    dtype: Dtype,
    #[serde(default, alias = "products")]
    matmul_precision: MatmulPrecision,
}

/// Returns a sample for each stored training run that was timed on this machine and has the network, batch size, device
/// and arithmetic of the study.
///
/// # Errors
/// Fails if the store cannot be listed.
pub(super) fn recorded_timings(study: &Study, store: &Store, costs: CostModel<'_>) -> Result<Vec<TimingSample>> {
    let host = machine::host();
    let network = serde_json::to_value(&study.resolved.network)?;
    let sample = |entry: &TrainingDir| {
        let recorded: RecordedEntry = serde_json::from_slice(&files::read(&entry.manifest_file()).ok()?).ok()?;
        // The timings of other networks are not read: most entries of a store have another network.
        if !is_alike(&recorded, study, &network) {
            return None;
        }
        let timing: Timing = serde_json::from_slice(&files::read(&entry.timing_file()).ok()?).ok()?;
        (timing.host == host).then(|| sample_of(&recorded, &timing, study, costs))?
    };
    Ok(Listing::of(&store.runs)?.entries.iter().filter_map(sample).collect())
}

/// Returns whether a stored training run has the network, batch size, device and arithmetic of the study. `network`: that
/// of the study, as keys have it.
fn is_alike(entry: &RecordedEntry, study: &Study, network: &Value) -> bool {
    let train = &study.experiment.train;
    let recorded = &entry.content.train;
    entry.outcome == Outcome::Done
        && entry.content.network == *network
        && entry.content.device == study.resolved.device
        && recorded.batch_size == train.batch_size
        && recorded.dtype == train.dtype
        && recorded.matmul_precision == train.matmul_precision
}

/// Returns the sample of a stored training run; `None` if it does not fit the network, or its engine is unknown.
fn sample_of(entry: &RecordedEntry, timing: &Timing, study: &Study, costs: CostModel<'_>) -> Option<TimingSample> {
    let content = &entry.content;
    let engine = EngineKind::ALL.into_iter().find(|kind| kind.as_str() == content.engine)?;
    let sizes = study.resolved.network.weight_counts();
    let kept = match engine {
        EngineKind::Dense => sizes,
        EngineKind::Sparse => entry.weights_kept.as_slice(),
    };
    let images = study.resolved.dataset.recorded_image_counts(&content.data).unwrap_or(study.resolved.images);
    let images_evaluated = images.evaluated() as f64 / content.train.evaluate_every.max(1) as f64;
    let nanoseconds = 1e9 / timing.iterations_per_second;
    let is_usable = kept.len() == sizes.len() && nanoseconds.is_finite();
    let ratio = nanoseconds / costs.iteration_nanoseconds(engine, kept, images_evaluated);
    is_usable.then_some(TimingSample { engine, lanes: timing.lanes, ratio })
}
