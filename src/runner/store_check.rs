//! Checks the files of the store against the checksums in their manifests.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::store::verified;
use super::store_listing::{Listing, name};
use crate::artifacts::EntryManifest;
use crate::base::key::ContentHash;
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
            if !entry.manifest_file().exists() {
                report.unfinished += 1;
            } else if let Err(error) = check(entry, &name) {
                report.damaged.push(format!("{}: {error:#}", name.get(..8).unwrap_or(&name)));
            } else {
                report.trainings += 1;
            }
        }
        report.foreign = listing.foreign;
        Ok(report)
    }
}

/// Compares the files of an entry with the checksums in its `done.json`.
///
/// # Errors
/// Fails at the first file that differs, or is missing and cannot have been freed.
fn check(entry: &TrainingDir, name: &str) -> Result<()> {
    let manifest: EntryManifest = serde_json::from_slice(&fs::read(entry.manifest_file())?)?;
    anyhow::ensure!(
        manifest.key.to_string() == name && ContentHash::of_json(&manifest.content) == manifest.key,
        "is not what its name says"
    );
    for file in manifest.files.keys() {
        if !TrainingDir::can_be_freed(file) || entry.file(file).exists() {
            verified(entry, &manifest, file)?;
        }
    }
    Ok(())
}
