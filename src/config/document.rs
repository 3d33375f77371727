//! A configuration as text and values, and where each value came from. Independent of the names of the keys.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::encoding;
use crate::system::env;

/// Largest length of a text for which a replacement of a mistake is looked for, in bytes: the whole text is read again
/// for each candidate.
pub(super) const MAX_TRIED: usize = 20_000;

/// The byte ranges of a key and its value in the source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The range of the key.
    pub key: Range<usize>,
    /// The range of the value.
    pub value: Range<usize>,
}

/// Where a value came from. A value without an origin is a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file.
    File(Span),
    /// The `--set` option with this text, which all values in it share.
    Set(Arc<str>),
    /// The `--unset` option with this text: it removed the value that was there, so that the default holds.
    Unset(String),
}

/// A change of a configuration on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Override {
    /// `--set key.path=value`.
    Set(String),
    /// `--unset key.path`.
    Unset(String),
}

/// The origins of values, by path.
pub(super) type Origins = BTreeMap<String, Origin>;

/// A configuration file with its overrides applied.
#[derive(Clone, Debug)]
pub struct ConfigDocument {
    /// The file as the user named it.
    pub name: String,
    /// The text of the file.
    pub text: String,
    /// The values, with the overrides applied.
    pub root: Value,
    /// The origins of the values, by path.
    pub(super) origins: Origins,
    /// Whether the text is JSON.
    pub(super) is_json: bool,
}

impl ConfigDocument {
    /// Returns whether the text is JSON.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// Returns the path of the value that begins at byte `start` of the text.
    pub(super) fn path_at(&self, start: usize) -> Option<&str> {
        let begins = |origin: &Origin| matches!(origin, Origin::File(span) if span.value.start == start);
        self.origins.iter().find(|(_, origin)| begins(origin)).map(|(path, _)| path.as_str())
    }

    /// Returns where the value at `path` came from; for a value without an origin, the nearest table around it that has
    /// one.
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        let mut path = path;
        loop {
            if let Some(origin) = self.origins.get(path) {
                return Some(origin);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    /// Returns the text of each `--unset` option in effect, sorted by path.
    pub fn unset_keys(&self) -> impl Iterator<Item = &str> {
        self.origins.values().filter_map(|origin| match origin {
            Origin::Unset(key) => Some(key.as_str()),
            Origin::File(_) | Origin::Set(_) => None,
        })
    }

    /// Like [`origin`](Self::origin), but `None` for a value without an origin of its own, such as a default.
    pub fn exact_origin(&self, path: &str) -> Option<&Origin> {
        self.origins.get(path)
    }

    /// Returns the options of the command line that changed the configuration, such as `--set train.lr=0.1`, each once
    /// and quoted for a shell, sorted by the paths of their values.
    pub fn override_options(&self) -> Vec<String> {
        let mut options = Vec::new();
        for origin in self.origins.values() {
            let option = match origin {
                Origin::File(_) => continue,
                Origin::Set(text) => format!("--set {}", env::quoted(text)),
                Origin::Unset(text) => format!("--unset {}", env::quoted(text)),
            };
            if !options.contains(&option) {
                options.push(option);
            }
        }
        options
    }

    /// Returns the line and column of a byte, both from 1; columns count characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        encoding::position(&self.text, byte)
    }
}
