//! Which final weights are kept, which are freed, and which must be made again.

use std::sync::Arc;

use super::{Node, NodeState, Scheduler};
use crate::base::key::ContentHash;
use crate::base::outcome::Outcome;
use crate::config::KeepWeights;
use crate::lottery::{Dependency, MaskRule};

/// What of a training is to be kept in the store, beside its curve and its mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::runner) struct Retention {
    /// Its final weights: somebody may need them.
    pub(in crate::runner) final_weights: bool,
    /// Nor are they freed when nobody does.
    pub(in crate::runner) pinned: bool,
    /// Its states after so many iterations, which others begin from.
    pub(in crate::runner) snapshots_at: Vec<u64>,
}

impl Scheduler<'_> {
    /// What is wanted of a training and not there is made again. It is wanted by a child that is to be trained, and by
    /// `run.keep`; where it was freed, the training runs again, and so on up the chain: children stand behind their
    /// parents, so one pass from the end finds all.
    pub(super) fn schedule_reruns(&mut self, has: impl Fn(&ContentHash, Dependency) -> bool) {
        for number in (0..self.nodes.len()).rev() {
            let node = &self.nodes[number];
            let NodeState::Finished(finished) = &node.state else { continue };
            let lacks = |need: Dependency| need != Dependency::Done && !has(&node.training.key, need);
            let is_wanted = |(child, need): &(usize, Dependency)| self.nodes[*child].is_to_run() && lacks(*need);
            let is_missing =
                || node.children.iter().any(is_wanted) || self.keeping(node).pinned && lacks(Dependency::FinalWeights);
            if finished.outcome == Outcome::Done && is_missing() {
                let (finished, keeping) = (Arc::clone(finished), self.keeping(node));
                // For states on the way only as far as the last of them.
                let at = || {
                    keeping
                        .snapshots_at
                        .iter()
                        .copied()
                        .filter(|&iteration| lacks(Dependency::Snapshot(iteration)))
                        .max()
                };
                let until = if keeping.final_weights && lacks(Dependency::FinalWeights) { None } else { at() };
                self.nodes[number].until = until;
                self.nodes[number].state = NodeState::Rerun(finished);
            }
        }
    }

    /// What of a training is to be kept.
    pub(in crate::runner) fn keeps(&self, key: &ContentHash) -> Retention {
        self.number(key).map(|number| self.keeping(&self.nodes[number])).unwrap_or_default()
    }

    /// The final weights are written when a training ends: unless `run.keep` is `all`, of the dense trainings, of every
    /// round of a chain, and of what others go on from. With `needed` those in between are freed when their children are
    /// done; what is the last round for one experiment is in between for another that goes on from it.
    pub(super) fn keeping(&self, node: &Node<'_>) -> Retention {
        let is_chain = node.training.mask == MaskRule::Dense || node.training.mask.is_chain();
        let is_needed = node.children.iter().any(|(_, need)| *need == Dependency::FinalWeights);
        let last = self.keep == KeepWeights::All || is_chain || is_needed;
        let state = |(_, need): &(usize, Dependency)| {
            if let Dependency::Snapshot(iteration) = need { Some(*iteration) } else { None }
        };
        let mut at: Vec<u64> = node.children.iter().filter_map(state).collect();
        at.sort_unstable();
        at.dedup();
        Retention {
            snapshots_at: at,
            final_weights: last,
            pinned: self.keep == KeepWeights::All || self.keep == KeepWeights::Tickets && is_chain,
        }
    }

    /// Whether a training's final weights are there when all is done.
    pub(super) fn keeps_to_the_end(&self, node: &Node<'_>) -> bool {
        let keeping = self.keeping(node);
        keeping.pinned || keeping.final_weights && !self.is_between(node)
    }

    /// Whether a training's final weights are needed only by others of the plan, which prune it or go on from it. Those
    /// that one more round of a chain would compare with are kept beside the weights of the chain's last round.
    fn is_between(&self, node: &Node<'_>) -> bool {
        let is_pruned = |node: &Node<'_>| node.children.iter().any(|(_, need)| *need == Dependency::FinalWeights);
        let is_reference = |(child, need): &(usize, Dependency)| {
            let child = &self.nodes[*child];
            let of_child = child.training.reference_of_next_round();
            *need == Dependency::FinalWeights && of_child == Some(&node.training.key) && !is_pruned(child)
        };
        node.training.mask != MaskRule::Dense && is_pruned(node) && !node.children.iter().any(is_reference)
    }

    /// The trainings whose final weights nobody needs any more, each told once.
    pub(in crate::runner) fn take_freeable(&mut self) -> Vec<ContentHash> {
        if self.keep != KeepWeights::Needed {
            return Vec::new();
        }
        let is_ended = |number: usize| matches!(self.nodes[number].state, NodeState::Finished(_));
        let is_needless = |number: &usize| {
            let node = &self.nodes[*number];
            let mut pruned = node.children.iter().filter(|(_, need)| *need == Dependency::FinalWeights);
            self.is_between(node) && !node.freed && is_ended(*number) && pruned.all(|&(child, _)| is_ended(child))
        };
        let numbers: Vec<usize> = (0..self.nodes.len()).filter(is_needless).collect();
        let mut free = |number: usize| {
            self.nodes[number].freed = true;
            self.nodes[number].training.key
        };
        numbers.into_iter().map(&mut free).collect()
    }
}
