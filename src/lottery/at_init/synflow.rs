//! `SynFlow` (Tanaka et al. 2020, arXiv 2006.05467, equation 4): the flow through a weight.

use anyhow::Result;

use super::{ScoredNetwork, Scores, score_by_gradient};
use crate::engine::ProbeOptions;

/// Returns |θ|·∂R/∂|θ| of every weight, where R is the sum of the outputs of the network with absolute weights for an
/// image of ones.
pub(super) fn scores(network: &ScoredNetwork<'_>) -> Result<Scores> {
    let gradients = network.probe.gradients(network.initial, network.mask, &[], &ProbeOptions::synaptic_flow())?;
    score_by_gradient(network, &gradients, |weight, gradient| weight.abs() * gradient)
}
