//! Which run is meant: by its folder, its name, or the name of its experiment.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::system::files;
use crate::system::paths::{RunDir, RunsDir};

/// A word that names no run, or several.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoSuchRun(String);

/// The runs in a folder of runs, those that `--fresh` has set aside included.
///
/// # Errors
/// A folder that cannot be listed.
pub fn all(runs: &RunsDir) -> Result<Vec<RunDir>> {
    let views = files::list(&runs.0)?.into_iter().map(RunDir);
    Ok(views.filter(|view| is_run(&view.0)).collect())
}

/// The run that `word` means: a folder, or a run of `runs` by its name (`smoke-1a2b3c4d`) or its experiment's (`smoke`).
///
/// # Errors
/// [`NoSuchRun`] where there is none or more than one.
pub fn find(runs: &RunsDir, word: &Path) -> Result<RunDir> {
    if is_run(word) {
        // `.` has no name of its own, which the places of the locks are made from.
        let named = if word.file_name().is_some() { Ok(word.to_owned()) } else { word.canonicalize() };
        return Ok(RunDir(named?));
    }
    let all = all(runs)?;
    let wanted = word.to_string_lossy();
    let name = |view: &RunDir| view.0.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let exact = all.iter().find(|view| name(view) == wanted);
    let of_experiment = |view: &&RunDir| {
        let id = name(view).strip_prefix(&*wanted).and_then(|rest| rest.strip_prefix('-').map(str::to_owned));
        id.is_some_and(|id| id.len() == 8 && id.chars().all(|c| c.is_ascii_hexdigit()))
    };
    let found: Vec<&RunDir> = exact.map_or_else(|| all.iter().filter(of_experiment).collect(), |view| vec![view]);
    match found[..] {
        [view] => Ok(view.clone()),
        [] => {
            let mut said = format!(
                "there is no run `{wanted}`: neither a folder with a run's files nor a run in `{}`",
                runs.0.display()
            );
            list(&mut said, "the runs there", &all.iter().map(name).collect::<Vec<_>>());
            Err(NoSuchRun(said).into())
        }
        _ => {
            let mut said = format!("`{wanted}` means more than one run in `{}`", runs.0.display());
            list(&mut said, "name one of them", &found.into_iter().map(name).collect::<Vec<_>>());
            Err(NoSuchRun(said).into())
        }
    }
}

fn list(said: &mut String, what: &str, names: &[String]) {
    let most = 20;
    if !names.is_empty() {
        let more = if names.len() > most { format!(" and {} more", names.len() - most) } else { String::new() };
        let _ = write!(said, "\n\nhint: {what}: {}{more}", names[..names.len().min(most)].join(", "));
    }
}

fn is_run(folder: &Path) -> bool {
    let view = RunDir(folder.to_owned());
    view.file(RunDir::ROUNDS).exists() || view.file(RunDir::MANIFEST).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_by_folder_name_and_experiment() {
        let folder = tempfile::tempdir().unwrap();
        let runs = RunsDir(folder.path().to_owned());
        for name in ["a-12345678", "b-12345678", "b-87654321", "b-12345678.old-1", "a-b-12345678", "stranger"] {
            let file = if name == "stranger" { "notes.txt" } else { RunDir::ROUNDS };
            files::write(&folder.path().join(name).join(file), b"").unwrap();
        }
        let name = |word: &str| find(&runs, Path::new(word)).map(|view| view.0.file_name().unwrap().to_owned());
        assert_eq!(name("a").unwrap(), "a-12345678", "not a-b-…");
        assert_eq!(name("b-87654321").unwrap(), "b-87654321");
        assert_eq!(name("b-12345678.old-1").unwrap(), "b-12345678.old-1");
        assert_eq!(name(folder.path().join("a-12345678/").to_str().unwrap()).unwrap(), "a-12345678");
        let several = name("b").unwrap_err().to_string();
        assert!(several.contains("more than one") && several.contains("b-12345678, b-87654321"), "{several}");
        let none = name("stranger").unwrap_err().to_string();
        assert!(none.contains("no run `stranger`") && none.contains("a-12345678"), "{none}");
    }
}
