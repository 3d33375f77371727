//! `lth show`: prints the results of a run, from its files.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::filter::RowFilter;
use super::json::ShowResult;
use super::load::RunsArgs;
use super::requirement::Requirement;
use super::selection::newest_run;
use crate::artifacts::{InProgress, LastEvaluations, RoundRow, in_progress, to_csv};
use crate::base::format::with_thousands;
use crate::config::Experiment;
use crate::report::{self, Run, RunState};
use crate::system::exit::Exit;
use crate::system::paths::{ReportDir, RunDir};
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The run: its folder, its name, or the name of its experiment, whose newest run is shown. `NAME@lr=0.1` selects
    /// by values of the configuration.
    #[arg(value_parser = super::folders::path_parser())]
    run: PathBuf,
    #[command(flatten)]
    runs: RunsArgs,
    #[command(flatten)]
    filter: RowFilter,
    /// Print the rows of rounds.csv instead of the table: one per training run.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Exit with status 1 unless this holds, such as `winning_ticket.2.final_test_accuracy >= 0.6`: arm, round and metric
    /// (mean over replicates; also `.min` and `.max`) (repeatable).
    #[arg(long, value_name = "EXPR", value_parser = Requirement::parse)]
    require: Vec<Requirement>,
}

/// Runs `lth show` and returns its exit code.
///
/// # Errors
/// Fails if the run cannot be found or read, a filter stands for nothing, or standard output cannot be written.
pub(super) fn run(args: &ShowArgs) -> Result<Exit> {
    let run = Run::open(newest_run(&args.runs.folder()?, &args.run, "showing")?)?;
    args.filter.check(run.rounds.iter(), &format!("`{}`", run.name()))?;
    let rows: Vec<RoundRow> = run.rounds.iter().filter(|row| args.filter.matches(row)).cloned().collect();
    let experiment = run.experiment()?;
    // Verdicts need all rows of the run.
    let complete = experiment.as_ref().filter(|_| rows.len() == run.rounds.len());
    let verdicts = complete.map_or_else(Vec::new, |experiment| report::verdicts(&run, experiment));
    if args.csv {
        ui::print_result(&String::from_utf8_lossy(&to_csv(&rows)?))?;
    } else if args.json {
        let value = ShowResult {
            name: run.name(),
            folder: &run.dir.0,
            state: run.state(),
            done: run.done(),
            trainings: run.trainings(),
            in_progress: in_progress(&run.dir),
            test_note: run.test_note(),
            verdicts: &verdicts,
            rounds: &rows,
        };
        ui::print_result(&(serde_json::to_string_pretty(&value)? + "\n"))?;
    } else {
        let end = LastEvaluations::of_experiment(&run.rounds, experiment.as_ref());
        ui::print_result(&ui::table(&rows, end))?;
        let lines = |experiment: &Experiment| report::answer_lines(&verdicts, &run.rounds, experiment);
        ui::print_result(&summary_text(&run, &complete.map_or_else(Vec::new, lines)))?;
        print_state(&run);
    }
    check_requirements(&args.require, &run)
}

/// Checks the requirements of `--require`, and prints those that are not met on standard error.
///
/// # Errors
/// Fails if a requirement names an arm or a round that the run does not have.
fn check_requirements(requirements: &[Requirement], run: &Run) -> Result<Exit> {
    let unmet: Vec<Option<String>> =
        requirements.iter().map(|requirement| requirement.unmet(&run.rounds)).collect::<Result<_>>()?;
    for message in unmet.iter().flatten() {
        ui::eprint_line(&format!("error: {message}"));
    }
    Ok(if unmet.iter().all(Option::is_none) { Exit::Success } else { Exit::Failure })
}

/// Returns the text below the table of results: the note on the test images, if there is one, the numbers of images, the
/// lines of the answer, and the paths of the run's files and report.
pub(super) fn summary_text(run: &Run, answer: &[String]) -> String {
    let mut text = run.test_note().map_or_else(String::new, |note| note + "\n");
    if let Some(images) = run.manifest.as_ref().and_then(|manifest| manifest.images) {
        let _ = writeln!(text, "images: {images}");
    }
    for line in answer {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "files in {}", run.dir.0.display());
    let page = run.dir.report_dir().file(ReportDir::INDEX);
    if page.exists() {
        let _ = writeln!(text, "report in {}", page.display());
    }
    text
}

/// Prints failures, and the state of a run that is not finished, on standard error.
fn print_state(run: &Run) {
    let manifest = run.manifest.as_ref();
    for failure in manifest.iter().flat_map(|manifest| manifest.audit.broken.iter().chain(&manifest.failures)) {
        ui::eprint_line(&format!("error: {failure}"));
    }
    if manifest.is_none() {
        let path = run.dir.file(RunDir::MANIFEST);
        ui::eprint_line(&format!("note: `{}` is missing; the command of the run writes it again", path.display()));
    }
    let state = run.state();
    if state == RunState::Finished {
        return;
    }
    let planned = run.trainings().map_or_else(String::new, |trainings| format!(" of {trainings}"));
    ui::eprint_line(&format!("{}: {}{planned} training runs are done", state.as_str(), run.done()));
    for InProgress { training, iteration, last_iteration, .. } in in_progress(&run.dir) {
        let [iteration, last] = [iteration, last_iteration].map(with_thousands);
        ui::eprint_line(&format!("in progress: {training}, saved at iteration {iteration} of {last}"));
    }
    if let (RunState::Interrupted, Some(manifest)) = (state, manifest) {
        ui::eprint_line(&format!("resume with:\n  {}", manifest.resume_command()));
    }
}
