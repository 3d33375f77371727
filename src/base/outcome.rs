//! The outcome of a training run.

use serde::{Deserialize, Serialize};

use super::category::Categorical;
use super::key::ContentHash;

/// The outcome of a training run. A training run that fails or diverges stops only the training runs that depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Trained to its last iteration.
    Done,
    /// The loss or a weight is not finite any more. This is a result: it is stored, and the training run is not
    /// repeated.
    Diverged {
        /// Number of iterations done at the evaluation that found the value; a plain number, as it is written to files.
        iteration: u64,
    },
    /// The training run ended with an error or a panic. Not stored, so the same command runs it again.
    Failed {
        /// The error with its causes.
        cause: String,
    },
    /// The training run depends on one that diverged, failed or is blocked itself.
    Blocked {
        /// Key of the training run that it depends on.
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
