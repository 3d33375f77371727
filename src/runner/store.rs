//! The store of training runs by key. An entry is a folder; its manifest `done.json` is written last, and an entry
//! without it counts as absent.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::jobs::{JobPlan, StoreIndex, plan_jobs};
use super::training_graph::{Node, TrainingGraph};
use crate::artifacts::{
    EntryManifest, FileChecksum, ManifestError, Timing, mask_from_bytes, mask_to_bytes, newest_progress,
    snapshot_from_bytes, snapshot_to_bytes, tensors_from_bytes, tensors_to_bytes,
};
use crate::base::curve::Curve;
use crate::base::key::ContentHash;
use crate::base::mask::Mask;
use crate::base::outcome::Outcome;
use crate::base::tensors::{Snapshot, TensorMap};
use crate::base::units::Iteration;
use crate::lottery::{ArtifactSource, Dependency, Plan, Study, TrainingSpec, WeightStats};
use crate::system::files;
use crate::system::paths::{RunsDir, TrainingDir};

/// The stored result of a training run.
#[derive(Clone, Debug)]
pub struct StoredTraining {
    /// The outcome: `Done` or `Diverged`.
    pub outcome: Outcome,
    /// The evaluations, in the order of iterations.
    pub curve: Curve,
    /// The number of kept weights of each layer, in network order.
    pub weights_kept: Vec<u64>,
    /// The iteration of the dense network at which its mask was drawn, of early-bird masks only.
    pub drawn_at: Option<u64>,
    /// Statistics of the weights; `None` for training runs that are neither dense nor tickets, or that diverged.
    pub profile: Option<WeightStats>,
    /// The duration; `None` if its file is missing or damaged.
    pub timing: Option<Timing>,
}

/// The outputs of a training run that [`Store::save`] writes.
pub(super) struct TrainingOutputs<'a> {
    pub(super) outcome: Outcome,
    /// The mask at the end of training.
    pub(super) mask: &'a Mask,
    /// The other masks of a training run whose mask is updated.
    pub(super) updated: Option<UpdatedMaskFiles<'a>>,
    pub(super) curve: &'a Curve,
    /// The initial weights θ₀; `None` for training runs that start from other weights.
    pub(super) start: Option<&'a TensorMap>,
    /// The final weights and buffers; `None` if it diverged.
    pub(super) final_state: Option<&'a TensorMap>,
    /// The snapshots that other training runs start from.
    pub(super) snapshots: &'a [Snapshot],
    /// The iteration of the dense network at which its mask was drawn, of early-bird masks only.
    pub(super) drawn_at: Option<u64>,
    /// Statistics of the weights.
    pub(super) profile: Option<&'a WeightStats>,
    /// Whether the final weights are written; if not, the manifest still has their checksum.
    pub(super) keeps_final_weights: bool,
    pub(super) timing: Timing,
}

/// The masks, beside that at the end, of a training run whose mask is updated.
pub(super) struct UpdatedMaskFiles<'a> {
    /// The mask at the start of training.
    pub(super) start: &'a Mask,
    /// The weights that some mask kept.
    pub(super) ever_kept: &'a Mask,
}

/// The store of training runs in a folder of runs.
#[derive(Clone, Debug)]
pub struct Store {
    /// The folder of runs.
    pub runs: RunsDir,
}

impl Store {
    /// Returns the stored result of a training run; `None` if it is not stored, or its entry is damaged, so that it is
    /// trained again. An entry is damaged if a file is missing or has another checksum.
    ///
    /// # Errors
    /// Fails if a file of the entry exists and cannot be read, or a newer version of this program wrote the entry.
    pub fn load(&self, training: &TrainingSpec) -> Result<Option<StoredTraining>> {
        let entry = self.runs.training_dir(&training.key);
        let StoredManifest::Whole(manifest) = read_manifest(&entry)? else { return Ok(None) };
        if manifest.key != training.key || manifest.content != training.content.value() {
            return Ok(None);
        }
        let mut contents = BTreeMap::new();
        for name in manifest.files.keys() {
            if TrainingDir::can_be_freed(name) {
                check_readable(&entry, name)?;
                continue;
            }
            match read_verified(&entry, &manifest, name)? {
                Some(bytes) => contents.insert(name.as_str(), bytes),
                None => return Ok(None),
            };
        }
        let parsed = |name: &str| contents.get(name).map(Vec::as_slice);
        let Some(curve) = parsed(TrainingDir::CURVE).and_then(|bytes| serde_json::from_slice(bytes).ok()) else {
            return Ok(None);
        };
        if manifest.format < EntryManifest::FORMAT && !agrees_with_files(&manifest, &curve, parsed(TrainingDir::MASK)) {
            return Ok(None);
        }
        let profile = parsed(TrainingDir::WEIGHT_STATS).and_then(|bytes| serde_json::from_slice(bytes).ok());
        let timing = fs::read(entry.timing_file()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let EntryManifest { outcome, weights_kept, drawn_at, .. } = *manifest;
        Ok(Some(StoredTraining { outcome, curve, weights_kept, drawn_at, profile, timing }))
    }

    /// Plans the jobs of a study, with the weights that its configuration keeps: what is missing in the store.
    ///
    /// # Errors
    /// Fails if an entry cannot be read.
    pub(super) fn jobs_of<'s>(&self, study: &'s Study) -> Result<JobPlan<'s>> {
        let graph = TrainingGraph::new(&study.plan, study.resolved.lanes);
        let outcome = |node: &Node<'_>| Ok(self.load(node.spec)?.map(|stored| stored.outcome));
        let stored = graph.nodes.iter().map(outcome).collect::<Result<_>>()?;
        Ok(plan_jobs(graph, study.experiment.run.keep, stored, self))
    }

    /// Returns whether every training run of a plan has an entry, complete or diverged. Does not read the entries: some
    /// may be damaged.
    pub fn has_entries_of(&self, plan: &Plan) -> bool {
        plan.trainings.iter().all(|spec| self.runs.training_dir(&spec.key).manifest_file().exists())
    }

    /// Returns whether a training run is stored, undamaged, and did not diverge.
    pub(super) fn is_done(&self, training: &TrainingSpec) -> bool {
        self.load(training).ok().flatten().is_some_and(|finished| finished.outcome == Outcome::Done)
    }

    /// Returns whether a training run is stored, undamaged, did not diverge, and has the output that `dependency` names.
    pub(super) fn has_output(&self, training: &TrainingSpec, dependency: Dependency) -> bool {
        self.is_done(training) && self.has(&training.key, dependency)
    }

    /// Returns the SHA-256 of the final weights of a training run, also if they were freed; `None` if it has none.
    pub(super) fn final_weights_checksum(&self, key: &ContentHash) -> Option<String> {
        Some(self.manifest(key).ok()?.files.get(TrainingDir::FINAL_WEIGHTS)?.sha256.clone())
    }

    /// Returns the SHA-256 of every file of a training run, by the names of the files, also of those that were freed.
    ///
    /// # Errors
    /// Fails if the training run is not stored, or its manifest is damaged.
    pub(super) fn checksums(&self, key: &ContentHash) -> Result<BTreeMap<String, String>> {
        Ok(self.manifest(key)?.files.into_iter().map(|(name, sum)| (name, sum.sha256)).collect())
    }

    /// Pins the final weights of a training run, so that no run frees them.
    pub(super) fn pin(&self, key: &ContentHash) -> Result<()> {
        let marker = self.runs.training_dir(key).pin_marker();
        if marker.exists() { Ok(()) } else { Ok(files::write(&marker, b"")?) }
    }

    /// Writes the outputs of a training run, and the manifest last.
    pub(super) fn save(&self, training: &TrainingSpec, outputs: &TrainingOutputs<'_>) -> Result<()> {
        let entry = self.runs.training_dir(&training.key);
        let mut sums = BTreeMap::new();
        let mut write = |name: &str, bytes: &[u8], keep: bool| {
            sums.insert(name.to_owned(), FileChecksum::of(bytes));
            if keep { files::write(&entry.file(name), bytes) } else { Ok(()) }
        };
        write(TrainingDir::CURVE, &serde_json::to_vec(outputs.curve)?, true)?;
        write(TrainingDir::MASK, &mask_to_bytes(outputs.mask)?, true)?;
        if let Some(UpdatedMaskFiles { start, ever_kept }) = outputs.updated {
            write(TrainingDir::START_MASK, &mask_to_bytes(start)?, true)?;
            write(TrainingDir::EVER_KEPT, &mask_to_bytes(ever_kept)?, true)?;
        }
        if let Some(start) = outputs.start {
            write(TrainingDir::INITIAL_WEIGHTS, &tensors_to_bytes(start)?, true)?;
        }
        if let Some(last) = outputs.final_state {
            write(TrainingDir::FINAL_WEIGHTS, &tensors_to_bytes(last)?, outputs.keeps_final_weights)?;
        }
        if let Some(profile) = outputs.profile {
            write(TrainingDir::WEIGHT_STATS, &serde_json::to_vec(profile)?, true)?;
        }
        for snapshot in outputs.snapshots {
            write(&TrainingDir::snapshot_file(snapshot.iteration), &snapshot_to_bytes(snapshot)?, true)?;
        }
        files::write(&entry.timing_file(), &serde_json::to_vec_pretty(&outputs.timing)?)?;
        let manifest = EntryManifest {
            format: EntryManifest::FORMAT,
            key: training.key,
            content: training.content.value(),
            outcome: outputs.outcome.clone(),
            weights_kept: outputs.mask.kept_counts(),
            drawn_at: outputs.drawn_at,
            files: sums,
        };
        Ok(files::write(&entry.manifest_file(), &manifest.to_bytes()?)?)
    }

    /// Writes final weights that were freed, after the training run has been run again.
    ///
    /// # Errors
    /// Fails if they must be `exact` and their bytes differ from those that were freed.
    pub(super) fn restore_final_weights(&self, key: &ContentHash, last: &TensorMap, exact: bool) -> Result<()> {
        self.restore(key, TrainingDir::FINAL_WEIGHTS, &tensors_to_bytes(last)?, exact)
    }

    /// Writes a snapshot that is missing, after the training run has been run again.
    ///
    /// # Errors
    /// Fails if it was stored before, must be `exact`, and its bytes differ from those that were stored.
    pub(super) fn restore_snapshot(&self, key: &ContentHash, snapshot: &Snapshot, exact: bool) -> Result<()> {
        self.restore(key, &TrainingDir::snapshot_file(snapshot.iteration), &snapshot_to_bytes(snapshot)?, exact)
    }

    /// Writes a file that is missing, and its checksum into the manifest. If the manifest has a checksum already, the
    /// file must have it where it must be `exact`; else the new checksum replaces the old one.
    fn restore(&self, key: &ContentHash, name: &str, bytes: &[u8], exact: bool) -> Result<()> {
        let mut manifest = self.manifest(key)?;
        let sum = FileChecksum::of(bytes);
        let has_changed = manifest.files.get(name) != Some(&sum);
        ensure!(
            !has_changed || !exact || !manifest.files.contains_key(name),
            "the training was run again for its weights, and they are not what they were (SHA-256 {}): another kind of \
             processor or another version",
            sum.sha256
        );
        let entry = self.runs.training_dir(key);
        files::write(&entry.file(name), bytes)?;
        if has_changed {
            manifest.files.insert(name.to_owned(), sum);
            manifest.format = EntryManifest::FORMAT;
            files::write(&entry.manifest_file(), &manifest.to_bytes()?)?;
        }
        Ok(())
    }

    /// Returns the mask that a training run started with.
    ///
    /// # Errors
    /// Fails if it is not stored, or damaged.
    pub(super) fn start_mask(&self, spec: &TrainingSpec) -> Result<Mask> {
        let name = if spec.updates.is_some() { TrainingDir::START_MASK } else { TrainingDir::MASK };
        self.read_file(&spec.key, name, mask_from_bytes)
    }

    /// Returns the weights that some mask of a training run kept.
    ///
    /// # Errors
    /// Fails if they are not stored, or damaged.
    pub(super) fn ever_kept(&self, spec: &TrainingSpec) -> Result<Mask> {
        let name = if spec.updates.is_some() { TrainingDir::EVER_KEPT } else { TrainingDir::MASK };
        self.read_file(&spec.key, name, mask_from_bytes)
    }

    fn manifest(&self, key: &ContentHash) -> Result<EntryManifest> {
        let entry = self.runs.training_dir(key);
        match read_manifest(&entry)? {
            StoredManifest::Whole(manifest) => Ok(*manifest),
            StoredManifest::Missing => Err(Unavailable(entry.manifest_file()).into()),
            StoredManifest::Damaged(cause) => Err(anyhow!(Unavailable(entry.manifest_file())).context(cause)),
        }
    }

    fn verified_file(&self, key: &ContentHash, name: &str) -> Result<Vec<u8>> {
        let entry = self.runs.training_dir(key);
        let bytes = read_verified(&entry, &self.manifest(key)?, name)?;
        bytes.ok_or_else(|| Unavailable(entry.file(name)).into())
    }

    /// Reads the verified file `name` of an entry with `read`, whose error gets the name of the file.
    fn read_file<T>(&self, key: &ContentHash, name: &str, read: impl Fn(&[u8]) -> Result<T>) -> Result<T> {
        let unreadable = || format!("`{}` is not usable", self.runs.training_dir(key).file(name).display());
        read(&self.verified_file(key, name)?).with_context(unreadable)
    }
}

/// The error for a file of an entry that is damaged, or missing because it was freed or never written.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is damaged or missing", .0.display())]
pub(super) struct Unavailable(pub(super) PathBuf);

/// The manifest of an entry.
pub(super) enum StoredManifest {
    /// There is none: the entry is absent or not complete.
    Missing,
    /// It is damaged; with the cause.
    Damaged(String),
    /// It is whole.
    Whole(Box<EntryManifest>),
}

/// Reads the manifest of an entry.
///
/// # Errors
/// Fails if the file exists and cannot be read, or a newer version of this program wrote it.
pub(super) fn read_manifest(entry: &TrainingDir) -> Result<StoredManifest> {
    let path = entry.manifest_file();
    let Some(bytes) = files::read_if_present(&path)? else { return Ok(StoredManifest::Missing) };
    match EntryManifest::from_bytes(&bytes) {
        Ok(manifest) => Ok(StoredManifest::Whole(Box::new(manifest))),
        Err(error @ ManifestError::Damaged(_)) => Ok(StoredManifest::Damaged(error.to_string())),
        Err(error @ ManifestError::Newer(_)) => {
            bail!(
                "could not use `{}`: {error}\n\nhint: run that version, or name another folder with `--runs`",
                path.display()
            )
        }
    }
}

/// Returns the bytes of a file of an entry; `None` if it is missing, or has another checksum than in the manifest.
///
/// # Errors
/// Fails if the file exists and cannot be read.
pub(super) fn read_verified(entry: &TrainingDir, manifest: &EntryManifest, name: &str) -> Result<Option<Vec<u8>>> {
    let bytes = files::read_if_present(&entry.file(name))?;
    Ok(bytes.filter(|bytes| manifest.files.get(name) == Some(&FileChecksum::of(bytes))))
}

/// Checks that a file of an entry can be opened, if it exists.
fn check_readable(entry: &TrainingDir, name: &str) -> Result<()> {
    let path = entry.file(name);
    match fs::File::open(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not read `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

/// Returns whether what a manifest without a checksum of itself says agrees with the files of its entry, whose
/// checksums are right: the weights kept with the `mask`, and the outcome with the final weights and the curve.
pub(super) fn agrees_with_files(manifest: &EntryManifest, curve: &Curve, mask: Option<&[u8]>) -> bool {
    let mask = mask.and_then(|bytes| mask_from_bytes(bytes).ok());
    let has_final_weights = manifest.files.contains_key(TrainingDir::FINAL_WEIGHTS);
    let outcome_agrees = match manifest.outcome {
        Outcome::Done => has_final_weights,
        Outcome::Diverged { iteration } => {
            !has_final_weights && curve.last().is_none_or(|last| last.iteration < iteration)
        }
        Outcome::Failed { .. } | Outcome::Blocked { .. } => false,
    };
    outcome_agrees && mask.is_some_and(|mask| mask.kept_counts() == manifest.weights_kept)
}

impl StoreIndex for Store {
    /// A file that exists and cannot be read counts as stored, so that what needs it fails with the cause instead of
    /// making it again.
    fn has(&self, key: &ContentHash, dependency: Dependency) -> bool {
        let name = match dependency {
            Dependency::Entry => return true,
            Dependency::FinalWeights => TrainingDir::FINAL_WEIGHTS.to_owned(),
            Dependency::Snapshot(Iteration(iteration)) => TrainingDir::snapshot_file(iteration),
        };
        let entry = self.runs.training_dir(key);
        match read_manifest(&entry) {
            Ok(StoredManifest::Whole(manifest)) => {
                read_verified(&entry, &manifest, &name).map_or(true, |bytes| bytes.is_some())
            }
            Ok(StoredManifest::Missing | StoredManifest::Damaged(_)) => false,
            Err(_) => true,
        }
    }

    fn progress(&self, key: &ContentHash) -> Option<Iteration> {
        newest_progress(&self.runs.training_dir(key)).map(|header| Iteration(header.iteration))
    }
}

impl ArtifactSource for Store {
    fn mask(&self, key: &ContentHash) -> Result<Mask> {
        self.read_file(key, TrainingDir::MASK, mask_from_bytes)
    }

    fn final_weights(&self, key: &ContentHash) -> Result<TensorMap> {
        self.read_file(key, TrainingDir::FINAL_WEIGHTS, tensors_from_bytes)
    }

    fn initial_weights(&self, key: &ContentHash) -> Result<TensorMap> {
        self.read_file(key, TrainingDir::INITIAL_WEIGHTS, tensors_from_bytes)
    }

    fn snapshot(&self, key: &ContentHash, Iteration(iteration): Iteration) -> Result<Snapshot> {
        self.read_file(key, &TrainingDir::snapshot_file(iteration), snapshot_from_bytes)
    }
}
