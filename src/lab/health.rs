//! Whether what is stored is what was stored.

use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::store::verified;
use crate::base::files;
use crate::base::key::Key;
use crate::base::paths::{Entry, Runs};
use crate::record::Done;

/// What a store holds, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Health {
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
}

impl Health {
    /// Reads every file of the store of `runs` and compares it with its sum.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn of(runs: &Runs) -> Result<Self> {
        let mut health = Self::default();
        for path in files::list(&runs.store())? {
            health.bytes += files::size(&path);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("old-") {
                health.set_aside += files::list(&path)?.len();
            } else if !Entry(path.clone()).done().exists() {
                health.unfinished += 1;
            } else if let Err(error) = check(&path, &name) {
                health.damaged.push(format!("{}: {error:#}", name.get(..8).unwrap_or(&name)));
            } else {
                health.trainings += 1;
            }
        }
        Ok(health)
    }
}

/// Compares the files of an entry with what its last page tells of them.
fn check(path: &Path, name: &str) -> Result<()> {
    let entry = Entry(path.to_owned());
    let done: Done = serde_json::from_slice(&fs::read(entry.done())?)?;
    anyhow::ensure!(done.key.to_string() == name && Key::of(&done.content) == done.key, "is not what its name says");
    for file in done.files.keys() {
        if !Entry::can_be_freed(file) || entry.file(file).exists() {
            verified(&entry, &done, file)?;
        }
    }
    Ok(())
}
