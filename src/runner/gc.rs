//! Weights that no run needs: which they are, and freeing them. Curves, masks and CSV files stay.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::store_listing::{Listing, name, names_another_key, own_files};
use crate::artifacts::{EntryManifest, RoundRow, RunManifest, from_csv};
use crate::config::KeepWeights;
use crate::system::files;
use crate::system::files::Lock;
use crate::system::paths::{RunDir, RunsDir, TrainingDir};

/// Why nobody needs weights any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GcReason {
    /// No run that is here asks for them by its `run.keep`: those of rounds in between, or of arms that nothing prunes.
    Between,
    /// They belong to a training of no run that is here: its folder was deleted, or it is a copy for an instability
    /// analysis, which keeps what it measured.
    NoRun,
    /// `--fresh` has set their training aside.
    SetAside,
    /// A process was killed while it wrote them.
    Unfinished,
}

/// A file that can be freed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needless {
    /// Why.
    pub reason: GcReason,
    /// Which.
    pub path: PathBuf,
    /// How large it is.
    pub bytes: u64,
}

/// What came of freeing files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Files that are gone.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that somebody has come to need, or works with, since they were listed.
    pub kept: usize,
}

/// The files of a store that a cleaning frees, and those that it leaves alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaning {
    /// The weights that no run needs, in a stable order.
    pub needless: Vec<Needless>,
    /// Files and folders that this program did not write, sorted.
    pub foreign: Vec<PathBuf>,
}

/// Looks through the store of `runs` for weights that no run needs; where runs are named by `only`, for those of their
/// trainings.
///
/// # Errors
/// A folder that cannot be listed.
pub fn cleaning(runs: &RunsDir, only: Option<&[RunDir]>) -> Result<Cleaning> {
    let Listing { entries, set_aside, mut foreign } = Listing::of(runs)?;
    let (links, copies) = links(&entries);
    let users = users(runs, &links)?;
    let named = only.map(|views| views.iter().flat_map(keys).collect::<BTreeSet<String>>());
    let is_named = |key: &String| named.as_ref().is_none_or(|named| named.contains(key));
    let mut found = Vec::new();
    for entry in entries {
        let key = name(&entry.0);
        if copies.contains(&key) {
            // An entry under the name of another training run is a copy that a person made.
            foreign.push(entry.0);
            continue;
        }
        if !is_named(&key) {
            continue;
        }
        if entry.manifest_file().exists() {
            let mut users = users.iter().filter(|user| user.keys.contains(&key)).peekable();
            if users.peek().is_none() {
                let all = own_files(&entry)?.into_iter();
                add(&mut found, GcReason::NoRun, all.filter(|path| TrainingDir::can_be_freed(&name(path))));
            } else if !users.any(|user| user.needs(&key, &links)) {
                add(&mut found, GcReason::Between, [entry.file(TrainingDir::FINAL_WEIGHTS)]);
            }
        } else {
            let lock = entry.lock_file();
            let marks = [entry.lock_file(), entry.pin_marker()];
            let left = own_files(&entry)?.into_iter().filter(|path| !marks.contains(path));
            add(&mut found, GcReason::Unfinished, left.filter(|_| !Lock::is_held(&lock)));
        }
    }
    // Where runs are named, only theirs: what was set aside belongs to none.
    for entry in set_aside.iter().filter(|_| named.is_none()) {
        add(
            &mut found,
            GcReason::SetAside,
            [entry.file(TrainingDir::FINAL_WEIGHTS), entry.file(TrainingDir::INITIAL_WEIGHTS)],
        );
    }
    found.sort();
    foreign.sort();
    Ok(Cleaning { needless: found, foreign })
}

/// Frees what of `listed` is still needless: nobody may begin a run meanwhile.
///
/// # Errors
/// A file that cannot be removed.
pub fn free(runs: &RunsDir, only: Option<&[RunDir]>, listed: &[Needless]) -> Result<Freed> {
    let _gate = Lock::exclusive_unless(&runs.admission_lock(), || false)?;
    let still = cleaning(runs, only)?.needless;
    let mut freed = Freed::default();
    for file in listed {
        let folder = file.path.parent().unwrap_or(Path::new("."));
        let entry = TrainingDir(folder.to_owned());
        let lock = if still.binary_search(file).is_ok() { Lock::try_exclusive(&entry.lock_file())? } else { None };
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

fn add(found: &mut Vec<Needless>, reason: GcReason, paths: impl IntoIterator<Item = PathBuf>) {
    // A link is not this program's: it never makes one.
    let size = |path: &PathBuf| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|file| file.len());
    let there = paths.into_iter().filter_map(|path| Some((size(&path)?, path)));
    found.extend(there.map(|(bytes, path)| Needless { reason, path, bytes }));
}

/// A run, as far as it needs weights.
struct User {
    keys: BTreeSet<String>,
    /// Those whose chains go on with another of its trainings.
    pruned: BTreeSet<String>,
    /// Those whose final weights the next round of one of its chains would compare with.
    references: BTreeSet<String>,
    /// What it keeps; `None` where it may need anything: it is running, not finished, or does not say.
    keep: Option<KeepWeights>,
}

impl User {
    /// Whether the run needs the final weights of its training `key`.
    fn needs(&self, key: &str, links: &AllLinks) -> bool {
        let Some(keep) = self.keep else { return true };
        // Of a training that is not known, nothing is known to be needless.
        let Some(Some(links)) = links.get(key) else { return true };
        match keep {
            KeepWeights::All => true,
            KeepWeights::Tickets => links.is_dense || links.parent.is_some(),
            KeepWeights::Needed => {
                let is_last = links.parent.is_some() && !self.pruned.contains(key);
                links.is_dense || is_last || self.references.contains(key)
            }
        }
    }
}

/// How a training hangs together with others.
struct Links {
    /// Whether its network is dense.
    is_dense: bool,
    /// The previous training of its chain.
    parent: Option<String>,
    /// The training whose final weights the next round of its chain compares with.
    reference: Option<String>,
}

/// The links of every finished training of the store by key; `None` where its page is damaged.
type AllLinks = BTreeMap<String, Option<Links>>;

/// The links of every finished training, from what its key is the hash of; and the names of entries that are copies of
/// others.
fn links(entries: &[TrainingDir]) -> (AllLinks, BTreeSet<String>) {
    let (mut all, mut copies) = (AllLinks::new(), BTreeSet::new());
    for entry in entries {
        let Ok(bytes) = fs::read(entry.manifest_file()) else { continue };
        if names_another_key(entry, &bytes) {
            copies.insert(name(&entry.0));
        }
        let done = serde_json::from_slice::<EntryManifest>(&bytes).ok();
        let links = done.map(|done| Links {
            is_dense: done.content["mask"] == "dense",
            // What was cut straight to a size is no link of a chain.
            parent: done.content["mask"]["prune"]
                .as_str()
                .filter(|_| done.content["mask"]["to"].is_null())
                .map(str::to_owned),
            reference: done.content["start"]["final"]
                .as_str()
                .filter(|_| !done.content["mask"]["reference_weights"].is_null())
                .map(str::to_owned),
        });
        all.insert(name(&entry.0), links);
    }
    (all, copies)
}

/// The runs that are here; those set aside by `--fresh` have no entries but those set aside.
fn users(runs: &RunsDir, links: &AllLinks) -> Result<Vec<User>> {
    let folders = files::list(&runs.0)?.into_iter().map(RunDir);
    let known =
        files::registered_runs(runs).into_iter().filter(|view| !view.0.exists() && Lock::is_held(&view.run_lock()));
    let mut users = Vec::new();
    for view in folders.chain(known).filter(|view| !view.is_archived()) {
        let keys = keys(&view);
        let manifest = fs::read(view.file(RunDir::MANIFEST)).ok();
        let manifest = manifest.and_then(|bytes| serde_json::from_slice::<RunManifest>(&bytes).ok());
        let is_whole = keys.iter().all(|key| links.contains_key(key));
        let pruned: BTreeSet<String> = keys.iter().filter_map(|key| links.get(key)?.as_ref()?.parent.clone()).collect();
        let ends = keys.iter().filter(|key| !pruned.contains(*key));
        let references = ends.filter_map(|key| links.get(key)?.as_ref()?.reference.clone()).collect();
        let is_running = Lock::is_held(&view.run_lock());
        let keep = manifest.map(|manifest| manifest.run.keep).filter(|_| is_whole && !is_running);
        users.push(User { keys, pruned, references, keep });
    }
    Ok(users)
}

/// The keys of a run's plan; of a run without the list of them, those of its rows.
fn keys(view: &RunDir) -> BTreeSet<String> {
    if let Ok(text) = fs::read_to_string(view.plan_keys()) {
        return text.lines().map(str::to_owned).collect();
    }
    let rows = fs::read(view.file(RunDir::ROUNDS)).context("no rows").and_then(|bytes| from_csv::<RoundRow>(&bytes));
    rows.unwrap_or_default().into_iter().map(|row| row.key).collect()
}
