//! The training loss around the starting and the final weights of training runs: how far the weights moved, the gradient
//! at the start, the loss along random directions from the end (Li et al., arXiv 1712.09913), and on the straight line
//! from start to end (Goodfellow et al., arXiv 1412.6544).

mod direction;
mod measurement;
mod measurer;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use self::measurement::{LandscapeMeasurement, LossPoint};
use self::measurer::LandscapeMeasurer;
use super::context::RunContext;
use super::events::{Event, TrainingId};
use super::measuring::{Measurement, Measurer, measure_in_parallel};
use super::needed_outputs::NeededOutputs;
use super::store::Store;
use super::stored_measurement::StoredMeasurement;
use crate::artifacts::{LandscapeCurve, LandscapeCurveRow, LandscapeRow, to_checksummed_json};
use crate::base::key::ContentHash;
use crate::data::Dataset;
use crate::lottery::{Dependency, Plan, Study, TrainingSpec};
use crate::system::files;
use crate::system::paths::TrainingDir;

pub use self::measurement::LandscapeDefinition;

/// The measurement of training runs of a run.
#[derive(Clone, Copy)]
pub struct LandscapeAnalysis<'a> {
    /// The run's study, store and trainers.
    pub context: RunContext<'a>,
    /// The networks that are evaluated for each training run.
    pub definition: LandscapeDefinition,
}

/// The rows of `landscape.csv` and `landscape_curves.csv`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LandscapeRows {
    /// One for each measured training run.
    pub trainings: Vec<LandscapeRow>,
    /// One for each network that was evaluated.
    pub curves: Vec<LandscapeCurveRow>,
}

impl LandscapeAnalysis<'_> {
    /// Returns the training runs of the plan with these keys, each key once.
    pub fn trainings(&self, keys: &BTreeSet<ContentHash>) -> Vec<TrainingSpec> {
        self.context.study.plan.with_keys(keys).into_iter().cloned().collect()
    }

    /// Returns whether a training run has been measured with the definition of this analysis.
    ///
    /// # Errors
    /// Fails if the file of the measurement exists and cannot be read.
    pub fn is_measured(&self, spec: &TrainingSpec) -> Result<bool> {
        let measured = stored_landscape(self.context.store, spec)?.measured();
        Ok(measured.is_some_and(|measurement| measurement.definition == self.definition))
    }

    /// Returns the plan of everything that must be trained again so that the starting and the final weights of each of
    /// `trainings` can be read or made.
    pub fn plan(&self, trainings: &[TrainingSpec]) -> Plan {
        let mut needed = NeededOutputs::default();
        for (key, dependency) in trainings.iter().flat_map(needed_of) {
            needed.add(key, dependency);
        }
        Plan { trainings: needed.missing_trainings(&self.context.study.plan, self.context.store) }
    }

    /// Returns whether the weights of a training run can be read or made.
    pub fn is_ready(&self, spec: &TrainingSpec) -> bool {
        let RunContext { study, store, .. } = self.context;
        let has = |(key, dependency): (ContentHash, Dependency)| {
            let mut planned = study.plan.trainings.iter();
            planned.find(|other| other.key == key).is_some_and(|other| store.has_output(other, dependency))
        };
        needed_of(spec).into_iter().all(has)
    }

    /// Measures `trainings`, whose weights are stored, in `workers` threads; stores each measurement and reports it as
    /// an event. Returns early if the run is cancelled.
    ///
    /// # Errors
    /// Fails if weights cannot be read, a trainer or the probe fails, or a file cannot be written. What was measured
    /// before stays stored.
    pub fn measure(&self, trainings: &[TrainingSpec], dataset: &Arc<Dataset>, workers: usize) -> Result<()> {
        measure_in_parallel(trainings, workers, self.context.sink, || {
            LandscapeMeasurer::new(&self.context, dataset, self.definition)
        })
    }

    /// Returns the rows of the run: see [`landscape_rows`]. Emits a message for each damaged measurement.
    ///
    /// # Errors
    /// Fails if the file of a measurement exists and cannot be read.
    pub fn rows(&self) -> Result<LandscapeRows> {
        let (rows, damaged) = landscape_rows(self.context.study, self.context.store)?;
        for path in damaged {
            let text = format!("`{}` is damaged; `lth landscape` measures it again", path.display());
            self.context.sink.on_event(&Event::Message(&text));
        }
        Ok(rows)
    }
}

impl Measurer for LandscapeMeasurer<'_> {
    type Item = TrainingSpec;

    fn measure(&mut self, spec: &TrainingSpec) -> Result<Measurement> {
        let Some(measurement) = self.measurement(spec)? else { return Ok(Measurement::Cancelled) };
        let path = self.store().runs.training_dir(&spec.key).file(TrainingDir::LANDSCAPE);
        files::write(&path, &to_checksummed_json(&measurement)?)?;
        Ok(Measurement::Stored)
    }

    fn name(spec: &TrainingSpec) -> String {
        TrainingId::of(spec).to_string()
    }
}

/// Returns the outputs that measuring a training run needs: its final weights, and what its starting weights are made
/// from.
fn needed_of(spec: &TrainingSpec) -> Vec<(ContentHash, Dependency)> {
    let start = spec.start.dependency().map(|(key, dependency)| (*key, dependency));
    std::iter::once((spec.key, Dependency::FinalWeights)).chain(start).collect()
}

/// Reads the measurement of a training run.
fn stored_landscape(store: &Store, spec: &TrainingSpec) -> Result<StoredMeasurement<LandscapeMeasurement>> {
    let path = store.runs.training_dir(&spec.key).file(TrainingDir::LANDSCAPE);
    let is_current =
        |measured: &LandscapeMeasurement| Some(&measured.weights) == store.final_weights_checksum(&spec.key).as_ref();
    StoredMeasurement::read(path, LandscapeMeasurement::from_bytes, is_current)
}

/// Returns the rows of the measured training runs of a study, in the order of the plan, and the paths of damaged
/// measurements.
///
/// # Errors
/// Fails if the file of a measurement exists and cannot be read.
pub fn landscape_rows(study: &Study, store: &Store) -> Result<(LandscapeRows, Vec<PathBuf>)> {
    let mut rows = LandscapeRows::default();
    let mut damaged = Vec::new();
    for spec in &study.plan.trainings {
        match stored_landscape(store, spec)? {
            StoredMeasurement::Missing => {}
            StoredMeasurement::Damaged(path) => damaged.push(path),
            StoredMeasurement::Measured(measurement) => {
                rows.trainings.push(training_row(study, spec, &measurement));
                rows.curves.extend(curve_rows(study, spec, &measurement));
            }
        }
    }
    // Two training runs of the plan may share an entry.
    damaged.dedup();
    Ok((rows, damaged))
}

/// Returns the row of a training run.
fn training_row(study: &Study, spec: &TrainingSpec, measured: &LandscapeMeasurement) -> LandscapeRow {
    let kept = spec.counts.kept;
    LandscapeRow {
        experiment: study.experiment.name.clone(),
        arm: spec.arm.clone(),
        replicate: spec.replicate,
        repeat: spec.repeat,
        round: spec.round.0,
        weights_remaining: weights_remaining(study, spec),
        weights_kept: kept,
        start_norm: measured.start_norm,
        distance: measured.distance,
        relative_distance: (measured.start_norm > 0.0).then(|| measured.distance / measured.start_norm),
        gradient_norm: measured.gradient_norm,
        gradient_rms: measured.gradient_norm.filter(|_| kept > 0).map(|norm| norm / libm::sqrt(kept as f64)),
        end_loss: measured.end_loss(),
        sharpness: measured.sharpness(),
        barrier: measured.barrier(),
        rise: measured.rise(),
        points: measured.definition.points,
        directions: measured.definition.directions,
        images: measured.images,
        key: spec.key.to_string(),
    }
}

/// Returns the rows of the networks around the weights of a training run: the line, then each direction.
fn curve_rows(study: &Study, spec: &TrainingSpec, measured: &LandscapeMeasurement) -> Vec<LandscapeCurveRow> {
    let row = |curve: LandscapeCurve, direction: usize, point: &LossPoint| LandscapeCurveRow {
        experiment: study.experiment.name.clone(),
        arm: spec.arm.clone(),
        replicate: spec.replicate,
        repeat: spec.repeat,
        round: spec.round.0,
        weights_remaining: weights_remaining(study, spec),
        curve: curve.into(),
        direction,
        alpha: point.alpha,
        train_loss: point.train_loss,
        train_accuracy: point.train_accuracy,
        key: spec.key.to_string(),
    };
    let mut rows: Vec<LandscapeCurveRow> =
        measured.line.iter().map(|point| row(LandscapeCurve::Line, 0, point)).collect();
    for (direction, points) in (1..).zip(&measured.directions) {
        rows.extend(points.iter().map(|point| row(LandscapeCurve::Direction, direction, point)));
    }
    rows
}

/// Returns kept / all weights of a training run, 0..=1.
fn weights_remaining(study: &Study, spec: &TrainingSpec) -> f64 {
    spec.counts.kept as f64 / study.resolved.network.weights_total() as f64
}
