//! The scores that the training of a mask begins with.

use crate::base::mask::{LayerMask, Mask};
use crate::base::rng::Generator;
use crate::base::tensors::{NamedTensor, TensorMap};
use crate::config::Supermask;

/// Returns scores that determine `mask`, of every prunable weight.
///
/// For edge-popup they are uniform in ±1/√(inputs of a unit), as in the authors' code (Kaiming uniform with a = √5), but so
/// ordered that the largest magnitudes are those of the kept weights; a random mask and independent scores have the same
/// distribution. For a mask of probabilities they are 0: each weight is kept with the probability 1/2 (Zhou et al. 2019).
pub(super) fn initial_scores(supermask: Supermask, mask: &Mask, generator: &mut Generator) -> TensorMap {
    let layer = |layer: &LayerMask| {
        let values = match supermask {
            Supermask::Bernoulli => vec![0.0; layer.kept.len()],
            Supermask::EdgePopup => ordered_scores(layer, generator),
        };
        NamedTensor { name: layer.name.clone(), shape: layer.shape.clone(), values }
    };
    TensorMap(mask.0.iter().map(layer).collect())
}

/// Draws a score for each weight of a layer; no pruned weight has a larger magnitude than a kept one.
fn ordered_scores(layer: &LayerMask, generator: &mut Generator) -> Vec<f32> {
    let inputs: usize = layer.shape[1..].iter().product();
    let bound = 1.0 / (inputs.max(1) as f64).sqrt();
    let mut magnitudes: Vec<f32> = layer.kept.iter().map(|_| (bound * generator.unit()) as f32).collect();
    magnitudes.sort_unstable_by(|a, b| b.total_cmp(a));
    let (largest, others) = magnitudes.split_at_mut(layer.kept_count() as usize);
    generator.shuffle(largest);
    generator.shuffle(others);
    let (mut largest, mut others) = (largest.iter(), others.iter());
    let mut score = |&kept: &bool| {
        let magnitude = if kept { largest.next() } else { others.next() };
        let sign = if generator.below(2) == 0 { 1.0 } else { -1.0 };
        sign * magnitude.copied().unwrap_or_default()
    };
    layer.kept.iter().map(&mut score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::{Purpose, Stream};

    #[test]
    fn scores_determine_the_mask_and_are_uniform() {
        let kept: Vec<bool> = (0..4000).map(|index| index % 5 == 1).collect();
        let mask = Mask(vec![LayerMask { name: "a.weight".into(), shape: vec![40, 4, 5, 5], kept: kept.clone() }]);
        let mut generator = Stream::of_replicate(1, 1, Purpose::Scores).generator(0);
        let scores = initial_scores(Supermask::EdgePopup, &mask, &mut generator).0.remove(0).values;
        let least_kept = scores.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(s, _)| s.abs()).fold(9.0, f32::min);
        let largest_pruned =
            scores.iter().zip(&kept).filter(|(_, kept)| !**kept).map(|(s, _)| s.abs()).fold(0.0, f32::max);
        assert!(largest_pruned <= least_kept, "{largest_pruned} {least_kept}");
        // Uniform in ±0.1: the mean is 0, that of squares 0.01/3, and a fifth of the magnitudes is above 0.08.
        let mean = scores.iter().map(|&s| f64::from(s)).sum::<f64>() / 4000.0;
        let squares = scores.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / 4000.0;
        assert!(mean.abs() < 0.004 && (squares * 300.0 - 1.0).abs() < 0.06, "{mean} {squares}");
        assert!((least_kept - 0.08).abs() < 0.003, "{least_kept}");
        let zeros = initial_scores(Supermask::Bernoulli, &mask, &mut generator).0.remove(0).values;
        assert!(zeros.iter().all(|&score| score == 0.0));
    }
}
