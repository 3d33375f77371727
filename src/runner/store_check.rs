//! Checks the files of the store against the checksums in their manifests.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::store::{StoredManifest, agrees_with_files, read_manifest, read_verified};
use super::store_listing::{Listing, name};
use crate::artifacts::EntryManifest;
use crate::system::files;
use crate::system::paths::{RunsDir, TrainingDir};

/// The contents of a store and the damage found in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct StoreReport {
    /// The number of finished training runs whose files agree with their checksums.
    pub trainings: usize,
    /// The number of training runs that were started and have not finished.
    pub unfinished: usize,
    /// The number of training runs that `--fresh` archived.
    #[serde(rename = "set_aside")]
    pub archived: usize,
    /// Bytes on disk, with the archived training runs.
    pub bytes: u64,
    /// One line per damaged training run, `<first 8 digits of the key>: <damage>`. A run that needs a damaged training
    /// run trains it again.
    pub damaged: Vec<String>,
    /// Files and folders in the store that this program did not write.
    pub foreign: Vec<PathBuf>,
}

impl StoreReport {
    /// Reads every file of the store of `runs` and compares it with its checksum.
    ///
    /// # Errors
    /// Fails if a folder cannot be listed. Damage is no error: see [`damaged`](Self::damaged).
    pub fn of(runs: &RunsDir) -> Result<Self> {
        let mut report = Self::default();
        let listing = Listing::of(runs)?;
        report.archived = listing.archived.len();
        report.bytes = listing.entries.iter().chain(&listing.archived).map(|entry| files::size(&entry.0)).sum();
        for entry in &listing.entries {
            let name = name(&entry.0);
            let named = |damage: &str| format!("{}: {damage}", name.get(..8).unwrap_or(&name));
            match check_entry(entry) {
                Ok(EntryState::Unfinished) => report.unfinished += 1,
                Ok(EntryState::Damaged(damage)) => report.damaged.push(named(&damage.join("; "))),
                Ok(EntryState::Whole(_)) => report.trainings += 1,
                Err(error) => report.damaged.push(named(&format!("{error:#}"))),
            }
        }
        report.foreign = listing.foreign;
        Ok(report)
    }
}

/// The result of checking an entry.
pub(super) enum EntryState {
    /// It has no manifest: it is not complete.
    Unfinished,
    /// It is damaged; with a line for each damage.
    Damaged(Vec<String>),
    /// Every file that has not been freed has its checksum.
    Whole(Box<EntryManifest>),
}

/// Compares the files of an entry with the checksums in its `done.json`.
///
/// # Errors
/// Fails if a file exists and cannot be read, or a newer version of this program wrote the entry.
pub(super) fn check_entry(entry: &TrainingDir) -> Result<EntryState> {
    let manifest = match read_manifest(entry)? {
        StoredManifest::Missing => return Ok(EntryState::Unfinished),
        StoredManifest::Damaged(cause) => {
            return Ok(EntryState::Damaged(vec![format!("`{}`: {cause}", entry.manifest_file().display())]));
        }
        StoredManifest::Whole(manifest) => manifest,
    };
    let mut damage = Vec::new();
    if manifest.key.to_string() != name(&entry.0) || !manifest.has_key_of_content() {
        damage.push("its files are not those of the training run that its name says".to_owned());
    }
    for file in manifest.files.keys() {
        let path = entry.file(file);
        if read_verified(entry, &manifest, file)?.is_none() {
            match path.symlink_metadata() {
                Ok(_) => damage.push(format!("`{}` is damaged", path.display())),
                Err(_) if TrainingDir::can_be_freed(file) => {}
                Err(_) => damage.push(format!("`{}` is missing", path.display())),
            }
        }
    }
    if damage.is_empty() && manifest.format < EntryManifest::FORMAT && !agrees(entry, &manifest)? {
        damage.push(format!("`{}` does not agree with its files", entry.manifest_file().display()));
    }
    Ok(if damage.is_empty() { EntryState::Whole(manifest) } else { EntryState::Damaged(damage) })
}

/// Returns whether a manifest without a checksum of itself agrees with the files of its entry.
fn agrees(entry: &TrainingDir, manifest: &EntryManifest) -> Result<bool> {
    let curve = read_verified(entry, manifest, TrainingDir::CURVE)?;
    let Some(curve) = curve.and_then(|bytes| serde_json::from_slice(&bytes).ok()) else { return Ok(false) };
    let mask = read_verified(entry, manifest, TrainingDir::MASK)?;
    Ok(agrees_with_files(manifest, &curve, mask.as_deref()))
}
