//! Groups of trainings that train in lockstep: which one is next, and what work on them comes to.

use std::collections::BTreeMap;

use super::{NextWork, Node, NodeState, Retention, Scheduler};
use crate::base::key::ContentHash;
use crate::base::outcome::Outcome;
use crate::lottery::{Dependency, LockstepGroup, TrainingSpec};

/// A group: fixed by the plan, whatever of it is done already.
pub(super) struct GroupState {
    /// The numbers of its trainings, one in each lane.
    pub(super) members: Vec<usize>,
    /// Groups wait only for such that are less deep.
    depth: usize,
}

impl GroupState {
    pub(super) fn new(group: &LockstepGroup<'_>, numbers: &BTreeMap<&ContentHash, usize>) -> Self {
        let members = group.trainings.iter().filter_map(|training| numbers.get(&training.key).copied()).collect();
        Self { members, depth: group.depth }
    }
}

/// What a worker is given: a group, and what of it is to be run.
#[derive(Clone, Debug)]
pub(in crate::runner) struct GroupAssignment<'a> {
    /// The training of each lane, those included that are done or cannot be run: a group keeps its lanes.
    pub(in crate::runner) lanes: Vec<&'a TrainingSpec>,
    /// What is to be run.
    pub(in crate::runner) tasks: Vec<Task<'a>>,
}

/// A training that is to be run.
#[derive(Clone, Debug)]
pub(in crate::runner) struct Task<'a> {
    /// Its place in its group.
    pub(in crate::runner) lane: usize,
    pub(in crate::runner) training: &'a TrainingSpec,
    /// Whether it is done already and only weights that were not kept are wanted.
    pub(in crate::runner) restore: bool,
    /// What of it is to be kept.
    pub(in crate::runner) keeping: Retention,
}

/// A group with work to do on it.
pub(in crate::runner) struct GroupWork<'a> {
    /// The training of each lane.
    pub(in crate::runner) lanes: Vec<&'a TrainingSpec>,
    /// The steps it takes.
    pub(in crate::runner) steps: u64,
}

impl<'a> Scheduler<'a> {
    /// What to do next; what is given out counts as taken.
    pub(in crate::runner) fn next(&mut self) -> NextWork<'a> {
        if let Some(ready) = self.order.iter().copied().find(|&group| self.is_ready(group)) {
            return NextWork::Train(self.give_out(ready, Node::is_to_run));
        }
        if self.asking.is_none()
            && let Some(next) = self.ask()
        {
            return next;
        }
        let busy = self.nodes.iter().any(|node| matches!(node.state, NodeState::Running(_)));
        if busy { NextWork::Wait } else { NextWork::Finished }
    }

    /// Gives out one of the groups that other processes have, each in turn, to look whether it is done.
    fn ask(&mut self) -> Option<NextWork<'a>> {
        let is_elsewhere = |node: &Node<'_>| matches!(node.state, NodeState::HeldElsewhere(_));
        let has_one = |group: &usize| self.members(*group).any(is_elsewhere);
        let elsewhere: Vec<usize> = self.order.iter().copied().filter(has_one).collect();
        let group = *elsewhere.get(self.asked % elsewhere.len().max(1))?;
        self.asked += 1;
        self.asking = Some(group);
        Some(NextWork::Poll(self.give_out(group, is_elsewhere)))
    }

    /// Marks as taken what `is_meant` of a group.
    fn give_out(&mut self, group: usize, is_meant: impl Fn(&Node<'a>) -> bool) -> GroupAssignment<'a> {
        let lanes = self.members(group).map(|node| node.training).collect();
        let mut tasks = Vec::new();
        for lane in 0..self.groups[group].members.len() {
            let number = self.groups[group].members[lane];
            if !is_meant(&self.nodes[number]) {
                continue;
            }
            let keeping = self.keeping(&self.nodes[number]);
            let node = &mut self.nodes[number];
            let known = node.state.finished();
            tasks.push(Task { lane, training: node.training, restore: known.is_some(), keeping });
            node.state = NodeState::Running(known);
        }
        GroupAssignment { lanes, tasks }
    }

    /// Whether there is anything to run of a group, and all of that can be.
    fn is_ready(&self, group: usize) -> bool {
        let mut to_run = self.members(group).filter(|node| node.is_to_run()).peekable();
        to_run.peek().is_some() && to_run.all(|node| self.has_all_it_needs(node))
    }

    /// A training needs the entries it refers to; where it needs weights, these must not be on their way.
    fn has_all_it_needs(&self, node: &Node<'_>) -> bool {
        node.parents.iter().all(|&(parent, need)| {
            let state = &self.nodes[parent].state;
            let is_done = state.finished().is_some_and(|finished| finished.outcome == Outcome::Done);
            is_done && (need == Dependency::Done || matches!(state, NodeState::Finished(_)))
        })
    }

    fn members(&self, group: usize) -> impl Iterator<Item = &Node<'a>> {
        self.groups[group].members.iter().map(|&number| &self.nodes[number])
    }

    /// The steps that work on these trainings, which are of one group, takes: as many as that on the longest.
    pub(in crate::runner) fn steps<'k>(&self, keys: impl IntoIterator<Item = &'k ContentHash>, last: u64) -> u64 {
        let numbers = keys.into_iter().filter_map(|key| self.number(key));
        numbers.map(|number| self.nodes[number].steps(last)).max().unwrap_or(0)
    }

    /// Each group of which anything is to be run; `last` is the last iteration of a whole training.
    pub(in crate::runner) fn work(&self, last: u64) -> impl Iterator<Item = GroupWork<'a>> {
        (0..self.groups.len()).filter_map(move |group| self.work_on(group, last))
    }

    fn work_on(&self, group: usize, last: u64) -> Option<GroupWork<'a>> {
        let to_run = self.members(group).filter(|node| node.is_to_run());
        let steps = to_run.map(|node| node.steps(last)).max()?;
        Some(GroupWork { lanes: self.members(group).map(|node| node.training).collect(), steps })
    }

    /// The most that must be run one after the other, given what work on a group takes.
    pub(in crate::runner) fn longest_chain(&self, last: u64, takes: impl Fn(&GroupWork<'_>) -> f64) -> f64 {
        let mut behind = vec![0.0; self.groups.len()];
        for group in self.by_depth() {
            let before = self.parents(group).map(|parent| behind[parent]).fold(0.0, f64::max);
            behind[group] = before + self.work_on(group, last).as_ref().map_or(0.0, &takes);
        }
        behind.into_iter().fold(0.0, f64::max)
    }

    /// The groups by the cost of the dearest chain that begins with each: what holds up most goes first.
    pub(super) fn order_by_critical_path(&self, cost: impl Fn(&TrainingSpec) -> f64) -> Vec<usize> {
        let of_group = |group| self.members(group).map(|node| cost(node.training)).sum();
        let own: Vec<f64> = (0..self.groups.len()).map(of_group).collect();
        let mut chain = own.clone();
        for group in self.by_depth().into_iter().rev() {
            for parent in self.parents(group) {
                chain[parent] = chain[parent].max(own[parent] + chain[group]);
            }
        }
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        order.sort_by(|&a, &b| chain[b].total_cmp(&chain[a]));
        order
    }

    /// The groups, each behind those it waits for.
    fn by_depth(&self) -> Vec<usize> {
        let mut groups: Vec<usize> = (0..self.groups.len()).collect();
        groups.sort_by_key(|&group| self.groups[group].depth);
        groups
    }

    /// The groups that a group waits for.
    fn parents(&self, group: usize) -> impl Iterator<Item = usize> {
        self.members(group).flat_map(|node| &node.parents).map(|&(parent, _)| self.nodes[parent].group)
    }
}
