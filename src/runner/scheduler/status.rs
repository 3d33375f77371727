//! The state of a node, and which dependencies on it are met in that state.

use anyhow::Error;

use crate::base::outcome::Outcome;
use crate::lottery::{AuditError, Dependency};

/// The reason why a training run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::runner) struct TrainingFailure {
    /// The error with its causes.
    pub(in crate::runner) cause: String,
    /// Whether the audit found the error.
    pub(in crate::runner) by_audit: bool,
}

impl TrainingFailure {
    /// Returns the failure of a training run that ended with `error`.
    pub(in crate::runner) fn new(error: &Error) -> Self {
        Self { cause: format!("{error:#}"), by_audit: error.is::<AuditError>() }
    }
}

/// The state of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NodeState {
    /// Its job has not begun.
    Ready,
    /// A worker of this process runs its job.
    Running,
    /// Another process held its lock when a worker last tried to take it.
    HeldElsewhere,
    /// It is in the store with everything that the run needs of it.
    Finished,
    /// It is not stored, and this process does not train it ([`Selection`](super::super::jobs::Selection)).
    LeftOut,
    /// Its job failed.
    Failed(TrainingFailure),
    /// Its job cannot run, because the node with this index failed, diverged or is blocked.
    Blocked(usize),
}

/// The state of a node, with its outcome and the dependencies that it waits for.
pub(super) struct NodeStatus {
    pub(super) state: NodeState,
    /// The outcome in the store; `None` if the node is not stored. A rerun that fails does not change it.
    pub(super) stored: Option<Outcome>,
    /// The number of the node's dependencies that are not met yet.
    pub(super) unmet: usize,
}

/// Which dependencies on a node are met.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Met {
    /// Those that need only its entry in the store ([`Dependency::Entry`]).
    pub(super) entry: bool,
    /// Those that need its final weights or a snapshot: a job of the node may still have to write them.
    pub(super) weights: bool,
}

impl Met {
    /// Returns whether `dependency` on the node is met.
    pub(super) fn includes(self, dependency: Dependency) -> bool {
        if dependency == Dependency::Entry { self.entry } else { self.weights }
    }
}

impl NodeStatus {
    /// Returns which dependencies on the node are met.
    pub(super) fn met(&self) -> Met {
        let is_done = self.stored == Some(Outcome::Done);
        Met { entry: is_done, weights: is_done && self.state == NodeState::Finished }
    }

    /// Returns whether `dependency` on the node can be met, now or later: not if the node diverged, and not if its job
    /// failed or is blocked and has to write what is needed.
    pub(super) fn can_meet(&self, dependency: Dependency) -> bool {
        let will_not_run = matches!(self.state, NodeState::Failed(_) | NodeState::Blocked(_));
        match &self.stored {
            Some(Outcome::Done) => dependency == Dependency::Entry || !will_not_run,
            Some(_) => false,
            None => !will_not_run,
        }
    }
}
