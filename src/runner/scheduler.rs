//! The scheduler: the state of every job, and which lockstep group a worker takes next. Every transition costs time in the
//! number of dependencies of the training run concerned, so that 10⁵ training runs are no more work each than ten. Knows no file
//! and no thread.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use anyhow::Error;

use super::jobs::{Job, JobPlan, steps};
use super::retention::Retention;
use super::training_graph::TrainingGraph;
use crate::base::outcome::Outcome;
use crate::lottery::{AuditError, Dependency, TrainingSpec};

/// Why a training run failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrainingFailure {
    /// The error with its causes.
    pub(super) cause: String,
    /// Whether the audit found it.
    pub(super) by_audit: bool,
}

impl TrainingFailure {
    /// Records an error that ended a training run.
    pub(super) fn new(error: &Error) -> Self {
        Self { cause: format!("{error:#}"), by_audit: error.is::<AuditError>() }
    }
}

/// The state of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NodeState {
    /// Its job has not begun.
    Ready,
    /// A worker of this process runs its job.
    Running,
    /// Another process held its lock when last tried.
    HeldElsewhere,
    /// It is in the store with everything that is needed of it.
    Finished,
    /// Its job failed.
    Failed(TrainingFailure),
    /// Its job cannot run, because this node did not end well.
    Blocked(usize),
}

/// A node's state and what follows from it.
struct NodeStatus {
    state: NodeState,
    /// Its outcome, if it is in the store: a failed rerun leaves it.
    stored: Option<Outcome>,
    /// Dependencies that are not met yet.
    unmet: usize,
}

/// Counts of a lockstep group, kept with every transition.
#[derive(Clone, Copy, Default)]
struct GroupStatus {
    /// Members that are ready.
    ready: usize,
    /// Their unmet dependencies.
    unmet: usize,
    /// Members that another process holds.
    elsewhere: usize,
}

/// Rows of a plan by the state of their training runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunProgress {
    /// Stored, trained to the end.
    pub done: usize,
    /// Stored, diverged.
    pub diverged: usize,
    /// The number of training runs that failed.
    pub failed: usize,
    /// Blocked by a training run that did not end well.
    pub blocked: usize,
    /// Not ended.
    pub open: usize,
    /// Of those stored: weights that are needed could not be made again.
    pub lost: usize,
}

/// A lockstep group that a worker runs.
#[derive(Clone, Debug)]
pub(super) struct GroupAssignment<'a> {
    /// The training run of each lane. Those that are stored or cannot run are included: a group keeps its lanes.
    pub(super) lanes: Vec<&'a TrainingSpec>,
    /// The jobs of the group.
    pub(super) tasks: Vec<Task<'a>>,
    /// Optimizer steps of its longest job.
    pub(super) steps: u64,
}

/// A job of a group.
#[derive(Clone, Debug)]
pub(super) struct Task<'a> {
    /// The number of its node.
    pub(super) node: usize,
    /// Its lane in the group.
    pub(super) lane: usize,
    pub(super) spec: &'a TrainingSpec,
    pub(super) job: Job,
}

/// The scheduler's answer to an idle worker.
#[derive(Debug)]
pub(super) enum NextWork<'a> {
    /// Run this group.
    Train(GroupAssignment<'a>),
    /// Wait for a transition: other workers are running what is left.
    Wait,
    /// Try this group, which another process held when last tried.
    Poll(GroupAssignment<'a>),
    /// No work is left.
    Finished,
}

/// The state of every job of a run.
pub(super) struct Scheduler<'a> {
    graph: TrainingGraph<'a>,
    retentions: Vec<Retention>,
    jobs: Vec<Option<Job>>,
    nodes: Vec<NodeStatus>,
    groups: Vec<GroupStatus>,
    /// The position of each group in the critical-path order.
    rank: Vec<usize>,
    /// The groups that can run now, by rank.
    ready: BTreeSet<(usize, usize)>,
    /// The groups with a member that another process holds, by rank.
    elsewhere: BTreeSet<(usize, usize)>,
    running: usize,
    /// The group that a worker polls, and the number of polls so far.
    polling: Option<usize>,
    polled: usize,
    progress: RunProgress,
    /// Nodes whose final weights are no longer needed.
    freeable: Vec<usize>,
    frees: bool,
}

impl<'a> Scheduler<'a> {
    /// Starts on the jobs of `plan`, the most expensive chains first by the `cost` of whole training runs. With `frees`
    /// intermediate final weights are freed when the training runs that depend on them have ended.
    pub(super) fn new(plan: JobPlan<'a>, cost: impl Fn(&TrainingSpec) -> f64, frees: bool) -> Self {
        let JobPlan { graph, retentions, jobs, stored } = plan;
        let mut rank = vec![0; graph.groups.len()];
        for (position, group) in graph.critical_path_order(cost).into_iter().enumerate() {
            rank[group] = position;
        }
        let nodes = jobs.iter().zip(stored).map(|(job, stored)| {
            let state = if job.is_some() { NodeState::Ready } else { NodeState::Finished };
            NodeStatus { state, stored, unmet: 0 }
        });
        let mut scheduler = Self {
            nodes: nodes.collect(),
            groups: vec![GroupStatus::default(); graph.groups.len()],
            graph,
            retentions,
            jobs,
            rank,
            ready: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            running: 0,
            polling: None,
            polled: 0,
            progress: RunProgress::default(),
            freeable: Vec::new(),
            frees,
        };
        for number in 0..scheduler.nodes.len() {
            scheduler.nodes[number].unmet = scheduler.count_unmet(number);
            scheduler.count(number, true);
        }
        for number in 0..scheduler.nodes.len() {
            scheduler.block_if_hopeless(number);
            scheduler.free_if_needless(number);
        }
        scheduler
    }

    /// Returns the graph of the plan.
    pub(super) fn graph(&self) -> &TrainingGraph<'a> {
        &self.graph
    }

    /// Returns the retention of each node.
    pub(super) fn retentions(&self) -> &[Retention] {
        &self.retentions
    }

    /// Returns the next work for an idle worker, and marks it as running.
    pub(super) fn next(&mut self) -> NextWork<'a> {
        if let Some(&(_, group)) = self.ready.first() {
            return NextWork::Train(self.assign(group, &NodeState::Ready));
        }
        if self.polling.is_none() && !self.elsewhere.is_empty() {
            // Each group in turn.
            let turn = self.polled % self.elsewhere.len();
            let group = self.elsewhere.iter().nth(turn).map_or(0, |&(_, group)| group);
            self.polled += 1;
            let assignment = self.assign(group, &NodeState::HeldElsewhere);
            self.polling = Some(group);
            return NextWork::Poll(assignment);
        }
        if self.running > 0 { NextWork::Wait } else { NextWork::Finished }
    }

    /// Assigns the members of a group that are in this state.
    fn assign(&mut self, group: usize, state: &NodeState) -> GroupAssignment<'a> {
        let mut tasks = Vec::new();
        for lane in 0..self.graph.groups[group].members.len() {
            let node = self.graph.groups[group].members[lane];
            if let (true, Some(job)) = (self.nodes[node].state == *state, self.jobs[node].clone()) {
                self.transition(node, NodeState::Running);
                tasks.push(Task { node, lane, spec: self.graph.nodes[node].spec, job });
            }
        }
        let steps = tasks.iter().map(|task| steps(task.spec, &task.job)).max().unwrap_or(0);
        GroupAssignment { lanes: self.graph.lanes(group), tasks, steps }
    }

    /// Records that work on a node has begun, so that a poll of its group has ended.
    pub(super) fn mark_running(&mut self, node: usize) {
        if self.polling == Some(self.graph.nodes[node].group) {
            self.polling = None;
        }
    }

    /// Records that a node is in the store, trained here or by another process.
    pub(super) fn finish(&mut self, node: usize, outcome: Outcome) {
        let is_good = outcome == Outcome::Done;
        self.set(node, NodeState::Finished, Some(outcome));
        if !is_good {
            self.block_dependents(node);
        }
    }

    /// Records that a job failed. What is stored of the node stays.
    pub(super) fn fail(&mut self, node: usize, failure: TrainingFailure) {
        let stored = self.nodes[node].stored.clone();
        self.set(node, NodeState::Failed(failure), stored);
        self.block_dependents(node);
    }

    /// Records that another process holds a node.
    pub(super) fn mark_elsewhere(&mut self, node: usize) {
        let stored = self.nodes[node].stored.clone();
        self.set(node, NodeState::HeldElsewhere, stored);
    }

    /// Records that a job was cancelled before it ended.
    pub(super) fn requeue(&mut self, node: usize) {
        let stored = self.nodes[node].stored.clone();
        self.set(node, NodeState::Ready, stored);
        self.block_if_hopeless(node);
    }

    fn set(&mut self, node: usize, state: NodeState, stored: Option<Outcome>) {
        self.mark_running(node);
        self.count(node, false);
        let met_before = self.meets(node);
        self.nodes[node].stored = stored;
        self.nodes[node].state = state;
        self.count(node, true);
        self.update_dependents(node, met_before);
        self.free_if_needless(node);
        for parent in 0..self.graph.nodes[node].parents.len() {
            self.free_if_needless(self.graph.nodes[node].parents[parent].0);
        }
    }

    /// Changes a state that no dependent sees.
    fn transition(&mut self, node: usize, state: NodeState) {
        let met_before = self.meets(node);
        self.count(node, false);
        self.nodes[node].state = state;
        self.count(node, true);
        self.update_dependents(node, met_before);
    }

    /// Whether a node meets dependencies on its entry, and those on its weights. Weights that a job is to make again are not
    /// there until it has ended.
    fn meets(&self, node: usize) -> (bool, bool) {
        let NodeStatus { state, stored, .. } = &self.nodes[node];
        let is_done = *stored == Some(Outcome::Done);
        (is_done, is_done && *state == NodeState::Finished)
    }

    fn is_met(&self, (parent, dependency): (usize, Dependency)) -> bool {
        let (entry, weights) = self.meets(parent);
        if dependency == Dependency::Entry { entry } else { weights }
    }

    fn count_unmet(&self, node: usize) -> usize {
        self.graph.nodes[node].parents.iter().filter(|&&parent| !self.is_met(parent)).count()
    }

    /// Counts the dependencies on a node anew where they are met or no longer met.
    fn update_dependents(&mut self, node: usize, (entry_before, weights_before): (bool, bool)) {
        let (entry, weights) = self.meets(node);
        if (entry, weights) == (entry_before, weights_before) {
            return;
        }
        for child in 0..self.graph.nodes[node].children.len() {
            let (child, dependency) = self.graph.nodes[node].children[child];
            let (before, after) =
                if dependency == Dependency::Entry { (entry_before, entry) } else { (weights_before, weights) };
            if before == after {
                continue;
            }
            self.count(child, false);
            let unmet = self.nodes[child].unmet;
            self.nodes[child].unmet = if after { unmet - 1 } else { unmet + 1 };
            self.count(child, true);
        }
    }

    /// Adds a node to the counts of its group and of the run, or takes it out.
    fn count(&mut self, node: usize, adds: bool) {
        let NodeStatus { state, stored, unmet } = &self.nodes[node];
        let add = |count: &mut usize, n: usize| *count = if adds { *count + n } else { *count - n };
        let number = self.graph.nodes[node].group;
        let (group, place) = (&mut self.groups[number], (self.rank[number], number));
        match state {
            NodeState::Ready => {
                add(&mut group.ready, 1);
                add(&mut group.unmet, *unmet);
            }
            NodeState::HeldElsewhere => add(&mut group.elsewhere, 1),
            NodeState::Running => add(&mut self.running, 1),
            NodeState::Finished | NodeState::Failed(_) | NodeState::Blocked(_) => {}
        }
        let rows = self.graph.nodes[node].rows;
        let is_lost = stored.is_some() && matches!(state, NodeState::Failed(_) | NodeState::Blocked(_));
        add(&mut self.progress.lost, if is_lost { rows } else { 0 });
        let total = match (stored, state) {
            (Some(Outcome::Done), _) => &mut self.progress.done,
            (Some(_), _) => &mut self.progress.diverged,
            (None, NodeState::Failed(_)) => &mut self.progress.failed,
            (None, NodeState::Blocked(_)) => &mut self.progress.blocked,
            (None, _) => &mut self.progress.open,
        };
        add(total, rows);
        if group.ready > 0 && group.unmet == 0 {
            self.ready.insert(place)
        } else {
            self.ready.remove(&place)
        };
        if group.elsewhere > 0 {
            self.elsewhere.insert(place)
        } else {
            self.elsewhere.remove(&place)
        };
    }

    /// Blocks every job that depends on a node that did not end well, or on weights that cannot be made again.
    fn block_dependents(&mut self, node: usize) {
        // Ascending: parents come before children.
        let mut waiting: BTreeSet<usize> = self.graph.nodes[node].children.iter().map(|(child, _)| *child).collect();
        while let Some(child) = waiting.pop_first() {
            if self.block_if_hopeless(child) {
                waiting.extend(self.graph.nodes[child].children.iter().map(|(child, _)| *child));
            }
        }
    }

    /// Blocks a job that depends on a node that cannot meet the dependency any more; returns whether it was blocked.
    fn block_if_hopeless(&mut self, node: usize) -> bool {
        if self.nodes[node].state != NodeState::Ready {
            return false;
        }
        let parents = &self.graph.nodes[node].parents;
        let culprit = parents.iter().find(|&&(parent, dependency)| {
            let NodeStatus { state, stored, .. } = &self.nodes[parent];
            let has_failed = matches!(state, NodeState::Failed(_) | NodeState::Blocked(_));
            match stored {
                Some(outcome) => *outcome != Outcome::Done || dependency != Dependency::Entry && has_failed,
                None => has_failed,
            }
        });
        let Some(&(culprit, _)) = culprit else { return false };
        self.transition(node, NodeState::Blocked(culprit));
        true
    }

    /// Notes a node whose final weights no other training run needs any more.
    fn free_if_needless(&mut self, number: usize) {
        let is_finished = |number: usize| self.nodes[number].state == NodeState::Finished;
        let node = &self.graph.nodes[number];
        let dependents_ended = || {
            let mut dependents = node.children.iter().filter(|(_, dependency)| *dependency == Dependency::FinalWeights);
            dependents.all(|&(child, _)| is_finished(child))
        };
        if self.frees && self.retentions[number].is_intermediate && is_finished(number) && dependents_ended() {
            self.freeable.push(number);
        }
    }

    /// Returns the nodes whose final weights have become needless since the last call.
    pub(super) fn take_freeable(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.freeable)
    }

    /// Returns why the job of a node failed, a rerun included.
    pub(super) fn failure(&self, node: usize) -> Option<&TrainingFailure> {
        match &self.nodes[node].state {
            NodeState::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// Returns the node that blocks the job of this one, where the node itself is not stored.
    pub(super) fn blocked_by(&self, node: usize) -> Option<usize> {
        match (&self.nodes[node].state, &self.nodes[node].stored) {
            (NodeState::Blocked(by), None) => Some(*by),
            _ => None,
        }
    }

    /// Returns the rows of the plan by state.
    pub(super) fn progress(&self) -> RunProgress {
        self.progress
    }
}
