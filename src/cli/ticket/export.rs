//! `lth ticket export`: networks of a run as files.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;

use super::super::folders;
use super::super::measured_run::{MeasureArgs, MeasuredRun};
use super::super::stop_notice::with_stop_notice;
use super::super::trainers::EngineTrainerFactory;
use super::file::check_new;
use super::json::{ExportedTicket, TicketExportResult};
use crate::artifacts::RoundRow;
use crate::base::format::count_of;
use crate::base::key::sha256;
use crate::base::outcome::OutcomeKind;
use crate::base::placeholders::unknown_placeholder;
use crate::config::UsageError;
use crate::lottery::{Plan, TrainingSpec};
use crate::report::{Run, resolved_config};
use crate::runner::{RunContext, TicketExport, TrainingId, plan_for_final_weights};
use crate::system::exit::Exit;
use crate::system::{env, files};
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The run: its folder, its name, or the name of its experiment.
    #[arg(value_parser = folders::path_parser())]
    run: PathBuf,
    #[command(flatten)]
    measured: MeasureArgs,
    /// Select this replicate only (repeatable).
    #[arg(long, value_name = "N")]
    replicate: Vec<u32>,
    /// Select this repeat only (repeatable).
    #[arg(long, value_name = "N")]
    repeat: Vec<u32>,
    /// The file to write. For several networks, a name with `{arm}`, `{round}`, `{replicate}` or `{repeat}`, which stand
    /// for those of each.
    #[arg(long, short, value_name = "FILE", value_parser = folders::path_parser())]
    out: PathBuf,
    /// Replace files that exist.
    #[arg(long)]
    force: bool,
}

/// Runs `lth ticket export` and returns its exit code.
///
/// # Errors
/// Fails if the run cannot be found, a file cannot be read or written, or weights cannot be trained again. Returns a
/// [`UsageError`] if no network is selected, or if several are to be written to one file.
pub(super) fn run(args: &ExportArgs) -> Result<Exit> {
    let (measured, images) = MeasuredRun::open(&args.run, &args.measured)?;
    let MeasuredRun { run, study, store, cancel, .. } = &measured;
    let output = &args.measured.output;
    let rows = selected(args, run)?;
    let paths: Vec<PathBuf> = rows.iter().map(|row| path_of(&args.out, row)).collect();
    check_paths(args, &rows, &paths)?;
    let trainers = EngineTrainerFactory::new(study, images);
    let sink = output.sink()?;
    let context = RunContext { study, store, sink: &sink, cancel, trainers: &trainers };
    let specs: Vec<&TrainingSpec> = rows.iter().map(|row| spec_of(&study.plan, row)).collect::<Result<_>>()?;
    let missing = plan_for_final_weights(&study.plan, store, specs.iter().copied());
    let errors = if missing.trainings.is_empty() {
        Vec::new()
    } else {
        if output.shows_progress() {
            let count = count_of(missing.trainings.len() as u64, "training run");
            ui::eprint_line(&format!("{count} to repeat, because weights were freed (`run.keep`)"));
        }
        let workers = args.measured.workers(study);
        with_stop_notice(cancel, &sink, || measured.train(context, &missing, workers))?
    };
    if let Some(exit) = cancel.exit_code() {
        ui::eprint_line(&format!("stopped before anything was written. Resume with:\n  {}", env::command()));
        return Ok(exit);
    }
    let name = run.name();
    let config = resolved_config(&run.dir)?.unwrap_or_default();
    let export = TicketExport::new(&context, &name, run.manifest.as_ref(), &config);
    let mut files = Vec::new();
    for ((row, spec), path) in rows.iter().zip(specs).zip(&paths) {
        let ticket = export.ticket(spec).with_context(|| format!("could not export {}", TrainingId::of(spec)))?;
        let bytes = ticket.to_bytes()?;
        files::write(path, &bytes)?;
        let RoundRow { replicate, repeat, round, .. } = **row;
        let sha256 = sha256(&bytes);
        files.push(ExportedTicket { file: path.clone(), arm: row.arm.clone(), replicate, repeat, round, sha256 });
    }
    let exit = if errors.is_empty() { Exit::Success } else { Exit::Failure };
    let result = TicketExportResult { files, exit_code: exit.code(), errors };
    output.print(&result, || text(&result))?;
    sink.check()?;
    Ok(exit)
}

/// Returns a line for each file.
fn text(result: &TicketExportResult) -> String {
    let line = |ticket: &ExportedTicket| {
        let ExportedTicket { file, arm, round, replicate, repeat, .. } = ticket;
        let repeat = if *repeat > 1 { format!(" repeat {repeat}") } else { String::new() };
        format!("{arm} round {round} replicate {replicate}{repeat}: {}\n", file.display())
    };
    result.files.iter().map(line).collect()
}

/// Returns the rows of the selected networks.
///
/// # Errors
/// Returns a [`UsageError`] if there is none, or if one of them has no final weights.
fn selected<'a>(args: &ExportArgs, run: &'a Run) -> Result<Vec<&'a RoundRow>> {
    let is_named = |numbers: &[u32], number: u32| numbers.is_empty() || numbers.contains(&number);
    let rows: Vec<&RoundRow> = run
        .rounds
        .iter()
        .filter(|row| args.measured.filter.matches(row))
        .filter(|row| is_named(&args.replicate, row.replicate) && is_named(&args.repeat, row.repeat))
        .collect();
    let refuse =
        |text: String, hint: &str| Err(UsageError::from_text(&format!("error: {text}\n\nhint: {hint}")).into());
    if rows.is_empty() {
        let text = format!("no training run of `{}` has this arm, round, replicate and repeat", run.name());
        return refuse(text, "`lth show` lists them");
    }
    if let Some(row) = rows.iter().find(|row| !row.outcome.is(OutcomeKind::Done)) {
        let RoundRow { arm, round, replicate, outcome, .. } = row;
        let text = format!(
            "{arm} round {round} replicate {replicate} has no trained weights: its outcome is `{}`",
            outcome.as_str()
        );
        return refuse(text, "select others with `--arm`, `--round` and `--replicate`");
    }
    Ok(rows)
}

/// The parts of a file's name that stand for the values of a row, in the order arm, round, replicate, repeat.
const PLACEHOLDERS: [&str; 4] = ["{arm}", "{round}", "{replicate}", "{repeat}"];

/// Returns the file of a row: `out` with the values of the row for the names in braces.
fn path_of(out: &Path, row: &RoundRow) -> PathBuf {
    let text = out.to_string_lossy();
    let numbers = [("{round}", row.round), ("{replicate}", row.replicate), ("{repeat}", row.repeat)];
    let named = text.replace("{arm}", &row.arm);
    PathBuf::from(numbers.iter().fold(named, |text, (name, number)| text.replace(name, &number.to_string())))
}

/// Checks that each row has a file of its own, and that the files can be written.
fn check_paths(args: &ExportArgs, rows: &[&RoundRow], paths: &[PathBuf]) -> Result<()> {
    let refuse = |text: String, hint: String| {
        Err(UsageError::from_text(&format!("error: `{}` {text}\n\nhint: {hint}", args.out.display())).into())
    };
    if let Some(unknown) = unknown_placeholder(&args.out.to_string_lossy(), &PLACEHOLDERS) {
        let known = PLACEHOLDERS.map(|known| format!("`{known}`")).join(", ");
        return refuse(
            format!("has `{unknown}`, which stands for nothing"),
            format!("these stand for something: {known}"),
        );
    }
    let clash = (1..paths.len()).find_map(|i| Some((i, paths[..i].iter().position(|path| *path == paths[i])?)));
    if let Some((i, j)) = clash {
        let values = |row: &RoundRow| {
            [row.arm.clone()].into_iter().chain([row.round, row.replicate, row.repeat].map(|n| n.to_string()))
        };
        let differing = values(rows[i]).zip(values(rows[j])).zip(PLACEHOLDERS).find(|((left, right), _)| left != right);
        let placeholder = differing.map_or("{repeat}", |(_, placeholder)| placeholder);
        let option = placeholder.trim_matches(['{', '}']);
        let text = format!("is one file for several of the {} selected networks", rows.len());
        return refuse(text, format!("put `{placeholder}` into the name, or select with `--{option}`"));
    }
    paths.iter().try_for_each(|path| check_new(path, args.force))
}

/// Returns the training run of a row.
fn spec_of<'a>(plan: &'a Plan, row: &RoundRow) -> Result<&'a TrainingSpec> {
    let key = row.key.parse().with_context(|| format!("`{}` is not the key of a training run", row.key))?;
    plan.get(&key).with_context(|| {
        let key = &row.key;
        format!("the experiment has no training run {key} here: another version of lth made it, or its data are others")
    })
}
