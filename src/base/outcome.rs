//! The outcome of a training.

use serde::{Deserialize, Serialize};

use super::category::Categorical;
use super::key::ContentHash;

/// The outcome of a training. A training that fails or diverges never stops the others, but those that depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Trained to its last iteration.
    Done,
    /// The loss or a weight is not finite any more. This is a result: stored, and not tried again.
    Diverged {
        /// Iteration of the evaluation that found it.
        iteration: u64,
    },
    /// An error or a panic ended it. Never stored: the same command tries again.
    Failed {
        /// The error with its causes.
        cause: String,
    },
    /// It depends on a training that diverged, failed or is blocked itself.
    Blocked {
        /// Key of that training.
        by: ContentHash,
    },
}

impl Outcome {
    /// Returns the kind of the outcome, without its particulars.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Done => OutcomeKind::Done,
            Self::Diverged { .. } => OutcomeKind::Diverged,
            Self::Failed { .. } => OutcomeKind::Failed,
            Self::Blocked { .. } => OutcomeKind::Blocked,
        }
    }

    /// Returns the word of the outcome in CSV files.
    pub fn as_str(&self) -> &'static str {
        self.kind().as_str()
    }
}

/// The kind of an [`Outcome`]: the column `outcome` of `rounds.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeKind {
    /// See [`Outcome::Done`].
    Done,
    /// See [`Outcome::Diverged`].
    Diverged,
    /// See [`Outcome::Failed`].
    Failed,
    /// See [`Outcome::Blocked`].
    Blocked,
}

impl Categorical for OutcomeKind {
    const ALL: &'static [Self] = &[Self::Done, Self::Diverged, Self::Failed, Self::Blocked];

    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Diverged => "diverged",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
        }
    }
}
