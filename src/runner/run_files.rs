//! The files of a run, made from the store. Nothing here is the truth; all can be made again.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use super::store::StoredTraining;
use crate::artifacts::{CurveRow, LayerRow, RoundRow, TimingRow, WeightRow, summary, to_csv, weight_rows};
use crate::base::outcome::Outcome;
use crate::lottery::WeightStats;
use crate::lottery::{Plan, ResolvedExperiment, TrainingSpec};
use crate::system::cancel::CancelToken;
use crate::system::clock::Stopwatch;
use crate::system::files;
use crate::system::files::Lock;
use crate::system::paths;

/// Seconds that somebody who wishes to stop waits for another process to write.
const LOCK_WAIT_SECONDS: f64 = 2.0;

/// Makes rows of trainings and writes them.
pub struct RunFiles<'a> {
    /// The experiment's name.
    pub experiment: &'a str,
    /// The last iteration of each training.
    pub iterations: u64,
    /// Its names, resolved.
    pub setting: &'a ResolvedExperiment,
    /// The plan, whose order is the order of all files.
    pub plan: &'a Plan,
    /// The files.
    pub files: &'a paths::RunDir,
    /// Whether they are written: not where only a part of their plan, or more than that, is run.
    pub writes: bool,
    /// A wish to stop.
    pub cancel: &'a CancelToken,
}

/// What is known of a training: in the store, or why it is not.
pub(super) enum RowState {
    Finished(Arc<StoredTraining>),
    Failed,
}

impl RunFiles<'_> {
    /// Writes the CSV files; `known` tells of each training what is known of it. It is asked with the view's lock held,
    /// so that who writes last knows most.
    pub(super) fn write(&self, known: impl Fn(&TrainingSpec) -> Option<RowState>) -> Result<()> {
        if !self.writes {
            return Ok(());
        }
        let lock = self.lock()?;
        self.write_rows(&lock, known)
    }

    /// The same, unless another process is writing.
    pub(super) fn try_write(&self, known: impl Fn(&TrainingSpec) -> Option<RowState>) -> Result<()> {
        if !self.writes {
            return Ok(());
        }
        Lock::try_exclusive(&self.files.write_lock())?.map_or(Ok(()), |lock| self.write_rows(&lock, known))
    }

    /// Waits for whoever writes; somebody who wishes to stop waits for seconds at most.
    fn lock(&self) -> Result<Lock> {
        let watch = Stopwatch::start();
        Lock::exclusive_unless(&self.files.write_lock(), || {
            self.cancel.is_cancelled() && watch.seconds() > LOCK_WAIT_SECONDS
        })
    }

    fn write_rows(&self, _lock: &Lock, known: impl Fn(&TrainingSpec) -> Option<RowState>) -> Result<()> {
        files::remove_stale_temporaries(&self.files.0)?;
        let rows = self.plan.trainings.iter().filter_map(|training| Some((training, known(training)?)));
        let (mut rounds, mut curves, mut layers, mut timings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut profiles: Vec<(&TrainingSpec, Arc<StoredTraining>)> = Vec::new();
        for (training, known) in rows {
            match known {
                RowState::Failed => rounds.push(self.round_row(training, None)),
                RowState::Finished(finished) => {
                    rounds.push(self.round_row(training, Some(&finished)));
                    curves.extend(self.curve_rows(training, &finished));
                    layers.extend(self.layer_rows(training, &finished));
                    timings.extend(self.timing_row(training, &finished));
                    profiles.extend(finished.profile.is_some().then_some((training, finished)));
                }
            }
        }
        let weights = self.weight_rows(&profiles);
        files::write(&self.files.file(paths::RunDir::ROUNDS), &to_csv(&rounds)?)?;
        files::write(&self.files.file(paths::RunDir::CURVES), &to_csv(&curves)?)?;
        files::write(&self.files.file(paths::RunDir::LAYERS), &to_csv(&layers)?)?;
        files::write(&self.files.file(paths::RunDir::WEIGHTS), &to_csv(&weights)?)?;
        files::write(&self.files.file(paths::RunDir::SUMMARY), &to_csv(&summary(&rounds))?)?;
        files::write(&self.files.file(paths::RunDir::TIMINGS), &to_csv(&timings)?)?;
        Ok(())
    }

    /// Writes other files of the view by name.
    pub fn write_files(&self, all: &[(&str, Vec<u8>)]) -> Result<()> {
        let _lock = self.lock()?;
        for (name, bytes) in all {
            files::write(&self.files.file(name), bytes)?;
        }
        Ok(())
    }

    pub(super) fn round_row(&self, training: &TrainingSpec, finished: Option<&StoredTraining>) -> RoundRow {
        let network = &self.setting.network;
        let total = network.weights_total();
        let kept = finished.map_or(training.counts.kept, |finished| finished.weights_kept.iter().sum());
        let remaining = kept as f64 / total as f64;
        let done = finished.filter(|finished| finished.outcome == Outcome::Done);
        let early = done.and_then(|finished| finished.curve.early_stop(training.start.is_trained()));
        let last = done.and_then(|finished| finished.curve.last());
        RoundRow {
            experiment: self.experiment.to_owned(),
            arm: training.arm.clone(),
            replicate: training.replicate,
            repeat: training.repeat,
            round: training.round,
            weights_remaining: remaining,
            weights_kept: kept,
            weights_total: total,
            sparsity: 1.0 - remaining,
            compression: (kept > 0).then(|| total as f64 / kept as f64),
            early_stop_iteration: early.map(|point| point.iteration),
            early_stop_train_accuracy: early.map(|point| point.train.accuracy),
            early_stop_validation_accuracy: early.map(|point| point.validation.accuracy),
            early_stop_test_accuracy: early.map(|point| point.test.accuracy),
            early_stop_validation_loss: early.map(|point| point.validation.loss),
            final_train_accuracy: last.map(|point| point.train.accuracy),
            final_validation_accuracy: last.map(|point| point.validation.accuracy),
            final_test_accuracy: last.map(|point| point.test.accuracy),
            final_validation_loss: last.map(|point| point.validation.loss),
            macs: network.macs(network.sizes()),
            macs_remaining: finished
                .map(|finished| finished.weights_kept.as_slice())
                .or(training.counts.layers.as_deref())
                .map(|kept| network.macs(kept)),
            engine: training.engine.as_str().to_owned(),
            device: self.setting.device.to_owned(),
            iterations: self.iterations - training.start.iteration(),
            outcome: finished.map_or("failed", |finished| finished.outcome.as_str()).to_owned(),
            key: training.key.to_string(),
        }
    }

    fn curve_rows(&self, training: &TrainingSpec, finished: &StoredTraining) -> Vec<CurveRow> {
        let row = |point: &crate::base::curve::Evaluation| CurveRow {
            experiment: self.experiment.to_owned(),
            arm: training.arm.clone(),
            replicate: training.replicate,
            repeat: training.repeat,
            round: training.round,
            iteration: point.iteration,
            train_accuracy: point.train.accuracy,
            train_loss: point.train.loss,
            validation_accuracy: point.validation.accuracy,
            validation_loss: point.validation.loss,
            test_accuracy: point.test.accuracy,
            test_loss: point.test.loss,
            key: training.key.to_string(),
        };
        finished.curve.0.iter().map(row).collect()
    }

    fn layer_rows(&self, training: &TrainingSpec, finished: &StoredTraining) -> Vec<LayerRow> {
        let row = |(weight, &kept): (&crate::network::PrunableTensor, &u64)| LayerRow {
            experiment: self.experiment.to_owned(),
            arm: training.arm.clone(),
            replicate: training.replicate,
            repeat: training.repeat,
            round: training.round,
            layer: weight.layer.clone(),
            kind: weight.kind.as_str().to_owned(),
            weights_kept: kept,
            weights_total: weight.parameter.len() as u64,
            weights_remaining: kept as f64 / weight.parameter.len() as f64,
            key: training.key.to_string(),
        };
        self.setting.network.weights().iter().zip(&finished.weights_kept).map(row).collect()
    }

    /// The profiles of each arm at each round, pooled, in the order of their first trainings.
    fn weight_rows(&self, profiles: &[(&TrainingSpec, Arc<StoredTraining>)]) -> Vec<WeightRow> {
        let mut groups: Vec<((&str, u32), Vec<&WeightStats>)> = Vec::new();
        let mut places = BTreeMap::new();
        for (training, finished) in profiles {
            let name = (training.arm.as_str(), training.round);
            let place = *places.entry(name).or_insert(groups.len());
            if place == groups.len() {
                groups.push((name, Vec::new()));
            }
            groups[place].1.extend(finished.profile.as_ref());
        }
        groups.iter().flat_map(|((arm, round), all)| weight_rows(self.experiment, arm, *round, all)).collect()
    }

    fn timing_row(&self, training: &TrainingSpec, finished: &StoredTraining) -> Option<TimingRow> {
        let timing = finished.timing.clone()?;
        Some(TimingRow {
            experiment: self.experiment.to_owned(),
            arm: training.arm.clone(),
            replicate: training.replicate,
            repeat: training.repeat,
            round: training.round,
            seconds: timing.seconds,
            iterations_per_second: timing.iterations_per_second,
            host: timing.host,
            key: training.key.to_string(),
        })
    }
}
