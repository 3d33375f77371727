//! Garbage collection of weights: finds the files of the store that no run needs, and frees them. Curves and masks
//! stay, and so do all files of runs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::store_listing::{Listing, name, names_another_key, own_files};
use crate::artifacts::{EntryManifest, RunManifest, newest_progress, plan_keys};
use crate::config::KeepWeights;
use crate::lottery::Lineage;
use crate::system::files::{self, Lock, WaitOptions};
use crate::system::paths::{RunDir, RunsDir, TrainingDir};

/// The reason why a file is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GcReason {
    /// No run keeps it by its `run.keep`: final weights of intermediate rounds, or of arms that nothing prunes.
    NotKept,
    /// Its training run belongs to no run: the folder of the run was deleted, or it is a copy for an instability
    /// analysis, whose measurements are kept.
    NoRun,
    /// `--fresh` has archived its training run.
    Archived,
    /// Its training run is not complete, and no run resumes from the file.
    Unfinished,
}

/// A file that can be freed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GarbageFile {
    /// The reason why no run needs it.
    pub reason: GcReason,
    /// The path of the file.
    pub path: PathBuf,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// The result of freeing files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// The number of files that were removed.
    pub files: usize,
    /// The total size of the removed files in bytes.
    pub bytes: u64,
    /// The number of files that were listed but not removed, because they are needed or locked by now.
    pub kept: usize,
}

/// The files of a store that can be freed, and those that this program did not write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// The files that can be freed, sorted.
    pub files: Vec<GarbageFile>,
    /// Files and folders that this program did not write, sorted.
    pub foreign: Vec<PathBuf>,
    /// A message for each run whose training runs are not known. If there is one, only archived training runs have
    /// files that can be freed.
    pub unknown: Vec<String>,
}

/// Finds the weights and progress snapshots in the store of `runs` that no run needs; with `only`, just those of the training runs of these
/// runs.
///
/// # Errors
/// Fails if a folder cannot be listed.
pub fn find_garbage(runs: &RunsDir, only: Option<&[RunDir]>) -> Result<Garbage> {
    let Listing { entries, archived, mut foreign } = Listing::of(runs)?;
    let (lineages, misnamed) = read_lineages(&entries);
    let (run_needs, unknown) = read_run_needs(runs, &lineages)?;
    let known = |run: &RunDir| plan_keys(run).unwrap_or_default();
    let only_keys = only.map(|runs| runs.iter().flat_map(known).collect::<BTreeSet<String>>());
    let is_selected = |key: &String| only_keys.as_ref().is_none_or(|keys| keys.contains(key));
    let mut garbage = Vec::new();
    for entry in entries {
        let key = name(&entry.0);
        if misnamed.contains(&key) {
            // Only a user can have copied the files of one training run to the name of another.
            foreign.push(entry.0);
        } else if is_selected(&key) && unknown.is_empty() {
            add_garbage_of(&mut garbage, &entry, &key, &run_needs, &lineages)?;
        }
    }
    // Archived training runs belong to no run, so `only` never selects them.
    for entry in archived.iter().filter(|_| only_keys.is_none()) {
        let is_garbage = |path: &PathBuf| {
            let name = name(path);
            TrainingDir::can_be_freed(&name) || name == TrainingDir::INITIAL_WEIGHTS || is_progress(path)
        };
        add(&mut garbage, GcReason::Archived, own_files(entry)?.into_iter().filter(is_garbage));
    }
    garbage.sort();
    foreign.sort();
    Ok(Garbage { files: garbage, foreign, unknown })
}

/// Adds the files that can be freed of the entry of one training run.
fn add_garbage_of(
    garbage: &mut Vec<GarbageFile>,
    entry: &TrainingDir,
    key: &str,
    run_needs: &[RunNeeds],
    lineages: &Lineages,
) -> Result<()> {
    // A run that names the training run, or the one that it is a copy of, resumes from its progress snapshots.
    let is_named = |key: &str| run_needs.iter().any(|run| run.keys.contains(key));
    let is_copy_of_named = || newest_progress(entry)?.label.copy_of.map(|key| is_named(&key));
    let may_resume = is_named(key) || is_copy_of_named().unwrap_or_default();
    let is_needed = |path: &PathBuf| may_resume && is_progress(path);
    if entry.manifest_file().exists() {
        let mut runs = run_needs.iter().filter(|run| run.keys.contains(key)).peekable();
        if runs.peek().is_none() {
            let is_garbage =
                |path: &PathBuf| TrainingDir::can_be_freed(&name(path)) || is_progress(path) && !is_needed(path);
            add(garbage, GcReason::NoRun, own_files(entry)?.into_iter().filter(is_garbage));
        } else if !runs.any(|run| run.needs(key, lineages)) {
            add(garbage, GcReason::NotKept, [entry.file(TrainingDir::FINAL_WEIGHTS)]);
        }
        return Ok(());
    }
    let not_outputs = [entry.lock_file(), entry.pin_marker()];
    let unfinished = own_files(entry)?.into_iter().filter(|path| !not_outputs.contains(path) && !is_needed(path));
    add(garbage, GcReason::Unfinished, unfinished.filter(|_| !Lock::is_held(&entry.lock_file())));
    Ok(())
}

/// Returns whether a file is a progress snapshot.
fn is_progress(path: &Path) -> bool {
    TrainingDir::progress_iteration(&name(path)).is_some()
}

/// Removes those of the `listed` files that no run needs now either, and the pins of their entries. Holds the lock that
/// keeps runs from starting meanwhile.
///
/// # Errors
/// Fails if a file cannot be removed.
pub fn free(
    runs: &RunsDir,
    only: Option<&[RunDir]>,
    listed: &[GarbageFile],
    wait_options: &WaitOptions<'_>,
) -> Result<Freed> {
    let admission = Lock::wait_exclusive(&runs.admission_lock(), wait_options)?;
    let current = find_garbage(runs, only)?.files;
    let mut freed = Freed::default();
    for file in listed {
        let folder = file.path.parent().unwrap_or(Path::new("."));
        let entry = TrainingDir(folder.to_owned());
        let is_garbage = current.binary_search(file).is_ok();
        let lock = if is_garbage { Lock::try_exclusive(&entry.lock_file())? } else { None };
        if lock.is_none() {
            freed.kept += 1;
            continue;
        }
        admission.check()?;
        files::remove(&file.path)?;
        files::remove(&entry.pin_marker())?;
        freed.files += 1;
        freed.bytes += file.bytes;
    }
    Ok(freed)
}

fn add(garbage: &mut Vec<GarbageFile>, reason: GcReason, paths: impl IntoIterator<Item = PathBuf>) {
    // Symbolic links are left out: this program makes none.
    let size = |path: &PathBuf| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|file| file.len());
    let existing = paths.into_iter().filter_map(|path| Some((size(&path)?, path)));
    garbage.extend(existing.map(|(bytes, path)| GarbageFile { reason, path, bytes }));
}

/// The contents of the store that a run needs.
struct RunNeeds {
    /// The keys of the run's training runs.
    keys: BTreeSet<String>,
    /// The keys among these that another training run of the run prunes further.
    pruned: BTreeSet<String>,
    /// The keys of the reference weights of the rounds that would follow the last round of each chain of the run.
    compared: BTreeSet<String>,
    /// The run's `run.keep`; `None` if it may need any weights: it is running, not finished, or its manifest is
    /// damaged.
    keep: Option<KeepWeights>,
}

impl RunNeeds {
    /// Returns whether the run needs the final weights of its training run `key`.
    fn needs(&self, key: &str, lineages: &Lineages) -> bool {
        let Some(keep) = self.keep else { return true };
        // What a training run without a lineage is needed for is unknown, so it is kept.
        let Some(Some(lineage)) = lineages.get(key) else { return true };
        is_kept(keep, lineage, self.pruned.contains(key), self.compared.contains(key))
    }
}

/// Returns whether a finished run with this `run.keep` keeps the final weights of one of its training runs.
/// `is_pruned`: another training run of the run prunes it further. `is_compared`: its final weights are the reference
/// weights of a round that would follow the last round of a chain.
fn is_kept(keep: KeepWeights, lineage: &Lineage, is_pruned: bool, is_compared: bool) -> bool {
    let is_chain = lineage.pruned_from.is_some();
    match keep {
        KeepWeights::All => true,
        KeepWeights::Tickets => lineage.is_dense || is_chain,
        KeepWeights::Needed => lineage.is_dense || is_chain && !is_pruned || is_compared,
    }
}

/// The lineage of every finished training run of the store by key; `None` where its `done.json` is damaged.
type Lineages = BTreeMap<String, Option<Lineage>>;

/// Reads the lineages of `entries`. Also returns the names of the entries whose `done.json` has another key than their
/// name.
fn read_lineages(entries: &[TrainingDir]) -> (Lineages, BTreeSet<String>) {
    let mut lineages = Lineages::new();
    let mut misnamed = BTreeSet::new();
    for entry in entries {
        let Ok(bytes) = fs::read(entry.manifest_file()) else { continue };
        if names_another_key(entry, &bytes) {
            misnamed.insert(name(&entry.0));
        }
        let manifest = EntryManifest::from_bytes(&bytes).ok();
        lineages.insert(name(&entry.0), manifest.map(|manifest| Lineage::of_key_content(&manifest.content)));
    }
    (lineages, misnamed)
}

/// Reads what each run of a folder needs: the runs with files, and those that are running and have no files yet.
/// Archived runs are left out, because they need nothing. Also returns a message for each run whose training runs are
/// not known.
fn read_run_needs(runs: &RunsDir, lineages: &Lineages) -> Result<(Vec<RunNeeds>, Vec<String>)> {
    let mut run_needs = Vec::new();
    let mut unknown = Vec::new();
    for run in folders_and_running_runs(runs)?.into_iter().filter(|run| !run.is_archived()) {
        let keys = match plan_keys(&run) {
            Ok(keys) => keys,
            Err(error) => {
                if is_run(&run) {
                    unknown.push(format!("the training runs of `{}` are not known: {error:#}", run.0.display()));
                }
                continue;
            }
        };
        let lineage_of = |key: &String| lineages.get(key)?.as_ref();
        let pruned: BTreeSet<String> =
            keys.iter().filter_map(|key| Some(lineage_of(key)?.pruned_from?.to_string())).collect();
        let chain_ends = keys.iter().filter(|key| !pruned.contains(*key));
        let compared = chain_ends.filter_map(|key| Some(lineage_of(key)?.compares_with?.to_string())).collect();
        let manifest = RunManifest::read(&run);
        let is_finished = keys.iter().all(|key| lineages.contains_key(key));
        let is_running = Lock::is_held(&run.run_lock());
        let keep = manifest.map(|manifest| manifest.run.keep).filter(|_| is_finished && !is_running);
        run_needs.push(RunNeeds { keys, pruned, compared, keep });
    }
    Ok((run_needs, unknown))
}

/// Returns whether a folder is that of a run: it has a run's rows or manifest, or a process has registered it.
fn is_run(run: &RunDir) -> bool {
    let files = [run.file(RunDir::ROUNDS), run.file(RunDir::MANIFEST), run.plan_keys()];
    files.iter().any(|file| file.symlink_metadata().is_ok()) || Lock::is_held(&run.run_lock())
}

/// Returns the folders in `runs`, those of runs among them, and the runs that are running and have no folder yet.
pub(super) fn folders_and_running_runs(runs: &RunsDir) -> Result<Vec<RunDir>> {
    let folders = files::list(&runs.0)?.into_iter().map(RunDir);
    let running =
        files::registered_runs(runs).into_iter().filter(|run| !run.0.exists() && Lock::is_held(&run.run_lock()));
    Ok(folders.chain(running).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lottery::test_support::study;
    use crate::lottery::{MaskRule, TrainingSpec};

    /// Returns whether the final weights of a training run may be freed when the run has ended, for each `run.keep`:
    /// [all, tickets, needed].
    fn may_be_freed(spec: &TrainingSpec, is_pruned: bool, is_compared: bool) -> [bool; 3] {
        let lineage = Lineage::of_key_content(&spec.content.value());
        [KeepWeights::All, KeepWeights::Tickets, KeepWeights::Needed]
            .map(|keep| !is_kept(keep, &lineage, is_pruned, is_compared))
    }

    #[test]
    fn gc_keeps_dense_weights_and_last_rounds_of_chains() {
        let arms = "arms={ticket={mask='iterative',weights='rewind'},of={mask={of='ticket'},weights='reinit'},\
                    random={mask={random='ticket'},weights='reinit'},\
                    shot={mask={one_shot={cut=[0.5]}},weights='rewind'},\
                    early={mask={early_bird={like='ticket',every='10it'}},weights='rewind'},\
                    init={mask={at_init={method='magnitude',like='ticket'}},weights='rewind'}}";
        let plan = study(&["rounds=2", "replicates=1", arms]).plan;
        let mut rules = BTreeSet::new();
        for spec in &plan.trainings {
            let (rule, [unpruned, pruned]) = match &spec.mask {
                MaskRule::Dense => ("dense", [[false, false, false]; 2]),
                // The last round of a chain is kept; with `needed`, the rounds before it are not.
                MaskRule::Prune { .. } => ("prune", [[false, false, false], [false, false, true]]),
                MaskRule::OneShot { .. } => ("one_shot", [[false, true, true]; 2]),
                MaskRule::AtInit { .. } => ("at_init", [[false, true, true]; 2]),
                MaskRule::EarlyBird { .. } => ("early_bird", [[false, true, true]; 2]),
                MaskRule::Of { .. } => ("of", [[false, true, true]; 2]),
                MaskRule::Random { .. } => ("random", [[false, true, true]; 2]),
                MaskRule::File(_) => panic!("no arm of this plan takes its mask from a file"),
            };
            assert_eq!(
                [may_be_freed(spec, false, false), may_be_freed(spec, true, false)],
                [unpruned, pruned],
                "{rule}"
            );
            assert!(!may_be_freed(spec, true, true)[2], "{rule}: the next round of a chain would compare with it");
            rules.insert(rule);
        }
        assert_eq!(
            rules.len(),
            7,
            "every mask rule but that of files, which give plain entries as `of` does: {rules:?}"
        );
    }
}
