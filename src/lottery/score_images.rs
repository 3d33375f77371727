//! Draws the images that scores of weights are computed on.

use crate::base::rng::Generator;
use crate::config::ScoreImages;
use crate::data::Dataset;

/// Largest number of images of a batch with [`ScoreImages::ImagesPerClass`].
const BATCH: usize = 256;

/// Draws images from the training split, and returns their indices in batches. `batch_size`: that of training.
pub(super) fn score_batches(
    images: ScoreImages,
    dataset: &Dataset,
    batch_size: u32,
    generator: &mut Generator,
) -> Vec<Vec<u32>> {
    let order = generator.permutation(dataset.train.len() as u32);
    let shuffled = order.iter().map(|&position| dataset.train[position as usize]);
    let (drawn, size): (Vec<u32>, usize) = match images {
        ScoreImages::ImagesPerClass(count) => {
            let mut missing = vec![count; dataset.classes];
            let is_drawn = |image: &u32| {
                let missing = &mut missing[usize::from(dataset.labels[*image as usize])];
                std::mem::replace(missing, missing.saturating_sub(1)) > 0
            };
            (shuffled.filter(is_drawn).collect(), BATCH)
        }
        ScoreImages::Batches(count) => {
            (shuffled.take(count as usize * batch_size as usize).collect(), batch_size as usize)
        }
    };
    drawn.chunks(size).map(<[u32]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::{Purpose, Stream};
    use crate::data::Normalization;

    /// 40 training images of three classes: image i has class i mod 3, and the first 10 are not in the training split.
    fn dataset() -> Dataset {
        Dataset {
            shape: [1, 1, 1],
            classes: 3,
            images: vec![0; 50],
            labels: (0..50).map(|i| i % 3).collect(),
            train: (10..50).collect(),
            validation: (0..10).collect(),
            test: Vec::new(),
            normalization: Normalization::Affine { scale: 1.0, offset: 0.0 },
        }
    }

    fn draw(images: ScoreImages) -> Vec<Vec<u32>> {
        score_batches(images, &dataset(), 8, &mut Stream::of_replicate(1, 1, Purpose::Score).generator(1))
    }

    #[test]
    fn images_per_class_are_drawn_from_the_training_split() {
        let drawn = draw(ScoreImages::ImagesPerClass(4)).concat();
        let of_class = |class| drawn.iter().filter(|&&image| image % 3 == class).count();
        assert_eq!([of_class(0), of_class(1), of_class(2)], [4, 4, 4]);
        assert!(drawn.iter().all(|image| (10..50).contains(image)));
        assert_ne!(
            drawn,
            {
                let mut sorted = drawn.clone();
                sorted.sort_unstable();
                sorted
            },
            "in random order"
        );
        assert_eq!(draw(ScoreImages::ImagesPerClass(100)).concat().len(), 40, "all there are");
    }

    #[test]
    fn batches_have_the_size_of_training_and_no_image_twice() {
        let drawn = draw(ScoreImages::Batches(3));
        assert_eq!(drawn.iter().map(Vec::len).collect::<Vec<_>>(), [8, 8, 8]);
        let mut images = drawn.concat();
        images.sort_unstable();
        images.dedup();
        assert_eq!(images.len(), 24);
    }
}
