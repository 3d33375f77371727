//! A node of the plan: one network trained once.

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

/// One network trained once.
#[derive(Clone, Debug)]
pub struct Training {
    /// The hash of [`Training::content`].
    pub key: Key,
    /// All that determines the numbers.
    pub content: Value,
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
    /// The trainings that must be done before this one.
    pub fn after(&self) -> Vec<&Key> {
        let mask = match &self.mask {
            MaskRule::Dense => None,
            MaskRule::Prune { parent } | MaskRule::Of { parent } => Some(parent),
            MaskRule::Random { like } => Some(like),
        };
        let start = match &self.start {
            StartRule::Rewind { dense } => Some(dense),
            StartRule::Initial | StartRule::Reinit => None,
        };
        let mut after: Vec<&Key> = mask.into_iter().chain(start).collect();
        after.dedup();
        after
    }

    /// The training whose final weights this one needs.
    pub fn prunes(&self) -> Option<&Key> {
        match &self.mask {
            MaskRule::Prune { parent } => Some(parent),
            _ => None,
        }
    }
}

impl MaskRule {
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
