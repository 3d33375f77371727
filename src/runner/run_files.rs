//! Writes the files of a run. The CSV files and the event files are made from the store, so that they can be made again at any time.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use super::mask_columns::MaskNumbers;
use super::row_builder::RowBuilder;
use super::store::StoredTraining;
use crate::artifacts::{
    CurveRow, LayerRow, RoundRow, RunChecksums, TimingRow, WeightRow, event_files, summary_to_csv, to_csv,
};
use crate::base::key::ContentHash;
use crate::lottery::{Plan, TrainingSpec};
use crate::system::cancel::CancelToken;
use crate::system::clock::Stopwatch;
use crate::system::files::{self, Lock, WaitOptions};
use crate::system::paths::RunDir;
use crate::system::retry::{io_error, with_retries};

/// The longest time in seconds that a cancelled run waits for another process that writes the same files.
const LOCK_WAIT_SECONDS: f64 = 2.0;

/// Writes the files of a run.
pub struct RunFiles<'a> {
    /// The builder of the rows of CSV files and event files; `None` to write neither, for an instability analysis, whose plan
    /// is not that of the run.
    pub rows: Option<RowBuilder<'a>>,
    /// The plan, whose order is the order of all rows.
    pub plan: &'a Plan,
    /// The folder of the run.
    pub dir: &'a RunDir,
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
        let Some(builder) = self.rows else { return Ok(()) };
        let lock = self.lock()?;
        self.write_csv_locked(&lock, builder, row_state)
    }

    /// Like [`RunFiles::write_csv`], but writes nothing if another process holds the lock.
    pub(super) fn try_write_csv(&self, row_state: impl Fn(&TrainingSpec) -> Option<RowState>) -> Result<()> {
        let Some(builder) = self.rows else { return Ok(()) };
        let lock = Lock::try_exclusive(&self.dir.write_lock())?;
        lock.map_or(Ok(()), |lock| self.write_csv_locked(&lock, builder, row_state))
    }

    /// Waits for the lock of the files; a cancelled run waits [`LOCK_WAIT_SECONDS`] at most.
    fn lock(&self) -> Result<Lock> {
        let watch = Stopwatch::start();
        let gives_up = || self.cancel.is_cancelled() && watch.seconds() > LOCK_WAIT_SECONDS;
        let wait_options = WaitOptions { gives_up: &gives_up, announce: &|_| {} };
        Lock::wait_exclusive(&self.dir.write_lock(), &wait_options)
    }

    /// Writes the CSV files, and with `run.tensorboard` the event files; `lock` is the lock of the files.
    fn write_csv_locked(
        &self,
        lock: &Lock,
        builder: RowBuilder<'_>,
        row_state: impl Fn(&TrainingSpec) -> Option<RowState>,
    ) -> Result<()> {
        files::remove_stale_temporaries(&self.dir.0)?;
        let rows = RunRows::new(builder, self.plan, row_state)?;
        self.put(lock, &rows.csv_files()?)?;
        if builder.study.experiment.run.tensorboard { self.put_event_files(lock, &rows) } else { Ok(()) }
    }

    /// Writes the event files that do not have the bytes of `rows` yet; `_lock` is the lock of the files.
    fn put_event_files(&self, _lock: &Lock, rows: &RunRows) -> Result<()> {
        for (name, bytes) in rows.event_files(self.plan) {
            let path = self.dir.file(&name);
            files::remove_stale_temporaries(path.parent().unwrap_or(&self.dir.0))?;
            if files::read_if_present(&path)?.as_ref() != Some(&bytes) {
                files::write(&path, &bytes)?;
            }
        }
        Ok(())
    }

    /// Writes other files of the run, each as (name, bytes).
    ///
    /// # Errors
    /// Fails if a file cannot be written or the lock of the files cannot be taken.
    pub fn write_files(&self, contents: &[(&str, Vec<u8>)]) -> Result<()> {
        self.put(&self.lock()?, contents)
    }

    /// Writes the file `name` of the run with the bytes that `contents` makes of its present bytes, `None` if there is
    /// no such file. The file is locked from reading to writing.
    ///
    /// # Errors
    /// Fails if `contents` fails, the file cannot be written, or the lock of the files cannot be taken.
    pub fn update_file(&self, name: &str, contents: impl FnOnce(Option<Vec<u8>>) -> Result<Vec<u8>>) -> Result<()> {
        let lock = self.lock()?;
        let path = self.dir.file(name);
        let present = with_retries(|| files::read_if_present(&path))?;
        self.put(&lock, &[(name, contents(present)?)])
    }

    /// Writes files of the run and their checksums; `lock` is the lock of the files.
    fn put(&self, lock: &Lock, contents: &[(&str, Vec<u8>)]) -> Result<()> {
        lock.check()?;
        let present = match RunChecksums::read(self.dir) {
            // A damaged list is made anew, one that cannot be read is not.
            Err(error) if io_error(&error).is_some() => return Err(error),
            list => list.ok().flatten().unwrap_or_default(),
        };
        let new = present.with(contents);
        let write_list = |list: &RunChecksums| files::write(&self.dir.file(RunDir::CHECKSUMS), &list.to_bytes());
        let during = present.during(&new);
        if during != present {
            write_list(&during)?;
        }
        for (name, bytes) in contents {
            files::write(&self.dir.file(name), bytes)?;
        }
        let is_missing = !new.is_empty() && !self.dir.file(RunDir::CHECKSUMS).exists();
        if new != during || is_missing {
            write_list(&new)?;
        }
        Ok(())
    }
}

/// The rows of a run's files.
pub(super) struct RunRows {
    rounds: Vec<RoundRow>,
    curves: Vec<CurveRow>,
    layers: Vec<LayerRow>,
    weights: Vec<WeightRow>,
    timings: Vec<TimingRow>,
}

impl RunRows {
    /// Returns the rows of each training run of `plan` for which `row_state` is not `None`.
    ///
    /// # Errors
    /// Fails if a mask cannot be read for a reason that may pass.
    pub(super) fn new(
        builder: RowBuilder<'_>,
        plan: &Plan,
        row_state: impl Fn(&TrainingSpec) -> Option<RowState>,
    ) -> Result<Self> {
        let mut rows = Self {
            rounds: Vec::new(),
            curves: Vec::new(),
            layers: Vec::new(),
            weights: Vec::new(),
            timings: Vec::new(),
        };
        let mut with_weight_stats: Vec<(&TrainingSpec, Arc<StoredTraining>)> = Vec::new();
        let states: Vec<Option<RowState>> = plan.trainings.iter().map(row_state).collect();
        let results: BTreeMap<ContentHash, &Arc<StoredTraining>> = plan
            .trainings
            .iter()
            .zip(&states)
            .filter_map(|(spec, state)| match state {
                Some(RowState::Stored(result)) => Some((spec.key, result)),
                Some(RowState::Failed) | None => None,
            })
            .collect();
        let stored = |spec: &TrainingSpec| results.get(&spec.key).map(|&result| Arc::clone(result));
        for (spec, state) in plan.trainings.iter().zip(&states) {
            match state {
                None => {}
                Some(RowState::Failed) => rows.rounds.push(builder.round_row(spec, None, MaskNumbers::default())),
                Some(RowState::Stored(result)) => {
                    let masks = builder.masks.of(spec, result, &stored)?;
                    rows.rounds.push(builder.round_row(spec, Some(result), masks));
                    rows.curves.extend(builder.curve_rows(spec, result));
                    rows.layers.extend(builder.layer_rows(spec, result));
                    rows.timings.extend(builder.timing_row(spec, result));
                    with_weight_stats.extend(result.profile.is_some().then(|| (spec, Arc::clone(result))));
                }
            }
        }
        rows.weights = builder.weight_rows(&with_weight_stats);
        Ok(rows)
    }

    /// Returns the CSV files, each as (name, bytes).
    ///
    /// # Errors
    /// Fails if rows cannot be written as CSV.
    pub(super) fn csv_files(&self) -> Result<[(&'static str, Vec<u8>); 6]> {
        Ok([
            (RunDir::ROUNDS, to_csv(&self.rounds)?),
            (RunDir::CURVES, to_csv(&self.curves)?),
            (RunDir::LAYERS, to_csv(&self.layers)?),
            (RunDir::WEIGHTS, to_csv(&self.weights)?),
            (RunDir::SUMMARY, summary_to_csv(&self.rounds)?),
            (RunDir::TIMINGS, to_csv(&self.timings)?),
        ])
    }

    /// Returns the event files, each as (name, bytes): see [`event_files`].
    pub(super) fn event_files(&self, plan: &Plan) -> Vec<(String, Vec<u8>)> {
        let repeated = plan.trainings.iter().filter(|spec| spec.repeat > 1).map(|spec| spec.arm.as_str()).collect();
        event_files(&self.rounds, &self.curves, &repeated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lottery::test_support::study;

    /// A list without a file was written, which counts as damaged.
    #[test]
    fn first_file_of_a_run_that_is_not_listed_writes_no_list() {
        let folder = tempfile::tempdir().unwrap();
        let dir = RunDir(folder.path().join("a-12345678"));
        let study = study(&[]);
        let cancel = CancelToken::default();
        let files = RunFiles { rows: None, plan: &study.plan, dir: &dir, cancel: &cancel };
        files.write_files(&[("config.toml", b"a = 1\n".to_vec())]).unwrap();
        assert_eq!(RunChecksums::read(&dir).unwrap(), None);
        files.write_files(&[(RunDir::RESOLVED_CONFIG, b"a = 1\n".to_vec())]).unwrap();
        assert!(RunChecksums::read(&dir).unwrap().unwrap().lists(RunDir::RESOLVED_CONFIG));
    }
}
