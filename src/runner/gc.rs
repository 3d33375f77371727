//! Garbage collection of weights: which files of the store no run needs, and freeing them. Curves, masks and CSV files stay.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::store_listing::{Listing, name, names_another_key, own_files};
use crate::artifacts::{EntryManifest, RoundRow, RunManifest, from_csv};
use crate::config::KeepWeights;
use crate::lottery::Lineage;
use crate::system::files::{self, Lock};
use crate::system::paths::{RunDir, RunsDir, TrainingDir};

/// The reason why a file is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GcReason {
    /// No run keeps it by its `run.keep`: weights of intermediate rounds, or of arms that nothing prunes.
    Between,
    /// Its training run belongs to no run: the folder of the run was deleted, or it is a copy for an instability analysis,
    /// whose measurements are kept.
    NoRun,
    /// `--fresh` has archived its training run.
    SetAside,
    /// A process was killed while it wrote it.
    Unfinished,
}

/// A file that can be freed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// Why it is not needed.
    pub reason: GcReason,
    /// Its path.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// The result of freeing files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Files that were removed.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Files that have come to be needed, or in use, since they were listed.
    pub kept: usize,
}

/// The files of a store that can be freed, and those that this program did not write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    /// The files that can be freed, sorted.
    pub candidates: Vec<Candidate>,
    /// Files and folders that this program did not write, sorted.
    pub foreign: Vec<PathBuf>,
}

/// Finds the weights in the store of `runs` that no run needs; with `only`, those of the training runs of these runs.
///
/// # Errors
/// A folder that cannot be listed.
pub fn find_garbage(runs: &RunsDir, only: Option<&[RunDir]>) -> Result<Garbage> {
    let Listing { entries, set_aside, mut foreign } = Listing::of(runs)?;
    let (lineages, copies) = read_lineages(&entries);
    let users = read_users(runs, &lineages)?;
    let named = only.map(|runs| runs.iter().flat_map(plan_keys).collect::<BTreeSet<String>>());
    let is_named = |key: &String| named.as_ref().is_none_or(|named| named.contains(key));
    let mut candidates = Vec::new();
    for entry in entries {
        let key = name(&entry.0);
        if copies.contains(&key) {
            // A folder under the name of another training run was copied there by a user.
            foreign.push(entry.0);
        } else if is_named(&key) {
            add_candidates(&mut candidates, &entry, &key, &users, &lineages)?;
        }
    }
    // Archived training runs belong to no run: not where runs are named.
    for entry in set_aside.iter().filter(|_| named.is_none()) {
        let weights = [entry.file(TrainingDir::FINAL_WEIGHTS), entry.file(TrainingDir::INITIAL_WEIGHTS)];
        add(&mut candidates, GcReason::SetAside, weights);
    }
    candidates.sort();
    foreign.sort();
    Ok(Garbage { candidates, foreign })
}

/// Adds the files of the entry of one training run that can be freed.
fn add_candidates(
    candidates: &mut Vec<Candidate>,
    entry: &TrainingDir,
    key: &str,
    users: &[RunUser],
    lineages: &Lineages,
) -> Result<()> {
    if entry.manifest_file().exists() {
        let mut users = users.iter().filter(|user| user.keys.contains(key)).peekable();
        if users.peek().is_none() {
            let files = own_files(entry)?.into_iter();
            add(candidates, GcReason::NoRun, files.filter(|path| TrainingDir::can_be_freed(&name(path))));
        } else if !users.any(|user| user.needs(key, lineages)) {
            add(candidates, GcReason::Between, [entry.file(TrainingDir::FINAL_WEIGHTS)]);
        }
        return Ok(());
    }
    let marks = [entry.lock_file(), entry.pin_marker()];
    let unfinished = own_files(entry)?.into_iter().filter(|path| !marks.contains(path));
    add(candidates, GcReason::Unfinished, unfinished.filter(|_| !Lock::is_held(&entry.lock_file())));
    Ok(())
}

/// Frees those of `listed` that are still not needed. No run can start meanwhile.
///
/// # Errors
/// A file that cannot be removed.
pub fn free(runs: &RunsDir, only: Option<&[RunDir]>, listed: &[Candidate]) -> Result<Freed> {
    let _admission = Lock::exclusive_unless(&runs.admission_lock(), || false)?;
    let current = find_garbage(runs, only)?.candidates;
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
        files::remove(&file.path)?;
        files::remove(&entry.pin_marker())?;
        freed.files += 1;
        freed.bytes += file.bytes;
    }
    Ok(freed)
}

fn add(candidates: &mut Vec<Candidate>, reason: GcReason, paths: impl IntoIterator<Item = PathBuf>) {
    // A link is not this program's: it never makes one.
    let size = |path: &PathBuf| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|file| file.len());
    let existing = paths.into_iter().filter_map(|path| Some((size(&path)?, path)));
    candidates.extend(existing.map(|(bytes, path)| Candidate { reason, path, bytes }));
}

/// A run, and which weights it needs.
struct RunUser {
    /// The keys of its training runs.
    keys: BTreeSet<String>,
    /// Those that another of its training runs prunes further.
    pruned: BTreeSet<String>,
    /// Those whose final weights the next round of one of its chains would compare with.
    compared: BTreeSet<String>,
    /// Its `run.keep`; `None` where it may need any weights: it is running, not finished, or its manifest is damaged.
    keep: Option<KeepWeights>,
}

impl RunUser {
    /// Whether the run needs the final weights of its training run `key`.
    fn needs(&self, key: &str, lineages: &Lineages) -> bool {
        let Some(keep) = self.keep else { return true };
        // Without a lineage nothing can be said to be garbage.
        let Some(Some(lineage)) = lineages.get(key) else { return true };
        is_kept(keep, lineage, self.pruned.contains(key), self.compared.contains(key))
    }
}

/// Whether a finished run with this `run.keep` keeps the final weights of one of its training runs. `is_pruned`: another training
/// run of the run prunes it further; `is_compared`: the next round of one of the run's chains would compare with it.
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

/// Reads the lineages of `entries`, and the names of entries that are copies of others.
fn read_lineages(entries: &[TrainingDir]) -> (Lineages, BTreeSet<String>) {
    let mut lineages = Lineages::new();
    let mut copies = BTreeSet::new();
    for entry in entries {
        let Ok(bytes) = fs::read(entry.manifest_file()) else { continue };
        if names_another_key(entry, &bytes) {
            copies.insert(name(&entry.0));
        }
        let manifest = serde_json::from_slice::<EntryManifest>(&bytes).ok();
        lineages.insert(name(&entry.0), manifest.map(|manifest| Lineage::of_key_content(&manifest.content)));
    }
    (lineages, copies)
}

/// Reads the runs of a folder: those with files, and those that are running and have none yet. Archived runs need nothing.
fn read_users(runs: &RunsDir, lineages: &Lineages) -> Result<Vec<RunUser>> {
    let folders = files::list(&runs.0)?.into_iter().map(RunDir);
    let running =
        files::registered_runs(runs).into_iter().filter(|run| !run.0.exists() && Lock::is_held(&run.run_lock()));
    let mut users = Vec::new();
    for run in folders.chain(running).filter(|run| !run.is_archived()) {
        let keys = plan_keys(&run);
        let lineage_of = |key: &String| lineages.get(key)?.as_ref();
        let pruned: BTreeSet<String> =
            keys.iter().filter_map(|key| Some(lineage_of(key)?.pruned_from?.to_string())).collect();
        let chain_ends = keys.iter().filter(|key| !pruned.contains(*key));
        let compared = chain_ends.filter_map(|key| Some(lineage_of(key)?.compares_with?.to_string())).collect();
        let manifest = fs::read(run.file(RunDir::MANIFEST)).ok();
        let manifest = manifest.and_then(|bytes| serde_json::from_slice::<RunManifest>(&bytes).ok());
        let is_finished = keys.iter().all(|key| lineages.contains_key(key));
        let is_running = Lock::is_held(&run.run_lock());
        let keep = manifest.map(|manifest| manifest.run.keep).filter(|_| is_finished && !is_running);
        users.push(RunUser { keys, pruned, compared, keep });
    }
    Ok(users)
}

/// Returns the keys of a run's plan; of a run without the list of them, those of its rows.
fn plan_keys(run: &RunDir) -> BTreeSet<String> {
    if let Ok(text) = fs::read_to_string(run.plan_keys()) {
        return text.lines().map(str::to_owned).collect();
    }
    let rows = fs::read(run.file(RunDir::ROUNDS)).context("no rows").and_then(|bytes| from_csv::<RoundRow>(&bytes));
    rows.unwrap_or_default().into_iter().map(|row| row.key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lottery::test_support::study;
    use crate::lottery::{MaskRule, TrainingSpec};

    /// Whether the final weights of a training run may be freed when the run has ended, by `run.keep`: all, tickets, needed.
    fn may_be_freed(spec: &TrainingSpec, is_pruned: bool, is_compared: bool) -> [bool; 3] {
        let lineage = Lineage::of_key_content(&spec.content.value());
        [KeepWeights::All, KeepWeights::Tickets, KeepWeights::Needed]
            .map(|keep| !is_kept(keep, &lineage, is_pruned, is_compared))
    }

    #[test]
    fn garbage_by_mask_rule() {
        let arms = "arms={ticket={mask='iterative',weights='rewind'},of={mask={of='ticket'},weights='reinit'},\
                    random={mask={random='ticket'},weights='reinit'},shot={mask={one_shot={cut=[0.5]}},weights='rewind'},\
                    init={mask={magnitude_at_init={like='ticket'}},weights='rewind'}}";
        let plan = study(&["rounds=2", "replicates=1", arms]).plan;
        let mut rules = BTreeSet::new();
        for spec in &plan.trainings {
            let (rule, [unpruned, pruned]) = match &spec.mask {
                MaskRule::Dense => ("dense", [[false, false, false]; 2]),
                // The last round of a chain is kept, those before it are intermediate.
                MaskRule::Prune { .. } => ("prune", [[false, false, false], [false, false, true]]),
                MaskRule::OneShot { .. } => ("one_shot", [[false, true, true]; 2]),
                MaskRule::MagnitudeAtInit => ("magnitude_at_init", [[false, true, true]; 2]),
                MaskRule::Of { .. } => ("of", [[false, true, true]; 2]),
                MaskRule::Random { .. } => ("random", [[false, true, true]; 2]),
            };
            assert_eq!(
                [may_be_freed(spec, false, false), may_be_freed(spec, true, false)],
                [unpruned, pruned],
                "{rule}"
            );
            assert!(!may_be_freed(spec, true, true)[2], "{rule}: the next round of a chain would compare with it");
            rules.insert(rule);
        }
        assert_eq!(rules.len(), 6, "every mask rule: {rules:?}");
    }
}
