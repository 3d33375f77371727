//! A loaded data set, shared by all workers. Independent of files.

use crate::config::Normalize;

/// A split of a data set that networks are evaluated on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The first images of the training set, as many as the validation set has.
    Train,
    /// The validation set: held out of the training set; the early stop is found on it.
    Validation,
    /// The test set.
    Test,
}

impl Split {
    /// All splits, in the order of reports.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Returns the name in files and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// Images, labels and splits.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Shape of an image: [channels, height, width].
    pub shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// Pixels, [images, channels, height, width], one byte each: first the images of the training files, then those of
    /// the test files.
    pub images: Vec<u8>,
    /// Class of each image, from 0.
    pub labels: Vec<u8>,
    /// Indices of the training images, in the order of the split.
    pub train: Vec<u32>,
    /// Indices of the validation images.
    pub validation: Vec<u32>,
    /// Indices of the test images.
    pub test: Vec<u32>,
    /// The map from a byte to an input of the network.
    pub normalization: Normalization,
}

/// The map from a byte to an input of the network: `byte · scale + offset`.
#[derive(Clone, Debug, PartialEq)]
pub enum Normalization {
    /// One scale and offset for all pixels.
    Affine {
        /// The factor of a byte, in units of the network's input.
        scale: f64,
        /// The value of byte 0, in units of the network's input.
        offset: f64,
    },
    /// Scale and offset of each channel.
    PerChannel(Vec<(f64, f64)>),
    /// A scale for each image; the offset is 0.
    PerImage(Vec<f64>),
}

impl Normalization {
    /// Returns the map for `normalize`. `mean_std`: mean and standard deviation of the pixels in [0, 1], per channel;
    /// `images`: [images, `image_bytes`].
    pub fn new(normalize: Normalize, mean_std: &[(f64, f64)], images: &[u8], image_bytes: usize) -> Self {
        let affine = |&(mean, std): &(f64, f64)| (1.0 / (255.0 * std), -mean / std);
        match (normalize, mean_std) {
            (Normalize::None, _) => Self::Affine { scale: 1.0 / 255.0, offset: 0.0 },
            (Normalize::MeanStd, [channel]) => {
                let (scale, offset) = affine(channel);
                Self::Affine { scale, offset }
            }
            (Normalize::MeanStd, channels) => Self::PerChannel(channels.iter().map(affine).collect()),
            (Normalize::L2, _) => Self::PerImage(images.chunks_exact(image_bytes).map(inverse_norm).collect()),
        }
    }

    /// Returns scale and offset of one channel of one image.
    pub fn scale_and_offset(&self, image: u32, channel: usize) -> (f64, f64) {
        match self {
            Self::Affine { scale, offset } => (*scale, *offset),
            Self::PerChannel(channels) => channels[channel],
            Self::PerImage(scales) => (scales[image as usize], 0.0),
        }
    }
}

/// Returns 1 / the Euclidean norm of the bytes; 0 for a black image, which stays black.
fn inverse_norm(image: &[u8]) -> f64 {
    let square: u64 = image.iter().map(|&byte| u64::from(byte) * u64::from(byte)).sum();
    if square == 0 { 0.0 } else { 1.0 / (square as f64).sqrt() }
}

impl Dataset {
    /// Returns the number of bytes of one image: channels · height · width.
    pub fn image_bytes(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns the bytes of one image, [channels, height, width].
    pub fn image(&self, index: u32) -> &[u8] {
        let length = self.image_bytes();
        &self.images[index as usize * length..][..length]
    }

    /// Returns the indices of the images of a split.
    pub fn indices(&self, split: Split) -> &[u32] {
        match split {
            Split::Train => &self.train[..self.train.len().min(self.validation.len())],
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalization_by_hand() {
        let images = [3, 4, 0, 0, 0, 0];
        let l2 = Normalization::new(Normalize::L2, &[(0.5, 0.25)], &images, 3);
        assert_eq!((l2.scale_and_offset(0, 0), l2.scale_and_offset(1, 0)), ((0.2, 0.0), (0.0, 0.0)));
        let (scale, offset) = Normalization::new(Normalize::MeanStd, &[(0.5, 0.25)], &images, 3).scale_and_offset(0, 0);
        assert!((255.0 * scale + offset - 2.0).abs() < 1e-12 && offset == -2.0);
        let colour = Normalization::new(Normalize::MeanStd, &[(0.5, 0.25), (0.0, 1.0)], &images, 2);
        assert_eq!(
            (colour.scale_and_offset(1, 0), colour.scale_and_offset(2, 1)),
            ((1.0 / 63.75, -2.0), (1.0 / 255.0, 0.0))
        );
    }
}
