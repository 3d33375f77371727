//! `lth run`: runs an experiment, from its configuration to the table of results and the report.

use std::path::Path;

use anyhow::{Context, Error, Result};
use clap::Args;

use super::execution::Execution;
use super::explain::{FOLDER_OPTION, explain};
use super::jobs::JobArgs;
use super::json::RunResult;
use super::load::{ConfigSource, ExperimentArgs, LoadedExperiment, RunsArgs, workers, workers_limit};
use super::output::OutputArgs;
use super::provenance::config_file;
use super::report::write_run_report;
use super::show::summary_text;
use super::stop_notice::with_stop_notice;
use super::sweep::{SweepArgs, SweepPoint, load_points, sweep_folder, write_sweep};
use super::trainers::EngineTrainerFactory;
use crate::artifacts::{LastEvaluations, in_progress, resume_command};
use crate::base::format::{count_of, with_thousands};
use crate::config::ConfigDocument;
use crate::lottery::Study;
use crate::report::{Run, RunAnalysis, RunState, published_warning};
use crate::runner::{self, RunOutcome, RunProgress, Selection, SharedTrainings};
use crate::system::cancel::CancelToken;
use crate::system::env;
use crate::system::exit::Exit;
use crate::system::files::{Lock, WaitOptions};
use crate::system::paths::RunDir;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    runs: RunsArgs,
    #[command(flatten)]
    sweep: SweepArgs,
    #[command(flatten)]
    jobs: JobArgs,
    /// Archive the stored training runs of this experiment, and train them again. Nothing is deleted.
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Runs `lth run` and returns its exit code.
///
/// # Errors
/// Fails if the experiment cannot be loaded, a file cannot be read or written, or the run cannot be started.
pub(super) fn run(args: &RunArgs) -> Result<Exit> {
    // First of all, so that no signal ends the process in another way.
    let cancel = CancelToken::on_signals().context("could not listen for signals")?;
    let source = ConfigSource::of(&args.experiment)?;
    if let Some(points) = load_points(&args.experiment, &source, &args.sweep)? {
        return run_points(args, points, &cancel);
    }
    let loaded = LoadedExperiment::load_from(&args.experiment, &source)?;
    let selections = args.jobs.selections(&[&loaded.study])?;
    if selections.iter().all(Selection::is_empty_part) {
        return Ok(no_job());
    }
    if args.fresh {
        archive(args, &loaded, &cancel)?;
    }
    run_experiment(args, loaded, &selections[0], &cancel)
}

/// Runs the experiments of a sweep one after the other, and writes the table and the report of the sweep. A point that
/// fails does not stop the others. Returns the exit code.
fn run_points(args: &RunArgs, points: Vec<SweepPoint>, cancel: &CancelToken) -> Result<Exit> {
    let runs = args.runs.folder()?;
    let studies: Vec<&Study> = points.iter().map(|point| &point.loaded.study).collect();
    let selections = args.jobs.selections(&studies)?;
    if selections.iter().all(Selection::is_empty_part) {
        return Ok(no_job());
    }
    let is_part = selections.iter().any(Selection::is_part);
    let count = points.len();
    let folder = sweep_folder(&runs, &points);
    if args.fresh {
        // Of all points at once: what a point has trained anew is not archived by the next one.
        points.iter().try_for_each(|point| archive(args, &point.loaded, cancel))?;
    }
    if args.output.shows_progress() {
        let SharedTrainings { trainings, shared } = SharedTrainings::of(studies.iter().copied());
        ui::eprint_line(&format!(
            "sweep: {}, {}; {} more shared by points and trained once",
            count_of(count as u64, "point"),
            count_of(trainings as u64, "training run"),
            with_thousands(shared as u64)
        ));
    }
    let mut failed = Vec::new();
    let mut run_dirs = Vec::new();
    for (index, (SweepPoint { label, loaded }, selection)) in points.into_iter().zip(&selections).enumerate() {
        if selection.is_empty_part() {
            continue;
        }
        if args.output.shows_progress() {
            ui::eprint_line(&format!("point {} of {count}: {label}", index + 1));
        }
        run_dirs.push((label.clone(), runs.run_dir(&loaded.study.experiment.name, &loaded.study.plan.id())));
        match run_experiment(args, loaded, selection, cancel) {
            Ok(Exit::Success) => continue,
            Ok(exit) if cancel.is_cancelled() => return Ok(exit),
            Ok(_) => {}
            Err(error) if cancel.is_cancelled() => return Err(error),
            Err(error) => drop(explain(&error, FOLDER_OPTION)),
        }
        failed.push(label);
    }
    let exit = if failed.is_empty() { Exit::Success } else { Exit::Failure };
    if !is_part {
        let result = write_sweep(&folder, run_dirs, &failed, exit)?;
        args.output.print(&result, || result.text())?;
    }
    for label in &failed {
        ui::eprint_line(&format!("error: point `{label}` failed"));
    }
    Ok(exit)
}

/// Trains the selected part of an experiment's plan, and returns the exit code.
fn run_experiment(
    args: &RunArgs,
    loaded: LoadedExperiment,
    selection: &Selection,
    cancel: &CancelToken,
) -> Result<Exit> {
    let LoadedExperiment { document, study, images } = loaded;
    let runs = args.runs.folder()?;
    let run_dir = runs.run_dir(&study.experiment.name, &study.plan.id());
    let trainers = EngineTrainerFactory::new(&study, images);
    let sink = args.output.sink()?;
    let command = command(args, &document, &run_dir);
    let execution = Execution {
        document: &document,
        study: &study,
        runs: &runs,
        run_dir: &run_dir,
        trainers: &trainers,
        sink: &sink,
        cancel,
        selection,
        command: &command,
    };
    let _running = execution.register()?;
    if args.output.shows_progress() {
        print_notes(&study);
    }
    let mut outcome = with_stop_notice(cancel, &sink, || execution.run())?;
    if let Some(error) = outcome.stop_error.take() {
        print_stop_by_error(&outcome, &study, &error, args.output.shows_progress());
        let mut result = run_result(&study, &run_dir, RunState::Interrupted, Exit::Failure, &outcome);
        result.errors.push(format!("{error:#}"));
        // An error of standard output is not the one by which the run stopped.
        let _ = args.output.print_json(&result);
        return Err(error);
    }
    if let Some(exit) = cancel.exit_code().filter(|_| outcome.progress.has_work()) {
        print_failures(&outcome);
        if args.output.shows_progress() {
            print_resume_command(outcome.progress, &study, &run_dir, &command);
        }
        args.output.print_json(&run_result(&study, &run_dir, RunState::Interrupted, exit, &outcome))?;
        return Ok(exit);
    }
    let exit = if selection.is_part() {
        print_jobs_outcome(&args.output, &study, &run_dir, &outcome)?
    } else {
        print_outcome(&args.output, &study, run_dir, &outcome)?
    };
    sink.check()?;
    Ok(exit)
}

/// Prints that there is nothing to do, as for a shard of more processes than jobs, and returns the exit code.
fn no_job() -> Exit {
    ui::eprint_line("note: this shard has no job");
    Exit::Success
}

/// Archives the store entries of an experiment's plan and the folder of its run, for `--fresh`, and prints their new
/// folders unless `-q` is given.
fn archive(args: &RunArgs, loaded: &LoadedExperiment, cancel: &CancelToken) -> Result<()> {
    let study = &loaded.study;
    let runs = args.runs.folder()?;
    let run_dir = runs.run_dir(&study.experiment.name, &study.plan.id());
    // Load the data before anything is archived: without them nothing can be trained.
    EngineTrainerFactory::new(study, None).load_dataset()?;
    let wait_options = WaitOptions { gives_up: &|| cancel.is_cancelled(), announce: &ui::eprint_line };
    Lock::remove_stale_claims(&runs, &wait_options)?;
    if let Some(n) = runner::archive_plan(&study.plan, &runs, &run_dir, &wait_options)?
        && args.output.shows_progress()
    {
        let store = runs.archived_store(n);
        let run = run_dir.archived(n);
        ui::eprint_line(&format!(
            "archived: the training runs are now in {}, the run in {}",
            store.display(),
            run.display()
        ));
    }
    Ok(())
}

/// Returns the command that continues the run. If the experiment was read from standard input, which cannot be read
/// again, the command names the copy of its text in the folder of the run.
fn command(args: &RunArgs, document: &ConfigDocument, run_dir: &RunDir) -> String {
    if args.experiment.is_stdin() { command_with_file(&run_dir.file(config_file(document))) } else { env::command() }
}

/// Returns the command line of this process, with `config` in place of the `-` that stands for standard input.
fn command_with_file(config: &Path) -> String {
    let mut arguments = env::arguments();
    let takes_value = |argument: &str| {
        ["--runs", "--set", "--unset", "--sweep", "--job", "--shard", "--data-dir", "--events"].contains(&argument)
    };
    let is_stdin = |index: &usize| arguments[*index] == "-" && !takes_value(&arguments[index.saturating_sub(1)]);
    if let Some(index) = (1..arguments.len()).find(is_stdin) {
        arguments[index] = config.display().to_string();
    }
    env::quoted_line(&arguments)
}

/// Prints the numbers of images, the limit on the number of workers if there is one, and the warnings.
fn print_notes(study: &Study) {
    ui::eprint_line(&format!("images: {}", study.resolved.images));
    if let Some(limit) = workers_limit(study) {
        ui::eprint_line(&format!("note: {}: {limit}", count_of(workers(study) as u64, "worker")));
    }
    for warning in study.warnings().into_iter().chain(published_warning(&study.experiment)) {
        ui::eprint_line(&format!("warning: {warning}"));
    }
}

/// Prints training runs that broke an invariant or failed.
fn print_failures(outcome: &RunOutcome) {
    for failure in outcome.audit_failures.iter().chain(&outcome.failures) {
        ui::eprint_line(&format!("error: {failure}"));
    }
}

/// Prints the failures of a run that an I/O error stopped, without those by that error, and with `shows_progress` how many
/// training runs are done.
fn print_stop_by_error(outcome: &RunOutcome, study: &Study, error: &Error, shows_progress: bool) {
    let by_stop_error = format!("{error:#}");
    for failure in outcome.audit_failures.iter().chain(&outcome.failures).filter(|text| !text.ends_with(&by_stop_error))
    {
        ui::eprint_line(&format!("error: {failure}"));
    }
    if shows_progress {
        let ended = outcome.progress.done + outcome.progress.diverged;
        let trainings = study.plan.trainings.len();
        ui::eprint_line(&format!(
            "stopped: {ended} of {trainings} training runs are done and stay; the same command goes on with the others"
        ));
    }
}

/// Prints how many training runs have ended, how far those in progress are, and the command that continues the run.
fn print_resume_command(progress: RunProgress, study: &Study, run_dir: &RunDir, command: &str) {
    let ended = progress.done + progress.diverged;
    let trainings = study.plan.trainings.len();
    let saved = saved_progress(run_dir);
    ui::eprint_line(&format!("interrupted: {ended} of {trainings} training runs are done{saved}. Resume with:"));
    ui::eprint_line(&format!("  {}", resume_command(command)));
}

/// Returns which progress of training runs is saved, as the end of a sentence; empty if there is none.
fn saved_progress(run_dir: &RunDir) -> String {
    let trainings = in_progress(run_dir);
    let last = with_thousands(trainings.iter().map(|training| training.last_iteration).max().unwrap_or_default());
    let iterations: Vec<u64> = trainings.into_iter().map(|training| training.iteration).collect();
    match iterations.as_slice() {
        [] => String::new(),
        [iteration] => format!(", and one is saved at iteration {} of {last}", with_thousands(*iteration)),
        [first, .., end] => {
            let (lowest, highest) = iterations.iter().fold((*first, *end), |(a, b), &i| (a.min(i), b.max(i)));
            let range = if lowest == highest {
                format!("iteration {}", with_thousands(lowest))
            } else {
                format!("iterations {} to {}", with_thousands(lowest), with_thousands(highest))
            };
            format!(", and {} are saved at {range} of {last}", iterations.len())
        }
    }
}

/// Writes the report, and prints the results, the paths of the files, and the training runs without a result. Returns the
/// exit code.
fn print_outcome(output: &OutputArgs, study: &Study, run_dir: RunDir, outcome: &RunOutcome) -> Result<Exit> {
    let analysis = RunAnalysis::of(Run::open(run_dir)?)?;
    let page = write_run_report(&analysis)?;
    let left_out = outcome.progress.left_out;
    let exit = if left_out > 0 { Exit::Failure } else { outcome_exit(outcome.progress) };
    let is_whole = outcome.progress.missing() + left_out == 0;
    let state = if is_whole { RunState::Finished } else { RunState::Incomplete };
    let json = RunResult {
        verdicts: analysis.answer_lines(),
        report: Some(page),
        ..run_result(study, &analysis.run.dir, state, exit, outcome)
    };
    print_failures(outcome);
    output.print(&json, || {
        let end = LastEvaluations::of_experiment(&outcome.rounds, Some(&study.experiment));
        ui::table(&outcome.rounds, end) + &summary_text(&analysis.run, &analysis.answer_lines())
    })?;
    print_missing(study, outcome.progress);
    if left_out > 0 {
        let trainings = count_of(study.plan.trainings.len() as u64, "training run");
        ui::eprint_line(&format!("error: {} of {trainings} have not been trained", with_thousands(left_out as u64)));
    }
    Ok(exit)
}

/// Prints the outcome of some jobs of a run, whose report another process writes. Returns the exit code.
fn print_jobs_outcome(output: &OutputArgs, study: &Study, run_dir: &RunDir, outcome: &RunOutcome) -> Result<Exit> {
    let exit = outcome_exit(outcome.progress);
    print_failures(outcome);
    output.print(&run_result(study, run_dir, RunState::Incomplete, exit, outcome), || {
        let RunProgress { done, left_out, .. } = outcome.progress;
        let trainings = count_of(study.plan.trainings.len() as u64, "training run");
        let done = with_thousands(done as u64);
        match left_out {
            0 => format!("{done} of {trainings} are done; `--no-training` in place of the jobs writes the report\n"),
            n => format!("{done} of {trainings} are done; {} belong to other jobs\n", with_thousands(n as u64)),
        }
    })?;
    print_missing(study, outcome.progress);
    Ok(exit)
}

/// Returns the result of a run for `--json`, without verdicts and report.
fn run_result(study: &Study, run_dir: &RunDir, state: RunState, exit: Exit, outcome: &RunOutcome) -> RunResult {
    let lists = [&outcome.audit_failures, &outcome.failures, &outcome.blocked];
    let errors = lists.into_iter().flatten().cloned().collect();
    let trainings = study.plan.trainings.len();
    RunResult { errors, ..RunResult::new(&run_dir.0, state, exit, trainings, outcome.progress) }
}

/// Returns the exit code of a run that was not interrupted: a failure if a training run that was to be trained has no
/// result, or its final weights were lost.
fn outcome_exit(progress: RunProgress) -> Exit {
    if progress.missing() == 0 && progress.lost == 0 { Exit::Success } else { Exit::Failure }
}

/// Prints how many training runs have no result, or have lost their final weights.
fn print_missing(study: &Study, progress: RunProgress) {
    if progress.lost > 0 {
        let lost = count_of(progress.lost as u64, "training run");
        ui::eprint_line(&format!("error: {lost} could not be repeated for their final weights"));
    }
    let missing = progress.missing();
    if missing == 0 {
        return;
    }
    let counts = [(progress.diverged, "diverged"), (progress.failed, "failed"), (progress.blocked, "blocked by them")];
    let parts: Vec<String> =
        counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, state)| format!("{n} {state}")).collect();
    let trainings = study.plan.trainings.len();
    ui::eprint_line(&format!("error: {missing} of {trainings} training runs have no result: {}", parts.join(", ")));
    if progress.diverged > 0 {
        ui::eprint_line(&format!("\nhint: {}", study.divergence_hint()));
    }
}
