//! How a training ended.

use serde::{Deserialize, Serialize};

use super::key::ContentHash;

/// How a training ended. One that did not end well never stops the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Trained to its last iteration.
    Done,
    /// The loss or a weight stopped being a finite number. A result: stored, and not tried again.
    Diverged {
        /// The evaluation that found it.
        iteration: u64,
    },
    /// Something broke. Never stored: the same command tries again.
    Failed {
        /// What broke, with its causes.
        cause: String,
    },
    /// Needs the result of a training that diverged, failed or is blocked itself.
    Blocked {
        /// That training.
        by: ContentHash,
    },
}

impl Outcome {
    /// The word for CSVs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Diverged { .. } => "diverged",
            Self::Failed { .. } => "failed",
            Self::Blocked { .. } => "blocked",
        }
    }
}
