//! The splits of a data set: a pure function of labels, sizes and seed.

use super::image_counts::ImageCounts;
use crate::base::rng::{Purpose, Stream};

/// Indices of the images of each split.
pub(super) struct SplitIndices {
    /// Training images, in the order of the split.
    pub(super) train: Vec<u32>,
    /// Validation images, in the order of the split.
    pub(super) validation: Vec<u32>,
    /// Test images, in ascending order.
    pub(super) test: Vec<u32>,
}

/// Splits images `0..train_images` into validation and training by the random stream [`Purpose::Split`] (one split per
/// experiment), then reduces training and test images to `counts`, balanced over the classes. The images from
/// `train_images` on are the test set. `labels` has the class of each image, those of the training files first.
pub(super) fn split(labels: &[u8], train_images: u32, classes: usize, counts: ImageCounts, seed: u64) -> SplitIndices {
    let order = Stream::of_replicate(seed, 0, Purpose::Split).generator(0).permutation(train_images);
    let (validation, train) = order.split_at(counts.validation as usize);
    let test: Vec<u32> = (train_images..labels.len() as u32).collect();
    SplitIndices {
        train: balanced(train, labels, classes, counts.train),
        validation: validation.to_vec(),
        test: balanced(&test, labels, classes, counts.test),
    }
}

/// Returns `limit` of the image indices `images` in their order: the first of each class, as evenly over the classes as
/// their sizes allow.
fn balanced(images: &[u32], labels: &[u8], classes: usize, limit: u32) -> Vec<u32> {
    let limit = limit as usize;
    if limit >= images.len() {
        return images.to_vec();
    }
    let mut available = vec![0_usize; classes];
    for &image in images {
        available[usize::from(labels[image as usize])] += 1;
    }
    let mut quota = vec![0_usize; classes];
    let mut missing = limit;
    while missing > 0 {
        // One image per class and pass: a class without further images leaves its share to the others.
        for class in 0..classes {
            if missing > 0 && quota[class] < available[class] {
                quota[class] += 1;
                missing -= 1;
            }
        }
    }
    let mut chosen = Vec::with_capacity(limit);
    for &image in images {
        let quota = &mut quota[usize::from(labels[image as usize])];
        if *quota > 0 {
            *quota -= 1;
            chosen.push(image);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_disjoint_and_have_their_sizes() {
        let labels: Vec<u8> = (0..120).map(|i| (i % 10) as u8).collect();
        let counts = ImageCounts::new(70, 30, 20);
        let splits = split(&labels, 100, 10, counts, 1);
        let mut indices = [splits.train.clone(), splits.validation.clone(), splits.test.clone()].concat();
        indices.sort_unstable();
        assert_eq!(indices, (0..120).collect::<Vec<u32>>());
        assert!(splits.test.iter().all(|&i| i >= 100));
        assert_ne!(split(&labels, 100, 10, counts, 2).validation, splits.validation);
        let limited = split(&labels, 100, 10, ImageCounts::new(20, 30, 20), 1);
        assert_eq!((limited.train.len(), &limited.validation), (20, &splits.validation), "the limit is for training");
    }

    #[test]
    fn split_limit_is_balanced_and_keeps_order() {
        let labels = [0, 0, 0, 0, 1, 1, 2];
        assert_eq!(balanced(&[6, 5, 4, 3, 2, 1, 0], &labels, 3, 5), [6, 5, 4, 3, 2]);
        assert_eq!(balanced(&[0, 1, 2, 3], &labels, 3, 2), [0, 1], "classes without images leave their share");
    }
}
