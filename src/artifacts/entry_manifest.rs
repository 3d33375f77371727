//! `done.json`, the manifest of a store entry: written last, so that an entry that has one is complete.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::checksummed_json::{ChecksumState, checksum_state, to_checksummed_json};
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
    /// The iteration of the dense network at which its mask was drawn, of early-bird masks only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drawn_at: Option<u64>,
    /// Every file of the entry by name, including files that garbage collection has deleted since.
    pub files: BTreeMap<String, FileChecksum>,
}

/// The error of a `done.json` that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The file is not what this program wrote.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// A newer version of this program wrote the file, in the format of this number.
    #[error("a newer version of lth wrote it (format {0})")]
    Newer(u32),
}

/// The part of the manifest that every version of this program can read.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

impl EntryManifest {
    /// The version that this program writes. Files of version 1 carry no checksum of themselves.
    pub const FORMAT: u32 = 2;

    /// Returns the bytes of the file, with its checksum.
    ///
    /// # Errors
    /// Fails if the manifest cannot be serialized.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        to_checksummed_json(self)
    }

    /// Reads a manifest from the bytes of its file.
    ///
    /// # Errors
    /// Fails if the file does not have the checksum that it carries, carries none although its version must, is no
    /// manifest, or was written by a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let damaged = |cause: &dyn std::fmt::Display| ManifestError::Damaged(cause.to_string());
        // The format comes first: the rest of a newer version's manifest may differ.
        let Format { format } = serde_json::from_slice(bytes).map_err(|error| damaged(&error))?;
        if format > Self::FORMAT {
            return Err(ManifestError::Newer(format));
        }
        match (checksum_state(bytes), format) {
            (ChecksumState::Intact, Self::FORMAT) | (ChecksumState::Absent, 1) => {}
            _ => return Err(ManifestError::Damaged("its checksum is wrong".to_owned())),
        }
        serde_json::from_slice(bytes).map_err(|error| damaged(&error))
    }

    /// Returns whether the key of the manifest is the hash of its content.
    pub fn has_key_of_content(&self) -> bool {
        ContentHash::of_json(&self.content) == self.key
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> EntryManifest {
        let content = serde_json::json!({ "seed": 1 });
        EntryManifest {
            format: EntryManifest::FORMAT,
            key: ContentHash::of_json(&content),
            content,
            outcome: Outcome::Diverged { iteration: 30 },
            weights_kept: vec![100, 20],
            drawn_at: None,
            files: BTreeMap::from([("curve.json".to_owned(), FileChecksum::of(b"[]"))]),
        }
    }

    #[test]
    fn no_changed_bit_of_a_manifest_is_read() {
        let bytes = manifest().to_bytes().unwrap();
        assert_eq!(EntryManifest::from_bytes(&bytes), Ok(manifest()));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(EntryManifest::from_bytes(&changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn manifest_of_version_1_is_read_without_checksum_and_later_ones_are_not() {
        let old = EntryManifest { format: 1, ..manifest() };
        assert_eq!(EntryManifest::from_bytes(&serde_json::to_vec_pretty(&old).unwrap()), Ok(old.clone()));
        let sealed = old.to_bytes().unwrap();
        assert!(matches!(EntryManifest::from_bytes(&sealed), Err(ManifestError::Damaged(_))), "no version wrote it");
        let bare = serde_json::to_vec_pretty(&manifest()).unwrap();
        assert!(matches!(EntryManifest::from_bytes(&bare), Err(ManifestError::Damaged(_))), "its checksum is gone");
        assert_eq!(EntryManifest::from_bytes(br#"{"format": 3}"#), Err(ManifestError::Newer(3)));
    }
}
