//! `lth report`: a page with figures on one or several runs.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::folders;
use super::load::RunsArgs;
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
    #[arg(required = true, value_name = "RUN", value_parser = folders::path())]
    run: Vec<PathBuf>,
    #[command(flatten)]
    runs: RunsArgs,
    /// Where the report is written [default: `report` in the run's own folder; of several runs, `report` here].
    #[arg(long, value_name = "DIR", value_parser = folders::path())]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &ReportArgs) -> Result<Exit> {
    let mut found: Vec<RunAnalysis> = Vec::new();
    let runs = args.runs.folder()?;
    if let Some(folder) = &args.out {
        user_path::check_symlinks(folder).map_err(|error| folders::refused(&error))?;
    }
    for word in &args.run {
        match report::find(&runs, word).and_then(Run::open).and_then(RunAnalysis::of) {
            Ok(finding) => found.push(finding),
            Err(error) => ui::eprint_line(&format!("skipped: {error:#}")),
        }
    }
    let Some(first) = found.first() else {
        ui::eprint_line("error: there is nothing to report on");
        ui::eprint_line("\nhint: a run is a folder that `lth run` wrote, such as `runs/quickstart-1a2b3c4d`");
        return Ok(Exit::Failure);
    };
    let page = match &args.out {
        Some(folder) => write(&ReportDir(folder.clone()), &found)?,
        None if args.run.len() == 1 => write_own(first)?,
        None => write(&ReportDir("report".into()), &found)?,
    };
    ui::print_result(&format!("{}\n", page.display()))?;
    Ok(Exit::Success)
}

/// Writes the report on one run into its own folder, and gives the path of the page. Files of an older report that are not
/// written any more are removed; a person's files beside them stay, and one in the place of a report's file is renamed.
///
/// # Errors
/// A file that cannot be written.
pub(super) fn write_own(finding: &RunAnalysis) -> Result<PathBuf> {
    let (view, folder) = (&finding.run.view, finding.run.view.report_dir());
    let files = report::files(std::slice::from_ref(finding))?;
    // One process at a time, so that the list is that of the files.
    let _lock = Lock::exclusive_unless(&view.write_lock(), || false)?;
    let owned = WrittenFiles::read(&folder.0);
    for path in owned.archive_foreign(files.iter().map(|(name, _)| name.as_str()))? {
        ui::eprint_line(&format!("note: a file that lth did not write as it was is now `{}`", path.display()));
    }
    owned.replace(&files)?;
    Ok(folder.file(ReportDir::INDEX))
}

/// Writes a report into a folder that may hold other files, and gives the path of the page.
///
/// # Errors
/// A file in its place that this program did not write; nothing is written then.
fn write(folder: &ReportDir, findings: &[RunAnalysis]) -> Result<PathBuf> {
    let (owned, files) = (WrittenFiles::read(&folder.0), report::files(findings)?);
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
