//! Who does what: the state of every training, and which one is next. Knows no file and no thread.

mod retention;
mod groups;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Error, Result};

use super::store::StoredTraining;
use crate::base::key::ContentHash;
use crate::base::outcome::Outcome;
use crate::config::KeepWeights;
use crate::lottery::{AuditError, Dependency, Plan, TrainingSpec, lockstep_groups};
use groups::GroupState;
pub(super) use groups::{GroupAssignment, GroupWork, Task};
pub(super) use retention::Retention;

/// What broke a training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrainingFailure {
    /// With its causes.
    pub(super) cause: String,
    /// Whether it is the audit that found it.
    pub(super) by_audit: bool,
}

impl TrainingFailure {
    pub(super) fn new(error: &Error) -> Self {
        Self { cause: format!("{error:#}"), by_audit: error.is::<AuditError>() }
    }
}

/// The state of a training.
#[derive(Clone, Debug)]
enum NodeState {
    /// Not begun.
    Ready,
    /// Done, but its final weights are needed and are not there: to be run again for them.
    Rerun(Arc<StoredTraining>),
    /// A worker of this process has it; with what is known of it, where it is run again.
    Running(Option<Arc<StoredTraining>>),
    /// Another process had it when last looked at.
    HeldElsewhere(Option<Arc<StoredTraining>>),
    /// In the store.
    Finished(Arc<StoredTraining>),
    /// Broken; if it was run again for its final weights, what is known of it still stands.
    Failed(TrainingFailure, Option<Arc<StoredTraining>>),
    /// In the store, but for final weights that cannot be made again because of another training.
    Unrecoverable(Arc<StoredTraining>),
    /// Needs a training that did not end well.
    Blocked(ContentHash),
}

impl NodeState {
    /// What is known of the training, if it is in the store.
    fn finished(&self) -> Option<Arc<StoredTraining>> {
        match self {
            Self::Rerun(finished) | Self::Finished(finished) | Self::Unrecoverable(finished) => {
                Some(Arc::clone(finished))
            }
            Self::Running(known) | Self::HeldElsewhere(known) | Self::Failed(_, known) => known.clone(),
            Self::Ready | Self::Blocked(_) => None,
        }
    }
}

/// How a plan stands: trainings that share a key are one. Inside, trainings go by number, in the plan's order, and so do
/// the groups that train in lockstep.
pub(super) struct Scheduler<'a> {
    nodes: Vec<Node<'a>>,
    by_key: BTreeMap<&'a ContentHash, usize>,
    /// Of each training of the plan, its number.
    of_plan: Vec<usize>,
    groups: Vec<GroupState>,
    /// The numbers of the groups by how much work hangs on them, longest chain first, then in the plan's order.
    order: Vec<usize>,
    /// The group that a worker asks another process about, and how many were asked about before.
    asking: Option<usize>,
    asked: usize,
    keep: KeepWeights,
}

struct Node<'a> {
    training: &'a TrainingSpec,
    /// The group it trains in.
    group: usize,
    state: NodeState,
    /// The trainings that must be done before this one, and what it needs of each.
    parents: Vec<(usize, Dependency)>,
    /// The trainings that need something of this one, and what.
    children: Vec<(usize, Dependency)>,
    /// Whether its final weights have been freed.
    freed: bool,
    /// Where it is run again: the iteration after which all that is wanted of it is there, if that is not the last.
    until: Option<u64>,
}

impl Node<'_> {
    fn is_to_run(&self) -> bool {
        matches!(self.state, NodeState::Ready | NodeState::Rerun(_))
    }

    /// The steps that work on it takes; `last` is the last iteration of a whole training.
    fn steps(&self, last: u64) -> u64 {
        self.until.unwrap_or(last).saturating_sub(self.training.start.iteration())
    }
}

/// How many trainings ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunProgress {
    /// In the store, trained to the end.
    pub done: usize,
    /// In the store, diverged.
    pub diverged: usize,
    /// Broken.
    pub failed: usize,
    /// Need one that did not end well.
    pub blocked: usize,
    /// Not ended.
    pub open: usize,
    /// Of the done: could not be run again for their final weights.
    pub lost: usize,
}

/// What a worker may do.
#[derive(Debug)]
pub(super) enum NextWork<'a> {
    /// These trainings, in lockstep.
    Train(GroupAssignment<'a>),
    /// Nothing just now: others are at work that this waits for.
    Wait,
    /// Nothing but to look whether another process is done with these.
    Poll(GroupAssignment<'a>),
    /// Nothing any more.
    Finished,
}

impl<'a> Scheduler<'a> {
    /// The board of `plan`, given how many lanes a group has at most, which final weights are to be kept, what each training
    /// costs, what is in the store, and whether what somebody needs of a training that is done is there.
    pub(super) fn new(
        plan: &'a Plan,
        lanes: usize,
        keep: KeepWeights,
        cost: impl Fn(&TrainingSpec) -> f64,
        mut stored: impl FnMut(&TrainingSpec) -> Result<Option<StoredTraining>>,
        has: impl Fn(&ContentHash, Dependency) -> bool,
    ) -> Result<Self> {
        let mut by_key: BTreeMap<&ContentHash, usize> = BTreeMap::new();
        let mut nodes: Vec<Node<'_>> = Vec::new();
        let mut of_plan = Vec::with_capacity(plan.trainings.len());
        for training in &plan.trainings {
            let number = *by_key.entry(&training.key).or_insert(nodes.len());
            of_plan.push(number);
            if number < nodes.len() {
                continue;
            }
            let state = stored(training)?.map_or(NodeState::Ready, |finished| NodeState::Finished(Arc::new(finished)));
            let parent = |(key, need)| Some((*by_key.get(key)?, need));
            let parents: Vec<(usize, Dependency)> = training.dependencies().into_iter().filter_map(parent).collect();
            for &(parent, need) in &parents {
                nodes[parent].children.push((number, need));
            }
            nodes.push(Node { training, group: 0, state, parents, children: Vec::new(), freed: false, until: None });
        }
        let groups: Vec<GroupState> =
            lockstep_groups(plan, lanes).iter().map(|group| GroupState::new(group, &by_key)).collect();
        for (number, group) in groups.iter().enumerate() {
            group.members.iter().for_each(|&member| nodes[member].group = number);
        }
        let mut board = Self { nodes, by_key, of_plan, groups, order: Vec::new(), asking: None, asked: 0, keep };
        board.order = board.order_by_critical_path(cost);
        board.schedule_reruns(has);
        board.block();
        Ok(board)
    }

    /// Records that work on a training has begun: whoever asked about it asks no more.
    pub(super) fn mark_running(&mut self, key: &ContentHash) {
        let group = self.number(key).map(|number| self.nodes[number].group);
        if self.asking.is_some() && self.asking == group {
            self.asking = None;
        }
    }

    /// Records that a training has ended, here or elsewhere.
    pub(super) fn finish(&mut self, key: &ContentHash, finished: StoredTraining) {
        self.set(key, NodeState::Finished(Arc::new(finished)));
    }

    /// Records that a training broke; what was known of it before stands.
    pub(super) fn fail(&mut self, key: &ContentHash, failure: TrainingFailure) {
        let known = self.finished(key);
        self.set(key, NodeState::Failed(failure, known));
    }

    /// Records that another process has a training.
    pub(super) fn mark_elsewhere(&mut self, key: &ContentHash) {
        let known = self.finished(key);
        self.set(key, NodeState::HeldElsewhere(known));
    }

    /// Records that a training was not done after all.
    pub(super) fn requeue(&mut self, key: &ContentHash) {
        let state = self.finished(key).map_or(NodeState::Ready, NodeState::Rerun);
        self.set(key, state);
    }

    fn set(&mut self, key: &ContentHash, state: NodeState) {
        self.mark_running(key);
        let ended_badly = match &state {
            NodeState::Finished(finished) => finished.outcome != Outcome::Done,
            other => matches!(other, NodeState::Failed(..)),
        };
        if let Some(number) = self.number(key) {
            self.nodes[number].state = state;
        }
        if ended_badly {
            self.block();
        }
    }

    /// Blocks what needs a training that did not end well, or weights that cannot be had.
    fn block(&mut self) {
        // Parents stand before children in the plan's order.
        for number in 0..self.nodes.len() {
            let node = &self.nodes[number];
            if !node.is_to_run() {
                continue;
            }
            let is_culprit = |&&(parent, need): &&(usize, Dependency)| {
                let ended_badly = outcome(&self.nodes[parent].state).is_some_and(|outcome| outcome != Outcome::Done);
                let is_lost = matches!(self.nodes[parent].state, NodeState::Failed(..) | NodeState::Unrecoverable(_));
                ended_badly || need != Dependency::Done && is_lost
            };
            if let Some(&(culprit, _)) = node.parents.iter().find(is_culprit) {
                let culprit = self.nodes[culprit].training.key;
                let known = node.state.finished();
                self.nodes[number].state = known.map_or(NodeState::Blocked(culprit), NodeState::Unrecoverable);
            }
        }
    }

    fn number(&self, key: &ContentHash) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    fn state(&self, key: &ContentHash) -> Option<&NodeState> {
        Some(&self.nodes[self.number(key)?].state)
    }

    /// Whether each training of the plan is in the store, in its order.
    pub(super) fn are_stored(&self) -> impl Iterator<Item = bool> {
        self.of_plan.iter().map(|&number| self.nodes[number].state.finished().is_some())
    }

    /// Every training once, with what is known of it where it is in the store, and what stays of it when all is done.
    pub(super) fn each(&self) -> impl Iterator<Item = (&'a TrainingSpec, Option<Arc<StoredTraining>>, Retention)> {
        let stays = |node| Retention { final_weights: self.keeps_to_the_end(node), ..self.keeping(node) };
        self.nodes.iter().map(move |node| (node.training, node.state.finished(), stays(node)))
    }

    /// What is known of a training, if it is in the store.
    pub(super) fn finished(&self, key: &ContentHash) -> Option<Arc<StoredTraining>> {
        self.state(key)?.finished()
    }

    /// How a training ended; `None` where it has not.
    pub(super) fn outcome(&self, key: &ContentHash) -> Option<Outcome> {
        outcome(self.state(key)?)
    }

    /// What broke a training, running it again included.
    pub(super) fn failure(&self, key: &ContentHash) -> Option<&TrainingFailure> {
        match self.state(key)? {
            NodeState::Failed(failure, _) => Some(failure),
            _ => None,
        }
    }

    /// Each training that is to be run and its steps, those included that are run again for what was not kept; `last` is
    /// the last iteration of a whole training.
    pub(super) fn to_run(&self, last: u64) -> impl Iterator<Item = (&'a TrainingSpec, u64)> {
        self.nodes.iter().filter(|node| node.is_to_run()).map(move |node| (node.training, node.steps(last)))
    }

    /// How many of the plan's trainings ended how.
    pub(super) fn summary(&self) -> RunProgress {
        let mut summary = RunProgress::default();
        for &number in &self.of_plan {
            let state = &self.nodes[number].state;
            summary.lost += usize::from(matches!(state, NodeState::Failed(_, Some(_)) | NodeState::Unrecoverable(_)));
            let count = match outcome(state) {
                Some(Outcome::Done) => &mut summary.done,
                Some(Outcome::Diverged { .. }) => &mut summary.diverged,
                Some(Outcome::Failed { .. }) => &mut summary.failed,
                Some(Outcome::Blocked { .. }) => &mut summary.blocked,
                None => &mut summary.open,
            };
            *count += 1;
        }
        summary
    }
}

/// How a training in this state ended. One that is in the store has ended as it did, whatever became of running it
/// again.
fn outcome(state: &NodeState) -> Option<Outcome> {
    match state {
        NodeState::Failed(failure, None) => Some(Outcome::Failed { cause: failure.cause.clone() }),
        NodeState::Blocked(by) => Some(Outcome::Blocked { by: *by }),
        state => state.finished().map(|finished| finished.outcome.clone()),
    }
}
