//! The runs that the arguments of a command stand for.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::artifacts::find_runs;
use crate::report::{Run, without_superseded};
use crate::system::paths::{RunDir, RunsDir};
use crate::ui;

/// Returns the newest run that `name` stands for. If there are several, prints a note that names it; `action` is the
/// word for what the command does with it, such as "showing".
///
/// # Errors
/// Fails like [`find_runs`].
pub(super) fn newest_run(runs: &RunsDir, name: &Path, action: &str) -> Result<RunDir> {
    let mut found = find_runs(runs, name)?;
    let count = found.len();
    let newest = found.pop().with_context(|| format!("there is no run `{}`", name.display()))?;
    if count > 1 {
        let folder = Path::new(newest.0.file_name().unwrap_or_default()).display();
        ui::eprint_line(&format!("note: `{}` is {count} runs; {action} the newest, {folder}", name.display()));
    }
    Ok(newest)
}

/// The runs that the arguments of a command stand for.
pub(super) struct OpenedRuns {
    /// The runs that can be read, each once: argument by argument, the runs of an argument newest last.
    pub(super) runs: Vec<Run>,
    /// A message for each argument or run that is skipped because its files are damaged or not those of a run.
    pub(super) damaged: Vec<String>,
}

/// Opens all runs that `names` stand for. Of a name that stands for several runs, those that a newer one contains are
/// left out, with a note. Prints a message for each run that is skipped. A folder that is no run is skipped too,
/// because a shell expands `runs/*` to the store.
///
/// # Errors
/// Fails like [`find_runs`] if a name that is no folder stands for no run.
pub(super) fn open_runs(folder: &RunsDir, names: &[PathBuf]) -> Result<OpenedRuns> {
    let mut opened = OpenedRuns { runs: Vec::new(), damaged: Vec::new() };
    for name in names {
        let found = match find_runs(folder, name) {
            Err(_) if name.is_dir() => {
                ui::eprint_line(&format!("skipped: `{}` has no files of a run", name.display()));
                continue;
            }
            found => found?,
        };
        let mut runs = Vec::new();
        for run_dir in found {
            match Run::open(run_dir) {
                Ok(run) => runs.push(run),
                Err(error) => {
                    ui::eprint_line(&format!("skipped: {error:#}"));
                    opened.damaged.push(format!("{error:#}"));
                }
            }
        }
        let (runs, superseded) = without_superseded(runs);
        match &superseded[..] {
            [] => {}
            [run] => ui::eprint_line(&format!("note: {run} is left out: a newer run has all its training runs")),
            several => ui::eprint_line(&format!(
                "note: {} runs are left out: newer runs have all their training runs ({})",
                several.len(),
                several.join(", ")
            )),
        }
        for run in runs {
            if opened.runs.iter().any(|other| is_same(other, &run)) {
                ui::eprint_line(&format!("skipped: `{}` is given already", name.display()));
            } else {
                opened.runs.push(run);
            }
        }
    }
    Ok(opened)
}

/// Returns whether two runs have the same folder.
fn is_same(left: &Run, right: &Run) -> bool {
    let path = |run: &Run| run.dir.0.canonicalize().unwrap_or_else(|_| run.dir.0.clone());
    path(left) == path(right)
}
