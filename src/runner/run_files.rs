//! Writes the files of a run. The CSV files are made from the store, so that they can be made again at any time.

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

/// The longest time in seconds that a cancelled run waits for another process that writes the same files.
const LOCK_WAIT_SECONDS: f64 = 2.0;

/// Writes the files of a run.
pub struct RunFiles<'a> {
    /// The builder of the rows.
    pub rows: RowBuilder<'a>,
    /// The plan, whose order is the order of all rows.
    pub plan: &'a Plan,
    /// The folder of the run.
    pub dir: &'a RunDir,
    /// Whether CSV files are written. False for an instability analysis, whose plan is not that of the run.
    pub writes_rows: bool,
    /// The flag that cancels the run.
    pub cancel: &'a CancelToken,
}

/// The source of the rows of a training run.
pub(super) enum RowState {
    /// Its result in the store.
    Stored(Arc<StoredTraining>),
    /// Nothing: it failed, and has only a row in `rounds.csv` with that outcome.
    Failed,
}

impl RunFiles<'_> {
    /// Writes the CSV files, with the rows of each training run for which `row_state` is not `None`. `row_state` is
    /// called while the lock of the files is held, so that the process that writes last writes the most recent results.
    pub(super) fn write_csv(&self, row_state: impl Fn(&TrainingSpec) -> Option<RowState>) -> Result<()> {
        if !self.writes_rows {
            return Ok(());
        }
        let lock = self.lock()?;
        self.write_csv_locked(&lock, row_state)
    }

    /// Like [`RunFiles::write_csv`], but writes nothing if another process holds the lock.
    pub(super) fn try_write_csv(&self, row_state: impl Fn(&TrainingSpec) -> Option<RowState>) -> Result<()> {
        if !self.writes_rows {
            return Ok(());
        }
        let lock = Lock::try_exclusive(&self.dir.write_lock())?;
        lock.map_or(Ok(()), |lock| self.write_csv_locked(&lock, row_state))
    }

    /// Waits for the lock of the files; a cancelled run waits [`LOCK_WAIT_SECONDS`] at most.
    fn lock(&self) -> Result<Lock> {
        let watch = Stopwatch::start();
        let give_up = || self.cancel.is_cancelled() && watch.seconds() > LOCK_WAIT_SECONDS;
        Lock::wait_exclusive(&self.dir.write_lock(), give_up)
    }

    /// Writes the CSV files; `_lock` is the lock of the files.
    fn write_csv_locked(&self, _lock: &Lock, row_state: impl Fn(&TrainingSpec) -> Option<RowState>) -> Result<()> {
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

    /// Writes other files of the run, each as (name, bytes).
    ///
    /// # Errors
    /// Fails if a file cannot be written or the lock of the files cannot be taken.
    pub fn write_files(&self, contents: &[(&str, Vec<u8>)]) -> Result<()> {
        let _lock = self.lock()?;
        for (name, bytes) in contents {
            files::write(&self.dir.file(name), bytes)?;
        }
        Ok(())
    }
    /// Writes the file `name` of the run with the bytes that `contents` makes of its present bytes, `None` if there is
    /// no such file. The file is locked from reading to writing.
    ///
    /// # Errors
    /// Fails if `contents` fails, the file cannot be written, or the lock of the files cannot be taken.
    pub fn update_file(&self, name: &str, contents: impl FnOnce(Option<Vec<u8>>) -> Result<Vec<u8>>) -> Result<()> {
        let _lock = self.lock()?;
        let path = self.dir.file(name);
        let present = if path.exists() { Some(files::read(&path)?) } else { None };
        Ok(files::write(&path, &contents(present)?)?)
    }
}
