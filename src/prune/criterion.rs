//! What makes a weight worth keeping: each criterion is one expression, and the least go first.

use crate::config::Criterion;

/// The score of each weight of one layer, from its trained values.
pub(super) fn scores(criterion: Criterion, trained: &[f32]) -> Vec<f32> {
    match criterion {
        // The paper, section 1: the smallest-magnitude weights at the end of training.
        Criterion::Magnitude => trained.iter().map(|w| w.abs()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitude_knows_no_sign() {
        assert_eq!(scores(Criterion::Magnitude, &[-2.0, 0.5, -0.0]), [2.0, 0.5, 0.0]);
    }
}
