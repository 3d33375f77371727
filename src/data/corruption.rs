//! Corruptions of images at five levels each, for measurements of robustness. Pure functions of bytes, independent of
//! data sets and networks. The definitions are those of this program, meant for images of 28 x 28 and 32 x 32 pixels;
//! kinds and the idea of five levels follow MNIST-C (Mu & Gilmer 2019, arXiv 1906.02337) and CIFAR-10-C (Hendrycks &
//! Dietterich 2019, arXiv 1903.12261).
//!
//! With p a pixel in [0, 1] (its byte / 255), a strength s by level, and results clipped to [0, 1] and rounded to the
//! nearest byte:
//!
//! | corruption | pixel | strengths |
//! | --- | --- | --- |
//! | `gaussian_noise` | p + s·z, z standard normal for each byte | 0.1, 0.2, 0.3, 0.4, 0.5 |
//! | `blur` | mean of the pixels around, weighted by a Gaussian with standard deviation s pixels, up to ⌈3s⌉ pixels away; edges are repeated | 0.5, 0.75, 1, 1.5, 2 |
//! | `contrast` | m + s·(p − m), m the mean of the image | 0.75, 0.5, 0.4, 0.3, 0.2 |
//! | `brightness` | p + s | 0.1, 0.2, 0.3, 0.4, 0.5 |
//! | `rotation` | the image turned by s degrees counter-clockwise around its centre; bilinear, 0 outside | 10, 20, 30, 40, 50 |
//! | `translation` | the image moved by s pixels to the right and s pixels down; bilinear, 0 outside | 1, 2, 3, 4, 5 |
//! | `pixelation` | mean of the block of s x s pixels; blocks begin at the upper left corner and end at the edges | 2, 3, 4, 5, 6 |

mod filters;
mod resample;

use serde::{Deserialize, Serialize};

use crate::base::category::Categorical;
use crate::base::rng::{Generator, Purpose, Stream};

/// Number of levels of each corruption.
pub const LEVELS: usize = 5;

/// A kind of corruption; see the table of [`crate::data::corruption`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corruption {
    /// Normal noise on each byte.
    GaussianNoise,
    /// Gaussian blur.
    Blur,
    /// Lower contrast.
    Contrast,
    /// Higher brightness.
    Brightness,
    /// Rotation around the centre.
    Rotation,
    /// Translation to the right and down.
    Translation,
    /// Blocks of pixels replaced by their means.
    Pixelation,
}

impl Categorical for Corruption {
    const ALL: &'static [Self] = &[
        Self::GaussianNoise,
        Self::Blur,
        Self::Contrast,
        Self::Brightness,
        Self::Rotation,
        Self::Translation,
        Self::Pixelation,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::GaussianNoise => "gaussian_noise",
            Self::Blur => "blur",
            Self::Contrast => "contrast",
            Self::Brightness => "brightness",
            Self::Rotation => "rotation",
            Self::Translation => "translation",
            Self::Pixelation => "pixelation",
        }
    }
}

impl Corruption {
    /// Returns the strengths of levels 1 to 5, in the unit of the corruption.
    pub fn strengths(self) -> [f64; LEVELS] {
        match self {
            Self::GaussianNoise | Self::Brightness => [0.1, 0.2, 0.3, 0.4, 0.5],
            Self::Blur => [0.5, 0.75, 1.0, 1.5, 2.0],
            Self::Contrast => [0.75, 0.5, 0.4, 0.3, 0.2],
            Self::Rotation => [10.0, 20.0, 30.0, 40.0, 50.0],
            Self::Translation => [1.0, 2.0, 3.0, 4.0, 5.0],
            Self::Pixelation => [2.0, 3.0, 4.0, 5.0, 6.0],
        }
    }

    /// Returns whether the corruption draws random numbers.
    pub fn is_random(self) -> bool {
        self == Self::GaussianNoise
    }

    /// Returns the corrupted image [channels, height, width] of `image`, whose shape is `shape`. `strength` is one of
    /// [`strengths`](Self::strengths), or any number of the same unit; `noise` is drawn from by
    /// [`GaussianNoise`](Self::GaussianNoise) only, one number for each byte.
    pub fn apply(self, strength: f64, shape: [usize; 3], image: &[u8], noise: &mut Generator) -> Vec<u8> {
        let pixelwise =
            |value: &dyn Fn(f64) -> f64| image.iter().map(|&byte| to_byte(value(f64::from(byte)))).collect();
        match self {
            Self::GaussianNoise => {
                image.iter().map(|&byte| to_byte(f64::from(byte) + 255.0 * strength * noise.normal())).collect()
            }
            Self::Blur => filters::blur(strength, shape, image),
            Self::Contrast => {
                let mean = image.iter().map(|&byte| f64::from(byte)).sum::<f64>() / image.len().max(1) as f64;
                pixelwise(&|byte| mean + strength * (byte - mean))
            }
            Self::Brightness => pixelwise(&|byte| byte + 255.0 * strength),
            Self::Rotation => resample::rotate(strength, shape, image),
            Self::Translation => resample::translate(strength, shape, image),
            Self::Pixelation => filters::pixelate(strength as usize, shape, image),
        }
    }
}

/// Returns the generator of the noise of the image with an index in its data set: the same for every strength and every
/// network, so that comparisons are paired.
pub fn noise_of_image(seed: u64, image: u32) -> Generator {
    Stream::of_replicate(seed, 0, Purpose::Corruption).generator(u64::from(image))
}

/// Clips a value to 0..=255 and rounds it to the nearest byte, halves up.
fn to_byte(value: f64) -> u8 {
    (value + 0.5).floor().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(corruption: Corruption, strength: f64, shape: [usize; 3], image: &[u8]) -> Vec<u8> {
        corruption.apply(strength, shape, image, &mut noise_of_image(1, 0))
    }

    #[test]
    fn contrast_and_brightness_by_hand() {
        let image = [0, 100, 200, 100];
        // The mean is 100.
        assert_eq!(apply(Corruption::Contrast, 0.5, [1, 2, 2], &image), [50, 100, 150, 100]);
        assert_eq!(apply(Corruption::Brightness, 0.4, [1, 2, 2], &image), [102, 202, 255, 202]);
    }

    #[test]
    fn noise_has_its_strength_and_is_the_same_at_each_strength() {
        let image = vec![128; 40_000];
        let noisy = |strength| apply(Corruption::GaussianNoise, strength, [1, 200, 200], &image);
        let deviations = |bytes: &[u8]| bytes.iter().map(|&byte| f64::from(byte) - 128.0).collect::<Vec<_>>();
        let [weak, strong] = [0.05, 0.1].map(|strength| deviations(&noisy(strength)));
        let std = libm::sqrt(strong.iter().map(|d| d * d).sum::<f64>() / 40_000.0);
        assert!((std - 25.5).abs() < 0.3, "{std}");
        assert!(weak.iter().zip(&strong).all(|(weak, strong)| (2.0 * weak - strong).abs() <= 1.5));
        let other = Corruption::GaussianNoise.apply(0.1, [1, 200, 200], &image, &mut noise_of_image(1, 1));
        assert_ne!(noisy(0.1), other, "each image has its own noise");
        assert_ne!(noisy(0.1), Corruption::GaussianNoise.apply(0.1, [1, 200, 200], &image, &mut noise_of_image(2, 0)));
    }

    #[test]
    fn noise_is_pinned() {
        // Stored measurements are made with it.
        let noisy = apply(Corruption::GaussianNoise, 0.2, [1, 1, 6], &[128; 6]);
        assert_eq!(noisy, [187, 186, 231, 192, 124, 69]);
    }

    #[test]
    fn strengths_grow_and_every_corruption_changes_an_image() {
        let image: Vec<u8> = (0..3 * 64).map(|i| (i * 37 % 256) as u8).collect();
        for &corruption in Corruption::ALL {
            let distance = |strength: f64| -> f64 {
                let changed = apply(corruption, strength, [3, 8, 8], &image);
                assert_eq!(changed.len(), image.len());
                changed.iter().zip(&image).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).sum()
            };
            let distances = corruption.strengths().map(distance);
            assert!(distances[0] > 0.0 && distances[4] > 0.0, "{corruption:?}: {distances:?}");
        }
    }
}
