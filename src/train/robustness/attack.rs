//! Adversarial attacks: small changes of pixels that raise the loss of a network. Loops over host values; the gradients
//! come from a function.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::base::category::Categorical;
use crate::base::rng::{Generator, Purpose, Stream};

/// The method of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttackMethod {
    /// The fast gradient sign method: one step of length ε from the image (Goodfellow et al. 2015, arXiv 1412.6572,
    /// Section 4).
    Fgsm,
    /// Projected gradient descent: steps of length 2.5 · ε / steps from a random start, each projected to the changes
    /// that are allowed (Madry et al. 2018, arXiv 1706.06083, Section 2.1).
    Pgd,
}

/// The norm that limits a change of an image, over all of its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// The largest change of a pixel.
    Linf,
    /// The Euclidean norm.
    L2,
}

impl Categorical for AttackMethod {
    const ALL: &'static [Self] = &[Self::Fgsm, Self::Pgd];

    fn as_str(self) -> &'static str {
        match self {
            Self::Fgsm => "fgsm",
            Self::Pgd => "pgd",
        }
    }
}

impl Categorical for Norm {
    const ALL: &'static [Self] = &[Self::Linf, Self::L2];

    fn as_str(self) -> &'static str {
        match self {
            Self::Linf => "linf",
            Self::L2 => "l2",
        }
    }
}

/// The length of all steps of [`AttackMethod::Pgd`] together, in units of ε, which Madry et al. choose where they compare
/// several ε: the boundary of the allowed changes can be reached from every start, with steps left to move along it.
const PATH_LENGTH: f32 = 2.5;

/// An attack on images with pixels in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attack {
    /// The method.
    pub method: AttackMethod,
    /// The norm of the change.
    pub norm: Norm,
    /// The largest norm of the change, in units of pixels in [0, 1]; 0 changes nothing.
    pub epsilon: f64,
    /// Number of steps; 1 for [`AttackMethod::Fgsm`].
    pub steps: u32,
    /// The seed of random starts; 0 for [`AttackMethod::Fgsm`].
    pub seed: u64,
}

impl Attack {
    /// Returns the change that the attack of the image with an index in its data set starts from, one number for each
    /// of `pixels`: uniform among the allowed changes, the same for every network; 0 for [`AttackMethod::Fgsm`].
    pub(super) fn start(&self, image: u32, pixels: usize) -> Vec<f32> {
        let mut generator = Stream::of_replicate(self.seed, 0, Purpose::Attack).generator(u64::from(image));
        match (self.method, self.norm) {
            (AttackMethod::Fgsm, _) => vec![0.0; pixels],
            (AttackMethod::Pgd, Norm::Linf) => {
                (0..pixels).map(|_| (self.epsilon * (2.0 * generator.unit() - 1.0)) as f32).collect()
            }
            (AttackMethod::Pgd, Norm::L2) => self.start_in_ball(pixels, &mut generator),
        }
    }

    /// Draws a uniform point of the ball with radius ε: a normal direction, at ε · u^(1/n) from the centre.
    fn start_in_ball(&self, pixels: usize, generator: &mut Generator) -> Vec<f32> {
        let direction: Vec<f64> = (0..pixels).map(|_| generator.normal()).collect();
        let length = libm::sqrt(direction.iter().map(|z| z * z).sum());
        let radius = self.epsilon * libm::pow(generator.unit(), 1.0 / pixels as f64);
        direction.into_iter().map(|z| (z / length * radius) as f32).collect()
    }

    /// Returns the attacked images [images, pixels] of `originals`, each with `pixels` pixels in [0, 1]. The attack
    /// starts from the changes `start` [images, pixels]; `gradient` returns the gradient of the loss of each image with
    /// respect to the pixels of images.
    ///
    /// # Errors
    /// Fails if `gradient` does.
    pub fn attacked(
        &self,
        originals: &[f32],
        start: &[f32],
        pixels: usize,
        mut gradient: impl FnMut(&[f32]) -> Result<Vec<f32>>,
    ) -> Result<Vec<f32>> {
        let mut images = originals.to_vec();
        if self.epsilon == 0.0 {
            return Ok(images);
        }
        self.change(&mut images, originals, start, pixels, 1.0);
        let length = match self.method {
            AttackMethod::Fgsm => self.epsilon as f32,
            AttackMethod::Pgd => PATH_LENGTH * self.epsilon as f32 / self.steps as f32,
        };
        for _ in 0..self.steps {
            let mut direction = gradient(&images)?;
            direction.chunks_exact_mut(pixels).for_each(|direction| self.norm.steepest(direction));
            self.change(&mut images, originals, &direction, pixels, length);
        }
        Ok(images)
    }

    /// Adds `length` times `direction` to images, and projects them to the changes of `originals` that are allowed, then to
    /// pixels in [0, 1], which brings each pixel nearer to its original or leaves it. All are [images, pixels].
    fn change(&self, images: &mut [f32], originals: &[f32], direction: &[f32], pixels: usize, length: f32) {
        let epsilon = self.epsilon as f32;
        let originals = originals.chunks_exact(pixels);
        for ((image, original), direction) in
            images.chunks_exact_mut(pixels).zip(originals).zip(direction.chunks_exact(pixels))
        {
            image.iter_mut().zip(direction).for_each(|(pixel, direction)| *pixel += length * direction);
            let scale = match self.norm {
                Norm::Linf => 1.0,
                Norm::L2 => {
                    let norm = euclidean(image.iter().zip(original).map(|(pixel, original)| pixel - original));
                    if norm > epsilon { epsilon / norm } else { 1.0 }
                }
            };
            for (pixel, &original) in image.iter_mut().zip(original) {
                *pixel = match self.norm {
                    Norm::Linf => pixel.clamp((original - epsilon).max(0.0), (original + epsilon).min(1.0)),
                    Norm::L2 => (original + scale * (*pixel - original)).clamp(0.0, 1.0),
                };
            }
        }
    }
}

impl Norm {
    /// Replaces the gradient of an image by the direction of norm 1 that raises the loss most: its signs, or the
    /// gradient divided by its Euclidean norm. A gradient of 0 stays 0.
    fn steepest(self, gradient: &mut [f32]) {
        match self {
            // `signum` of 0 is 1.
            Self::Linf => gradient.iter_mut().for_each(|g| *g = if *g == 0.0 { 0.0 } else { g.signum() }),
            Self::L2 => {
                // Relative to the largest, so that squares of tiny gradients do not vanish.
                let largest = gradient.iter().fold(0.0_f32, |largest, g| largest.max(g.abs()));
                if largest > 0.0 {
                    let norm = largest * euclidean(gradient.iter().map(|g| g / largest));
                    for g in gradient {
                        *g /= norm;
                    }
                }
            }
        }
    }
}

/// Returns the Euclidean norm of values, summed in float64.
fn euclidean(values: impl Iterator<Item = f32>) -> f32 {
    libm::sqrt(values.map(|value| f64::from(value) * f64::from(value)).sum()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attack(method: AttackMethod, norm: Norm, epsilon: f64, steps: u32) -> Attack {
        Attack { method, norm, epsilon, steps, seed: 1 }
    }

    #[test]
    fn fgsm_by_hand() {
        let gradient = |_: &[f32]| Ok(vec![3.0, -4.0, 0.0, 3.0]);
        let image = [0.5, 0.5, 0.5, 0.875];
        let attacked = |norm| {
            let attack = attack(AttackMethod::Fgsm, norm, 0.25, 1);
            attack.attacked(&image, &attack.start(0, 4), 4, gradient).unwrap()
        };
        assert_eq!(attacked(Norm::Linf), [0.75, 0.25, 0.5, 1.0], "clipped to 1");
        let norm = 34.0_f32.sqrt();
        let l2 = attacked(Norm::L2);
        assert!((l2[0] - (0.5 + 0.75 / norm)).abs() < 1e-6 && (l2[1] - (0.5 - 1.0 / norm)).abs() < 1e-6, "{l2:?}");
    }

    #[test]
    fn pgd_climbs_to_the_corner_of_the_box() {
        // The loss rises with the first pixel and falls with the second.
        let attack = attack(AttackMethod::Pgd, Norm::Linf, 0.1, 4);
        let attacked = attack.attacked(&[0.5, 0.5], &[0.05, 0.1], 2, |_| Ok(vec![1.0, -2.0])).unwrap();
        assert!((attacked[0] - 0.6).abs() < 1e-6 && (attacked[1] - 0.4).abs() < 1e-6, "{attacked:?}");
    }

    #[test]
    fn changes_stay_within_epsilon_and_pixels_within_0_and_1() {
        let mut generator = Stream::of_replicate(3, 0, Purpose::Attack).generator(9);
        let originals: Vec<f32> = (0..300).map(|_| generator.unit() as f32).collect();
        for (method, norm) in AttackMethod::ALL.iter().flat_map(|m| Norm::ALL.iter().map(move |n| (*m, *n))) {
            for epsilon in [0.0, 0.01, 0.3, 2.0] {
                let attack = attack(method, norm, epsilon, if method == AttackMethod::Fgsm { 1 } else { 5 });
                let start: Vec<f32> = (0..3).flat_map(|image| attack.start(image, 100)).collect();
                let mut random = |_: &[f32]| Ok((0..300).map(|_| generator.normal() as f32).collect());
                let attacked = attack.attacked(&originals, &start, 100, &mut random).unwrap();
                assert!(attacked.iter().all(|pixel| (0.0..=1.0).contains(pixel)));
                for (image, original) in attacked.chunks(100).zip(originals.chunks(100)) {
                    let change = image.iter().zip(original).map(|(a, b)| a - b);
                    let size = match norm {
                        Norm::Linf => change.fold(0.0_f32, |largest, change| largest.max(change.abs())),
                        Norm::L2 => euclidean(change),
                    };
                    assert!(f64::from(size) <= epsilon + 1e-6, "{method:?} {norm:?} {epsilon}: {size}");
                    assert_eq!(size == 0.0, epsilon == 0.0, "{method:?} {norm:?} {epsilon}");
                }
            }
        }
    }

    #[test]
    fn start_fills_the_allowed_changes() {
        let linf = attack(AttackMethod::Pgd, Norm::Linf, 0.5, 5).start(7, 10_000);
        let mean_square = linf.iter().map(|x| f64::from(x * x)).sum::<f64>() / 10_000.0;
        assert!((mean_square - 0.25 / 3.0).abs() < 0.003, "uniform in -0.5..0.5: {mean_square}");
        let radius = |image| euclidean(attack(AttackMethod::Pgd, Norm::L2, 0.5, 5).start(image, 2).into_iter());
        let inner = (0..1000).filter(|&image| radius(image) < 0.25).count();
        assert!((200..300).contains(&inner), "a quarter of the disc is within half of its radius: {inner}");
        assert!((0..1000).all(|image| radius(image) <= 0.5));
    }
}
