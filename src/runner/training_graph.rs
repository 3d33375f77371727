//! The plan as a graph: every training run once, which others it depends on, and which train in lockstep. Computed once per run
//! from the plan alone; knows no store.

use std::collections::BTreeMap;

use crate::base::key::ContentHash;
use crate::lottery::{Dependency, LockstepGroup, Plan, TrainingSpec, lockstep_groups};

/// A training run of the plan. Rows of the plan that share a key are one node.
pub(super) struct Node<'a> {
    pub(super) spec: &'a TrainingSpec,
    /// The number of its lockstep group.
    pub(super) group: usize,
    /// The numbers of the nodes it depends on, and what it needs of each.
    pub(super) parents: Vec<(usize, Dependency)>,
    /// The numbers of the nodes that depend on it, and what each needs.
    pub(super) children: Vec<(usize, Dependency)>,
    /// Rows of the plan that share its key.
    pub(super) rows: usize,
}

/// The members of a lockstep group: fixed by the plan, whatever of it is stored already.
pub(super) struct Group {
    /// The numbers of its nodes; the position of each is its lane.
    pub(super) members: Vec<usize>,
    /// Groups depend only on groups of lower depth.
    depth: usize,
}

/// Every training run of a plan by number, parents before children, with its dependencies and its lockstep group.
pub(super) struct TrainingGraph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) groups: Vec<Group>,
    /// The node of each row of the plan.
    pub(super) of_row: Vec<usize>,
    by_key: BTreeMap<&'a ContentHash, usize>,
}

impl<'a> TrainingGraph<'a> {
    /// Builds the graph of `plan` for trainers with `lanes` lanes.
    pub(super) fn new(plan: &'a Plan, lanes: usize) -> Self {
        let mut by_key: BTreeMap<&ContentHash, usize> = BTreeMap::new();
        let mut nodes: Vec<Node<'a>> = Vec::new();
        let mut of_row = Vec::with_capacity(plan.trainings.len());
        for spec in &plan.trainings {
            let number = *by_key.entry(&spec.key).or_insert(nodes.len());
            of_row.push(number);
            if let Some(node) = nodes.get_mut(number) {
                node.rows += 1;
                continue;
            }
            let parents: Vec<(usize, Dependency)> = spec
                .dependencies()
                .into_iter()
                .filter_map(|(key, dependency)| Some((*by_key.get(key)?, dependency)))
                .collect();
            for &(parent, dependency) in &parents {
                nodes[parent].children.push((number, dependency));
            }
            nodes.push(Node { spec, group: 0, parents, children: Vec::new(), rows: 1 });
        }
        let groups: Vec<Group> = lockstep_groups(plan, lanes).iter().map(|group| Group::new(group, &by_key)).collect();
        for (number, group) in groups.iter().enumerate() {
            for &member in &group.members {
                nodes[member].group = number;
            }
        }
        Self { nodes, groups, of_row, by_key }
    }

    /// Returns the number of the node with this key.
    pub(super) fn number(&self, key: &ContentHash) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// Returns the nodes of a group, in the order of its lanes.
    pub(super) fn members(&self, group: usize) -> impl Iterator<Item = &Node<'a>> {
        self.groups[group].members.iter().map(|&number| &self.nodes[number])
    }

    /// Returns the training run of each lane of a group.
    pub(super) fn lanes(&self, group: usize) -> Vec<&'a TrainingSpec> {
        self.members(group).map(|node| node.spec).collect()
    }

    /// Returns the groups by the cost of the most expensive chain that begins with each, the most expensive first; equal ones
    /// in the plan's order. `cost` is that of a whole training run.
    pub(super) fn critical_path_order(&self, cost: impl Fn(&TrainingSpec) -> f64) -> Vec<usize> {
        let own: Vec<f64> =
            (0..self.groups.len()).map(|group| self.members(group).map(|node| cost(node.spec)).sum()).collect();
        let mut chain = own.clone();
        for group in self.groups_by_depth().into_iter().rev() {
            for parent in self.parent_groups(group) {
                chain[parent] = chain[parent].max(own[parent] + chain[group]);
            }
        }
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        order.sort_by(|&a, &b| chain[b].total_cmp(&chain[a]));
        order
    }

    /// Returns the largest sum of `cost` along a chain of groups that must run one after the other.
    pub(super) fn longest_chain(&self, cost: impl Fn(usize) -> f64) -> f64 {
        let mut until_end = vec![0.0; self.groups.len()];
        for group in self.groups_by_depth() {
            let before = self.parent_groups(group).map(|parent| until_end[parent]).fold(0.0, f64::max);
            until_end[group] = before + cost(group);
        }
        until_end.into_iter().fold(0.0, f64::max)
    }

    /// Returns the groups, each after those it depends on.
    fn groups_by_depth(&self) -> Vec<usize> {
        let mut groups: Vec<usize> = (0..self.groups.len()).collect();
        groups.sort_by_key(|&group| self.groups[group].depth);
        groups
    }

    /// Returns the groups that a group depends on, some of them several times.
    fn parent_groups(&self, group: usize) -> impl Iterator<Item = usize> {
        self.members(group).flat_map(|node| &node.parents).map(|&(parent, _)| self.nodes[parent].group)
    }
}

impl Group {
    fn new(group: &LockstepGroup<'_>, numbers: &BTreeMap<&ContentHash, usize>) -> Self {
        let members = group.trainings.iter().filter_map(|spec| numbers.get(&spec.key).copied()).collect();
        Self { members, depth: group.depth }
    }
}
