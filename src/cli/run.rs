//! `lth run`: runs an experiment, from its configuration to the table of results and the report.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;

use super::execution::{Execution, config_file};
use super::load::{ExperimentArgs, LoadedExperiment, RunsArgs};
use super::report::write_run_report;
use super::show::summary_text;
use super::trainers::EngineTrainerFactory;
use crate::artifacts::last_iteration;
use crate::config::ConfigDocument;
use crate::lottery::{Plan, Study};
use crate::report::{Run, RunAnalysis};
use crate::runner::{self, RunOutcome, RunProgress};
use crate::system::cancel::CancelToken;
use crate::system::env;
use crate::system::exit::Exit;
use crate::system::files::{self, Lock};
use crate::system::paths::{RunDir, RunsDir};
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    runs: RunsArgs,
    /// Sets aside what this experiment has in the store and trains it again; nothing is deleted.
    #[arg(long)]
    fresh: bool,
    /// Says nothing but the final table and errors.
    #[arg(long, short)]
    quiet: bool,
}

/// Runs `lth run` and returns its exit code.
///
/// # Errors
/// Fails if the experiment cannot be loaded, a file cannot be read or written, or the run cannot be started.
pub(super) fn run(args: &RunArgs) -> Result<Exit> {
    let LoadedExperiment { document, study, images } = LoadedExperiment::load(&args.experiment)?;
    let runs = args.runs.folder()?;
    let run_dir = runs.run_dir(&study.experiment.name, &study.plan.id());
    let cancel = CancelToken::on_signals().context("could not listen for signals")?;
    let trainers = EngineTrainerFactory::new(&study, images);
    if args.fresh {
        // Load the data first: without them the archived training runs could not be repeated.
        trainers.load_dataset()?;
        archive(&study.plan, &runs, &run_dir, args.quiet)?;
    }
    let _running = register_run(&study.plan, &runs, &run_dir)?;
    let command = command(args, &document, &run_dir);
    let sink = ui::sink(args.quiet);
    let execution = Execution {
        document: &document,
        study: &study,
        runs: &runs,
        run_dir: &run_dir,
        trainers: &trainers,
        sink: &*sink,
        cancel: &cancel,
        command: &command,
    };
    let outcome = execution.run()?;
    if let Some(exit) = cancel.exit_code().filter(|_| outcome.progress.open > 0) {
        print_failures(&outcome);
        if !args.quiet {
            print_resume_command(outcome.progress, &study, &command);
        }
        return Ok(exit);
    }
    let analysis = RunAnalysis::of(Run::open(run_dir)?)?;
    write_run_report(&analysis)?;
    print_outcome(&study, &outcome, &analysis)
}

/// Archives the store entries of the plan and the folder of the run, for `--fresh`, and prints their new folders unless
/// `quiet`.
fn archive(plan: &Plan, runs: &RunsDir, run_dir: &RunDir, quiet: bool) -> Result<()> {
    if let Some(n) = runner::archive_plan(plan, runs, run_dir)?
        && !quiet
    {
        let store = runs.archived_store(n);
        let run = run_dir.archived(n);
        ui::eprint_line(&format!("what was there is now in {} and {}", store.display(), run.display()));
    }
    Ok(())
}

/// Registers a run: records the keys of its plan, and takes the lock by which other processes see that it is running.
/// While the lock is held nothing that the run works with is archived or freed.
///
/// # Errors
/// Fails if a lock cannot be taken, or the file of the keys cannot be written.
pub(crate) fn register_run(plan: &Plan, runs: &RunsDir, run_dir: &RunDir) -> Result<Lock> {
    let _admission = Lock::shared(&runs.admission_lock())?;
    if !run_dir.plan_keys().exists() {
        let keys: Vec<String> = plan.trainings.iter().map(|spec| spec.key.to_string()).collect();
        files::write(&run_dir.plan_keys(), (keys.join("\n") + "\n").as_bytes())?;
    }
    Lock::shared(&run_dir.run_lock())
}

/// Returns the command that continues the run. If the experiment was read from standard input, which cannot be read
/// again, the command names the copy of its text in the folder of the run.
fn command(args: &RunArgs, document: &ConfigDocument, run_dir: &RunDir) -> String {
    if args.experiment.is_stdin() { command_with_file(&run_dir.file(config_file(document))) } else { env::command() }
}

/// Returns the command line of this process, with `config` in place of the `-` that stands for standard input.
fn command_with_file(config: &Path) -> String {
    let mut arguments = env::arguments();
    let takes_value = |argument: &str| ["--runs", "--set", "--data-dir"].contains(&argument);
    let is_stdin = |index: &usize| arguments[*index] == "-" && !takes_value(&arguments[index.saturating_sub(1)]);
    if let Some(index) = (1..arguments.len()).find(is_stdin) {
        arguments[index] = config.display().to_string();
    }
    env::quoted_line(&arguments)
}

/// Prints training runs that broke an invariant or failed.
fn print_failures(outcome: &RunOutcome) {
    for failure in outcome.audit_failures.iter().chain(&outcome.failures) {
        ui::eprint_line(&format!("error: {failure}"));
    }
}

/// Prints how many training runs have ended, and the command that continues the run.
fn print_resume_command(progress: RunProgress, study: &Study, command: &str) {
    let ended = progress.done + progress.diverged;
    let trainings = study.plan.trainings.len();
    ui::eprint_line(&format!(
        "stopped: {ended} of {trainings} trainings are done; those at work begin again. Go on with"
    ));
    ui::eprint_line(&format!("  {command}"));
}

/// Prints the table, the verdicts, the paths of the files, and the training runs without a result. Returns the exit
/// code: a failure if a training run has no result, or its final weights were lost.
fn print_outcome(study: &Study, outcome: &RunOutcome, analysis: &RunAnalysis) -> Result<Exit> {
    let progress = outcome.progress;
    print_failures(outcome);
    ui::print_result(&ui::table(&outcome.rounds, last_iteration(&outcome.rounds)))?;
    ui::print_result(&summary_text(&analysis.run, &analysis.verdicts))?;
    if progress.lost > 0 {
        ui::eprint_line(&format!("error: {} trainings could not be run again for their final weights", progress.lost));
    }
    let missing = progress.diverged + progress.failed + progress.blocked;
    if missing == 0 {
        return Ok(if progress.lost > 0 { Exit::Failure } else { Exit::Success });
    }
    let counts = [(progress.diverged, "diverged"), (progress.failed, "failed"), (progress.blocked, "blocked by them")];
    let parts: Vec<String> =
        counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, state)| format!("{n} {state}")).collect();
    let trainings = study.plan.trainings.len();
    ui::eprint_line(&format!("error: {missing} of {trainings} trainings have no result: {}", parts.join(", ")));
    if progress.diverged > 0 {
        ui::eprint_line("\nhint: a training that diverges wants a smaller `train.lr`");
    }
    Ok(Exit::Failure)
}
