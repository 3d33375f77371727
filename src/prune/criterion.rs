//! What makes a weight worth keeping: each criterion is one expression, and the least go first.

use crate::base::random::Generator;
use crate::config::Criterion;

/// A weight's value before and after training.
#[derive(Clone, Copy)]
pub(super) struct Life {
    pub(super) initial: f32,
    pub(super) last: f32,
}

/// The score of a weight. `generator` is drawn from once for each weight of the network, in its order.
///
/// Magnitude is the paper's (section 1: the smallest-magnitude weights at the end of training); the others are those of
/// Zhou et al. 2019 (arXiv 1905.01067, section 3).
pub(super) fn score(criterion: Criterion, weight: Life, generator: &mut Generator) -> f32 {
    let Life { initial, last } = weight;
    match criterion {
        Criterion::Magnitude => last.abs(),
        Criterion::MagnitudeIncrease => last.abs() - initial.abs(),
        Criterion::Movement => (last - initial).abs(),
        Criterion::Random => generator.unit() as f32,
        Criterion::LargeInit => initial.abs(),
        Criterion::SmallFinal => -last.abs(),
        Criterion::LargeFinalSameSign => {
            if last.is_sign_negative() == initial.is_sign_negative() {
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
    use crate::base::random::{Purpose, Stream};

    fn scores(criterion: Criterion) -> Vec<f32> {
        let lives = [(1.0, -3.0), (-2.0, -2.5), (0.5, 0.25), (-4.0, 4.0)];
        let mut generator = Stream::of_replicate(1, 1, Purpose::Criterion).generator(0);
        lives.iter().map(|&(initial, last)| score(criterion, Life { initial, last }, &mut generator)).collect()
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
