//! Robustness, calibration and accuracy by class of trained networks: of those of a run, whose measurements are stored
//! beside their weights, and of tickets in files. What is measured is defined in
//! [`train::robustness`](crate::train::robustness).

mod rows;
mod stored;
mod tickets;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use self::stored::StoredRobustness;
use super::context::RunContext;
use super::events::TrainingId;
use super::measuring::{Measurement, Measurer, measure_in_parallel};
use super::needed_outputs::plan_for_final_weights;
use crate::artifacts::to_checksummed_json;
use crate::base::key::ContentHash;
use crate::base::tensors::Snapshot;
use crate::data::Dataset;
use crate::engine::Probe;
use crate::lottery::{ArtifactSource as _, Dependency, Plan, PrepareContext, TrainingSpec};
use crate::system::files;
use crate::system::paths::TrainingDir;
use crate::train::robustness::{CleanMeasurement, EvaluatedNetwork, EvaluationDefinition, TestImages};

pub use self::rows::{RobustnessRows, robustness_rows};
pub use self::tickets::{EvaluatedTicket, TicketEvaluation};

/// The evaluation of a run's trained networks.
#[derive(Clone, Copy)]
pub struct RobustnessAnalysis<'a> {
    /// The run's study, store and trainers.
    pub context: RunContext<'a>,
    /// What is measured.
    pub definition: &'a EvaluationDefinition,
}

impl RobustnessAnalysis<'_> {
    /// Returns the training runs of the plan with these keys, each key once.
    pub fn trainings(&self, keys: &BTreeSet<ContentHash>) -> Vec<TrainingSpec> {
        self.context.study.plan.with_keys(keys).into_iter().cloned().collect()
    }

    /// Returns whether a training run has been measured, under every condition of the definition.
    ///
    /// # Errors
    /// Fails if the file of the measurements exists and cannot be read.
    pub fn is_measured(&self, spec: &TrainingSpec) -> Result<bool> {
        let stored = StoredRobustness::read(self.context.store, spec)?.measured();
        Ok(stored.is_some_and(|stored| self.definition.conditions().iter().all(|condition| stored.has(condition))))
    }

    /// Returns whether the final weights of a training run are stored.
    pub fn has_weights(&self, spec: &TrainingSpec) -> bool {
        self.context.store.has_output(spec, Dependency::FinalWeights)
    }

    /// Returns the plan of what must be trained so that the final weights of all of `trainings` are in the store.
    pub fn plan(&self, trainings: &[TrainingSpec]) -> Plan {
        plan_for_final_weights(&self.context.study.plan, self.context.store, trainings)
    }

    /// Measures `trainings`, whose final weights are stored, in `workers` threads; stores each and reports it as an
    /// event. Returns early if the run is cancelled.
    ///
    /// # Errors
    /// Fails if weights cannot be read, do not give the accuracy that was recorded after training, or a file cannot be
    /// written. What was measured before stays stored.
    pub fn measure(&self, trainings: &[TrainingSpec], dataset: &Arc<Dataset>, workers: usize) -> Result<()> {
        let images = TestImages::new(dataset);
        let images = &images;
        measure_in_parallel(trainings, workers, self.context.sink, || NetworkMeasurer {
            analysis: *self,
            probe: self.context.trainers.probe(dataset),
            images,
        })
    }
}

/// Measures and stores trained networks, in one thread.
struct NetworkMeasurer<'a> {
    analysis: RobustnessAnalysis<'a>,
    probe: Box<dyn Probe>,
    images: &'a TestImages<'a>,
}

impl Measurer for NetworkMeasurer<'_> {
    type Item = TrainingSpec;

    fn measure(&mut self, spec: &TrainingSpec) -> Result<Measurement> {
        let RobustnessAnalysis { context: RunContext { study, store, cancel, .. }, definition } = self.analysis;
        let path = store.runs.training_dir(&spec.key).file(TrainingDir::ROBUSTNESS);
        let weights = store.final_weights_checksum(&spec.key).context("a training run without final weights")?;
        let mask = store.mask(&spec.key)?;
        let prepare = PrepareContext { study, artifacts: store, probe: self.probe.as_ref() };
        let (tensors, buffers) = prepare.split_buffers(store.final_weights(&spec.key)?);
        let snapshot = Snapshot { buffers, ..Snapshot::initial(tensors) };
        let network = EvaluatedNetwork { probe: self.probe.as_ref(), snapshot: &snapshot, mask: &mask };
        let should_stop = || cancel.is_cancelled();
        let mut stored = if let Some(stored) = StoredRobustness::read(store, spec)?.measured() {
            stored
        } else {
            let Some(clean) = network.measure_clean(self.images, &should_stop)? else {
                return Ok(Measurement::Cancelled);
            };
            let trained = store.load(spec)?;
            let recorded = trained.and_then(|trained| trained.curve.last().map(|last| last.test.accuracy));
            check_accuracy(
                &TrainingId::of(spec).to_string(),
                recorded.context("a training run without evaluations")?,
                &clean,
            )?;
            StoredRobustness::new(weights, clean)
        };
        let missing = definition.conditions().into_iter().filter(|condition| !stored.has(condition));
        let mut result = Measurement::Stored;
        for condition in missing.collect::<Vec<_>>() {
            let Some(measured) = network.measure(condition, self.images, &should_stop)? else {
                result = Measurement::Cancelled;
                break;
            };
            stored.conditions.push(measured);
        }
        // The conditions that were measured before the run was cancelled are kept too.
        files::write(&path, &to_checksummed_json(&stored)?)?;
        Ok(result)
    }

    fn name(spec: &TrainingSpec) -> String {
        TrainingId::of(spec).to_string()
    }
}

/// Checks that a network classifies as many test images correctly as was recorded after its training, up to one in a
/// thousand: another engine, device or batch size may round logits differently, and two of them may be nearly equal.
fn check_accuracy(name: &str, recorded: f64, clean: &CleanMeasurement) -> Result<()> {
    let images = clean.images() as f64;
    let difference = ((clean.accuracy() - recorded) * images).abs().round();
    ensure!(
        difference <= (images / 1000.0).ceil(),
        "{name}: the test accuracy is {}, and was {recorded} after training\n\nhint: the test images are not those of \
         the run: see `--data-dir`",
        clean.accuracy()
    );
    Ok(())
}
