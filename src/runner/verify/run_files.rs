//! Makes the files of a run again from the store, and compares their bytes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::super::instability::stability_rows;
use super::super::landscape::landscape_rows;
use super::super::mask_columns::MaskColumns;
use super::super::robustness::robustness_rows;
use super::super::row_builder::RowBuilder;
use super::super::run_files::{RowState, RunRows};
use super::check::{Check, WRITE_AGAIN, advice_on_error};
use super::verifier::Verifier;
use crate::artifacts::{RoundRow, RunChecksums, from_csv, open_run_file, to_csv};
use crate::base::outcome::OutcomeKind;
use crate::lottery::TrainingSpec;
use crate::system::files::{self, Lock};
use crate::system::paths::{RunDir, TrainingDir};

impl Verifier<'_> {
    /// Makes the CSV files of the run again and compares their bytes. The files of a run that is not finished may lack
    /// training runs that ended after they were written: the rows that they have are compared.
    pub(super) fn check_run_files(&self) -> Result<Check> {
        let mut check = Check::new("csv files", "bytes of the CSV files, made again from the store", "file");
        if self.is_running() {
            check.note("a process works on the run and writes them");
            return Ok(check);
        }
        let path = self.run_dir.file(RunDir::ROUNDS);
        let rows = match files::read_if_present(&path).map(|bytes| bytes.map(|bytes| from_csv::<RoundRow>(&bytes))) {
            Ok(Some(Ok(rows))) => rows,
            Ok(None) if !self.is_finished => {
                check.note("the run has no rows yet");
                return Ok(check);
            }
            Ok(None) => {
                check.differ(format!("`{}`", path.display()), "it is missing", WRITE_AGAIN);
                return Ok(check);
            }
            Ok(Some(Err(error))) | Err(error) => {
                check.differ(format!("`{}`", path.display()), format!("{error:#}"), WRITE_AGAIN);
                return Ok(check);
            }
        };
        let listed: BTreeSet<&str> = rows.iter().map(|row| row.key.as_str()).collect();
        let failed: BTreeSet<&str> =
            rows.iter().filter(|row| row.outcome.is(OutcomeKind::Failed)).map(|row| row.key.as_str()).collect();
        let row_state = |spec: &TrainingSpec| {
            let key = spec.key.to_string();
            let is_expected = self.is_finished || listed.contains(key.as_str());
            let stored = self.store.load(spec).ok().flatten().filter(|_| is_expected);
            match stored {
                _ if failed.contains(key.as_str()) => Some(RowState::Failed),
                stored => stored.map(|stored| RowState::Stored(Arc::new(stored))),
            }
        };
        let masks = MaskColumns::new(self.study, self.store);
        let builder = RowBuilder { study: self.study, masks: &masks };
        let rows = RunRows::new(builder, &self.study.plan, row_state)?;
        for (name, expected) in rows.csv_files()?.iter().filter(|(name, _)| *name != RunDir::TIMINGS) {
            self.compare(&mut check, name, expected);
        }
        let ended = self.trainings().iter().filter(|(spec, _)| !listed.contains(spec.key.to_string().as_str())).count();
        if ended > 0 && !self.is_finished {
            check.note(format!("{ended} training runs ended after the files were written; the same command adds them"));
        }
        Ok(check)
    }

    /// Makes `stability.csv` again and compares its bytes.
    pub(super) fn check_stability(&self) -> Result<Check> {
        let check =
            Check::new("stability.csv", "bytes of stability.csv, made again from the lines in the store", "file");
        let (rows, damaged) = stability_rows(self.study, self.store)?;
        let files = [(RunDir::STABILITY, to_csv(&rows)?)];
        Ok(self.check_measured(check, "stability", &files, rows.is_empty(), &damaged))
    }

    /// Makes `landscape.csv` and `landscape_curves.csv` again and compares their bytes.
    pub(super) fn check_landscape(&self) -> Result<Check> {
        let about = "bytes of landscape.csv and landscape_curves.csv, made again from the measurements in the store";
        let check = Check::new("landscape.csv", about, "file");
        let (rows, damaged) = landscape_rows(self.study, self.store)?;
        let files = [(RunDir::LANDSCAPE, to_csv(&rows.trainings)?), (RunDir::LANDSCAPE_CURVES, to_csv(&rows.curves)?)];
        Ok(self.check_measured(check, "landscape", &files, rows.trainings.is_empty(), &damaged))
    }

    /// Compares `files`, each a name and the bytes made again, of a `command` that measures finished training runs.
    /// `is_unmeasured`: no training run has been measured; `damaged`: the measurements in the store that are damaged.
    fn check_measured(
        &self,
        mut check: Check,
        command: &str,
        files: &[(&str, Vec<u8>)],
        is_unmeasured: bool,
        damaged: &[PathBuf],
    ) -> Check {
        if self.is_running() {
            check.note("a process works on the run and writes it");
            return check;
        }
        for path in damaged {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            check.differ(format!("`{}`", path.display()), "it is damaged", advice_on(&name));
        }
        if is_unmeasured && !files.iter().any(|(name, _)| self.run_dir.file(name).exists()) {
            check.note(format!("`lth {command}` has not measured the run"));
        } else if check.differences.is_empty() {
            for (name, bytes) in files {
                self.compare(&mut check, name, bytes);
            }
        }
        check
    }

    /// Makes the files of `lth evaluate` again and compares their bytes.
    pub(super) fn check_robustness(&self) -> Result<Check> {
        let about = "bytes of robustness.csv, calibration.csv and class_accuracy.csv, made again from the store";
        let check = Check::new("robustness.csv", about, "file");
        let rows = robustness_rows(self.study, self.store)?;
        Ok(self.check_measured(check, "evaluate", &rows.data.files()?, rows.data.calibration.is_empty(), &rows.damaged))
    }

    /// Returns whether a process works on the run.
    fn is_running(&self) -> bool {
        Lock::is_held(&self.run_dir.run_lock())
    }

    /// Compares the bytes of a file of the run.
    fn compare(&self, check: &mut Check, name: &str, expected: &[u8]) {
        let path = self.run_dir.file(name);
        match files::read_if_present(&path) {
            Ok(stored) => check.compare(&path, stored.as_deref(), expected, advice_on(name)),
            Err(error) => {
                let advice = advice_on_error(&error, advice_on(name));
                check.differ(format!("`{}`", path.display()), format!("{error:#}"), advice);
            }
        }
    }
}

/// Returns the advice for a file of the run, or a measurement in the store, that is missing, damaged or differs.
fn advice_on(name: &str) -> &'static str {
    match name {
        RunDir::STABILITY => "run `lth stability` on the run",
        TrainingDir::STABILITY => "run `lth stability` on the run: it measures the line again",
        RunDir::LANDSCAPE | RunDir::LANDSCAPE_CURVES => "run `lth landscape` on the run",
        TrainingDir::LANDSCAPE => "run `lth landscape` on the run: it measures the training run again",
        TrainingDir::ROBUSTNESS => "run `lth evaluate` on the run: it measures the network again",
        RunDir::ROBUSTNESS | RunDir::CALIBRATION | RunDir::CLASS_ACCURACY => "run `lth evaluate` on the run",
        _ => WRITE_AGAIN,
    }
}

/// Returns the check of the files of a run against the checksums in `SHA256SUMS`. `must_exist`: whether the run was
/// written by a version that writes this file.
pub fn listed_checksums(run_dir: &RunDir, must_exist: bool) -> Check {
    let mut check = Check::new("checksums", "SHA-256 of the files of the run, listed in SHA256SUMS", "file");
    let list = match RunChecksums::read(run_dir) {
        Ok(Some(list)) => list,
        Ok(None) if must_exist => {
            check.differ(format!("`{}`", run_dir.file(RunDir::CHECKSUMS).display()), "it is missing", WRITE_AGAIN);
            return check;
        }
        Ok(None) => {
            check.note(format!("the run has no {}: an older version of lth wrote it", RunDir::CHECKSUMS));
            return check;
        }
        Err(error) => {
            let subject = format!("`{}`", run_dir.file(RunDir::CHECKSUMS).display());
            check.differ(subject, format!("{error:#}"), advice_on_error(&error, WRITE_AGAIN));
            return check;
        }
    };
    for name in list.names() {
        match open_run_file(run_dir, name).and_then(|file| file.context("it is missing")) {
            Ok(_) => check.pass(),
            Err(error) => {
                let advice = advice_on_error(&error, advice_on(name));
                check.differ(format!("`{}`", run_dir.file(name).display()), format!("{error:#}"), advice);
            }
        }
    }
    check
}
