//! Finds a run by its folder, its name, or the name of its experiment.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::system::files;
use crate::system::paths::{RunDir, RunsDir};

/// Names listed in the hint of [`NoSuchRun`].
const MAX_LISTED: usize = 20;

/// A name that stands for no run, or for several: the message for the user.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoSuchRun(String);

/// Returns the runs in a folder of runs, sorted by name, including those that `--fresh` has archived.
///
/// # Errors
/// Fails where the folder cannot be listed.
pub fn list_runs(runs: &RunsDir) -> Result<Vec<RunDir>> {
    let folders = files::list(&runs.0)?.into_iter().map(RunDir);
    Ok(folders.filter(|folder| is_run(&folder.0)).collect())
}

/// Returns the run that `name` stands for: a folder, or a run of `runs` by its name (`smoke-1a2b3c4d`) or by that of its
/// experiment (`smoke`).
///
/// # Errors
/// Fails with [`NoSuchRun`] where no run or more than one has the name.
pub fn find_run(runs: &RunsDir, name: &Path) -> Result<RunDir> {
    if is_run(name) {
        // `.` has no file name, from which the paths of the locks are made.
        let path = if name.file_name().is_some() { Ok(name.to_owned()) } else { name.canonicalize() };
        return Ok(RunDir(path?));
    }
    let candidates = list_runs(runs)?;
    let wanted = name.to_string_lossy();
    let exact = candidates.iter().find(|run| folder_name(run) == wanted);
    let found: Vec<&RunDir> = match exact {
        Some(run) => vec![run],
        None => candidates.iter().filter(|run| is_of_experiment(run, &wanted)).collect(),
    };
    match found[..] {
        [run] => Ok(run.clone()),
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

fn folder_name(run: &RunDir) -> String {
    run.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether the folder's name is that of the experiment, `-`, and the eight hexadecimal digits of its id.
fn is_of_experiment(run: &RunDir, experiment: &str) -> bool {
    let name = folder_name(run);
    let id = name.strip_prefix(experiment).and_then(|rest| rest.strip_prefix('-'));
    id.is_some_and(|id| id.len() == 8 && id.chars().all(|c| c.is_ascii_hexdigit()))
}

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

fn is_run(folder: &Path) -> bool {
    let run = RunDir(folder.to_owned());
    run.file(RunDir::ROUNDS).exists() || run.file(RunDir::MANIFEST).exists()
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
