//! `done.json`, the manifest of a store entry: written last, so that an entry that has one is complete.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::key::{ContentHash, sha256};
use crate::base::outcome::Outcome;

/// The length and checksum of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChecksum {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

impl FileChecksum {
    /// Returns the length and checksum of a file's contents.
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

/// The contents of `done.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntryManifest {
    /// Version of the files of an entry: [`FORMAT`](Self::FORMAT) where this program wrote it.
    pub format: u32,
    /// The key of the training run.
    pub key: ContentHash,
    /// The JSON value that the key is the hash of.
    pub content: Value,
    /// `done` or `diverged`.
    pub outcome: Outcome,
    /// Weights kept in each layer, in the network's order.
    pub weights_kept: Vec<u64>,
    /// Every file of the entry by name, including files that garbage collection has deleted since.
    pub files: BTreeMap<String, FileChecksum>,
}

impl EntryManifest {
    /// The version that this program writes.
    pub const FORMAT: u32 = 1;
}

/// The contents of `timing.json`: the only file of an entry that may differ if the training run is repeated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Seconds from the first step to the last evaluation; with several lanes, those of the lockstep group divided by
    /// `lanes`.
    pub seconds: f64,
    /// Steps per second, with the time of evaluations included; with several lanes, the sum over the lockstep group.
    pub iterations_per_second: f64,
    /// Host name of the machine.
    pub host: String,
    /// Number of lanes of the lockstep group that the training run belonged to.
    #[serde(default = "default_lanes")]
    pub lanes: usize,
}

/// Returns the lanes of a file without them: it was written before lanes were introduced, when training runs had one
/// lane.
fn default_lanes() -> usize {
    1
}
