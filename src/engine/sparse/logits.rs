//! Cross-entropy of a block, whose logits are [classes, images]. Gives the same bits as [`loss`](crate::engine::loss),
//! which has logits [images, classes].

use super::kernels::{Feature, IMAGES};
use crate::compute::simd::{Kernel, Vector16};
use crate::engine::loss::{ScoreSums, Targets, cross_entropy, exp, flush_gradient};

/// The numbers from which softmax and cross-entropy of each image of a block follow.
struct Softmax {
    /// The largest logit.
    largest: [f32; IMAGES],
    /// The class with the largest logit; the first one of equal ones.
    best_class: [u32; IMAGES],
    /// Σ exp(logit − largest) over classes.
    sum: [f64; IMAGES],
}

impl Softmax {
    /// Returns the parts of the softmax of `logits` [classes, images].
    #[inline(always)]
    fn new(logits: &[Feature]) -> Self {
        let mut softmax = Self { largest: [f32::NEG_INFINITY; IMAGES], best_class: [0; IMAGES], sum: [0.0; IMAGES] };
        if let Some(first) = logits.first() {
            softmax.largest.copy_from_slice(first.images());
        }
        for (class, logits) in logits.iter().enumerate() {
            let best = softmax.largest.iter_mut().zip(&mut softmax.best_class);
            for (&logit, (largest, best_class)) in logits.images().iter().zip(best) {
                (*largest, *best_class) =
                    if logit > *largest { (logit, class as u32) } else { (*largest, *best_class) };
            }
        }
        for logits in logits {
            for ((sum, &logit), &largest) in softmax.sum.iter_mut().zip(logits.images()).zip(&softmax.largest) {
                *sum += exp(f64::from(logit) - f64::from(largest));
            }
        }
        softmax
    }
}

/// Computes the gradient of the mean cross-entropy over a batch with respect to the logits of a block: (softmax −
/// target) / batch size; 0 after the last image.
pub(super) struct LogitGradientKernel<'a> {
    /// The logits of the block: [classes, images].
    pub(super) logits: &'a [Feature],
    /// The labels of the block's images, one per image.
    pub(super) labels: &'a [u8],
    /// The number of images of the batch.
    pub(super) batch_size: usize,
    /// The targets of the loss.
    pub(super) targets: Targets,
    /// The gradient: [classes, images].
    pub(super) delta: &'a mut [Feature],
}

impl Kernel for LogitGradientKernel<'_> {
    #[inline(always)]
    fn run<S: Vector16>(self, _: S) {
        let softmax = Softmax::new(self.logits);
        let inverse_sums = softmax.sum.map(|sum| 1.0 / sum);
        let scale = 1.0 / self.batch_size as f64;
        let mut labels = [u32::MAX; IMAGES];
        labels.iter_mut().zip(self.labels).for_each(|(to, &label)| *to = u32::from(label));
        for (class, (delta, logits)) in self.delta.iter_mut().zip(self.logits).enumerate() {
            let delta = delta.images_mut();
            let logits = logits.images();
            for j in 0..IMAGES {
                let target = if labels[j] == class as u32 { self.targets.label } else { self.targets.other };
                let exponential = exp(f64::from(logits[j]) - f64::from(softmax.largest[j]));
                delta[j] = flush_gradient((exponential * inverse_sums[j] - target) * scale) as f32;
            }
            delta[self.labels.len()..].fill(0.0);
        }
    }
}

/// Adds the cross-entropy and the number of correct predictions of a block, image after image.
pub(super) struct BlockScoreKernel<'a> {
    /// The logits of the block: [classes, images].
    pub(super) logits: &'a [Feature],
    /// The labels of the block's images.
    pub(super) labels: &'a [u8],
    /// The sums to add to.
    pub(super) sums: &'a mut ScoreSums,
}

impl Kernel for BlockScoreKernel<'_> {
    #[inline(always)]
    fn run<S: Vector16>(self, _: S) {
        let softmax = Softmax::new(self.logits);
        for (j, &label) in self.labels.iter().enumerate() {
            let label_logit = f64::from(self.logits[usize::from(label)].images()[j]);
            self.sums.loss += cross_entropy(label_logit, f64::from(softmax.largest[j]), softmax.sum[j]);
            self.sums.correct += u64::from(softmax.best_class[j] == u32::from(label));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::simd::SimdLevel;
    use crate::engine::loss;

    #[test]
    fn block_cross_entropy_is_bit_equal_to_that_of_single_images() {
        let logit = |class: usize, j: usize| ((class * 37 + j * j) % 101) as f32 / 7.0 - 6.5;
        let mut logits = [Feature::ZERO; 10];
        for (class, feature) in logits.iter_mut().enumerate() {
            feature.images_mut().iter_mut().enumerate().for_each(|(j, value)| *value = logit(class, j));
        }
        let labels: Vec<u8> = (0..61).map(|j| (j * 3 % 10) as u8).collect();
        let mut expected = ScoreSums::default();
        let images: Vec<Vec<f32>> = (0..61).map(|j| (0..10).map(|class| logit(class, j)).collect()).collect();
        let smoothings = [0.0, 0.1].map(|smoothing| Targets::new(smoothing, 10));
        for (simd, targets) in SimdLevel::all().into_iter().flat_map(|simd| smoothings.map(|targets| (simd, targets))) {
            let (mut delta, mut sums) = ([Feature::ZERO; 10], ScoreSums::default());
            simd.run(LogitGradientKernel {
                logits: &logits,
                labels: &labels,
                batch_size: 61,
                targets,
                delta: &mut delta,
            });
            simd.run(BlockScoreKernel { logits: &logits, labels: &labels, sums: &mut sums });
            expected = ScoreSums::default();
            let flat: Vec<f32> = images.concat();
            loss::scores(&flat, labels.iter().copied(), 10, &mut expected);
            let mut gradient = flat;
            loss::replace_by_gradient(&mut gradient, labels.iter().copied(), 10, targets);
            for (position, gradient) in gradient.iter().enumerate() {
                let (j, class) = (position / 10, position % 10);
                assert_eq!(delta[class].images()[j], *gradient, "{simd:?}, class {class} of image {j}");
            }
            assert!(delta.iter().all(|delta| delta.images()[61..].iter().all(|&d| d == 0.0)));
            assert_eq!(sums, expected, "{simd:?}");
        }
        assert!(expected.correct > 0 && expected.correct < 61);
    }
}
