//! SHA-256 digests of content: the keys of training runs and the ids of plans. Equal keys mean equal numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A SHA-256 digest: the key of a training run (of all that determines its numbers), or the id of a plan. Written as 64
/// lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// Returns the hash of `content`: of its compact JSON, with the keys of objects in the order they were written.
    pub fn of_json(content: &serde_json::Value) -> Self {
        Self::of_json_text(&content.to_string())
    }

    /// Like [`of_json`](Self::of_json), but `content` is compact JSON already.
    pub fn of_json_text(content: &str) -> Self {
        Self(Sha256::digest(content.as_bytes()).into())
    }

    /// Returns the hash with the bytes of a SHA-256 `digest`.
    pub fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Returns the first 8 of the 64 digits, for messages and names of folders.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({})", self.short())
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The error for a text that is not a [`ContentHash`]: not 64 lower-case hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct InvalidHash;

impl FromStr for ContentHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 64 || !text.bytes().all(is_digit) {
            return Err(InvalidHash);
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| InvalidHash)?;
        }
        Ok(Self(bytes))
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Returns the SHA-256 of `bytes` as 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    ContentHash(Sha256::digest(bytes).into()).to_string()
}

/// Returns the SHA-256 of `parts` one after another, as 64 hexadecimal digits.
pub fn sha256_of_parts(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    ContentHash(hasher.finalize().into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_hash_is_sha_256() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(ContentHash::of_json_text("abc").short(), "ba7816bf");
    }

    #[test]
    fn content_hash_is_written_as_digits_and_read_back() {
        let key = ContentHash::of_json_text("abc");
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(text, format!("\"{key}\""));
        assert_eq!(serde_json::from_str::<ContentHash>(&text).unwrap(), key);
        assert!(serde_json::from_str::<ContentHash>("\"ba78\"").is_err());
    }
}
