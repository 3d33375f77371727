//! `lth rm`: deletes runs.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::deletion::DeletionArgs;
use super::json::RmResult;
use super::load::RunsArgs;
use crate::artifacts::find_single_run;
use crate::base::format::{bytes, count_of};
use crate::runner;
use crate::system::exit::Exit;
use crate::system::files::{self, Lock, WaitOptions};
use crate::system::paths::RunDir;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct RmArgs {
    /// The runs to delete: folders, or names that match one run each.
    #[arg(required = true, value_name = "RUN", value_parser = super::folders::path_parser())]
    names: Vec<PathBuf>,
    #[command(flatten)]
    runs: RunsArgs,
    #[command(flatten)]
    deletion: DeletionArgs,
}

/// Runs `lth rm` and returns its exit code.
///
/// # Errors
/// Fails, and deletes nothing, if a run cannot be found or is running, or `--yes` is needed because there is no
/// terminal to ask on. Fails if a file cannot be deleted.
pub(super) fn run(args: &RmArgs) -> Result<Exit> {
    let deletion = &args.deletion;
    let run_dirs = selected(args)?;
    let size = run_dirs.iter().map(|run_dir| files::size(&run_dir.0)).sum();
    let (runs, total) = (count_of(run_dirs.len() as u64, "run"), bytes(size));
    if deletion.dry_run || deletion.asks() {
        deletion.print_list(&listing(&run_dirs))?;
    }
    let nothing = RmResult { dry_run: deletion.dry_run, ..RmResult::default() };
    if deletion.dry_run {
        let result = RmResult { runs: folders(&run_dirs), bytes: size, ..nothing };
        deletion.print_result(&format!("{runs}, {total}, would be deleted"), &result)?;
    } else if deletion.confirm(&runs, &format!("Delete {runs}, {total}?"))? {
        delete(&run_dirs, deletion)?;
    } else {
        deletion.print_result("nothing was deleted", &nothing)?;
    }
    Ok(Exit::Success)
}

/// Returns the runs that the arguments stand for, each once.
///
/// # Errors
/// Fails if a run cannot be found or is running.
fn selected(args: &RmArgs) -> Result<Vec<RunDir>> {
    let folder = args.runs.folder()?;
    Lock::remove_stale_claims(&folder, &WaitOptions { gives_up: &|| false, announce: &ui::eprint_line })?;
    let mut run_dirs: Vec<RunDir> = Vec::new();
    for name in &args.names {
        let run_dir = find_single_run(&folder, name)?;
        if Lock::is_held(&run_dir.run_lock()) {
            bail!("`{}` is running; nothing was deleted", run_dir.0.display());
        }
        if !run_dirs.iter().any(|other| other.0 == run_dir.0) {
            run_dirs.push(run_dir);
        }
    }
    Ok(run_dirs)
}

/// Returns a line for each run, with its size.
fn listing(run_dirs: &[RunDir]) -> String {
    let line = |run_dir: &RunDir| format!("{:>9}  {}\n", bytes(files::size(&run_dir.0)), run_dir.0.display());
    run_dirs.iter().map(line).collect()
}

/// Returns the paths of the runs' folders.
fn folders(run_dirs: &[RunDir]) -> Vec<PathBuf> {
    run_dirs.iter().map(|run_dir| run_dir.0.clone()).collect()
}

/// Deletes the runs, and prints what was deleted and what stays.
fn delete(run_dirs: &[RunDir], deletion: &DeletionArgs) -> Result<()> {
    let mut result = RmResult { runs: folders(run_dirs), ..RmResult::default() };
    let wait_options = WaitOptions { gives_up: &|| false, announce: &ui::eprint_line };
    for run_dir in run_dirs {
        let removed = runner::remove_run(run_dir, &wait_options)
            .with_context(|| format!("could not delete `{}`", run_dir.0.display()))?;
        result.bytes += removed.bytes;
        result.foreign.extend(removed.foreign);
    }
    for path in &result.foreign {
        let path = ui::printable(&path.display().to_string());
        ui::eprint_line(&format!("note: `{path}` stays: lth did not write it, or not all of it"));
    }
    let text = format!(
        "deleted {}, {}; training runs stay in the store (`lth clean --orphans` deletes those of no run)",
        count_of(run_dirs.len() as u64, "run"),
        bytes(result.bytes)
    );
    deletion.print_result(&text, &result)
}
