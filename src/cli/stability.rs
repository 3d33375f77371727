//! `lth stability`: measures whether copies of a training run with other data orders reach the same minimum.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;

use super::execution::register_run;
use super::filter::RowFilter;
use super::folders;
use super::json::StabilityResult;
use super::load::{RunsArgs, workers};
use super::output::OutputArgs;
use super::report::write_run_report;
use super::selection::newest_run;
use super::stop_notice::with_stop_notice;
use super::stored_study::study_of_run;
use super::trainers::EngineTrainerFactory;
use crate::artifacts::{StabilityRow, to_csv};
use crate::base::format::count_of;
use crate::base::key::ContentHash;
use crate::base::outcome::OutcomeKind;
use crate::config::{KeepWeights, MaskSource, UsageError};
use crate::lottery::{DENSE, Plan, Study};
use crate::report::{Run, RunAnalysis};
use crate::runner::{CopyPair, InstabilityAnalysis, RowBuilder, RunContext, RunFiles, Runner, Selection, Store};
use crate::system::cancel::CancelToken;
use crate::system::clock::UtcTime;
use crate::system::env;
use crate::system::exit::Exit;
use crate::system::paths::RunDir;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct StabilityArgs {
    /// The run: its folder, its name, or the name of its experiment.
    #[arg(value_parser = folders::path_parser())]
    run: PathBuf,
    #[command(flatten)]
    runs: RunsArgs,
    /// Without arms: the dense network, and every round of the arms that prune their own previous round.
    #[command(flatten)]
    filter: RowFilter,
    /// Number of networks on the line between the two sets of final weights, both ends included.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(2..=1000))]
    points: u16,
    /// Folder of the built-in data sets [default: that of the run].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    data_dir: Option<PathBuf>,
    /// Number of training runs at a time [default: one per core, and on a GPU one].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs `lth stability` and returns its exit code.
///
/// # Errors
/// Fails if the run cannot be found or resolved, or a file cannot be read or written.
pub(super) fn run(args: &StabilityArgs) -> Result<Exit> {
    // First of all, so that no signal ends the process in another way.
    let cancel = CancelToken::on_signals().context("could not listen for signals")?;
    let runs = args.runs.folder()?;
    let run = Run::open(newest_run(&runs, &args.run, "measuring")?)?;
    let (study, images) = study_of_run(&run.dir, run.manifest.as_ref(), args.data_dir.as_ref())?;
    check_plan(&run, &study)?;
    args.filter.check(run.rounds.iter(), &format!("`{}`", run.name()))?;
    let _running = register_run(&study.plan, &runs, &run.dir, &cancel, &ui::eprint_line)?;
    let store = Store { runs };
    let trainers = EngineTrainerFactory::new(&study, images);
    let sink = args.output.sink()?;
    let context = RunContext { study: &study, store: &store, sink: &sink, cancel: &cancel, trainers: &trainers };
    let analysis = InstabilityAnalysis { context, points: args.points.into() };
    let pairs = analysis.pairs(&selected_keys(&run, &study, &args.filter)?);
    let unmeasured = unmeasured(&analysis, &pairs)?;
    let measuring = || measure(&analysis, &run, &unmeasured, args);
    let failures = if unmeasured.is_empty() { Vec::new() } else { with_stop_notice(&cancel, &sink, measuring)? };

    let rows = analysis.rows()?;
    run_files(&run, &study, &study.plan, &cancel).write_files(&[(RunDir::STABILITY, to_csv(&rows)?)])?;
    let run_analysis = RunAnalysis::of(Run::open(run.dir.clone())?)?;
    let page = write_run_report(&run_analysis)?;
    let measured = pairs.len() - self::unmeasured(&analysis, &pairs)?.len();
    let stopped = cancel.exit_code().filter(|_| measured < pairs.len());
    let exit = stopped.unwrap_or(if failures.is_empty() { Exit::Success } else { Exit::Failure });
    let result = StabilityResult {
        run: run.name(),
        folder: run.dir.0.clone(),
        exit_code: exit.code(),
        ended: UtcTime::now(),
        selected: pairs.len(),
        measured,
        report: page,
        errors: failures,
    };
    if stopped.is_some() {
        ui::eprint_line(&format!("interrupted: measured networks are kept. Resume with:\n  {}", env::command()));
        args.output.print_json(&result)?;
    } else {
        print_outcome(&args.output, &result, &run_analysis.run, &selected_rows(rows, &pairs))?;
    }
    sink.check()?;
    Ok(exit)
}

/// Returns the pairs whose lines have not been measured.
fn unmeasured(analysis: &InstabilityAnalysis<'_>, pairs: &[CopyPair]) -> Result<Vec<CopyPair>> {
    let mut unmeasured = Vec::new();
    for pair in pairs {
        if !analysis.is_measured(pair)? {
            unmeasured.push(pair.clone());
        }
    }
    Ok(unmeasured)
}

/// Returns the rows of the training runs of `pairs`.
fn selected_rows(mut rows: Vec<StabilityRow>, pairs: &[CopyPair]) -> Vec<StabilityRow> {
    let keys: BTreeSet<String> = pairs.iter().map(|pair| pair.training.key.to_string()).collect();
    rows.retain(|row| keys.contains(&row.key));
    rows
}

/// Prints the table of the rows, the paths of the files, and the failures.
fn print_outcome(output: &OutputArgs, result: &StabilityResult, run: &Run, rows: &[StabilityRow]) -> Result<()> {
    output.print(result, || {
        let note = run.test_note().map_or_else(String::new, |note| note + "\n");
        let paths = format!("files in {}\nreport in {}\n", result.folder.display(), result.report.display());
        ui::stability(rows) + &note + &paths
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

/// Returns the keys of the selected training runs that have reached their last iteration, in the order of the plan.
/// Without arms in `filter`, the selected arms are the dense network and those that prune their own previous round.
fn selected_keys(run: &Run, study: &Study, filter: &RowFilter) -> Result<BTreeSet<ContentHash>> {
    let is_chain = |name: &str| {
        let arm = study.experiment.arms.0.iter().find(|(other, _)| other == name);
        name == DENSE || arm.is_some_and(|(_, arm)| arm.mask == MaskSource::Iterative)
    };
    let selected = run.rounds.iter().filter(|row| filter.matches(row) && (filter.names_arms() || is_chain(&row.arm)));
    let (done, others): (Vec<_>, Vec<_>) = selected.partition(|row| row.outcome.is(OutcomeKind::Done));
    if !others.is_empty() {
        ui::eprint_line(&format!(
            "note: {} without a result {} left out",
            count_of(others.len() as u64, "training run"),
            if others.len() == 1 { "is" } else { "are" }
        ));
    }
    let keys: BTreeSet<&str> = done.into_iter().map(|row| row.key.as_str()).collect();
    if keys.is_empty() {
        let text = "error: none of the selected training runs is done";
        let hint = "`lth show` lists those that are; `lth run` continues the run";
        return Err(UsageError::from_text(&format!("{text}\n\nhint: {hint}")).into());
    }
    let planned = study.plan.trainings.iter().map(|spec| spec.key);
    Ok(planned.filter(|key| keys.contains(key.to_string().as_str())).collect())
}

/// Returns a writer for single files of the run; it never rewrites the CSV rows, which are complete.
fn run_files<'a>(run: &'a Run, study: &'a Study, plan: &'a Plan, cancel: &'a CancelToken) -> RunFiles<'a> {
    RunFiles { rows: RowBuilder { study }, plan, dir: &run.dir, writes_rows: false, cancel }
}

/// Returns a note with the numbers of copies and originals that `plan` trains.
fn work_note(plan: &Plan, pairs: &[CopyPair]) -> String {
    let copies: BTreeSet<ContentHash> = pairs.iter().map(|pair| pair.copy.key).collect();
    let count = plan.trainings.iter().filter(|spec| copies.contains(&spec.key)).count();
    let originals = plan.trainings.len() - count;
    format!(
        "copies to train, with another data order and marked (order 2): {count}\n\
         training runs to repeat for their weights: {originals}"
    )
}

/// Trains the missing copies and repeats training runs without final weights, then measures the lines of `pairs`.
/// Returns a message for each failure.
fn measure(
    analysis: &InstabilityAnalysis<'_>,
    run: &Run,
    pairs: &[CopyPair],
    args: &StabilityArgs,
) -> Result<Vec<String>> {
    let context = analysis.context;
    let workers = args.workers.map_or_else(|| workers(context.study), usize::from);
    let plan = analysis.plan(pairs);
    let mut failures = Vec::new();
    if !plan.trainings.is_empty() {
        if args.output.shows_progress() {
            ui::eprint_line(&work_note(&plan, pairs));
        }
        let files = run_files(run, context.study, &plan, context.cancel);
        // Every training run here is an end of a line, and its final weights are needed.
        let runner = Runner {
            context,
            plan: &plan,
            selection: &Selection::Whole,
            keep: KeepWeights::All,
            files: &files,
            workers,
        };
        let outcome = runner.run()?;
        outcome.stop_error.map_or(Ok(()), Err)?;
        failures.extend(outcome.audit_failures.into_iter().chain(outcome.failures).chain(outcome.blocked));
    }
    let (ready, others): (Vec<CopyPair>, Vec<CopyPair>) =
        pairs.iter().cloned().partition(|pair| analysis.is_ready(pair));
    let diverged = others.iter().filter(|pair| analysis.has_diverged(pair));
    failures
        .extend(diverged.map(|pair| format!("{} round {}: the copy diverged", pair.training.arm, pair.training.round)));
    if !ready.is_empty() && !context.cancel.is_cancelled() {
        let dataset = Arc::new(context.trainers.dataset()?);
        let measured = analysis.measure(&ready, &dataset, workers);
        measured.map_err(|error| context.trainers.explain(error, 1))?;
    }
    Ok(failures)
}
