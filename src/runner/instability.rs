//! Instability analysis: the errors of networks on the straight line between the final weights of a training run and of
//! its copy, which saw the images in another order (Frankle et al., "Linear Mode Connectivity and the Lottery Ticket
//! Hypothesis", arXiv 1912.05671, Section 2).

mod copies;
mod interpolation;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use self::copies::{InterpolationPoint, MeasuredLine};
use self::interpolation::Interpolator;
use super::context::RunContext;
use super::events::{Event, TrainingId};
use super::measuring::{Measurement, Measurer, measure_in_parallel};
use super::needed_outputs::NeededOutputs;
use super::store::Store;
use super::stored_measurement::StoredMeasurement;
use crate::artifacts::{StabilityRow, to_checksummed_json};
use crate::base::key::ContentHash;
use crate::base::outcome::Outcome;
use crate::data::Dataset;
use crate::lottery::{Dependency, Plan, Study, TrainingSpec};
use crate::system::files;
use crate::system::paths::TrainingDir;

pub use self::copies::CopyPair;

/// The instability analysis of a run.
#[derive(Clone, Copy)]
pub struct InstabilityAnalysis<'a> {
    /// The run's study, store and trainers.
    pub context: RunContext<'a>,
    /// The number of networks on a line, both ends included; at least 2.
    pub points: usize,
}

impl InstabilityAnalysis<'_> {
    /// Returns the training runs of the plan with these keys, each key once, with their copies.
    pub fn pairs(&self, keys: &BTreeSet<ContentHash>) -> Vec<CopyPair> {
        self.context.study.plan.with_keys(keys).into_iter().map(CopyPair::of).collect()
    }

    /// Returns whether the line of a pair has been measured, with the number of points of this analysis.
    ///
    /// # Errors
    /// Fails if the file of the line exists and cannot be read.
    pub fn is_measured(&self, pair: &CopyPair) -> Result<bool> {
        Ok(measured_line(self.context.store, pair)?.measured().is_some_and(|line| line.points.len() == self.points))
    }

    /// Returns the plan of everything that must be trained so that both networks of each pair have final weights in the
    /// store: copies, training runs whose final weights were freed, and the training runs that these depend on.
    pub fn plan(&self, pairs: &[CopyPair]) -> Plan {
        let mut needed = NeededOutputs::default();
        let mut copies = Vec::new();
        for pair in pairs {
            needed.add(pair.training.key, Dependency::FinalWeights);
            if !self.context.store.has_output(&pair.copy, Dependency::FinalWeights) {
                needed.add_dependencies_of(&pair.copy);
                copies.push(pair.copy.clone());
            }
        }
        let mut trainings = needed.missing_trainings(&self.context.study.plan, self.context.store);
        trainings.extend(copies);
        Plan { trainings }
    }

    /// Measures the lines of `pairs`, whose final weights are stored, in `workers` threads; stores each line and
    /// reports it as an event. Returns early if the run is cancelled.
    ///
    /// # Errors
    /// Fails if weights cannot be read, a trainer fails, or a file cannot be written. Lines that were measured before
    /// stay stored.
    pub fn measure(&self, pairs: &[CopyPair], dataset: &Arc<Dataset>, workers: usize) -> Result<()> {
        measure_in_parallel(pairs, workers, self.context.sink, || LineMeasurer {
            analysis: *self,
            interpolator: Interpolator::new(&self.context, dataset),
        })
    }

    /// Returns whether the final weights of both networks of a pair are stored.
    pub fn is_ready(&self, pair: &CopyPair) -> bool {
        [&pair.training, &pair.copy]
            .into_iter()
            .all(|spec| self.context.store.has_output(spec, Dependency::FinalWeights))
    }

    /// Returns whether one of the networks of a pair diverged.
    pub fn has_diverged(&self, pair: &CopyPair) -> bool {
        let outcome = |spec: &TrainingSpec| self.context.store.load(spec).ok().flatten().map(|stored| stored.outcome);
        [&pair.training, &pair.copy]
            .into_iter()
            .any(|spec| outcome(spec).is_some_and(|outcome| outcome != Outcome::Done))
    }

    /// Returns the rows of `stability.csv`: see [`stability_rows`]. Emits a message for each damaged line.
    ///
    /// # Errors
    /// Fails if the file of a line exists and cannot be read.
    pub fn rows(&self) -> Result<Vec<StabilityRow>> {
        let (rows, damaged) = stability_rows(self.context.study, self.context.store)?;
        for path in damaged {
            let text = format!("`{}` is damaged; `lth stability` measures it again", path.display());
            self.context.sink.on_event(&Event::Message(&text));
        }
        Ok(rows)
    }
}

/// Reads the measured line of a pair.
fn measured_line(store: &Store, pair: &CopyPair) -> Result<StoredMeasurement<MeasuredLine>> {
    let path = store.runs.training_dir(&pair.copy.key).file(TrainingDir::STABILITY);
    let is_current = |line: &MeasuredLine| Some(&line.between) == weight_checksums(store, pair).as_ref();
    StoredMeasurement::read(path, MeasuredLine::from_bytes, is_current)
}

/// Returns the checksums of the final weights of a training run and of its copy; `None` if one of them has none.
fn weight_checksums(store: &Store, pair: &CopyPair) -> Option<[String; 2]> {
    let checksum = |spec: &TrainingSpec| store.final_weights_checksum(&spec.key);
    Some([checksum(&pair.training)?, checksum(&pair.copy)?])
}

/// Returns the rows of `stability.csv`, one for each point of each measured line of a study, in the order of the plan
/// and by `alpha`, and the paths of damaged lines.
///
/// # Errors
/// Fails if the file of a line exists and cannot be read.
pub fn stability_rows(study: &Study, store: &Store) -> Result<(Vec<StabilityRow>, Vec<PathBuf>)> {
    let mut rows = Vec::new();
    let mut damaged = Vec::new();
    for pair in study.plan.trainings.iter().map(CopyPair::of) {
        match measured_line(store, &pair)? {
            StoredMeasurement::Missing => {}
            StoredMeasurement::Damaged(path) => damaged.push(path),
            StoredMeasurement::Measured(line) => rows.extend(line.points.iter().map(|point| row(study, &pair, point))),
        }
    }
    Ok((rows, damaged))
}

/// Returns the row of a point on the line of a pair.
fn row(study: &Study, pair: &CopyPair, point: &InterpolationPoint) -> StabilityRow {
    StabilityRow {
        experiment: study.experiment.name.clone(),
        arm: pair.training.arm.clone(),
        replicate: pair.training.replicate,
        repeat: pair.training.repeat,
        round: pair.training.round.0,
        weights_remaining: pair.training.counts.kept as f64 / study.resolved.network.weights_total() as f64,
        alpha: point.alpha,
        train_error: point.train_error,
        test_error: point.test_error,
        key: pair.training.key.to_string(),
        copy_key: pair.copy.key.to_string(),
    }
}

/// Measures and stores the lines of pairs, in one thread.
struct LineMeasurer<'a> {
    analysis: InstabilityAnalysis<'a>,
    interpolator: Interpolator<'a>,
}

impl Measurer for LineMeasurer<'_> {
    type Item = CopyPair;

    fn measure(&mut self, pair: &CopyPair) -> Result<Measurement> {
        let InstabilityAnalysis { context, points } = self.analysis;
        let checksums = weight_checksums(context.store, pair);
        let between = checksums.ok_or_else(|| anyhow!("`{}` has not come to its end", pair.copy.key.short()))?;
        let last = points.max(2) - 1;
        let alphas = (0..=last).map(|point| point as f64 / last as f64);
        let Some(points) = self.interpolator.measure(pair, alphas)? else { return Ok(Measurement::Cancelled) };
        let line = MeasuredLine::new(between, points);
        let path = context.store.runs.training_dir(&pair.copy.key).file(TrainingDir::STABILITY);
        files::write(&path, &to_checksummed_json(&line)?)?;
        Ok(Measurement::Stored)
    }

    fn name(pair: &CopyPair) -> String {
        TrainingId::of(&pair.training).to_string()
    }
}
