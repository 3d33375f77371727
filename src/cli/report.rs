//! `lth report`: writes a page with figures on one or several runs.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::folders;
use super::json::ReportResult;
use super::load::RunsArgs;
use super::selection::open_runs;
use crate::config;
use crate::report::{self, RunAnalysis};
use crate::system::exit::Exit;
use crate::system::files::{self, Lock, WaitOptions};
use crate::system::paths::{ReportDir, RunDir};
use crate::system::user_path;
use crate::system::written_files::WrittenFiles;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The runs, finished or not: folders, names, or names of experiments, which stand for all their runs.
    /// `NAME@lr=0.1` selects by values of the configuration.
    #[arg(required = true, value_name = "RUN", value_parser = folders::path_parser())]
    run: Vec<PathBuf>,
    #[command(flatten)]
    runs: RunsArgs,
    /// Write the report to this folder [default: `report` in the folder of the run; for several runs, `report` in the
    /// working directory].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    out: Option<PathBuf>,
    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lth report` and returns its exit code.
///
/// # Errors
/// Fails if a name stands for no run, a file of the report cannot be written, or standard output cannot.
pub(super) fn run(args: &ReportArgs) -> Result<Exit> {
    let mut analyses: Vec<RunAnalysis> = Vec::new();
    let runs = args.runs.folder()?;
    if let Some(folder) = &args.out {
        user_path::check_symlinks(folder).map_err(|error| folders::usage_error(&error))?;
    }
    let opened = open_runs(&runs, &args.run)?;
    let mut skipped = opened.damaged;
    for run in opened.runs {
        match RunAnalysis::of(run) {
            Ok(analysis) => analyses.push(analysis),
            Err(error) => {
                ui::eprint_line(&format!("skipped: {error:#}"));
                skipped.push(format!("{error:#}"));
            }
        }
    }
    let Some(first) = analyses.first() else {
        ui::eprint_line("error: there is nothing to report on");
        if skipped.is_empty() {
            ui::eprint_line("\nhint: a run is a folder that `lth run` wrote, such as `runs/quickstart-1a2b3c4d`");
        }
        return Ok(Exit::Failure);
    };
    let page = match &args.out {
        Some(folder) => write(&ReportDir(folder.clone()), &analyses)?,
        None if args.run.len() == 1 && analyses.len() == 1 => write_run_report(first)?,
        None => write(&ReportDir("report".into()), &analyses)?,
    };
    if args.json {
        let folder = page.parent().unwrap_or(Path::new("")).to_owned();
        let names = analyses.iter().map(|analysis| analysis.run.name()).collect();
        let json = ReportResult { report: page, folder, runs: names, skipped };
        ui::print_result(&(serde_json::to_string(&json)? + "\n"))?;
    } else {
        ui::print_result(&format!("{}\n", page.display()))?;
    }
    Ok(Exit::Success)
}

/// Writes the report on one run into the run's own folder, and returns the path of the page. Files of an older report
/// that the new one does not have are removed. Files that `lth` did not write stay; those with the name of a file of
/// the report are renamed.
///
/// # Errors
/// Fails if a file cannot be written.
pub(crate) fn write_run_report(analysis: &RunAnalysis) -> Result<PathBuf> {
    let folder = analysis.run.dir.report_dir();
    let contents = report::files(std::slice::from_ref(analysis))?;
    // The lock lets one process write at a time, so that the list of written files agrees with the files.
    note_unknown_experiment(analysis);
    let wait_options = WaitOptions { gives_up: &|| false, announce: &ui::eprint_line };
    let _lock = Lock::wait_exclusive(&analysis.run.dir.write_lock(), &wait_options)?;
    for folder in [&folder.0, &folder.file(ReportDir::FIGURES)] {
        files::remove_stale_temporaries(folder)?;
    }
    let owned = WrittenFiles::read(&folder.0)?;
    for path in owned.archive_foreign(contents.iter().map(|(name, _)| name.as_str()))? {
        ui::eprint_line(&format!(
            "note: a file that lth did not write, or that was changed since, is now `{}`",
            path.display()
        ));
    }
    owned.replace(&contents)?;
    Ok(folder.file(ReportDir::INDEX))
}

/// Prints a note if the experiment of a run is not known: its report then lacks verdicts and claims.
fn note_unknown_experiment(analysis: &RunAnalysis) {
    if analysis.experiment.is_none() {
        let path = analysis.run.dir.file(RunDir::RESOLVED_CONFIG);
        ui::eprint_line(&format!(
            "note: `{}` is missing, or of another version: the report has no verdicts. The command of the run writes it \
             again",
            path.display()
        ));
    }
}

/// Writes a report into a folder that may hold other files, and returns the path of the page.
///
/// # Errors
/// Fails, and writes nothing, if a file that `lth` did not write has the name of a file of the report.
pub(super) fn write(folder: &ReportDir, analyses: &[RunAnalysis]) -> Result<PathBuf> {
    analyses.iter().for_each(note_unknown_experiment);
    write_files(folder, &report::files(analyses)?)
}

/// Writes the files of a report into a folder that may hold other files, and returns the path of the page.
///
/// # Errors
/// Fails, and writes nothing, if a file that `lth` did not write has the name of a file of the report.
pub(super) fn write_files(folder: &ReportDir, files: &[(String, Vec<u8>)]) -> Result<PathBuf> {
    let owned = check_folder(folder, files.iter().map(|(name, _)| name.as_str()))?;
    owned.replace(files)?;
    Ok(folder.file(ReportDir::INDEX))
}

/// Checks that the files called `names` can be written into a folder, and returns the list of files that were.
///
/// # Errors
/// Returns a [`UsageError`](config::UsageError) if the folder is a file, or if a file that `lth` did not write has one of
/// the names.
pub(super) fn check_folder<'a>(folder: &ReportDir, names: impl Iterator<Item = &'a str>) -> Result<WrittenFiles> {
    if folder.0.exists() && !folder.0.is_dir() {
        let message = format!("error: `{}` is a file\n\nhint: name a folder with `--out`", folder.0.display());
        return Err(config::UsageError::from_text(&message).into());
    }
    let owned = WrittenFiles::read(&folder.0)?;
    if let Some(path) = owned.foreign(names).first() {
        let message = format!(
            "error: `{}` exists, and is not on the list of files that lth wrote there\n\nhint: move it away, or name \
             another folder with `--out`",
            path.display()
        );
        return Err(config::UsageError::from_text(&message).into());
    }
    Ok(owned)
}
