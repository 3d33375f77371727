//! JSON files that carry a checksum of themselves: `done.json`, `stability.json` and `run.json`.
//!
//! The first field, `checksum`, is the SHA-256 of the file with that field empty, so that a shell can check it:
//! `sed '2s/[0-9a-f]\{64\}//' FILE | sha256sum`.

use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;

use crate::base::key::{sha256, sha256_of_parts};

/// The bytes before the digits of the checksum.
const HEAD: &[u8] = b"{\n  \"checksum\": \"";
/// The number of hexadecimal digits of a checksum.
const DIGITS: usize = 64;

/// The contents of a file, with the checksum before them.
#[derive(Serialize, JsonSchema)]
pub struct Checksummed<T> {
    /// SHA-256 of the file with this field empty, 64 hexadecimal digits; missing where an older version wrote the file.
    checksum: String,
    #[serde(flatten)]
    contents: T,
}

/// The result of comparing a file with the checksum that it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumState {
    /// The file has the checksum that it carries.
    Intact,
    /// The file has another checksum.
    Damaged,
    /// The file carries no checksum: an older version of this program wrote it.
    Absent,
}

/// Returns `contents`, which must be a JSON object, as a file that carries its checksum.
///
/// # Errors
/// Fails if `contents` cannot be serialized.
pub fn to_checksummed_json<T: Serialize>(contents: &T) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(&Checksummed { checksum: String::new(), contents })?;
    let digits = sha256(&bytes);
    bytes.splice(HEAD.len()..HEAD.len(), digits.bytes());
    Ok(bytes)
}

/// Compares a file with the checksum that it carries.
pub fn checksum_state(bytes: &[u8]) -> ChecksumState {
    let Some(rest) = bytes.strip_prefix(HEAD) else { return ChecksumState::Absent };
    match rest.split_at_checked(DIGITS) {
        Some((digits, rest)) if sha256_of_parts(&[HEAD, rest]).as_bytes() == digits => ChecksumState::Intact,
        _ => ChecksumState::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_carries_the_checksum_of_itself_without_checksum() {
        let bytes = to_checksummed_json(&serde_json::json!({ "a": 1 })).unwrap();
        let sum = sha256(b"{\n  \"checksum\": \"\",\n  \"a\": 1\n}");
        assert_eq!(
            String::from_utf8(bytes.clone()).unwrap(),
            format!("{{\n  \"checksum\": \"{sum}\",\n  \"a\": 1\n}}")
        );
        assert_eq!(checksum_state(&bytes), ChecksumState::Intact);
        assert_eq!(checksum_state(b"{\n  \"a\": 1\n}"), ChecksumState::Absent);
        assert_eq!(checksum_state(&bytes[..40]), ChecksumState::Damaged);
    }

    #[test]
    fn no_changed_bit_passes_for_intact() {
        let bytes = to_checksummed_json(&serde_json::json!({ "a": [1, 2], "b": "text" })).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum_state(&changed), ChecksumState::Intact, "bit {bit}");
        }
    }
}
