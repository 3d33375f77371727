//! The scheduler: the state of every node of a run, and which lockstep group a worker takes next. A transition takes
//! time proportional to the number of the node's dependencies and dependents (and, where it frees weights, of the
//! dependents of its intermediate dependencies), not to the size of the plan. Independent of files and threads: the
//! workers of a run share one scheduler behind a lock.
//!
//! | call | transition | caller |
//! | --- | --- | --- |
//! | [`Scheduler::new`] | a node with a job → `Ready`, another that is stored → `Finished`, else `LeftOut` | the run, at its start |
//! | [`Scheduler::next`] | `Ready` or `HeldElsewhere` → `Running` | a worker that takes a group |
//! | [`Scheduler::end_poll`] | none: another worker may poll | a worker that has the locks of its group |
//! | [`Scheduler::finish`] | `Running` → `Finished` | a worker that trained the node, or found it in the store |
//! | [`Scheduler::fail`] | `Running` → `Failed` | a worker whose job failed |
//! | [`Scheduler::requeue`] | `Running` → `Ready` | a worker that was cancelled |
//! | [`Scheduler::mark_held_elsewhere`] | `Running` → `HeldElsewhere` | a worker that found the lock of a node taken |
//!
//! A node that is `Ready` becomes `Blocked` as soon as a node that it depends on cannot meet the dependency any more:
//! at the start, and after `finish` with a diverged outcome, `fail`, `requeue` and the blocking of another node.

mod counts;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use self::counts::{Counts, RankedGroup};
use self::status::{Met, NodeState, NodeStatus};
use super::jobs::{Job, JobPlan};
use super::retention::Retention;
use super::training_graph::TrainingGraph;
use crate::base::outcome::Outcome;
use crate::lottery::{Dependency, TrainingSpec};

pub use self::counts::RunProgress;
pub(super) use self::status::TrainingFailure;

/// A lockstep group that a worker runs.
#[derive(Clone, Debug)]
pub(super) struct GroupAssignment<'a> {
    /// The training run of each lane. Those that are stored or cannot run are included: a group keeps its lanes.
    pub(super) lanes: Vec<&'a TrainingSpec>,
    /// The jobs that the worker runs, by lane.
    pub(super) tasks: Vec<Task<'a>>,
    /// The optimizer steps of the longest job.
    pub(super) steps: u64,
}

impl GroupAssignment<'_> {
    /// Returns the parts of the group with at most `limit` lanes each. Lanes are counted from 0 in each part, and a part
    /// without a task is left out.
    pub(super) fn parts(&self, limit: usize) -> Vec<Self> {
        let part = |(index, lanes): (usize, &[_])| {
            let first = index * limit;
            let tasks = self.tasks.iter().filter(|task| (first..first + lanes.len()).contains(&task.lane));
            let tasks: Vec<_> = tasks.map(|task| Task { lane: task.lane - first, ..task.clone() }).collect();
            let steps = tasks.iter().map(|task| task.job.steps()).max()?;
            Some(Self { lanes: lanes.to_vec(), tasks, steps })
        };
        self.lanes.chunks(limit).enumerate().filter_map(part).collect()
    }
}

/// A job that is assigned to a worker, in its lane of a lockstep group.
#[derive(Clone, Debug)]
pub(super) struct Task<'a> {
    /// The index of its node.
    pub(super) node: usize,
    /// The lane of its group that trains it, from 0.
    pub(super) lane: usize,
    /// The training run of the node.
    pub(super) spec: &'a TrainingSpec,
    pub(super) job: Job,
}

/// The next action of an idle worker.
#[derive(Debug)]
pub(super) enum NextWork<'a> {
    /// Run this group.
    Train(GroupAssignment<'a>),
    /// Wait for a transition: all other work depends on jobs that other workers are running.
    Wait,
    /// Try to run this group, whose locks another process held when a worker last tried.
    Poll(GroupAssignment<'a>),
    /// End: no work is left.
    Finished,
}

/// The state of every node of a run.
pub(super) struct Scheduler<'a> {
    graph: TrainingGraph<'a>,
    /// The retention of each node.
    retentions: Vec<Retention>,
    /// The job of each node; `None` where nothing is missing in the store.
    jobs: Vec<Option<Job>>,
    /// The status of each node.
    statuses: Vec<NodeStatus>,
    /// The rank of each group.
    ranks: Vec<usize>,
    counts: Counts,
    /// The index of the group that a worker polls. Only one worker polls at a time, and the others wait.
    polling: Option<usize>,
    /// The number of polls so far.
    poll_count: usize,
    /// Nodes whose final weights are no longer needed and that [`Scheduler::take_freeable`] has not returned yet.
    freeable: Vec<usize>,
    frees_intermediate: bool,
}

impl<'a> Scheduler<'a> {
    /// Returns the scheduler of the jobs of `plan`, before any of them has begun.
    ///
    /// Groups with the most expensive dependency paths run first; `cost` is that of a whole training run, in any unit.
    /// With `frees_intermediate`, [`Scheduler::take_freeable`] returns the nodes whose intermediate final weights can
    /// be freed.
    pub(super) fn new(plan: JobPlan<'a>, cost: impl Fn(&TrainingSpec) -> f64, frees_intermediate: bool) -> Self {
        let JobPlan { graph, retentions, jobs, stored } = plan;
        let mut ranks = vec![0; graph.groups.len()];
        for (rank, group) in graph.critical_path_order(cost).into_iter().enumerate() {
            ranks[group] = rank;
        }
        let statuses = jobs.iter().zip(stored).map(|(job, stored)| {
            let state = match (job, &stored) {
                (Some(_), _) => NodeState::Ready,
                (None, Some(_)) => NodeState::Finished,
                (None, None) => NodeState::LeftOut,
            };
            NodeStatus { state, stored, unmet: 0 }
        });
        let mut scheduler = Self {
            statuses: statuses.collect(),
            counts: Counts::new(graph.groups.len()),
            graph,
            retentions,
            jobs,
            ranks,
            polling: None,
            poll_count: 0,
            freeable: Vec::new(),
            frees_intermediate,
        };
        for node in 0..scheduler.statuses.len() {
            scheduler.statuses[node].unmet = scheduler.count_unmet(node);
            scheduler.add_to_counts(node);
        }
        for node in 0..scheduler.statuses.len() {
            scheduler.block_if_unmeetable(node);
            scheduler.queue_if_freeable(node);
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

    /// Returns the next work for an idle worker, and marks its nodes as running.
    pub(super) fn next(&mut self) -> NextWork<'a> {
        if let Some(&RankedGroup { group, .. }) = self.counts.ready_groups.first() {
            return NextWork::Train(self.assign(group, &NodeState::Ready));
        }
        let groups_elsewhere = &self.counts.groups_elsewhere;
        if self.polling.is_none() && !groups_elsewhere.is_empty() {
            // The position moves on with every poll, so that each group is polled in turn.
            let position = self.poll_count % groups_elsewhere.len();
            let group = groups_elsewhere.iter().nth(position).map_or(0, |ranked| ranked.group);
            self.poll_count += 1;
            let assignment = self.assign(group, &NodeState::HeldElsewhere);
            self.polling = Some(group);
            return NextWork::Poll(assignment);
        }
        if self.counts.running > 0 { NextWork::Wait } else { NextWork::Finished }
    }

    /// Assigns the members of a group that are in this state to a worker.
    fn assign(&mut self, group: usize, state: &NodeState) -> GroupAssignment<'a> {
        let mut tasks = Vec::new();
        for lane in 0..self.graph.groups[group].members.len() {
            let node = self.graph.groups[group].members[lane];
            if let (true, Some(job)) = (self.statuses[node].state == *state, self.jobs[node].clone()) {
                self.transition(node, NodeState::Running, None);
                tasks.push(Task { node, lane, spec: self.graph.nodes[node].spec, job });
            }
        }
        let steps = tasks.iter().map(|task| task.job.steps()).max().unwrap_or(0);
        GroupAssignment { lanes: self.graph.lanes(group), tasks, steps }
    }

    /// Ends the poll of the group of a node, if a worker polls it, so that another worker may poll. Changes no state.
    pub(super) fn end_poll(&mut self, node: usize) {
        if self.polling == Some(self.graph.nodes[node].group) {
            self.polling = None;
        }
    }

    /// Records that a node is in the store, trained here or by another process.
    pub(super) fn finish(&mut self, node: usize, outcome: Outcome) {
        let is_done = outcome == Outcome::Done;
        self.end_poll(node);
        self.transition(node, NodeState::Finished, Some(outcome));
        if !is_done {
            self.block_dependents(node);
        }
    }

    /// Records that a job failed. Outputs of the node that were stored before stay stored.
    pub(super) fn fail(&mut self, node: usize, failure: TrainingFailure) {
        self.end_poll(node);
        self.transition(node, NodeState::Failed(failure), None);
        self.block_dependents(node);
    }

    /// Records that another process holds the lock of a node.
    pub(super) fn mark_held_elsewhere(&mut self, node: usize) {
        self.end_poll(node);
        self.transition(node, NodeState::HeldElsewhere, None);
    }

    /// Records that a job was cancelled before it ended.
    pub(super) fn requeue(&mut self, node: usize) {
        self.end_poll(node);
        self.transition(node, NodeState::Ready, None);
        self.block_if_unmeetable(node);
    }

    /// Changes the state of a node, and everything that follows from it: the counts, the dependencies on it that are
    /// met, and the weights that can be freed. `newly_stored` is its outcome if that has just come into the store.
    fn transition(&mut self, node: usize, state: NodeState, newly_stored: Option<Outcome>) {
        let is_finished = state == NodeState::Finished;
        let met_before = self.statuses[node].met();
        self.remove_from_counts(node);
        let status = &mut self.statuses[node];
        status.state = state;
        status.stored = newly_stored.or(status.stored.take());
        self.add_to_counts(node);
        self.update_dependents(node, met_before);
        if is_finished {
            self.queue_if_freeable(node);
            for parent in 0..self.graph.nodes[node].parents.len() {
                self.queue_if_freeable(self.graph.nodes[node].parents[parent].0);
            }
        }
    }

    fn count_unmet(&self, node: usize) -> usize {
        let is_met = |(parent, dependency): (usize, Dependency)| self.statuses[parent].met().includes(dependency);
        self.graph.nodes[node].parents.iter().filter(|&&parent| !is_met(parent)).count()
    }

    /// Changes the number of unmet dependencies of each dependent of `node` whose dependency on it has become
    /// met or unmet.
    fn update_dependents(&mut self, node: usize, before: Met) {
        let after = self.statuses[node].met();
        if after == before {
            return;
        }
        for position in 0..self.graph.nodes[node].children.len() {
            let (child, dependency) = self.graph.nodes[node].children[position];
            if before.includes(dependency) == after.includes(dependency) {
                continue;
            }
            self.remove_from_counts(child);
            let unmet = self.statuses[child].unmet;
            self.statuses[child].unmet = if after.includes(dependency) { unmet - 1 } else { unmet + 1 };
            self.add_to_counts(child);
        }
    }

    fn add_to_counts(&mut self, node: usize) {
        self.counts.add(&self.statuses[node], self.ranked_group(node), self.graph.nodes[node].rows);
    }

    fn remove_from_counts(&mut self, node: usize) {
        self.counts.remove(&self.statuses[node], self.ranked_group(node), self.graph.nodes[node].rows);
    }

    fn ranked_group(&self, node: usize) -> RankedGroup {
        let group = self.graph.nodes[node].group;
        RankedGroup { rank: self.ranks[group], group }
    }

    /// Blocks every job that depends, directly or through other jobs, on something that `node` cannot provide any more.
    fn block_dependents(&mut self, node: usize) {
        let mut to_check: BTreeSet<usize> = self.graph.nodes[node].children.iter().map(|(child, _)| *child).collect();
        // In ascending order: parents come before children.
        while let Some(child) = to_check.pop_first() {
            if self.block_if_unmeetable(child) {
                to_check.extend(self.graph.nodes[child].children.iter().map(|(child, _)| *child));
            }
        }
    }

    /// Blocks a job that waits for a dependency that cannot be met any more. Returns whether it was blocked.
    fn block_if_unmeetable(&mut self, node: usize) -> bool {
        if self.statuses[node].state != NodeState::Ready {
            return false;
        }
        let Some(blocker) = self.blocker(node) else { return false };
        self.transition(node, NodeState::Blocked(blocker), None);
        true
    }

    /// Returns the first node that `node` depends on and that cannot meet the dependency any more.
    fn blocker(&self, node: usize) -> Option<usize> {
        let mut parents = self.graph.nodes[node].parents.iter();
        parents.find(|&&(parent, dependency)| !self.statuses[parent].can_meet(dependency)).map(|&(parent, _)| parent)
    }

    /// Queues a node for [`Scheduler::take_freeable`] if no training run needs its final weights any more. A node may
    /// be queued more than once.
    fn queue_if_freeable(&mut self, node: usize) {
        let is_finished = |node: usize| self.statuses[node].state == NodeState::Finished;
        let dependents_ended = || {
            let children = &self.graph.nodes[node].children;
            let mut dependents = children.iter().filter(|(_, dependency)| *dependency == Dependency::FinalWeights);
            dependents.all(|&(child, _)| is_finished(child))
        };
        let is_intermediate = self.frees_intermediate && self.retentions[node].is_intermediate;
        if is_intermediate && is_finished(node) && dependents_ended() {
            self.freeable.push(node);
        }
    }

    /// Returns the nodes whose final weights are no longer needed since the last call.
    pub(super) fn take_freeable(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.freeable)
    }

    /// Returns why the job of a node failed, a rerun included.
    pub(super) fn failure(&self, node: usize) -> Option<&TrainingFailure> {
        match &self.statuses[node].state {
            NodeState::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// Returns the node that blocks the job of this one; `None` if the job is not blocked, or the node is stored and
    /// the job was only to make missing weights again.
    pub(super) fn blocked_by(&self, node: usize) -> Option<usize> {
        match (&self.statuses[node].state, &self.statuses[node].stored) {
            (NodeState::Blocked(blocker), None) => Some(*blocker),
            _ => None,
        }
    }

    /// Returns the counts of the plan's rows by state.
    pub(super) fn progress(&self) -> RunProgress {
        self.counts.progress
    }
}
