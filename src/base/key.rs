//! Names made from content. The same key means the same numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// SHA-256 of all that determines a training's numbers; written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The key of `content`: the hash of its compact JSON, object keys in the order they were written.
    pub fn of_json(content: &serde_json::Value) -> Self {
        Self::of_json_text(&content.to_string())
    }

    /// The key of content that is compact JSON already.
    pub fn of_json_text(content: &str) -> Self {
        Self(Sha256::digest(content.as_bytes()).into())
    }

    /// The first 8 digits, for the eye.
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
        write!(f, "Key({})", self.short())
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text is not a key: a key is 64 hexadecimal digits in small letters.
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

/// SHA-256 of `bytes`, as 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    ContentHash(Sha256::digest(bytes).into()).to_string()
}

/// SHA-256 of `parts` one after another.
pub fn sha256_of(parts: &[&[u8]]) -> String {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update(part);
    }
    ContentHash(sum.finalize().into()).to_string()
}

/// SHA-256 of the file at `path`, however large it is.
pub fn sha256_of_file(path: &std::path::Path) -> anyhow::Result<String> {
    use anyhow::Context;
    let read = || {
        let (mut file, mut sum) = (std::fs::File::open(path)?, Sha256::new());
        let mut buffer = vec![0; 1 << 16];
        loop {
            match std::io::Read::read(&mut file, &mut buffer)? {
                0 => return Ok::<_, std::io::Error>(sum),
                read => sum.update(&buffer[..read]),
            }
        }
    };
    let sum = read().with_context(|| format!("could not read `{}`", path.display()))?;
    Ok(ContentHash(sum.finalize().into()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_sha_256() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(ContentHash::of_json_text("abc").short(), "ba7816bf");
    }

    #[test]
    fn a_key_is_written_as_its_digits_and_read_back() {
        let key = ContentHash::of_json_text("abc");
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(text, format!("\"{key}\""));
        assert_eq!(serde_json::from_str::<ContentHash>(&text).unwrap(), key);
        assert!(serde_json::from_str::<ContentHash>("\"ba78\"").is_err());
    }
}
