//! `lth report`: writes a page with figures on one or several runs.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::folders;
use super::load::RunsArgs;
use crate::artifacts::find_run;
use crate::config;
use crate::report::{self, Run, RunAnalysis};
use crate::system::exit::Exit;
use crate::system::files::Lock;
use crate::system::paths::ReportDir;
use crate::system::user_path;
use crate::system::written_files::WrittenFiles;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The runs, finished or not: folders, names, or names of experiments.
    #[arg(required = true, value_name = "RUN", value_parser = folders::path_parser())]
    run: Vec<PathBuf>,
    #[command(flatten)]
    runs: RunsArgs,
    /// Where the report is written [default: `report` in the run's own folder; of several runs, `report` here].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    out: Option<PathBuf>,
}

/// Runs `lth report` and returns its exit code.
///
/// # Errors
/// Fails if a file of the report cannot be written, or standard output cannot.
pub(super) fn run(args: &ReportArgs) -> Result<Exit> {
    let mut analyses: Vec<RunAnalysis> = Vec::new();
    let runs = args.runs.folder()?;
    if let Some(folder) = &args.out {
        user_path::check_symlinks(folder).map_err(|error| folders::usage_error(&error))?;
    }
    for name in &args.run {
        match find_run(&runs, name).and_then(Run::open).and_then(RunAnalysis::of) {
            Ok(analysis) => analyses.push(analysis),
            Err(error) => ui::eprint_line(&format!("skipped: {error:#}")),
        }
    }
    let Some(first) = analyses.first() else {
        ui::eprint_line("error: there is nothing to report on");
        ui::eprint_line("\nhint: a run is a folder that `lth run` wrote, such as `runs/quickstart-1a2b3c4d`");
        return Ok(Exit::Failure);
    };
    let page = match &args.out {
        Some(folder) => write(&ReportDir(folder.clone()), &analyses)?,
        None if args.run.len() == 1 => write_run_report(first)?,
        None => write(&ReportDir("report".into()), &analyses)?,
    };
    ui::print_result(&format!("{}\n", page.display()))?;
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
    let files = report::files(std::slice::from_ref(analysis))?;
    // The lock lets one process write at a time, so that the list of written files agrees with the files.
    let _lock = Lock::wait_exclusive(&analysis.run.dir.write_lock(), || false)?;
    let owned = WrittenFiles::read(&folder.0);
    for path in owned.archive_foreign(files.iter().map(|(name, _)| name.as_str()))? {
        ui::eprint_line(&format!("note: a file that lth did not write as it was is now `{}`", path.display()));
    }
    owned.replace(&files)?;
    Ok(folder.file(ReportDir::INDEX))
}

/// Writes a report into a folder that may hold other files, and returns the path of the page.
///
/// # Errors
/// Fails, and writes nothing, if a file that `lth` did not write has the name of a file of the report.
fn write(folder: &ReportDir, analyses: &[RunAnalysis]) -> Result<PathBuf> {
    let files = report::files(analyses)?;
    let owned = WrittenFiles::read(&folder.0);
    if let Some(path) = owned.foreign(files.iter().map(|(name, _)| name.as_str())).first() {
        let message = format!(
            "error: `{}` exists, and is not on the list of files that `lth report` wrote there\n\nhint: move it away, or name \
             another folder with `--out`",
            path.display()
        );
        return Err(config::UsageError::from_text(&message).into());
    }
    owned.replace(&files)?;
    Ok(folder.file(ReportDir::INDEX))
}
