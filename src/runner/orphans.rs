//! Orphans: entries of the store that no run names. Finds them, and deletes them with all their results.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::gc::folders_and_running_runs;
use super::store_listing::{Listing, name, own_files};
use crate::artifacts::{list_runs, newest_progress, plan_keys};
use crate::system::files::{self, Lock, WaitOptions};
use crate::system::paths::{RunDir, RunsDir, TrainingDir};

/// An entry of the store that no run names.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// The folder of the entry.
    pub entry: TrainingDir,
    /// The size of its files in bytes.
    pub bytes: u64,
}

/// Returns the entries of the store of `runs` that belong to no run: the folder of the run was deleted. A copy for an
/// instability analysis belongs to the run of its original; an archived entry belongs to the run that `--fresh` has
/// archived with it. Entries that a process is training are left out.
///
/// # Errors
/// Fails if a folder cannot be listed, or the plan of a run is not known, so that any entry may belong to it.
pub fn find_orphans(runs: &RunsDir) -> Result<Vec<Orphan>> {
    let Listing { entries, archived, .. } = Listing::of(runs)?;
    let named = named_keys(runs)?;
    let archives = archives_with_runs(runs)?;
    let is_orphan = |entry: &TrainingDir| -> Result<bool> {
        let is_named = named.contains(&name(&entry.0)) || is_copy_of(entry, &named)?;
        Ok(!is_named && !Lock::is_held(&entry.lock_file()))
    };
    let belongs_to_archived_run = |entry: &TrainingDir| {
        let archive = entry.0.parent().map(name).unwrap_or_default();
        archives.contains(&archive)
    };
    let mut orphans: Vec<TrainingDir> = archived.into_iter().filter(|entry| !belongs_to_archived_run(entry)).collect();
    for entry in entries {
        if is_orphan(&entry)? {
            orphans.push(entry);
        }
    }
    orphans.into_iter().map(|entry| Ok(Orphan { bytes: size(&entry)?, entry })).collect()
}

/// Deletes those of the `listed` entries that are orphans now too, and returns their number and size in bytes. Files
/// that this program did not write stay. Holds the lock that keeps runs from starting meanwhile.
///
/// # Errors
/// Fails like [`find_orphans`], and if a file cannot be removed.
pub fn delete_orphans(runs: &RunsDir, listed: &[Orphan], wait_options: &WaitOptions<'_>) -> Result<(usize, u64)> {
    if listed.is_empty() {
        return Ok((0, 0));
    }
    let admission = Lock::wait_exclusive(&runs.admission_lock(), wait_options)?;
    let listed: BTreeSet<&PathBuf> = listed.iter().map(|orphan| &orphan.entry.0).collect();
    let mut deleted = (0, 0);
    for orphan in find_orphans(runs)? {
        if !listed.contains(&orphan.entry.0) {
            continue;
        }
        let Some(_lock) = Lock::try_exclusive(&orphan.entry.lock_file())? else { continue };
        admission.check()?;
        // The manifest goes first: an entry without one is not complete.
        files::remove(&orphan.entry.manifest_file())?;
        for file in own_files(&orphan.entry)? {
            files::remove(&file)?;
        }
        remove_if_empty(&orphan.entry.0)?;
        orphan.entry.0.parent().filter(|folder| RunsDir::is_archived_store(folder)).map_or(Ok(()), remove_if_empty)?;
        deleted.0 += 1;
        deleted.1 += orphan.bytes;
    }
    Ok(deleted)
}

/// Removes a folder if it is empty.
///
/// # Errors
/// Fails if it is empty and cannot be removed.
pub(super) fn remove_if_empty(folder: &Path) -> Result<()> {
    if files::list(folder)?.is_empty() && folder.exists() {
        fs::remove_dir(folder).with_context(|| format!("could not remove `{}`", folder.display()))?;
    }
    Ok(())
}

/// Returns the keys of the training runs of all runs, running ones included, archived ones excepted.
fn named_keys(runs: &RunsDir) -> Result<BTreeSet<String>> {
    let mut keys = BTreeSet::new();
    let with_files = list_runs(runs)?;
    for run in folders_and_running_runs(runs)?.into_iter().filter(|run| !run.is_archived()) {
        match plan_keys(&run) {
            Ok(plan) => keys.extend(plan),
            // A folder that is no run has no plan.
            Err(_) if !with_files.iter().any(|other| other.0 == run.0) && run.0.exists() => {}
            Err(error) => bail!("the training runs of `{}` are not known: {error:#}", run.0.display()),
        }
    }
    Ok(keys)
}

/// Returns the names of the archives in the store, `old-<n>`, whose archived run exists.
fn archives_with_runs(runs: &RunsDir) -> Result<BTreeSet<String>> {
    let runs = list_runs(runs)?.into_iter().filter(RunDir::is_archived);
    let number = |run: RunDir| name(&run.0).rsplit_once('.').map(|(_, archive)| archive.to_owned());
    Ok(runs.filter_map(number).collect())
}

/// Returns whether an entry is, or may be, a copy of one of the `named` training runs, by its manifest or its progress.
///
/// # Errors
/// Fails if the manifest cannot be read.
fn is_copy_of(entry: &TrainingDir, named: &BTreeSet<String>) -> Result<bool> {
    let Some(bytes) = files::read_if_present(&entry.manifest_file())? else {
        let original = newest_progress(entry).and_then(|progress| progress.label.copy_of);
        return Ok(original.is_some_and(|key| named.contains(&key)));
    };
    match serde_json::from_slice::<Value>(&bytes) {
        Ok(manifest) => Ok(manifest["content"]["copy_of"].as_str().is_some_and(|key| named.contains(key))),
        // Damaged: the measurements of a copy are a file of their own, which may be intact.
        Err(_) => Ok(entry.file(TrainingDir::STABILITY).exists()),
    }
}

/// Returns the size of the files of an entry that this program wrote, in bytes.
fn size(entry: &TrainingDir) -> Result<u64> {
    Ok(own_files(entry)?.iter().map(|file| files::size(file)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::key::ContentHash;

    #[test]
    fn orphans_are_entries_that_no_run_names() {
        let folder = tempfile::tempdir().unwrap();
        let runs = RunsDir(folder.path().to_owned());
        let key = |n: u32| ContentHash::of_json_text(&n.to_string());
        let write = |path: &Path, text: &str| files::write(path, text.as_bytes()).unwrap();
        let done = |entry: &TrainingDir, content: &str| {
            write(&entry.manifest_file(), &format!("{{\"key\":\"k\",\"content\":{content}}}"));
        };
        let entry = |n| runs.training_dir(&key(n));
        let run = RunDir(runs.0.join("a-12345678"));
        write(&run.file(RunDir::MANIFEST), "{}");
        write(&run.plan_keys(), &format!("{}\n", key(1)));
        done(&entry(1), "{}");
        done(&entry(2), "{}");
        write(&entry(2).file("notes.txt"), "a user's");
        done(&entry(3), &format!("{{\"copy_of\":\"{}\"}}", key(1)));
        done(&entry(4), &format!("{{\"copy_of\":\"{}\"}}", key(2)));
        // A copy with a damaged manifest may belong to a run.
        write(&entry(6).manifest_file(), "{");
        write(&entry(6).file(TrainingDir::STABILITY), "{}");
        // The archived run with number 1 exists, that with number 2 was deleted.
        write(&RunDir(runs.0.join("a-12345678.old-1")).file(RunDir::MANIFEST), "{}");
        let archived = |n: u32| TrainingDir(runs.archived_store(n).join(key(5).to_string()));
        done(&archived(1), "{}");
        done(&archived(2), "{}");

        let found = find_orphans(&runs).unwrap();
        let mut paths: Vec<_> = found.iter().map(|orphan| orphan.entry.0.clone()).collect();
        paths.sort();
        let mut expected = vec![entry(2).0, entry(4).0, archived(2).0];
        expected.sort();
        assert_eq!(paths, expected);
        let wait_options = WaitOptions { gives_up: &|| false, announce: &|_| {} };
        assert_eq!(delete_orphans(&runs, &found, &wait_options).unwrap().0, 3);
        assert!(entry(2).file("notes.txt").exists() && !entry(2).manifest_file().exists());
        assert!(!entry(4).0.exists() && !runs.archived_store(2).exists());
        assert!(entry(6).0.exists() && entry(1).0.exists() && entry(3).0.exists() && archived(1).0.exists());

        fs::remove_file(run.plan_keys()).unwrap();
        let error = find_orphans(&runs).unwrap_err().to_string();
        assert!(error.contains("are not known"), "{error}");
    }
}
