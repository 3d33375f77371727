//! SNIP (Lee et al. 2019, arXiv 1810.02340, equation 5): the sensitivity of the loss to the presence of a weight.

use anyhow::Result;

use super::{ScoredNetwork, Scores, score_by_gradient};

/// Returns |θ·g| of every weight, with the gradient g of the cross-entropy of the pruned network. SNIP divides by the sum,
/// which does not change the order. Iterative SNIP and FORCE have the same score in every step.
pub(super) fn scores(network: &ScoredNetwork<'_>) -> Result<Scores> {
    let options = network.cross_entropy(1.0);
    let gradients = network.probe.gradients(network.initial, network.mask, network.batches, &options)?;
    score_by_gradient(network, &gradients, |weight, gradient| (weight * gradient).abs())
}
