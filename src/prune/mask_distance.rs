//! The distance of two masks of one network.

use crate::base::mask::{LayerMask, Mask};
use crate::config::MaskDistance;

/// Returns the distance of two masks of one network; 0 if random masks with their numbers would be equal.
pub fn mask_distance(a: &Mask, b: &Mask, distance: MaskDistance) -> f64 {
    let layers = || a.0.iter().zip(&b.0);
    let differing: usize = layers().map(differing_count).sum();
    let total = match distance {
        MaskDistance::Hamming => a.total() as f64,
        MaskDistance::Normalized => layers().map(expected_of_random).sum(),
    };
    if differing == 0 { 0.0 } else { differing as f64 / total }
}

/// Returns the number of weights of a layer that one of two masks keeps and the other does not.
fn differing_count((a, b): (&LayerMask, &LayerMask)) -> usize {
    a.kept.iter().zip(&b.kept).filter(|(a, b)| a != b).count()
}

/// Returns the number of weights in which two independent random masks of a layer are expected to differ, which keep as
/// many weights as these.
fn expected_of_random((a, b): (&LayerMask, &LayerMask)) -> f64 {
    let size = a.kept.len().max(1) as f64;
    let [a, b] = [a, b].map(|mask| mask.kept_count() as f64 / size);
    size * (a * (1.0 - b) + b * (1.0 - a))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::{Purpose, Stream};
    use crate::prune::random_mask;

    fn layer(kept: Vec<bool>) -> LayerMask {
        LayerMask { name: "a.weight".into(), shape: vec![kept.len()], kept }
    }

    #[test]
    fn distance_of_masks_by_hand() {
        let a = Mask(vec![layer(vec![true, true, false, false]), layer(vec![true; 4])]);
        let b = Mask(vec![layer(vec![true, false, true, false]), layer(vec![true; 4])]);
        assert_eq!(mask_distance(&a, &b, MaskDistance::Hamming), 2.0 / 8.0);
        // Two of four in the first layer: random masks differ in 4 · (1/4 + 1/4) = 2; whole layers in none.
        assert_eq!(mask_distance(&a, &b, MaskDistance::Normalized), 1.0);
        assert_eq!(mask_distance(&a, &a, MaskDistance::Normalized), 0.0);
        let whole = Mask(vec![layer(vec![true; 4])]);
        assert_eq!(mask_distance(&whole, &whole, MaskDistance::Normalized), 0.0);
    }

    #[test]
    fn random_masks_have_the_normalized_distance_1_at_every_size() {
        let mut generator = Stream::of_replicate(1, 1, Purpose::Mask).generator(0);
        for kept in [200, 2_000, 9_000] {
            let like = Mask(vec![layer((0..10_000).map(|i| i < kept).collect())]);
            let [a, b] = [(); 2].map(|()| random_mask(&like, &mut generator));
            let distance = mask_distance(&a, &b, MaskDistance::Normalized);
            assert!((distance - 1.0).abs() < 0.05, "{kept}: {distance}");
        }
        // That is why the share of differing weights needs another threshold at each size.
        let like = Mask(vec![layer((0..10_000).map(|i| i < 1000).collect())]);
        let [a, b] = [(); 2].map(|()| random_mask(&like, &mut generator));
        assert!((mask_distance(&a, &b, MaskDistance::Hamming) - 0.18).abs() < 0.02);
    }
}
