//! Random masks: the control for the masks that a criterion finds.

use crate::base::mask::{LayerMask, Mask};
use crate::base::rng::Generator;

/// Returns a uniformly random mask that keeps as many weights in every layer as `like` does.
pub fn random_mask(like: &Mask, generator: &mut Generator) -> Mask {
    let layers = like.0.iter().map(|layer| {
        let mut kept = vec![false; layer.kept.len()];
        let order = generator.permutation(kept.len() as u32);
        order[..layer.kept_count() as usize].iter().for_each(|&i| kept[i as usize] = true);
        LayerMask { kept, ..layer.clone() }
    });
    Mask(layers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::{Purpose, Stream};

    #[test]
    fn random_mask_keeps_the_count_of_every_layer() {
        let layer =
            |n, kept| LayerMask { name: format!("l{n}"), shape: vec![n], kept: (0..n).map(|i| i < kept).collect() };
        let like = Mask(vec![layer(100, 30), layer(10, 0), layer(10, 10)]);
        let drawn = random_mask(&like, &mut Stream::of_replicate(1, 1, Purpose::Mask).generator(0));
        assert_eq!(drawn.kept_counts(), [30, 0, 10]);
        assert_ne!(drawn, like);
    }
}
