//! Comparison of trainers with the numbers of `PyTorch` in tests/oracle/*.json.
//!
//! After every step the oracle has one number for each part of the state (weights, each moment, running statistics):
//! its projection, the sum of all values with pseudo-random signs, which changes if any value does. After some steps it
//! also has, for each tensor of each part, its norm and its "picks": the values at a few pseudo-random positions.

use std::fmt::Debug;

use lth::base::curve::Score;
use lth::base::mask::Mask;
use lth::base::rng::mix;
use lth::base::tensors::TensorMap;
use serde_json::Value;

/// Returns the upper 53 bits of a hash as a number in [0, 1).
pub(crate) fn unit(h: u64) -> f64 {
    (h >> 11) as f64 * 2_f64.powi(-53)
}

/// Returns the values of all tensors, in their order.
fn values(state: &TensorMap) -> impl Iterator<Item = f64> {
    state.0.iter().flat_map(|tensor| &tensor.values).map(|&v| f64::from(v))
}

/// Returns the Euclidean norm.
fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

/// Returns the sum of all values, each with a sign by the hash of its index.
fn projection(state: &TensorMap) -> f64 {
    let sign = |i: usize| if mix(5, i as u64).is_multiple_of(2) { 1.0 } else { -1.0 };
    values(state).enumerate().map(|(i, v)| v * sign(i)).sum()
}

/// Returns the distance of `got` from `want`, relative to the norm of `want`.
pub(crate) fn distance(got: &TensorMap, want: &TensorMap) -> f64 {
    norm(values(got).zip(values(want)).map(|(a, b)| a - b)) / norm(values(want))
}

/// Compares the parts of a state with the numbers of the oracle after `step` steps. `tolerance` is relative to the norm
/// of a part or tensor; tensors with a norm below `least_norm` count as if they had that norm.
pub(crate) fn compare(
    case: &dyn Debug,
    oracle: &Value,
    step: u64,
    parts: &[&TensorMap],
    tolerance: f64,
    least_norm: f64,
) {
    let projections = oracle["projections"][step as usize - 1].as_array().unwrap();
    assert_eq!(projections.len(), parts.len(), "{case:?} step {step}");
    for (part, (state, expected)) in parts.iter().zip(projections).enumerate() {
        let error = (projection(state) - expected.as_f64().unwrap()).abs() / norm(values(state));
        assert!(error < tolerance, "{case:?} step {step} part {part}: projection off by {error:.1e}");
        let Some(tensors) = oracle["detailed"][step.to_string()]["tensors"][part].as_array() else { continue };
        for (tensor, expected) in state.0.iter().zip(tensors) {
            let tensor_norm = norm(tensor.values.iter().map(|&v| f64::from(v)));
            let size = tensor_norm.max(least_norm);
            let error = (tensor_norm - expected["norm"].as_f64().unwrap()).abs() / size;
            assert!(error < tolerance, "{case:?} step {step} part {part} {}: norm off by {error:.1e}", tensor.name);
            for (i, expected) in expected["picks"].as_array().unwrap().iter().enumerate() {
                let pick = f64::from(tensor.values[(mix(6, i as u64) % tensor.values.len() as u64) as usize]);
                let error = (pick - expected.as_f64().unwrap()).abs() / size;
                assert!(error < tolerance, "{case:?} step {step} part {part} {} pick {i}: {error:.1e}", tensor.name);
            }
        }
    }
}

/// Returns whether the oracle evaluated after `step` steps.
pub(crate) fn evaluates(oracle: &Value, step: u64) -> bool {
    oracle["detailed"][step.to_string()]["loss"].is_number()
}

/// Compares an evaluation with that of the oracle; `tolerance` is the relative tolerance of the loss.
pub(crate) fn compare_score(case: &dyn Debug, oracle: &Value, step: u64, score: Score, tolerance: f64) {
    let expected = |name: &str| oracle["detailed"][step.to_string()][name].as_f64().unwrap();
    let loss = expected("loss");
    assert!((score.loss - loss).abs() < tolerance * loss, "{case:?} step {step}: loss {} {loss}", score.loss);
    assert!((score.accuracy - expected("accuracy")).abs() < 1e-12, "{case:?} step {step}: {}", score.accuracy);
}

/// Checks that every pruned weight and its moments are +0.0.
pub(crate) fn check_zeros<'a>(
    case: &dyn Debug,
    step: u64,
    states: impl IntoIterator<Item = &'a TensorMap>,
    mask: &Mask,
) {
    for state in states {
        assert!(mask.is_respected_by(state), "{case:?} step {step}: a pruned weight or its moment is not +0.0");
    }
}

/// Asserts that a misused trainer returns the error whose message contains `expected`.
pub(crate) fn assert_error(case: &str, result: anyhow::Result<()>, expected: &str) {
    let message = format!("{:#}", result.unwrap_err());
    assert!(message.contains(expected), "{case}: {message}");
}
