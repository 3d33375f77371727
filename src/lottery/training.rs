//! A node of the plan: one network trained once.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::key::Key;
use crate::prune::Counts;

/// Where a training's mask comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaskRule {
    /// All ones.
    Dense,
    /// The parent's mask, less the weights a round of pruning cuts by the parent's trained weights.
    Prune {
        /// The previous training of the chain.
        parent: Key,
    },
    /// The mask of another training.
    Of {
        /// That training.
        parent: Key,
    },
    /// Uniformly random, with another training's count in every layer.
    Random {
        /// That training.
        like: Key,
    },
}

/// Where a training's weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartRule {
    /// θ₀, drawn for this replicate.
    Initial,
    /// θ₀ as the replicate's dense training had it.
    Rewind {
        /// That training.
        dense: Key,
    },
    /// A fresh draw from the distribution of θ₀.
    Reinit,
}

/// What a training must find of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Its entry: that it is done, its mask, its initial weights.
    Entry,
    /// Its final weights.
    Last,
}

/// All that determines a training's numbers, as JSON: what it has in common with the whole experiment, which is kept
/// once, and what is its own.
#[derive(Clone, Debug)]
pub struct Content {
    pub(super) shared: Arc<Shared>,
    pub(super) own: Value,
}

/// What all trainings of an experiment have in common, and its text.
#[derive(Debug)]
pub(super) struct Shared {
    value: Value,
    text: String,
}

impl Shared {
    pub(super) fn new(value: Value) -> Self {
        Self { text: value.to_string(), value }
    }
}

impl Content {
    /// The whole: the fields in common, then its own.
    pub fn value(&self) -> Value {
        let mut whole = self.shared.value.clone();
        if let (Some(whole), Some(own)) = (whole.as_object_mut(), self.own.as_object()) {
            whole.extend(own.clone());
        }
        whole
    }

    /// Its key: the hash of the whole's text, put together from the parts' texts, since most of it never changes.
    pub(super) fn key(&self) -> Key {
        let shared = self.shared.text.strip_suffix('}').unwrap_or_default();
        let own = self.own.to_string();
        Key::of_text(&format!("{shared},{}", own.strip_prefix('{').unwrap_or_default()))
    }
}

/// One network trained once.
#[derive(Clone, Debug)]
pub struct Training {
    /// The hash of [`Training::content`].
    pub key: Key,
    /// All that determines the numbers.
    pub content: Content,
    /// The arm it is for; `dense` for round 0.
    pub arm: String,
    /// From 1.
    pub replicate: u32,
    /// From 1.
    pub repeat: u32,
    /// Number of prunings.
    pub round: u32,
    /// Where its mask comes from.
    pub mask: MaskRule,
    /// Where its weights come from.
    pub start: StartRule,
    /// How many weights its mask keeps.
    pub counts: Counts,
}

impl Training {
    /// The trainings that must be done before this one, each once, and what it needs of them.
    pub fn needs(&self) -> Vec<(&Key, Need)> {
        let mut needs = Vec::new();
        match &self.mask {
            MaskRule::Dense => {}
            MaskRule::Prune { parent } => needs.push((parent, Need::Last)),
            MaskRule::Of { parent: key } | MaskRule::Random { like: key } => needs.push((key, Need::Entry)),
        }
        match &self.start {
            StartRule::Initial | StartRule::Reinit => {}
            StartRule::Rewind { dense } => needs.push((dense, Need::Entry)),
        }
        // Who needs the weights needs the entry; a stable order, so that the first of a key is the most it needs.
        needs.sort_by(|a, b| a.0.cmp(b.0).then(b.1.cmp(&a.1)));
        needs.dedup_by_key(|(key, _)| *key);
        needs
    }
}

impl MaskRule {
    /// Whether the mask goes on from a previous round's.
    pub fn is_chain(&self) -> bool {
        matches!(self, Self::Prune { .. })
    }

    /// What of the rule determines the mask.
    pub(super) fn content(&self, pruning: &Value) -> Value {
        match self {
            Self::Dense => json!("dense"),
            Self::Prune { parent } => json!({ "prune": parent, "by": pruning }),
            Self::Of { parent } => json!({ "of": parent }),
            Self::Random { like } => json!({ "random": like }),
        }
    }
}

impl StartRule {
    /// What of the rule determines the weights.
    pub(super) fn content(&self) -> Value {
        match self {
            Self::Initial => json!("initial"),
            Self::Rewind { dense } => json!({ "rewind": dense }),
            Self::Reinit => json!("reinit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_hash_of_the_whole() {
        let shared = Arc::new(Shared::new(json!({ "b": 1, "a": [0.1] })));
        let content = Content { shared, own: json!({ "round": 2 }) };
        assert_eq!(content.value().to_string(), r#"{"b":1,"a":[0.1],"round":2}"#);
        assert_eq!(content.key(), Key::of(&content.value()));
    }
}
