//! Retention: which weights of a training run are kept in the store, and which are freed once nothing depends on them.

use super::training_graph::{Node, TrainingGraph};
use crate::base::units::Iteration;
use crate::config::KeepWeights;
use crate::lottery::{Dependency, MaskRule};

/// The weights of a training run that are kept in the store, beside its curve and its mask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Retention {
    /// Whether the final weights are written when the training run ends.
    pub(super) final_weights: bool,
    /// Whether the final weights are never freed.
    pub(super) is_pinned: bool,
    /// Whether the final weights are needed only until the training runs that depend on them have ended.
    pub(super) is_intermediate: bool,
    /// The iterations whose state is kept, ascending: other training runs start from there.
    pub(super) snapshots_at: Vec<Iteration>,
}

impl Retention {
    /// Returns the retention of each node of a graph.
    ///
    /// Final weights are written of dense training runs, of every round of a chain, and of whatever another one depends on;
    /// with [`KeepWeights::All`] of every training run. With [`KeepWeights::Needed`] intermediate ones are freed when the
    /// training runs that depend on them have ended; the last round of a chain is intermediate where another experiment
    /// goes on from it.
    pub(super) fn of_graph(graph: &TrainingGraph<'_>, keep: KeepWeights) -> Vec<Self> {
        graph.nodes.iter().map(|node| Self::of(&graph.nodes, node, keep)).collect()
    }

    fn of(nodes: &[Node<'_>], node: &Node<'_>, keep: KeepWeights) -> Self {
        let is_chain = node.spec.mask == MaskRule::Dense || node.spec.mask.is_chain();
        let mut snapshots_at: Vec<Iteration> =
            node.children.iter().filter_map(|(_, dependency)| dependency.snapshot_iteration()).collect();
        snapshots_at.sort_unstable();
        snapshots_at.dedup();
        Self {
            final_weights: keep == KeepWeights::All || is_chain || needs_final_weights(node),
            is_pinned: keep == KeepWeights::All || keep == KeepWeights::Tickets && is_chain,
            is_intermediate: is_intermediate(nodes, node),
            snapshots_at,
        }
    }

    /// Whether the final weights are in the store when every training run has ended.
    pub(super) fn keeps_final_weights(&self) -> bool {
        self.is_pinned || self.final_weights && !self.is_intermediate
    }
}

/// Whether another training run depends on the final weights of `node`.
fn needs_final_weights(node: &Node<'_>) -> bool {
    node.children.iter().any(|(_, dependency)| *dependency == Dependency::FinalWeights)
}

/// Whether the final weights of `node` are needed only by others of the plan, which prune it or go on from it. Those that
/// one more round of a chain would compare with are kept beside the weights of the chain's last round.
fn is_intermediate(nodes: &[Node<'_>], node: &Node<'_>) -> bool {
    if node.spec.mask == MaskRule::Dense || !needs_final_weights(node) {
        return false;
    }
    let is_reference_of_last_round = |(child, dependency): &(usize, Dependency)| {
        let child = &nodes[*child];
        *dependency == Dependency::FinalWeights
            && child.spec.reference_of_next_round() == Some(&node.spec.key)
            && !needs_final_weights(child)
    };
    !node.children.iter().any(is_reference_of_last_round)
}
