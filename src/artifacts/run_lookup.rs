//! Finds runs by their folder, their name, the name of their experiment, and values of their configuration.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use super::run_config::{ConfigValues, config_values};
use super::run_labels::{RunLabels, value_text};
use super::run_manifest::RunManifest;
use crate::system::clock::UtcTime;
use crate::system::files;
use crate::system::local_time;
use crate::system::paths::{RunDir, RunsDir};

/// The largest number of runs that a hint lists.
const MAX_LISTED: usize = 20;
/// The length of the id in the name of a run.
const ID_LENGTH: usize = 8;
/// The smallest number of digits of an id that stand for it.
const MIN_ID_DIGITS: usize = 4;

/// The error of a name that stands for no run, or for several where one is needed; its text is the message for users.
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

/// Returns the runs that `name` stands for, the newest last; at least one. A name is one of these:
///
/// - the folder of a run;
/// - the name of a run in `runs` (`smoke-1a2b3c4d`), or the beginning of the name or of the id (`1a2b`), if only one run
///   has it;
/// - the name of an experiment (`smoke`), for all its runs, archived ones excepted; `smoke@lr=0.1,rate=0.2` for those of
///   them with these values in their configuration.
///
/// # Errors
/// Fails with [`NoSuchRun`] if no run has the name or the values, or several runs have a name that only one may have.
/// Fails with another error if a folder cannot be read.
pub fn find_runs(runs: &RunsDir, name: &Path) -> Result<Vec<RunDir>> {
    if is_run(name) {
        // `.` has no file name, from which the paths of the locks are made.
        let path = if name.file_name().is_some() { Ok(name.to_owned()) } else { name.canonicalize() };
        return Ok(vec![RunDir(path?)]);
    }
    let candidates = list_runs(runs)?;
    let wanted = name.to_string_lossy();
    let (base, selection) = match wanted.split_once('@') {
        Some((base, selection)) => (base, Some(selection)),
        None => (&*wanted, None),
    };
    let mut found = named(&candidates, base);
    if found.is_empty() {
        found = with_prefix(&candidates, base);
        if found.len() > 1 {
            return Err(ambiguous(&wanted, found));
        }
    }
    if found.is_empty() {
        let message = format!(
            "there is no run `{wanted}`: neither a folder with a run's files nor a run in `{}`",
            runs.0.display()
        );
        return Err(no_such_run(message, "the runs there", &candidates));
    }
    sort_by_age(&mut found);
    match selection {
        Some(selection) => select(&found, base, selection),
        None => Ok(found),
    }
}

/// Like [`find_runs`], but for a name that must stand for one run only.
///
/// # Errors
/// Fails like [`find_runs`], and with [`NoSuchRun`] if the name stands for several runs.
pub fn find_single_run(runs: &RunsDir, name: &Path) -> Result<RunDir> {
    let mut found = find_runs(runs, name)?;
    match found.pop() {
        Some(run_dir) if found.is_empty() => Ok(run_dir),
        last => Err(ambiguous(&name.to_string_lossy(), found.into_iter().chain(last).collect())),
    }
}

/// Returns the name of the experiment of a run by the name of its folder: without the id of the run, and without the
/// number of an archived run. A folder with a name of another form was renamed, so its manifest is asked; without one,
/// it is the name of the folder.
pub fn experiment_name(run_dir: &RunDir) -> String {
    let name = folder_name(run_dir);
    let whole = if run_dir.is_archived() { name.rsplit_once('.').map_or(&*name, |(run, _)| run) } else { &name };
    match whole.rsplit_once('-') {
        Some((experiment, id)) if is_id(id) && id.len() == ID_LENGTH => experiment.to_owned(),
        _ => RunManifest::read(run_dir).map_or_else(|| whole.to_owned(), |manifest| manifest.experiment),
    }
}

/// Returns the time at which a run was begun; `None` if its manifest cannot be read.
pub fn started(run_dir: &RunDir) -> Option<UtcTime> {
    RunManifest::read(run_dir).map(|manifest| manifest.started())
}

/// Returns the run with the name `name`, or else the runs of the experiment with that name.
fn named(candidates: &[RunDir], name: &str) -> Vec<RunDir> {
    match candidates.iter().find(|run_dir| folder_name(run_dir) == name) {
        Some(run_dir) => vec![run_dir.clone()],
        None => candidates.iter().filter(|run_dir| is_of_experiment(run_dir, name)).cloned().collect(),
    }
}

/// Returns the runs whose name or id begins with `prefix`, archived ones excepted.
fn with_prefix(candidates: &[RunDir], prefix: &str) -> Vec<RunDir> {
    let has_prefix = |run_dir: &&RunDir| {
        let name = folder_name(run_dir);
        let id = name.rsplit_once('-').map_or("", |(_, id)| id);
        name.starts_with(prefix) || is_id(prefix) && prefix.len() >= MIN_ID_DIGITS && id.starts_with(prefix)
    };
    let runs = candidates.iter().filter(|run_dir| !run_dir.is_archived());
    runs.filter(|run_dir| !prefix.is_empty() && has_prefix(run_dir)).cloned().collect()
}

/// Sorts runs by the time at which they were begun, the newest last.
fn sort_by_age(run_dirs: &mut [RunDir]) {
    run_dirs.sort_by_cached_key(|run_dir| (started(run_dir), folder_name(run_dir)));
}

/// Returns the runs with the values of `selection`, such as `lr=0.1,rate=0.2`, in their configuration. A key may be
/// written with its last parts only. If several keys end so, those count in which the runs differ.
fn select(found: &[RunDir], name: &str, selection: &str) -> Result<Vec<RunDir>> {
    let configs: Vec<Option<ConfigValues>> = found.iter().map(config_values).collect();
    let labels = RunLabels::of(&configs);
    let labelled_keys: Vec<&str> =
        labels.named_keys().into_iter().map(|(_, difference)| difference.key.as_str()).collect();
    let mut is_selected = vec![true; found.len()];
    for part in selection.split(',') {
        let Some((key, value)) = part.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
            let message = format!("`{name}@{selection}` is no selection of runs: `{part}` has no `=`");
            return Err(
                NoSuchRun(format!("{message}\n\nhint: select by keys and values, such as `{name}@lr=0.1`")).into()
            );
        };
        let differs = labelled_keys.iter().any(|labelled| ends_with(labelled, key));
        let has_value = |config: &ConfigValues| {
            let mut values = config
                .iter()
                .filter(|(full, _)| ends_with(full, key) && (!differs || labelled_keys.contains(&full.as_str())));
            values.any(|(_, found)| is_value(found, value))
        };
        for (is_selected, config) in is_selected.iter_mut().zip(&configs) {
            *is_selected &= config.as_ref().is_some_and(has_value);
        }
    }
    let selected: Vec<RunDir> =
        found.iter().zip(is_selected).filter(|(_, is_selected)| *is_selected).map(|(run, _)| run.clone()).collect();
    if selected.is_empty() {
        return Err(no_such_run(format!("no run of `{name}` has {selection}"), "its runs", found));
    }
    Ok(selected)
}

/// Returns whether a key ends with the parts of `end`; `prune.rate.linear` ends with `linear`, and with `rate` too, as
/// labels call it.
fn ends_with(key: &str, end: &str) -> bool {
    let is_end = |key: &str| key == end || key.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'));
    is_end(key) || key.strip_prefix("prune.rate.").is_some() && is_end("prune.rate")
}

/// Returns whether a value of a configuration is the one that `text` means: numbers are compared as numbers.
fn is_value(value: &Value, text: &str) -> bool {
    match (value.as_f64(), text.parse::<f64>()) {
        (Some(value), Ok(wanted)) => value == wanted,
        _ => value_text(value) == text,
    }
}

fn folder_name(run_dir: &RunDir) -> String {
    run_dir.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns whether a text has only hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_hexdigit())
}

/// Returns whether the folder's name is that of the experiment, `-`, and the eight hexadecimal digits of its id.
fn is_of_experiment(run_dir: &RunDir, experiment: &str) -> bool {
    let name = folder_name(run_dir);
    let id = name.strip_prefix(experiment).and_then(|rest| rest.strip_prefix('-'));
    id.is_some_and(|id| id.len() == ID_LENGTH && is_id(id))
}

/// Returns the error of a name that stands for several runs, with a list of them.
fn ambiguous(name: &str, mut found: Vec<RunDir>) -> anyhow::Error {
    sort_by_age(&mut found);
    no_such_run(format!("`{name}` is ambiguous: {} runs", found.len()), "name one of them", &found)
}

/// Returns the error with a hint that lists `run_dirs` after `heading`, at most [`MAX_LISTED`] of them, each with the
/// time at which it was begun and the values in which it differs from the others.
fn no_such_run(mut message: String, heading: &str, run_dirs: &[RunDir]) -> anyhow::Error {
    if run_dirs.is_empty() {
        return NoSuchRun(message).into();
    }
    let omitted = run_dirs.len().saturating_sub(MAX_LISTED);
    // The newest are last, and the ones that are listed.
    let listed = &run_dirs[omitted..];
    let is_sweep = listed.iter().all(|run_dir| experiment_name(run_dir) == experiment_name(&listed[0]));
    let configs: Vec<Option<ConfigValues>> = listed.iter().map(config_values).collect();
    let labels = if is_sweep { RunLabels::of(&configs).labels } else { vec![None; listed.len()] };
    let _ = write!(message, "\n\nhint: {heading}:");
    if omitted > 0 {
        let _ = write!(message, "\n  ({omitted} more)");
    }
    let width = listed.iter().map(|run_dir| folder_name(run_dir).chars().count()).max().unwrap_or(0);
    for (run_dir, label) in listed.iter().zip(labels) {
        let date = started(run_dir).map(local_time::date_and_minute).unwrap_or_default();
        let line = format!("  {:width$}  {date:16}  {}", folder_name(run_dir), label.unwrap_or_default());
        let _ = write!(message, "\n{}", line.trim_end());
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

    /// Returns a folder with runs of these names and learning rates.
    fn runs(names: &[(&str, f64)]) -> (tempfile::TempDir, RunsDir) {
        let folder = tempfile::tempdir().unwrap();
        for (name, lr) in names {
            let run_dir = RunDir(folder.path().join(name));
            files::write(&run_dir.file(RunDir::ROUNDS), b"").unwrap();
            let config = format!("[train]\nlr = {lr:?}\n[arms.t]\nlr = 1\n[prune.rate]\nlinear = {}\n", 2.0 * lr);
            files::write(&run_dir.file(RunDir::RESOLVED_CONFIG), config.as_bytes()).unwrap();
        }
        let runs = RunsDir(folder.path().to_owned());
        (folder, runs)
    }

    #[test]
    fn run_is_found_by_folder_name_experiment_prefix_and_id() {
        let names = ["a-12345678", "b-12345678", "b-87654321", "b-12345678.old-1", "a-b-12345678"];
        let (folder, runs) = runs(&names.map(|name| (name, 0.1)));
        files::write(&folder.path().join("stranger/notes.txt"), b"").unwrap();
        let find = |name: &str| -> Result<Vec<String>> {
            Ok(find_runs(&runs, Path::new(name))?.iter().map(folder_name).collect())
        };
        assert_eq!(find("a").unwrap(), ["a-12345678"], "not a-b-…");
        assert_eq!(find("b").unwrap(), ["b-12345678", "b-87654321"], "all runs, archived ones excepted");
        assert_eq!(find("b-87654321").unwrap(), ["b-87654321"]);
        assert_eq!(find("b-12345678.old-1").unwrap(), ["b-12345678.old-1"]);
        assert_eq!(find("b-8").unwrap(), ["b-87654321"]);
        assert_eq!(find("8765").unwrap(), ["b-87654321"]);
        assert_eq!(find(folder.path().join("a-12345678/").to_str().unwrap()).unwrap(), ["a-12345678"]);
        let several = find("1234").unwrap_err().to_string();
        assert!(several.contains("`1234` is ambiguous: 3 runs") && several.contains("\n  a-b-12345678"), "{several}");
        let several = find_single_run(&runs, Path::new("b")).unwrap_err().to_string();
        assert!(several.starts_with("`b` is ambiguous: 2 runs\n\nhint: name one of them:\n  b-12345678"), "{several}");
        for name in ["stranger", "876", ""] {
            let none = find(name).unwrap_err().to_string();
            assert!(none.contains(&format!("no run `{name}`")) && none.contains("a-12345678"), "{none}");
        }
    }

    #[test]
    fn runs_are_selected_by_values_in_which_they_differ() {
        let (_folder, runs) = runs(&[("a-11111111", 0.1), ("a-22222222", 0.0012), ("a-33333333", 1.0)]);
        let find = |name: &str| -> Result<Vec<String>> {
            Ok(find_runs(&runs, Path::new(name))?.iter().map(folder_name).collect())
        };
        assert_eq!(find("a@lr=0.0012").unwrap(), ["a-22222222"]);
        assert_eq!(find("a@train.lr=1.2e-3").unwrap(), ["a-22222222"]);
        assert_eq!(find("a@lr=1").unwrap(), ["a-33333333"], "`arms.t.lr` is 1 in all runs, and does not count");
        assert_eq!(find("a@arms.t.lr=1").unwrap().len(), 3);
        assert_eq!(find("a@linear=0.2,lr=0.1").unwrap(), ["a-11111111"]);
        let none = find("a@lr=5").unwrap_err().to_string();
        assert!(none.starts_with("no run of `a` has lr=5\n\nhint: its runs:") && none.contains("lr 0.1"), "{none}");
        assert!(find("a@fast").unwrap_err().to_string().contains("`fast` has no `=`"));
    }

    #[test]
    fn experiment_name_is_without_id_and_archive_number() {
        for (folder, name) in
            [("a-b-12345678", "a-b"), ("a-12345678.old-2", "a"), ("moved", "moved"), ("my-run", "my-run")]
        {
            assert_eq!(experiment_name(&RunDir(folder.into())), name);
        }
    }
}
