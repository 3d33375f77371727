//! The jobs of a run: what is missing in the store, as a pure function of the plan, the stored outputs and the weights
//! to keep.

use std::collections::BTreeSet;

use super::retention::Retention;
use super::training_graph::{Node, TrainingGraph};
use crate::base::key::ContentHash;
use crate::base::outcome::Outcome;
use crate::base::units::Iteration;
use crate::config::KeepWeights;
use crate::lottery::{Dependency, TrainingSpec};

/// The work for one node: a first run or a rerun, and its first and last iteration. Which outputs are missing, and from
/// where the training run can resume, is looked up again when the job begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    /// Whether the training run is stored and runs again only for weights that are missing.
    pub(super) is_rerun: bool,
    /// The iteration that it will probably go on from, for the estimate of time: that of the newest progress snapshot, or
    /// of the start.
    pub(super) from: Iteration,
    /// The iteration to stop at: the last one, or before it where only earlier snapshots are missing.
    pub(super) until: Iteration,
}

/// The question that [`plan_jobs`] asks of a store.
pub(super) trait StoreIndex {
    /// Returns whether the weights that `dependency` names are stored and undamaged.
    fn has(&self, key: &ContentHash, dependency: Dependency) -> bool;

    /// Returns the iteration of the newest progress snapshot of a training run; `None` if it has none.
    fn progress(&self, key: &ContentHash) -> Option<Iteration>;
}

/// The jobs of a run on the graph of its plan.
pub(super) struct JobPlan<'a> {
    pub(super) graph: TrainingGraph<'a>,
    /// The retention of each node.
    pub(super) retentions: Vec<Retention>,
    /// The job of each node; `None` where nothing is missing.
    pub(super) jobs: Vec<Option<Job>>,
    /// The outcome of each node that is in the store.
    pub(super) stored: Vec<Option<Outcome>>,
}

/// Plans the jobs of a run: a job for every node that is not stored, and a rerun for every node whose weights are
/// missing although a job depends on them or they are pinned. A rerun is a job too, so that reruns may need reruns of
/// their own parents.
///
/// `keep` says which weights are kept. `stored` has the outcome of each node that is in the store.
pub(super) fn plan_jobs<'a>(
    graph: TrainingGraph<'a>,
    keep: KeepWeights,
    stored: Vec<Option<Outcome>>,
    index: &dyn StoreIndex,
) -> JobPlan<'a> {
    let retentions = Retention::of_graph(&graph, keep);
    let first_run = |node: &Node<'_>| {
        let until = node.spec.last_iteration;
        Job { is_rerun: false, from: first_iteration(node, index, until), until }
    };
    let nodes = graph.nodes.iter().zip(&stored);
    let mut jobs: Vec<Option<Job>> = nodes.map(|(node, outcome)| outcome.is_none().then(|| first_run(node))).collect();
    // Children come after their parents, so one pass in reverse order finds every rerun.
    for node in (0..graph.nodes.len()).rev() {
        if stored[node] == Some(Outcome::Done) {
            jobs[node] = rerun(&graph.nodes[node], &retentions[node], &jobs, index);
        }
    }
    JobPlan { graph, retentions, jobs, stored }
}

/// Returns the job that makes missing weights of a stored training run again; `None` if a job needs none of them and
/// they are not pinned.
fn rerun(node: &Node<'_>, retention: &Retention, jobs: &[Option<Job>], index: &dyn StoreIndex) -> Option<Job> {
    let last = node.spec.last_iteration;
    let mut needed: Vec<Dependency> =
        node.children.iter().filter(|(child, _)| jobs[*child].is_some()).map(|(_, dependency)| *dependency).collect();
    needed.extend(retention.is_pinned.then_some(Dependency::FinalWeights));
    needed.sort_unstable();
    needed.dedup();
    // Looking a file up means hashing it, so each file is looked up once for all training runs that depend on it.
    let is_missing = |dependency: Dependency| dependency != Dependency::Entry && !index.has(&node.spec.key, dependency);
    if !needed.into_iter().any(is_missing) {
        return None;
    }
    // The rerun makes all missing weights that are kept, not only those that are needed now, so that the training run
    // does not run a third time. It stops after the last of them.
    let until = if retention.final_weights && is_missing(Dependency::FinalWeights) {
        last
    } else {
        let missing =
            retention.snapshots_at.iter().rev().find(|&&iteration| is_missing(Dependency::Snapshot(iteration)));
        missing.copied().unwrap_or(last)
    };
    Some(Job { is_rerun: true, from: first_iteration(node, index, until), until })
}

/// Returns the iteration that the job of a node goes on from. Progress after `until` is not used.
fn first_iteration(node: &Node<'_>, index: &dyn StoreIndex, until: Iteration) -> Iteration {
    let start = node.spec.start.iteration();
    let progress = index.progress(&node.spec.key).filter(|&iteration| start < iteration && iteration <= until);
    progress.unwrap_or(start)
}

/// The part of a plan that a process trains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// The whole plan.
    #[default]
    Whole,
    /// The lockstep groups with these indices ([`lockstep_groups`](crate::lottery::lockstep_groups)), and those that
    /// they depend on, as far as the store lacks them.
    Groups(BTreeSet<usize>),
    /// Nothing: only the files of the run are written.
    Nothing,
}

impl Selection {
    /// Returns whether other processes train the rest of the plan, and one of them writes the report.
    pub fn is_part(&self) -> bool {
        matches!(self, Self::Groups(_))
    }

    /// Returns whether other processes train all of the plan.
    pub fn is_empty_part(&self) -> bool {
        matches!(self, Self::Groups(groups) if groups.is_empty())
    }
}

impl<'a> JobPlan<'a> {
    /// Returns the plan without the jobs that are not selected.
    pub(super) fn select(mut self, selection: &Selection) -> Self {
        let mut groups = match selection {
            Selection::Whole => return self,
            Selection::Groups(selected) => selected.clone(),
            Selection::Nothing => BTreeSet::new(),
        };
        let mut to_visit: Vec<usize> = groups.iter().copied().collect();
        while let Some(group) = to_visit.pop() {
            let has_job = |node: &usize| self.jobs[*node].is_some();
            let members = self.graph.groups[group].members.iter().copied().filter(has_job);
            let parents = members.flat_map(|node| &self.graph.nodes[node].parents).map(|(parent, _)| *parent);
            for group in parents.filter(has_job).map(|parent| self.graph.nodes[parent].group) {
                if groups.insert(group) {
                    to_visit.push(group);
                }
            }
        }
        for (node, job) in self.graph.nodes.iter().zip(&mut self.jobs) {
            if !groups.contains(&node.group) {
                *job = None;
            }
        }
        self
    }

    /// Returns the plan without the jobs of the training runs with these keys, which something else trains before.
    pub(super) fn without(mut self, keys: &BTreeSet<ContentHash>) -> Self {
        for (node, job) in self.graph.nodes.iter().zip(&mut self.jobs) {
            if keys.contains(&node.spec.key) {
                *job = None;
            }
        }
        self
    }

    /// Returns each training run with a job, and the optimizer steps it takes.
    pub(super) fn to_run(&self) -> impl Iterator<Item = (&'a TrainingSpec, u64)> {
        let nodes = self.graph.nodes.iter().zip(&self.jobs);
        nodes.filter_map(|(node, job)| Some((node.spec, job.as_ref()?.steps())))
    }

    /// Returns the optimizer steps that work on a group takes: those of its longest job; `None` if it has no job.
    pub(super) fn group_steps(&self, group: usize) -> Option<u64> {
        let members = self.graph.groups[group].members.iter();
        members.filter_map(|&node| Some(self.jobs[node].as_ref()?.steps())).max()
    }

    /// Returns the index of each group with a job, and the optimizer steps that work on it takes.
    pub(super) fn groups_to_run(&self) -> impl Iterator<Item = (usize, u64)> {
        (0..self.graph.groups.len()).filter_map(|group| Some((group, self.group_steps(group)?)))
    }
}

impl Job {
    /// Returns the optimizer steps of the job.
    pub(super) fn steps(&self) -> u64 {
        self.until.0.saturating_sub(self.from.0)
    }
}
