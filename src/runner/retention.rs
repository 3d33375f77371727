//! Retention: which weights of a training run are kept in the store, and which are freed once nothing depends on them.

use super::training_graph::{Node, TrainingGraph};
use crate::base::units::Iteration;
use crate::config::KeepWeights;
use crate::lottery::Dependency;

/// The weights of a training run that are kept in the store, beside its curve and its mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Retention {
    /// Whether the final weights are written when the training run ends.
    pub(super) final_weights: bool,
    /// Whether the final weights are never freed.
    pub(super) is_pinned: bool,
    /// Whether the final weights are needed only until the training runs that depend on them have ended. With
    /// [`KeepWeights::Needed`] they are freed then.
    pub(super) is_intermediate: bool,
    /// The iterations whose snapshots are kept, in ascending order: other training runs start from them.
    pub(super) snapshots_at: Vec<Iteration>,
}

impl Retention {
    /// Returns the retention of each node of a graph.
    ///
    /// Final weights are written for dense training runs, for every round of a chain, and for every training run whose
    /// final weights another one needs; with [`KeepWeights::All`] for every training run. With [`KeepWeights::Needed`],
    /// intermediate final weights are freed when the training runs that need them have ended. A round that is the last
    /// of its chain in one experiment is intermediate in another experiment with more rounds.
    pub(super) fn of_graph(graph: &TrainingGraph<'_>, keep: KeepWeights) -> Vec<Self> {
        graph.nodes.iter().map(|node| Self::of(&graph.nodes, node, keep)).collect()
    }

    fn of(nodes: &[Node<'_>], node: &Node<'_>, keep: KeepWeights) -> Self {
        let is_dense_or_chain = node.spec.is_dense() || node.spec.mask.is_chain();
        let mut snapshots_at: Vec<Iteration> =
            node.children.iter().filter_map(|(_, dependency)| dependency.snapshot_iteration()).collect();
        snapshots_at.sort_unstable();
        snapshots_at.dedup();
        Self {
            final_weights: keep == KeepWeights::All || is_dense_or_chain || needs_final_weights(node),
            is_pinned: keep == KeepWeights::All || keep == KeepWeights::Tickets && is_dense_or_chain,
            is_intermediate: is_intermediate(nodes, node),
            snapshots_at,
        }
    }

    /// Returns whether `run.keep` keeps the final weights after the run. With [`KeepWeights::Tickets`] the run itself
    /// leaves intermediate ones in the store, and `lth clean` frees them.
    pub(super) fn keeps_final_weights(&self) -> bool {
        self.is_pinned || self.final_weights && !self.is_intermediate
    }
}

/// Returns whether another training run depends on the final weights of `node`.
fn needs_final_weights(node: &Node<'_>) -> bool {
    node.children.iter().any(|(_, dependency)| *dependency == Dependency::FinalWeights)
}

/// Returns whether the final weights of `node` are needed only by other training runs of the plan, which prune it or
/// start from it.
///
/// False for the dense network, and for the reference weights of a round that would follow the last round of a chain:
/// that round needs them beside the last round's own weights when the experiment is extended.
fn is_intermediate(nodes: &[Node<'_>], node: &Node<'_>) -> bool {
    if node.spec.is_dense() || !needs_final_weights(node) {
        return false;
    }
    let is_reference_for_extension = |(child, dependency): &(usize, Dependency)| {
        let child = &nodes[*child];
        *dependency == Dependency::FinalWeights
            && child.spec.reference_of_next_round() == Some(&node.spec.key)
            && !needs_final_weights(child)
    };
    !node.children.iter().any(is_reference_for_extension)
}
