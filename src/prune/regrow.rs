//! One update of sparse-to-sparse training: every layer drops its smallest weights and grows as many others.

use super::select::prune_lowest;
use super::tie_break::TieBreak;
use crate::base::mask::{LayerMask, Mask};
use crate::base::rng::Stream;

/// The scores by which weights are dropped and grown, of every weight, by layer in the mask's order.
pub struct RegrowScores<'a> {
    /// The magnitudes of the weights: the lowest are dropped.
    pub magnitudes: &'a [Vec<f64>],
    /// The scores of pruned weights: the highest are grown.
    pub growth: &'a [Vec<f64>],
}

/// Returns the mask after every layer has dropped `fraction` of its kept weights, rounded down, and grown as many (Evci et
/// al. 2020, arXiv 1911.11134, algorithm 1, in the authors' code): a weight that has just been dropped may grow again at
/// once. `update` is the number of the update, from 0: ties are broken at random, by `stream` and this number.
pub fn regrow(mask: &Mask, scores: &RegrowScores<'_>, fraction: f64, stream: Stream, update: u64) -> Mask {
    let [of_drop, of_growth] = [2 * update, 2 * update + 1].map(|draw| TieBreak::new(stream, draw));
    let layers = mask.0.iter().zip(scores.magnitudes).zip(scores.growth).enumerate();
    let updated = layers.map(|(index, ((layer, magnitudes), growth))| {
        let count = (layer.kept_count() as f64 * fraction) as u64;
        let mut kept = layer.kept.clone();
        prune_lowest(magnitudes, &mut kept, count, |weight| of_drop.rank(index, weight));
        // The weights with the highest scores grow: they leave the free ones first.
        let falling: Vec<f64> = growth.iter().map(|score| -score).collect();
        let mut free: Vec<bool> = kept.iter().map(|kept| !kept).collect();
        prune_lowest(&falling, &mut free, count, |weight| of_growth.rank(index, weight));
        LayerMask { kept: free.into_iter().map(|free| !free).collect(), ..layer.clone() }
    });
    Mask(updated.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::rng::Purpose;

    fn stream() -> Stream {
        Stream::of_replicate(1, 1, Purpose::MaskUpdates)
    }

    fn mask(kept: &[bool]) -> Mask {
        Mask(vec![LayerMask { name: "a.weight".into(), shape: vec![kept.len()], kept: kept.to_vec() }])
    }

    fn regrown(kept: &[bool], magnitudes: &[f64], growth: &[f64], fraction: f64) -> Vec<bool> {
        let scores = RegrowScores { magnitudes: &[magnitudes.to_vec()], growth: &[growth.to_vec()] };
        regrow(&mask(kept), &scores, fraction, stream(), 3).0.remove(0).kept
    }

    #[test]
    fn smallest_weights_are_dropped_and_largest_gradients_grow() {
        let kept = [true, true, true, true, true, false, false, false];
        let magnitudes = [0.5, 0.1, 0.3, 0.9, 0.2, 0.0, 0.0, 0.0];
        let growth = [0.0, 0.1, 0.0, 9.0, 0.2, 0.3, 0.05, 0.4];
        // Two of five: 0.1 and 0.2. The largest gradients of pruned weights are the last one's and the sixth's.
        let after = regrown(&kept, &magnitudes, &growth, 0.4);
        assert_eq!(after, [true, false, true, true, false, true, false, true]);
        // 1.95 is rounded down: one weight.
        let after = regrown(&kept, &magnitudes, &growth, 0.39);
        assert_eq!(after, [true, false, true, true, true, false, false, true]);
    }

    #[test]
    fn dropped_weight_with_the_largest_gradient_grows_again() {
        let after = regrown(&[true, true, false], &[0.1, 0.9, 0.0], &[5.0, 0.0, 1.0], 0.5);
        assert_eq!(after, [true, true, false]);
    }

    #[test]
    fn dense_layers_stay_dense() {
        assert_eq!(regrown(&[true; 4], &[0.4, 0.3, 0.2, 0.1], &[0.0; 4], 0.5), [true; 4]);
    }

    #[test]
    fn ties_are_broken_otherwise_in_each_update() {
        let kept: Vec<bool> = (0..200).map(|index| index % 2 == 0).collect();
        let scores = RegrowScores { magnitudes: &[vec![0.0; 200]], growth: &[vec![0.0; 200]] };
        let of = |update| regrow(&mask(&kept), &scores, 0.5, stream(), update);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    proptest! {
        #[test]
        fn regrow_keeps_the_count_and_drops_nothing_above_what_it_keeps(
            weights in prop::collection::vec((any::<bool>(), 0_u8..6, 0_u8..6), 1..60), fraction in 0.0..1.0_f64,
        ) {
            let kept: Vec<bool> = weights.iter().map(|w| w.0).collect();
            let magnitudes: Vec<f64> = weights.iter().map(|w| f64::from(w.1)).collect();
            let growth: Vec<f64> = weights.iter().map(|w| f64::from(w.2)).collect();
            let after = regrown(&kept, &magnitudes, &growth, fraction);
            let count = |mask: &[bool]| mask.iter().filter(|kept| **kept).count();
            prop_assert_eq!(count(&after), count(&kept));
            let moved = (0..kept.len()).filter(|&i| kept[i] && !after[i]).count();
            prop_assert!(moved <= (count(&kept) as f64 * fraction) as usize);
            // Of the weights that were kept, no dropped one is larger than one that stays, unless that grew again.
            let grown_least = (0..kept.len()).filter(|&i| !kept[i] && after[i]).map(|i| growth[i]).fold(9.0, f64::min);
            for i in (0..kept.len()).filter(|&i| kept[i] && !after[i]) {
                prop_assert!(growth[i] <= grown_least, "a dropped weight with a higher score than a grown one");
            }
        }
    }
}
