//! Whether what is stored is what was stored.

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

/// What a store holds, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreReport {
    /// Trainings that are whole.
    pub trainings: usize,
    /// Trainings that were begun and are not done.
    pub unfinished: usize,
    /// Trainings that `--fresh` has set aside.
    pub set_aside: usize,
    /// Bytes on disk, those set aside included.
    pub bytes: u64,
    /// What is damaged, and how: a run that needs it trains it again.
    pub damaged: Vec<String>,
    /// Files and folders in the store that this program did not write.
    pub foreign: Vec<PathBuf>,
}

impl StoreReport {
    /// Reads every file of the store of `runs` and compares it with its sum.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn of(runs: &RunsDir) -> Result<Self> {
        let mut health = Self::default();
        let listing = Listing::of(runs)?;
        health.set_aside = listing.set_aside.len();
        health.bytes = listing.entries.iter().chain(&listing.set_aside).map(|entry| files::size(&entry.0)).sum();
        for entry in &listing.entries {
            let name = name(&entry.0);
            if !entry.manifest_file().exists() {
                health.unfinished += 1;
            } else if let Err(error) = check(entry, &name) {
                health.damaged.push(format!("{}: {error:#}", name.get(..8).unwrap_or(&name)));
            } else {
                health.trainings += 1;
            }
        }
        health.foreign = listing.foreign;
        Ok(health)
    }
}

/// Compares the files of an entry with what its last page tells of them.
fn check(entry: &TrainingDir, name: &str) -> Result<()> {
    let done: EntryManifest = serde_json::from_slice(&fs::read(entry.manifest_file())?)?;
    anyhow::ensure!(
        done.key.to_string() == name && ContentHash::of_json(&done.content) == done.key,
        "is not what its name says"
    );
    for file in done.files.keys() {
        if !TrainingDir::can_be_freed(file) || entry.file(file).exists() {
            verified(entry, &done, file)?;
        }
    }
    Ok(())
}
