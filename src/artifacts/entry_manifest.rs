//! The page that says an entry of the store is whole: written last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::key::{ContentHash, sha256};
use crate::base::outcome::Outcome;

/// Length and sum of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChecksum {
    /// Length.
    pub bytes: u64,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

impl FileChecksum {
    /// Length and sum of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

/// `done.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntryManifest {
    /// Version of the files of an entry.
    pub format: u32,
    /// The whole key.
    pub key: ContentHash,
    /// What the key is the hash of.
    pub content: Value,
    /// `done` or `diverged`.
    pub outcome: Outcome,
    /// Weights kept in each layer, in the network's order.
    pub weights_kept: Vec<u64>,
    /// Every file of the entry by name, those freed since included.
    pub files: BTreeMap<String, FileChecksum>,
}

impl EntryManifest {
    /// The version written by this program.
    pub const FORMAT: u32 = 1;
}

/// `timing.json`: what may differ between two runs of the same training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Seconds from the first step to the last evaluation; of a group in lockstep, divided by its lanes.
    pub seconds: f64,
    /// Steps per second, evaluations included; of a group in lockstep, those of all its lanes.
    pub iterations_per_second: f64,
    /// The machine.
    pub host: String,
    /// Lanes of the group it was trained in.
    #[serde(default = "default_lanes")]
    pub lanes: usize,
}

/// What was written before there were lanes had one.
fn default_lanes() -> usize {
    1
}
