//! The files of a run, made from the store: all of them can be made again.

use std::sync::Arc;

use anyhow::Result;

use super::row_builder::RowBuilder;
use super::store::StoredTraining;
use crate::artifacts::{summary_to_csv, to_csv};
use crate::lottery::{Plan, TrainingSpec};
use crate::system::cancel::CancelToken;
use crate::system::clock::Stopwatch;
use crate::system::files::{self, Lock};
use crate::system::paths::RunDir;

/// Seconds that a cancelled run waits for another process that writes the same files.
const LOCK_WAIT_SECONDS: f64 = 2.0;

/// Writes the files of a run.
pub struct RunFiles<'a> {
    /// Makes the rows.
    pub rows: RowBuilder<'a>,
    /// The plan, whose order is the order of all rows.
    pub plan: &'a Plan,
    /// The folder of the run.
    pub dir: &'a RunDir,
    /// Whether CSV files are written: not where the plan is only a part of the run's, or more than that.
    pub writes_rows: bool,
    /// Cancellation of the run.
    pub cancel: &'a CancelToken,
}

/// The source of a training run's rows.
pub(super) enum RowState {
    /// Its result in the store.
    Stored(Arc<StoredTraining>),
    /// It failed, and has a row that says so.
    Failed,
}

impl RunFiles<'_> {
    /// Writes the CSV files. `row_state` is asked for each training run while the lock of the files is held, so that the process
    /// that writes last has the most recent results; `None` leaves a training run out.
    pub(super) fn write(&self, row_state: impl Fn(&TrainingSpec) -> Option<RowState>) -> Result<()> {
        if !self.writes_rows {
            return Ok(());
        }
        let lock = self.lock()?;
        self.write_rows(&lock, row_state)
    }

    /// Like [`RunFiles::write`], but returns at once if another process holds the lock.
    pub(super) fn try_write(&self, row_state: impl Fn(&TrainingSpec) -> Option<RowState>) -> Result<()> {
        if !self.writes_rows {
            return Ok(());
        }
        let lock = Lock::try_exclusive(&self.dir.write_lock())?;
        lock.map_or(Ok(()), |lock| self.write_rows(&lock, row_state))
    }

    /// Waits for the lock of the files; a cancelled run waits [`LOCK_WAIT_SECONDS`] at most.
    fn lock(&self) -> Result<Lock> {
        let watch = Stopwatch::start();
        let gives_up = || self.cancel.is_cancelled() && watch.seconds() > LOCK_WAIT_SECONDS;
        Lock::exclusive_unless(&self.dir.write_lock(), gives_up)
    }

    fn write_rows(&self, _lock: &Lock, row_state: impl Fn(&TrainingSpec) -> Option<RowState>) -> Result<()> {
        files::remove_stale_temporaries(&self.dir.0)?;
        let mut rounds = Vec::new();
        let mut curves = Vec::new();
        let mut layers = Vec::new();
        let mut timings = Vec::new();
        let mut with_weight_stats: Vec<(&TrainingSpec, Arc<StoredTraining>)> = Vec::new();
        for spec in &self.plan.trainings {
            match row_state(spec) {
                None => {}
                Some(RowState::Failed) => rounds.push(self.rows.round_row(spec, None)),
                Some(RowState::Stored(result)) => {
                    rounds.push(self.rows.round_row(spec, Some(&result)));
                    curves.extend(self.rows.curve_rows(spec, &result));
                    layers.extend(self.rows.layer_rows(spec, &result));
                    timings.extend(self.rows.timing_row(spec, &result));
                    with_weight_stats.extend(result.profile.is_some().then_some((spec, result)));
                }
            }
        }
        let weights = self.rows.weight_rows(&with_weight_stats);
        files::write(&self.dir.file(RunDir::ROUNDS), &to_csv(&rounds)?)?;
        files::write(&self.dir.file(RunDir::CURVES), &to_csv(&curves)?)?;
        files::write(&self.dir.file(RunDir::LAYERS), &to_csv(&layers)?)?;
        files::write(&self.dir.file(RunDir::WEIGHTS), &to_csv(&weights)?)?;
        files::write(&self.dir.file(RunDir::SUMMARY), &summary_to_csv(&rounds)?)?;
        files::write(&self.dir.file(RunDir::TIMINGS), &to_csv(&timings)?)?;
        Ok(())
    }

    /// Writes other files of the run by name.
    ///
    /// # Errors
    /// A file that cannot be written, or a lock that cannot be had.
    pub fn write_files(&self, contents: &[(&str, Vec<u8>)]) -> Result<()> {
        let _lock = self.lock()?;
        for (name, bytes) in contents {
            files::write(&self.dir.file(name), bytes)?;
        }
        Ok(())
    }
}
