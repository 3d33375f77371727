//! The dependency graph of a plan: each training run once, with the training runs it depends on and those it trains in
//! lockstep with. Computed once per run from the plan alone, independent of the store.

use std::collections::BTreeMap;

use crate::base::key::ContentHash;
use crate::lottery::{Dependency, LockstepGroup, Plan, TrainingSpec, lockstep_groups};

/// A node of the graph: a training run of the plan. Rows of the plan with the same key are one node.
pub(super) struct Node<'a> {
    /// The first row of the plan with its key.
    pub(super) spec: &'a TrainingSpec,
    /// The index of its lockstep group.
    pub(super) group: usize,
    /// The indices of the nodes it depends on, and what it needs of each.
    pub(super) parents: Vec<(usize, Dependency)>,
    /// The indices of the nodes that depend on it, and what each needs of it.
    pub(super) children: Vec<(usize, Dependency)>,
    /// The number of rows of the plan with its key.
    pub(super) rows: usize,
}

/// The members of a lockstep group. They are fixed by the plan, and do not change when some of them are stored.
pub(super) struct Group {
    /// The indices of its nodes, by lane.
    pub(super) members: Vec<usize>,
    /// The length of the longest dependency path to the group: it depends only on groups of lower depth.
    depth: usize,
}

/// The nodes of a plan, parents before children, and its lockstep groups.
pub(super) struct TrainingGraph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) groups: Vec<Group>,
    /// The index of the node of each row of the plan.
    pub(super) node_of_row: Vec<usize>,
    /// The index of each node by key.
    by_key: BTreeMap<&'a ContentHash, usize>,
}

impl<'a> TrainingGraph<'a> {
    /// Builds the graph of `plan` for trainers with `lanes` lanes.
    pub(super) fn new(plan: &'a Plan, lanes: usize) -> Self {
        let mut by_key: BTreeMap<&ContentHash, usize> = BTreeMap::new();
        let mut nodes: Vec<Node<'a>> = Vec::new();
        let mut node_of_row = Vec::with_capacity(plan.trainings.len());
        for spec in &plan.trainings {
            let index = *by_key.entry(&spec.key).or_insert(nodes.len());
            node_of_row.push(index);
            if let Some(node) = nodes.get_mut(index) {
                node.rows += 1;
                continue;
            }
            let parents: Vec<(usize, Dependency)> = spec
                .dependencies()
                .into_iter()
                .filter_map(|(key, dependency)| Some((*by_key.get(key)?, dependency)))
                .collect();
            for &(parent, dependency) in &parents {
                nodes[parent].children.push((index, dependency));
            }
            nodes.push(Node { spec, group: 0, parents, children: Vec::new(), rows: 1 });
        }
        let groups: Vec<Group> = lockstep_groups(plan, lanes).iter().map(|group| Group::new(group, &by_key)).collect();
        for (index, group) in groups.iter().enumerate() {
            for &member in &group.members {
                nodes[member].group = index;
            }
        }
        Self { nodes, groups, node_of_row, by_key }
    }

    /// Returns the index of the node with this key.
    pub(super) fn node_index(&self, key: &ContentHash) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// Returns the nodes of a group by lane.
    pub(super) fn members(&self, group: usize) -> impl Iterator<Item = &Node<'a>> {
        self.groups[group].members.iter().map(|&node| &self.nodes[node])
    }

    /// Returns the training run of each lane of a group.
    pub(super) fn lanes(&self, group: usize) -> Vec<&'a TrainingSpec> {
        self.members(group).map(|node| node.spec).collect()
    }

    /// Returns the indices of the groups in descending order of the cost of the most expensive dependency path that
    /// begins with each; groups of equal cost are in the plan's order. `cost` is that of a whole training run, in any
    /// unit.
    pub(super) fn critical_path_order(&self, cost: impl Fn(&TrainingSpec) -> f64) -> Vec<usize> {
        let group_costs: Vec<f64> =
            (0..self.groups.len()).map(|group| self.members(group).map(|node| cost(node.spec)).sum()).collect();
        let mut path_costs = group_costs.clone();
        for group in self.groups_by_depth().into_iter().rev() {
            for parent in self.parent_groups(group) {
                path_costs[parent] = path_costs[parent].max(group_costs[parent] + path_costs[group]);
            }
        }
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        order.sort_by(|&a, &b| path_costs[b].total_cmp(&path_costs[a]));
        order
    }

    /// Returns the largest sum of `cost` (that of the group with an index) along a dependency path: groups that must
    /// run one after the other.
    pub(super) fn longest_path(&self, cost: impl Fn(usize) -> f64) -> f64 {
        let mut path_costs = vec![0.0; self.groups.len()];
        for group in self.groups_by_depth() {
            let before = self.parent_groups(group).map(|parent| path_costs[parent]).fold(0.0, f64::max);
            path_costs[group] = before + cost(group);
        }
        path_costs.into_iter().fold(0.0, f64::max)
    }

    /// Returns the groups, each after those it depends on.
    fn groups_by_depth(&self) -> Vec<usize> {
        let mut groups: Vec<usize> = (0..self.groups.len()).collect();
        groups.sort_by_key(|&group| self.groups[group].depth);
        groups
    }

    /// Returns the groups that a group depends on: one for each dependency of a member, so that groups may be repeated.
    fn parent_groups(&self, group: usize) -> impl Iterator<Item = usize> {
        self.members(group).flat_map(|node| &node.parents).map(|&(parent, _)| self.nodes[parent].group)
    }
}

impl Group {
    fn new(group: &LockstepGroup<'_>, by_key: &BTreeMap<&ContentHash, usize>) -> Self {
        let members = group.trainings.iter().filter_map(|spec| by_key.get(&spec.key).copied()).collect();
        Self { members, depth: group.depth }
    }
}
