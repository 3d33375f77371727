//! Counts of nodes by state, for each lockstep group and for the whole run, kept up to date with every transition.

use std::collections::BTreeSet;

use super::status::{NodeState, NodeStatus};
use crate::base::outcome::Outcome;

/// Rows of a plan, counted by the state of their training runs. A row is in one of `done`, `diverged`, `failed`,
/// `blocked`, `left_out` and `open`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunProgress {
    /// Rows that are stored and were trained to the end.
    pub done: usize,
    /// Rows that are stored and diverged.
    pub diverged: usize,
    /// Rows that failed and are not stored.
    pub failed: usize,
    /// Rows that are not stored and cannot be trained, because another training run failed or diverged.
    pub blocked: usize,
    /// Rows that are not stored and that this process does not train: they belong to other jobs.
    pub left_out: usize,
    /// Rows that have not ended.
    pub open: usize,
    /// Rows among `done` and `diverged` whose missing weights could not be made again.
    pub lost: usize,
    /// Rows among `done` and `diverged` whose missing weights have not been made again yet.
    pub reruns: usize,
}

impl RunProgress {
    /// Returns the number of rows that have ended, or cannot begin, without a result.
    pub fn missing(self) -> usize {
        self.diverged + self.failed + self.blocked
    }

    /// Returns whether training runs remain to be trained, or to be trained again for missing weights.
    pub fn has_work(self) -> bool {
        self.open + self.reruns > 0
    }
}

/// A lockstep group with its rank. The groups with the most expensive dependency paths have the lowest ranks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RankedGroup {
    /// The position of the group in the critical-path order, from 0.
    pub(super) rank: usize,
    /// The index of the group.
    pub(super) group: usize,
}

/// Counts of the members of a lockstep group.
#[derive(Clone, Copy, Default)]
struct GroupCounts {
    /// Members that are [`NodeState::Ready`].
    ready: usize,
    /// Dependencies of the ready members that are not met.
    unmet: usize,
    /// Members that are [`NodeState::HeldElsewhere`].
    held_elsewhere: usize,
}

/// The counts of a run, and the groups that a worker can take by them.
pub(super) struct Counts {
    /// The counts of each group.
    groups: Vec<GroupCounts>,
    /// The groups that have ready members, all of whose dependencies are met.
    pub(super) ready_groups: BTreeSet<RankedGroup>,
    /// The groups with a member that another process holds.
    pub(super) groups_elsewhere: BTreeSet<RankedGroup>,
    /// Nodes that are [`NodeState::Running`].
    pub(super) running: usize,
    pub(super) progress: RunProgress,
}

impl Counts {
    /// Returns the counts of a run with `groups` groups, before any node is added.
    pub(super) fn new(groups: usize) -> Self {
        Self {
            groups: vec![GroupCounts::default(); groups],
            ready_groups: BTreeSet::new(),
            groups_elsewhere: BTreeSet::new(),
            running: 0,
            progress: RunProgress::default(),
        }
    }

    /// Adds a node of `group` that is `rows` rows of the plan.
    pub(super) fn add(&mut self, status: &NodeStatus, group: RankedGroup, rows: usize) {
        self.change(status, group, rows, |count, amount| *count += amount);
    }

    /// Removes a node that was added with the same arguments.
    pub(super) fn remove(&mut self, status: &NodeStatus, group: RankedGroup, rows: usize) {
        self.change(status, group, rows, |count, amount| *count -= amount);
    }

    /// Adds a node to all counts, or removes it, as `change` does with one count.
    fn change(&mut self, status: &NodeStatus, group: RankedGroup, rows: usize, change: fn(&mut usize, usize)) {
        let NodeStatus { state, stored, unmet } = status;
        let counts = &mut self.groups[group.group];
        match state {
            NodeState::Ready => {
                change(&mut counts.ready, 1);
                change(&mut counts.unmet, *unmet);
            }
            NodeState::HeldElsewhere => change(&mut counts.held_elsewhere, 1),
            NodeState::Running => change(&mut self.running, 1),
            NodeState::Finished | NodeState::LeftOut | NodeState::Failed(_) | NodeState::Blocked(_) => {}
        }
        set_member(&mut self.ready_groups, group, counts.ready > 0 && counts.unmet == 0);
        set_member(&mut self.groups_elsewhere, group, counts.held_elsewhere > 0);
        let progress = &mut self.progress;
        if stored.is_some() && matches!(state, NodeState::Failed(_) | NodeState::Blocked(_)) {
            change(&mut progress.lost, rows);
        }
        if stored.is_some() && matches!(state, NodeState::Ready | NodeState::HeldElsewhere | NodeState::Running) {
            change(&mut progress.reruns, rows);
        }
        let total = match (stored, state) {
            (Some(Outcome::Done), _) => &mut progress.done,
            (Some(_), _) => &mut progress.diverged,
            (None, NodeState::Failed(_)) => &mut progress.failed,
            (None, NodeState::Blocked(_)) => &mut progress.blocked,
            (None, NodeState::LeftOut) => &mut progress.left_out,
            (None, _) => &mut progress.open,
        };
        change(total, rows);
    }
}

/// Inserts `group` into `groups` if it `is_member`, else removes it.
fn set_member(groups: &mut BTreeSet<RankedGroup>, group: RankedGroup, is_member: bool) {
    if is_member {
        groups.insert(group);
    } else {
        groups.remove(&group);
    }
}
