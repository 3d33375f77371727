//! Pruning criteria: each scores every weight of a layer, and the lowest scores are pruned first.

use crate::base::rng::Generator;
use crate::config::Criterion;

/// The values of one layer's weights: slices of equal length, in the order of the tensor (row-major).
#[derive(Clone, Copy, Debug)]
pub struct LayerWeights<'a> {
    /// The reference weights: the earlier weights that some criteria compare the trained ones with.
    pub reference: &'a [f32],
    /// The weights at the end of training.
    pub trained: &'a [f32],
    /// Whether each weight is kept by the mask that is to be pruned. Pruned weights are scored too, but are not ranked.
    pub kept: &'a [bool],
    /// With [`Criterion::Wanda`]: the norm of each input of a linear layer; empty for other layers, which it does not
    /// prune.
    pub input_norms: &'a [f64],
}

/// Writes the score of each weight of a layer to `out`, which is as long as the layer. [`Criterion::Random`] draws one
/// number from `generator` for each weight, so the layers of a network must be scored in the network's order.
///
/// Magnitude is that of Frankle & Carbin 2019 (section 1: the smallest-magnitude weights at the end of training), LAMP that
/// of Lee et al. 2021 (arXiv 2010.07611, equation 4), Wanda that of Sun et al. 2024 (arXiv 2306.11695, equation 1); the
/// others are those of Zhou et al. 2019 (arXiv 1905.01067, section 3).
pub fn scores(criterion: Criterion, weights: &LayerWeights<'_>, generator: &mut Generator, out: &mut [f64]) {
    match criterion {
        Criterion::Magnitude => score_each(weights, out, |_, trained| trained.abs()),
        Criterion::MagnitudeIncrease => score_each(weights, out, |reference, trained| trained.abs() - reference.abs()),
        Criterion::Movement => score_each(weights, out, |reference, trained| (trained - reference).abs()),
        Criterion::Random => score_each(weights, out, |_, _| generator.unit() as f32),
        Criterion::LargeInit => score_each(weights, out, |reference, _| reference.abs()),
        Criterion::SmallFinal => score_each(weights, out, |_, trained| -trained.abs()),
        Criterion::LargeFinalSameSign => score_each(weights, out, |reference, trained| {
            if trained.is_sign_negative() == reference.is_sign_negative() { trained.abs() } else { 0.0 }
        }),
        Criterion::Lamp => lamp(weights, out),
        Criterion::Wanda => {
            for (index, (out, &trained)) in out.iter_mut().zip(weights.trained).enumerate() {
                let inputs = weights.input_norms;
                let norm = if inputs.is_empty() { 1.0 } else { inputs[index % inputs.len()] };
                *out = f64::from(trained.abs()) * norm;
            }
        }
    }
}

/// Writes the LAMP score of each kept weight to `out`, and 0 for pruned ones.
fn lamp(weights: &LayerWeights<'_>, out: &mut [f64]) {
    let square = |index: usize| f64::from(weights.trained[index]).powi(2);
    let mut order: Vec<usize> = (0..out.len()).filter(|&index| weights.kept[index]).collect();
    order.sort_unstable_by(|&a, &b| square(b).total_cmp(&square(a)));
    out.fill(0.0);
    let mut sum = 0.0;
    // Weights of equal magnitude share one sum, and so have equal scores.
    for equals in order.chunk_by(|&a, &b| square(a).total_cmp(&square(b)).is_eq()) {
        sum += square(equals[0]) * equals.len() as f64;
        for &index in equals {
            out[index] = if sum > 0.0 { square(index) / sum } else { 0.0 };
        }
    }
}

/// Writes `score(reference, trained)` of each weight to `out`.
fn score_each(weights: &LayerWeights<'_>, out: &mut [f64], mut score: impl FnMut(f32, f32) -> f32) {
    let pairs = weights.reference.iter().zip(weights.trained);
    for (out, (&reference, &trained)) in out.iter_mut().zip(pairs) {
        *out = f64::from(score(reference, trained));
    }
}

impl Criterion {
    /// Returns whether scores are drawn at random, so that repeats of an arm differ.
    pub fn is_random(self) -> bool {
        match self {
            Self::Random => true,
            Self::Magnitude
            | Self::MagnitudeIncrease
            | Self::Movement
            | Self::LargeInit
            | Self::SmallFinal
            | Self::LargeFinalSameSign
            | Self::Lamp
            | Self::Wanda => false,
        }
    }

    /// Returns whether the score depends on trained weights.
    pub fn needs_training(self) -> bool {
        match self {
            Self::Random | Self::LargeInit => false,
            Self::Magnitude
            | Self::MagnitudeIncrease
            | Self::Movement
            | Self::SmallFinal
            | Self::LargeFinalSameSign
            | Self::Lamp
            | Self::Wanda => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::{Purpose, Stream};

    fn scores_of(criterion: Criterion, reference: &[f32], trained: &[f32]) -> Vec<f64> {
        let mut generator = Stream::of_replicate(1, 1, Purpose::Criterion).generator(0);
        let mut out = vec![f64::NAN; trained.len()];
        let kept = vec![true; trained.len()];
        let weights = LayerWeights { reference, trained, kept: &kept, input_norms: &[2.0, 10.0] };
        scores(criterion, &weights, &mut generator, &mut out);
        out
    }

    const REFERENCE: [f32; 4] = [1.0, -2.0, 0.5, -4.0];
    const TRAINED: [f32; 4] = [-3.0, -2.5, 0.25, 4.0];

    #[test]
    fn criterion_scores_by_hand() {
        let scores = |criterion| scores_of(criterion, &REFERENCE, &TRAINED);
        assert_eq!(scores(Criterion::Magnitude), [3.0, 2.5, 0.25, 4.0]);
        assert_eq!(scores(Criterion::MagnitudeIncrease), [2.0, 0.5, -0.25, 0.0]);
        assert_eq!(scores(Criterion::Movement), [4.0, 0.5, 0.25, 8.0]);
        assert_eq!(scores(Criterion::LargeInit), [1.0, 2.0, 0.5, 4.0]);
        assert_eq!(scores(Criterion::SmallFinal), [-3.0, -2.5, -0.25, -4.0]);
        assert_eq!(scores(Criterion::LargeFinalSameSign), [0.0, 2.5, 0.25, 0.0]);
        // Two output units of two inputs, whose norms are 2 and 10.
        assert_eq!(scores(Criterion::Wanda), [6.0, 25.0, 0.5, 40.0]);
        // Squares 9, 6.25, 0.0625 and 16, of which 16, 25, 31.25 and 31.3125 are the sums from the largest on.
        assert_eq!(scores(Criterion::Lamp), [9.0 / 25.0, 6.25 / 31.25, 0.0625 / 31.3125, 1.0]);
    }

    #[test]
    fn lamp_sums_over_kept_weights_and_scores_equal_magnitudes_alike() {
        let mut out = [f64::NAN; 5];
        let weights = LayerWeights {
            reference: &[0.0; 5],
            trained: &[2.0, -2.0, 9.0, 1.0, 0.0],
            kept: &[true, true, false, true, true],
            input_norms: &[],
        };
        let mut generator = Stream::of_replicate(1, 1, Purpose::Criterion).generator(0);
        scores(Criterion::Lamp, &weights, &mut generator, &mut out);
        assert_eq!(out, [0.5, 0.5, 0.0, 1.0 / 9.0, 0.0]);
    }

    #[test]
    fn random_criterion_draws_from_its_stream_alone() {
        let drawn = scores_of(Criterion::Random, &REFERENCE, &TRAINED);
        assert!(drawn.iter().all(|score| (0.0..1.0).contains(score)) && drawn[0] != drawn[1], "{drawn:?}");
        assert_eq!(drawn, scores_of(Criterion::Random, &[0.0; 4], &[0.0; 4]), "independent of the weights");
    }

    #[test]
    fn criterion_properties_agree_with_its_scores() {
        for criterion in [
            Criterion::Magnitude,
            Criterion::MagnitudeIncrease,
            Criterion::Movement,
            Criterion::Random,
            Criterion::LargeInit,
            Criterion::SmallFinal,
            Criterion::LargeFinalSameSign,
            Criterion::Lamp,
            Criterion::Wanda,
        ] {
            let scores = scores_of(criterion, &REFERENCE, &TRAINED);
            let changes = |reference: &[f32], trained: &[f32]| scores != scores_of(criterion, reference, trained);
            assert_eq!(changes(&REFERENCE, &[-1.0, 9.0, -9.0, 1.0]), criterion.needs_training(), "{criterion:?}");
            let of_reference = changes(&[-1.0, 9.0, -9.0, 1.0], &TRAINED);
            assert_eq!(of_reference, criterion.needs_reference_weights(), "{criterion:?}");
            assert_eq!(criterion.is_random(), criterion == Criterion::Random);
        }
    }
}
