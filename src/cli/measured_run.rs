//! What commands share that measure the trained networks of a run: they open the run, train networks again whose final
//! weights were freed, and write CSV files of the run and its report. Independent of what is measured.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;

use super::execution::register_run;
use super::filter::RowFilter;
use super::folders;
use super::json::MeasuringResult;
use super::load::{RunsArgs, workers};
use super::output::OutputArgs;
use super::report::write_run_report;
use super::selection::newest_run;
use super::stored_study::study_of_run;
use crate::artifacts::RoundRow;
use crate::base::format::count_of;
use crate::base::key::ContentHash;
use crate::base::outcome::OutcomeKind;
use crate::config::{KeepWeights, Supermask, UsageError};
use crate::data::RawImages;
use crate::lottery::{Plan, Study};
use crate::report::{Run, RunAnalysis};
use crate::runner::{RunContext, RunFiles, Runner, Selection, Store};
use crate::system::cancel::CancelToken;
use crate::system::clock::UtcTime;
use crate::system::env;
use crate::system::exit::Exit;
use crate::system::files::Lock;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct MeasureArgs {
    #[command(flatten)]
    runs: RunsArgs,
    #[command(flatten)]
    pub(super) filter: RowFilter,
    /// Folder of the built-in data sets [default: that of the run].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    pub(super) data_dir: Option<PathBuf>,
    /// Number of networks that are trained or measured at a time [default: one per core, and on a GPU one].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) workers: Option<u16>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

impl MeasureArgs {
    /// Returns whether options are given that have a meaning for runs only.
    pub(super) fn has_run_options(&self) -> bool {
        !self.filter.is_empty() || self.runs.runs.is_some() || self.output.has_event_file()
    }

    /// Returns the number of training runs that are trained or measured at a time.
    pub(super) fn workers(&self, study: &Study) -> usize {
        self.workers.map_or_else(|| workers(study), usize::from)
    }
}

/// A run that a command measures. While the value lives, the run counts as running: no other command frees its weights.
pub(super) struct MeasuredRun {
    /// The run.
    pub(super) run: Run,
    /// Its study, whose plan has every training run of the run.
    pub(super) study: Study,
    /// The store with its training runs.
    pub(super) store: Store,
    /// The flag that a signal sets.
    pub(super) cancel: CancelToken,
    _running: Lock,
}

/// The outcome of a command that measures a run.
pub(super) struct MeasuringOutcome {
    /// Number of training runs that were selected.
    pub(super) selected: usize,
    /// Number of these that have been measured, now or before.
    pub(super) measured: usize,
    /// A message for each failure.
    pub(super) failures: Vec<String>,
}

impl MeasuredRun {
    /// Opens and registers the run called `name`, and returns it with the images of custom data. Listens for signals from
    /// now on.
    ///
    /// # Errors
    /// Fails if the run cannot be found, resolved or registered. Returns a [`UsageError`] if the run has no such arm or
    /// round, or training runs that its experiment does not have here.
    pub(super) fn open(name: &Path, args: &MeasureArgs) -> Result<(Self, Option<RawImages>)> {
        // First of all, so that no signal ends the process in another way.
        let cancel = CancelToken::on_signals().context("could not listen for signals")?;
        let runs = args.runs.folder()?;
        let run = Run::open(newest_run(&runs, name, "measuring")?)?;
        let (study, images) = study_of_run(&run.dir, run.manifest.as_ref(), args.data_dir.as_ref())?;
        check_plan(&run, &study)?;
        args.filter.check(run.rounds.iter(), &format!("`{}`", run.name()))?;
        let running = register_run(&study.plan, &runs, &run.dir, &cancel, &ui::eprint_line)?;
        Ok((Self { run, study, store: Store { runs }, cancel, _running: running }, images))
    }

    /// Returns the keys of the training runs that `filter` selects and that have reached their last iteration. Without
    /// arms in `filter`, those of which `is_default` returns true are selected. Prints a note on the others.
    ///
    /// # Errors
    /// Returns a [`UsageError`] if there are none.
    pub(super) fn done_keys(
        &self,
        filter: &RowFilter,
        is_default: impl Fn(&RoundRow) -> bool,
    ) -> Result<BTreeSet<ContentHash>> {
        let is_selected = |row: &&RoundRow| filter.matches(row) && (filter.names_arms() || is_default(row));
        let selected = self.run.rounds.iter().filter(is_selected);
        let (done, others): (Vec<_>, Vec<_>) = selected.partition(|row| row.outcome.is(OutcomeKind::Done));
        if !others.is_empty() {
            ui::eprint_line(&format!(
                "note: {} without a result {} left out",
                count_of(others.len() as u64, "training run"),
                if others.len() == 1 { "is" } else { "are" }
            ));
        }
        let drawn = self.drawn_keys();
        let (drawn, done): (Vec<_>, Vec<_>) = done.into_iter().partition(|row| drawn.contains(&row.key));
        if !drawn.is_empty() {
            ui::eprint_line(&format!(
                "note: {} with drawn masks left out: their accuracies are means over ten masks, and no single network has them",
                count_of(drawn.len() as u64, "training run")
            ));
        }
        let keys: BTreeSet<&str> = done.into_iter().map(|row| row.key.as_str()).collect();
        if keys.is_empty() {
            let text = "error: none of the selected training runs is done";
            let hint = "`lth show` lists those that are; `lth run` continues the run";
            return Err(UsageError::from_text(&format!("{text}\n\nhint: {hint}")).into());
        }
        let planned = self.study.plan.trainings.iter().map(|spec| spec.key);
        Ok(planned.filter(|key| keys.contains(key.to_string().as_str())).collect())
    }

    /// Returns the keys of the training runs whose evaluations are means over drawn masks.
    fn drawn_keys(&self) -> BTreeSet<String> {
        let trainings = self.study.plan.trainings.iter();
        let drawn = trainings.filter(|spec| spec.supermask() == Some(Supermask::Bernoulli));
        drawn.map(|spec| spec.key.to_string()).collect()
    }

    /// Trains a plan, and keeps all final weights. Returns a message for each failure.
    ///
    /// # Errors
    /// Fails if a file cannot be read or written, the data cannot be loaded, or a worker cannot be started.
    pub(super) fn train(&self, context: RunContext<'_>, plan: &Plan, workers: usize) -> Result<Vec<String>> {
        let files = self.files(plan);
        let runner =
            Runner { context, plan, selection: &Selection::Whole, keep: KeepWeights::All, files: &files, workers };
        let outcome = runner.run()?;
        outcome.stop_error.map_or(Ok(()), Err)?;
        Ok(outcome.audit_failures.into_iter().chain(outcome.failures).chain(outcome.blocked).collect())
    }

    /// Writes `contents`, each as (name, bytes), into the folder of the run, then its report; prints the result and
    /// returns the exit code. `table` returns the result as text.
    ///
    /// # Errors
    /// Fails if a file or standard output cannot be written.
    pub(super) fn finish(
        &self,
        output: &OutputArgs,
        contents: &[(&str, Vec<u8>)],
        outcome: MeasuringOutcome,
        table: impl FnOnce() -> String,
    ) -> Result<Exit> {
        self.files(&self.study.plan).write_files(contents)?;
        let analysis = RunAnalysis::of(Run::open(self.run.dir.clone())?)?;
        let report = write_run_report(&analysis)?;
        let MeasuringOutcome { selected, measured, failures } = outcome;
        let stopped = self.cancel.exit_code().filter(|_| measured < selected);
        let exit = stopped.unwrap_or(if failures.is_empty() { Exit::Success } else { Exit::Failure });
        let result = MeasuringResult {
            run: self.run.name(),
            folder: self.run.dir.0.clone(),
            exit_code: exit.code(),
            ended: UtcTime::now(),
            selected,
            measured,
            report,
            errors: failures,
        };
        if stopped.is_some() {
            ui::eprint_line(&format!("interrupted: measured networks are kept. Resume with:\n  {}", env::command()));
            output.print_json(&result)?;
        } else {
            print_outcome(output, &result, &analysis.run, table)?;
        }
        Ok(exit)
    }

    /// Returns a writer for single files of the run; it never rewrites the CSV rows, which are complete.
    fn files<'a>(&'a self, plan: &'a Plan) -> RunFiles<'a> {
        RunFiles { rows: None, plan, dir: &self.run.dir, cancel: &self.cancel }
    }
}

/// Returns the items that have not been measured.
///
/// # Errors
/// Fails with the error of `is_measured`.
pub(super) fn unmeasured<T: Clone>(items: &[T], is_measured: impl Fn(&T) -> Result<bool>) -> Result<Vec<T>> {
    let mut unmeasured = Vec::new();
    for item in items {
        if !is_measured(item)? {
            unmeasured.push(item.clone());
        }
    }
    Ok(unmeasured)
}

/// Prints the table, the paths of the files, and the failures.
fn print_outcome(
    output: &OutputArgs,
    result: &MeasuringResult,
    run: &Run,
    table: impl FnOnce() -> String,
) -> Result<()> {
    output.print(result, || {
        let note = run.test_note().map_or_else(String::new, |note| note + "\n");
        let paths = format!("files in {}\nreport in {}\n", result.folder.display(), result.report.display());
        table() + &note + &paths
    })?;
    for failure in &result.errors {
        ui::eprint_line(&format!("error: {failure}"));
    }
    Ok(())
}

/// Checks that the plan of a study has every training run that the run has.
///
/// # Errors
/// Returns a [`UsageError`] if it lacks one.
fn check_plan(run: &Run, study: &Study) -> Result<()> {
    let keys: BTreeSet<String> = study.plan.trainings.iter().map(|spec| spec.key.to_string()).collect();
    if let Some(row) = run.rounds.iter().find(|row| !keys.contains(&row.key)) {
        let text = format!(
            "error: `{}` has training runs that its experiment does not have here, such as {}",
            run.name(),
            row.key
        );
        let hint = "another version of lth made it, or its data are not those in `--data-dir`";
        return Err(UsageError::from_text(&format!("{text}\n\nhint: {hint}")).into());
    }
    Ok(())
}
