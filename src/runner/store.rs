//! The store of training runs, by key. An entry exists once its `done.json` does: that file is written last.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::jobs::StoreIndex;
use crate::artifacts::{
    EntryManifest, FileChecksum, Timing, mask_from_bytes, mask_to_bytes, snapshot_from_bytes, snapshot_to_bytes,
    tensors_from_bytes, tensors_to_bytes,
};
use crate::base::curve::Curve;
use crate::base::key::ContentHash;
use crate::base::mask::Mask;
use crate::base::outcome::Outcome;
use crate::base::tensors::{Snapshot, TensorMap};
use crate::base::units::Iteration;
use crate::lottery::WeightStats;
use crate::lottery::{ArtifactSource, Dependency, TrainingSpec};
use crate::system::files;
use crate::system::paths::{RunsDir, TrainingDir};

/// The version of an entry's files that this program reads and writes.
const FORMAT: u32 = EntryManifest::FORMAT;

/// The part of `done.json` that every version has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// The stored result of a training run.
#[derive(Clone, Debug)]
pub struct StoredTraining {
    /// `Done` or `Diverged`.
    pub outcome: Outcome,
    /// Its evaluations, by iteration.
    pub curve: Curve,
    /// Weights kept in each layer, in network order.
    pub weights_kept: Vec<u64>,
    /// Statistics of its weights, of dense training runs and tickets.
    pub profile: Option<WeightStats>,
    /// Its duration, if that is stored.
    pub timing: Option<Timing>,
}

/// The outputs of a training run, for the store.
pub(super) struct TrainingOutputs<'a> {
    pub(super) outcome: Outcome,
    pub(super) mask: &'a Mask,
    pub(super) curve: &'a Curve,
    /// θ₀, of dense training runs.
    pub(super) start: Option<&'a TensorMap>,
    /// The final weights and buffers; `None` where it diverged.
    pub(super) final_state: Option<&'a TensorMap>,
    /// Snapshots that other training runs start from.
    pub(super) snapshots: &'a [Snapshot],
    /// Statistics of its weights.
    pub(super) profile: Option<&'a WeightStats>,
    /// Whether the final weights are written, and not only their checksum.
    pub(super) keep_last: bool,
    pub(super) timing: Timing,
}

/// The store of a folder of runs.
#[derive(Clone, Debug)]
pub struct Store {
    /// That folder.
    pub runs: RunsDir,
}

impl Store {
    /// Returns the stored result of `training`; `None` where it has none. A damaged entry counts as none, so that it is trained
    /// again.
    ///
    /// # Errors
    /// An entry that cannot be read, or that a newer version of this program wrote.
    pub fn load(&self, training: &TrainingSpec) -> Result<Option<StoredTraining>> {
        let entry = self.runs.training_dir(&training.key);
        let bytes = match fs::read(entry.manifest_file()) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("could not read `{}`", entry.manifest_file().display())),
        };
        // The number first: of a newer version nothing else can be relied on.
        if let Ok(Format { format }) = serde_json::from_slice(&bytes) {
            ensure!(format <= FORMAT, "`{}` was written by a newer version of lth", entry.0.display());
        }
        let Ok(done) = serde_json::from_slice::<EntryManifest>(&bytes) else { return Ok(None) };
        let whole = |name: &String| TrainingDir::can_be_freed(name) || verified(&entry, &done, name).is_ok();
        if done.content != training.content.value() || !done.files.keys().all(whole) {
            return Ok(None);
        }
        let Ok(curve) = serde_json::from_slice(&files::read(&entry.file(TrainingDir::CURVE))?) else { return Ok(None) };
        let timing = files::read(&entry.timing_file()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let has_profile = done.files.contains_key(TrainingDir::WEIGHT_STATS);
        let profile = if has_profile { Some(files::read(&entry.file(TrainingDir::WEIGHT_STATS))?) } else { None };
        let profile = profile.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Some(StoredTraining { outcome: done.outcome, curve, weights_kept: done.weights_kept, profile, timing }))
    }

    /// Whether a training run is stored, undamaged, and did not diverge.
    pub(super) fn is_done(&self, training: &TrainingSpec) -> bool {
        self.load(training).ok().flatten().is_some_and(|finished| finished.outcome == Outcome::Done)
    }

    /// Returns the SHA-256 of the final weights of a training run, freed ones included; `None` where it has none.
    pub(super) fn final_weights_checksum(&self, key: &ContentHash) -> Option<String> {
        Some(self.done(key).ok()?.files.get(TrainingDir::FINAL_WEIGHTS)?.sha256.clone())
    }

    /// Pins the final weights of a training run against garbage collection by any run.
    pub(super) fn pin(&self, key: &ContentHash) -> Result<()> {
        let mark = self.runs.training_dir(key).pin_marker();
        if mark.exists() { Ok(()) } else { Ok(files::write(&mark, b"")?) }
    }

    /// Saves a training run, `done.json` last.
    pub(super) fn save(&self, training: &TrainingSpec, product: &TrainingOutputs<'_>) -> Result<()> {
        let entry = self.runs.training_dir(&training.key);
        let mut sums = BTreeMap::new();
        let mut write = |name: &str, bytes: &[u8], keep: bool| {
            sums.insert(name.to_owned(), FileChecksum::of(bytes));
            if keep { files::write(&entry.file(name), bytes) } else { Ok(()) }
        };
        write(TrainingDir::CURVE, &serde_json::to_vec(product.curve)?, true)?;
        write(TrainingDir::MASK, &mask_to_bytes(product.mask)?, true)?;
        if let Some(start) = product.start {
            write(TrainingDir::INITIAL_WEIGHTS, &tensors_to_bytes(start)?, true)?;
        }
        if let Some(last) = product.final_state {
            write(TrainingDir::FINAL_WEIGHTS, &tensors_to_bytes(last)?, product.keep_last)?;
        }
        if let Some(profile) = product.profile {
            write(TrainingDir::WEIGHT_STATS, &serde_json::to_vec(profile)?, true)?;
        }
        for snapshot in product.snapshots {
            write(&TrainingDir::snapshot_file(snapshot.iteration), &snapshot_to_bytes(snapshot)?, true)?;
        }
        files::write(&entry.timing_file(), &serde_json::to_vec_pretty(&product.timing)?)?;
        let done = EntryManifest {
            format: FORMAT,
            key: training.key,
            content: training.content.value(),
            outcome: product.outcome.clone(),
            weights_kept: product.mask.kept_counts(),
            files: sums,
        };
        Ok(files::write(&entry.manifest_file(), &serde_json::to_vec_pretty(&done)?)?)
    }

    /// Writes final weights that were freed, after the training run has been run again.
    ///
    /// # Errors
    /// Where they are to be `exact`, and are not the bytes they were.
    pub(super) fn restore_final_weights(&self, key: &ContentHash, last: &TensorMap, exact: bool) -> Result<()> {
        self.restore(key, TrainingDir::FINAL_WEIGHTS, &tensors_to_bytes(last)?, exact)
    }

    /// Writes a snapshot that is missing, after the training run has been run again.
    ///
    /// # Errors
    /// Where it was there once, is to be `exact`, and is not the bytes it was.
    pub(super) fn restore_snapshot(&self, key: &ContentHash, snapshot: &Snapshot, exact: bool) -> Result<()> {
        self.restore(key, &TrainingDir::snapshot_file(snapshot.iteration), &snapshot_to_bytes(snapshot)?, exact)
    }

    /// Writes a file that is missing. Where it need not be `exact`, it may differ from what it was, and its checksum is replaced.
    fn restore(&self, key: &ContentHash, name: &str, bytes: &[u8], exact: bool) -> Result<()> {
        let mut done = self.done(key)?;
        let sum = FileChecksum::of(bytes);
        let is_new = done.files.get(name) != Some(&sum);
        ensure!(
            !is_new || !exact || !done.files.contains_key(name),
            "the training was run again for its weights, and they are not what they were (SHA-256 {}): another kind of \
             processor or another version",
            sum.sha256
        );
        let entry = self.runs.training_dir(key);
        files::write(&entry.file(name), bytes)?;
        if is_new {
            done.files.insert(name.to_owned(), sum);
            files::write(&entry.manifest_file(), &serde_json::to_vec_pretty(&done)?)?;
        }
        Ok(())
    }

    fn done(&self, key: &ContentHash) -> Result<EntryManifest> {
        let path = self.runs.training_dir(key).manifest_file();
        serde_json::from_slice(&files::read(&path)?).with_context(|| format!("`{}` is damaged", path.display()))
    }

    fn verified_file(&self, key: &ContentHash, name: &str) -> Result<Vec<u8>> {
        verified(&self.runs.training_dir(key), &self.done(key)?, name)
    }
}

/// Returns the bytes of a file of an entry, if they have the checksum that its `done.json` records.
pub(super) fn verified(entry: &TrainingDir, done: &EntryManifest, name: &str) -> Result<Vec<u8>> {
    let path = entry.file(name);
    let bytes = files::read(&path)?;
    ensure!(done.files.get(name) == Some(&FileChecksum::of(&bytes)), "`{}` is damaged", path.display());
    Ok(bytes)
}

impl StoreIndex for Store {
    fn has(&self, key: &ContentHash, dependency: Dependency) -> bool {
        match dependency {
            Dependency::Entry => true,
            Dependency::FinalWeights => self.verified_file(key, TrainingDir::FINAL_WEIGHTS).is_ok(),
            Dependency::Snapshot(Iteration(iteration)) => {
                self.verified_file(key, &TrainingDir::snapshot_file(iteration)).is_ok()
            }
        }
    }
}

impl ArtifactSource for Store {
    fn mask(&self, key: &ContentHash) -> Result<Mask> {
        mask_from_bytes(&self.verified_file(key, TrainingDir::MASK)?)
    }

    fn final_weights(&self, key: &ContentHash) -> Result<TensorMap> {
        tensors_from_bytes(&self.verified_file(key, TrainingDir::FINAL_WEIGHTS)?)
    }

    fn initial_weights(&self, key: &ContentHash) -> Result<TensorMap> {
        tensors_from_bytes(&self.verified_file(key, TrainingDir::INITIAL_WEIGHTS)?)
    }

    fn snapshot(&self, key: &ContentHash, Iteration(iteration): Iteration) -> Result<Snapshot> {
        snapshot_from_bytes(&self.verified_file(key, &TrainingDir::snapshot_file(iteration))?)
    }
}
