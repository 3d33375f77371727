//! Finds a run by its folder, its name, or the name of its experiment.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::system::files;
use crate::system::paths::{RunDir, RunsDir};

/// Names listed in the hint of [`NoSuchRun`].
const MAX_LISTED: usize = 20;

/// The error of a name that stands for no run, or for several; its text is the message for users.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoSuchRun(String);

/// Returns the folders of the runs in `runs`, sorted by name, archived ones (see `--fresh`) included.
///
/// # Errors
/// Fails if the folder cannot be listed.
pub fn list_runs(runs: &RunsDir) -> Result<Vec<RunDir>> {
    let folders = files::list(&runs.0)?.into_iter().map(RunDir);
    Ok(folders.filter(|folder| is_run(&folder.0)).collect())
}

/// Returns the run that `name` stands for: a folder, or a run of `runs` by its name (`smoke-1a2b3c4d`) or by that of
/// its experiment (`smoke`).
///
/// # Errors
/// Fails with [`NoSuchRun`] if no run or more than one has the name, or with another error if a folder cannot be read.
pub fn find_run(runs: &RunsDir, name: &Path) -> Result<RunDir> {
    if is_run(name) {
        // `.` has no file name, from which the paths of the locks are made.
        let path = if name.file_name().is_some() { Ok(name.to_owned()) } else { name.canonicalize() };
        return Ok(RunDir(path?));
    }
    let candidates = list_runs(runs)?;
    let wanted = name.to_string_lossy();
    let exact = candidates.iter().find(|run_dir| folder_name(run_dir) == wanted);
    let found: Vec<&RunDir> = match exact {
        Some(run_dir) => vec![run_dir],
        None => candidates.iter().filter(|run_dir| is_of_experiment(run_dir, &wanted)).collect(),
    };
    match found[..] {
        [run_dir] => Ok(run_dir.clone()),
        [] => {
            let message = format!(
                "there is no run `{wanted}`: neither a folder with a run's files nor a run in `{}`",
                runs.0.display()
            );
            Err(no_such_run(message, "the runs there", candidates.iter().map(folder_name)))
        }
        _ => {
            let message = format!("`{wanted}` means more than one run in `{}`", runs.0.display());
            Err(no_such_run(message, "name one of them", found.into_iter().map(folder_name)))
        }
    }
}

fn folder_name(run_dir: &RunDir) -> String {
    run_dir.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns whether the folder's name is that of the experiment, `-`, and the eight hexadecimal digits of its id.
fn is_of_experiment(run_dir: &RunDir, experiment: &str) -> bool {
    let name = folder_name(run_dir);
    let id = name.strip_prefix(experiment).and_then(|rest| rest.strip_prefix('-'));
    id.is_some_and(|id| id.len() == 8 && id.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Returns the error with a hint that lists `names` after `label`, at most [`MAX_LISTED`] of them.
fn no_such_run(mut message: String, label: &str, names: impl Iterator<Item = String>) -> anyhow::Error {
    let names: Vec<String> = names.collect();
    if !names.is_empty() {
        let omitted = names.len().saturating_sub(MAX_LISTED);
        let more = if omitted > 0 { format!(" and {omitted} more") } else { String::new() };
        let listed = names[..names.len().min(MAX_LISTED)].join(", ");
        let _ = write!(message, "\n\nhint: {label}: {listed}{more}");
    }
    NoSuchRun(message).into()
}

/// Returns whether a folder has the rows or the manifest of a run.
fn is_run(folder: &Path) -> bool {
    let run_dir = RunDir(folder.to_owned());
    run_dir.file(RunDir::ROUNDS).exists() || run_dir.file(RunDir::MANIFEST).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_is_found_by_folder_name_and_experiment() {
        let folder = tempfile::tempdir().unwrap();
        let runs = RunsDir(folder.path().to_owned());
        for name in ["a-12345678", "b-12345678", "b-87654321", "b-12345678.old-1", "a-b-12345678", "stranger"] {
            let file = if name == "stranger" { "notes.txt" } else { RunDir::ROUNDS };
            files::write(&folder.path().join(name).join(file), b"").unwrap();
        }
        let find = |name: &str| find_run(&runs, Path::new(name)).map(|run| run.0.file_name().unwrap().to_owned());
        assert_eq!(find("a").unwrap(), "a-12345678", "not a-b-…");
        assert_eq!(find("b-87654321").unwrap(), "b-87654321");
        assert_eq!(find("b-12345678.old-1").unwrap(), "b-12345678.old-1");
        assert_eq!(find(folder.path().join("a-12345678/").to_str().unwrap()).unwrap(), "a-12345678");
        let several = find("b").unwrap_err().to_string();
        assert!(several.contains("more than one") && several.contains("b-12345678, b-87654321"), "{several}");
        let none = find("stranger").unwrap_err().to_string();
        assert!(none.contains("no run `stranger`") && none.contains("a-12345678"), "{none}");
    }
}
