//! `GraSP` (Wang et al. 2020, arXiv 2002.07376, equation 8): the effect of a weight on the norm of the gradient.

use anyhow::Result;

use super::{ScoredNetwork, Scores, score_by_gradient};

/// The temperature that the authors divide the logits by.
const TEMPERATURE: f64 = 200.0;

/// Returns θ·Hg of every weight, with the gradient g and the Hessian H of the cross-entropy at [`TEMPERATURE`]. The authors
/// prune the weights with the highest −θ·Hg.
pub(super) fn scores(network: &ScoredNetwork<'_>) -> Result<Scores> {
    let options = network.cross_entropy(TEMPERATURE);
    let probe = network.probe;
    let products = probe.hessian_gradient_product(network.initial, network.mask, network.batches, &options)?;
    score_by_gradient(network, &products, |weight, product| weight * product)
}
