//! Pruning criteria: each scores a weight by one expression, and the lowest scores are pruned first.

use crate::base::rng::Generator;
use crate::config::Criterion;

/// Two values of one weight: at the end of training, and at the earlier iteration that some criteria compare it with.
#[derive(Clone, Copy)]
pub(super) struct WeightPair {
    pub(super) reference: f32,
    pub(super) trained: f32,
}

/// Returns the score of a weight. [`Criterion::Random`] draws one number from `generator` for each weight of the network,
/// in the network's order.
///
/// Magnitude is the paper's (section 1: the smallest-magnitude weights at the end of training); the others are those of
/// Zhou et al. 2019 (arXiv 1905.01067, section 3).
pub(super) fn score(criterion: Criterion, weight: WeightPair, generator: &mut Generator) -> f32 {
    let WeightPair { reference, trained: last } = weight;
    match criterion {
        Criterion::Magnitude => last.abs(),
        Criterion::MagnitudeIncrease => last.abs() - reference.abs(),
        Criterion::Movement => (last - reference).abs(),
        Criterion::Random => generator.unit() as f32,
        Criterion::LargeInit => reference.abs(),
        Criterion::SmallFinal => -last.abs(),
        Criterion::LargeFinalSameSign => {
            if last.is_sign_negative() == reference.is_sign_negative() {
                last.abs()
            } else {
                0.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::{Purpose, Stream};

    fn scores(criterion: Criterion) -> Vec<f32> {
        let weights = [(1.0, -3.0), (-2.0, -2.5), (0.5, 0.25), (-4.0, 4.0)];
        let mut generator = Stream::of_replicate(1, 1, Purpose::Criterion).generator(0);
        weights
            .iter()
            .map(|&(reference, last)| score(criterion, WeightPair { reference, trained: last }, &mut generator))
            .collect()
    }

    #[test]
    fn each_criterion_checked_in_the_head() {
        assert_eq!(scores(Criterion::Magnitude), [3.0, 2.5, 0.25, 4.0]);
        assert_eq!(scores(Criterion::MagnitudeIncrease), [2.0, 0.5, -0.25, 0.0]);
        assert_eq!(scores(Criterion::Movement), [4.0, 0.5, 0.25, 8.0]);
        assert_eq!(scores(Criterion::LargeInit), [1.0, 2.0, 0.5, 4.0]);
        assert_eq!(scores(Criterion::SmallFinal), [-3.0, -2.5, -0.25, -4.0]);
        assert_eq!(scores(Criterion::LargeFinalSameSign), [0.0, 2.5, 0.25, 0.0]);
    }

    #[test]
    fn a_random_score_knows_nothing_of_the_weight() {
        let drawn = scores(Criterion::Random);
        assert!(drawn.iter().all(|score| (0.0..1.0).contains(score)) && drawn[0] != drawn[1], "{drawn:?}");
        assert_eq!(drawn, scores(Criterion::Random), "the stream's own numbers");
    }
}
