//! Cross-entropy, its gradient and the accuracy. Every engine computes them in float64: the numbers are few, and equal
//! bits in all engines are worth more than the time.

use super::element::Element;

/// Loss and correct predictions, summed over images.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ScoreSums {
    /// Cross-entropy, in nats.
    pub(super) loss: f64,
    /// Number of images whose largest logit is the label's; of equal logits the first one counts.
    pub(super) correct: u64,
}

/// Adds cross-entropy and correct predictions of images to `sums`; `logits` are [images, classes].
pub(super) fn scores<T: Element>(logits: &[T], labels: impl Iterator<Item = u8>, classes: usize, sums: &mut ScoreSums) {
    pulp::Arch::new().dispatch(ScoresKernel { logits, labels, classes, sums });
}

/// Adds loss and correct predictions, image by image. Compiled once for each instruction set.
struct ScoresKernel<'a, T, L> {
    logits: &'a [T],
    labels: L,
    classes: usize,
    sums: &'a mut ScoreSums,
}

impl<T: Element, L: Iterator<Item = u8>> pulp::NullaryFnOnce for ScoresKernel<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (logits, label) in self.logits.chunks_exact(self.classes).zip(self.labels) {
            let SoftmaxParts { class, largest, sum } = softmax_parts(logits);
            self.sums.loss += cross_entropy(logits[usize::from(label)].to_f64(), largest, sum);
            self.sums.correct += u64::from(class == usize::from(label));
        }
    }
}

/// Returns ln Σ exp(logit) − `label_logit`, from the largest logit and `sum` = Σ exp(logit − largest).
#[inline(always)]
pub(super) fn cross_entropy(label_logit: f64, largest: f64, sum: f64) -> f64 {
    largest + libm::log(sum) - label_logit
}

/// Target probabilities of training. With label smoothing ε (Szegedy et al., arXiv 1512.00567) in `PyTorch`'s form, a
/// share ε is spread evenly over all classes; without label smoothing the targets are exactly one-hot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets {
    /// Target of the label's class: 1 − ε + ε / classes.
    pub(super) label: f64,
    /// Target of each other class: ε / classes.
    pub(super) other: f64,
}

impl Targets {
    /// Returns the targets for `classes` classes; `label_smoothing` is ε, in 0..1.
    pub(super) fn new(label_smoothing: f64, classes: usize) -> Self {
        let other = label_smoothing / classes as f64;
        Self { label: 1.0 - label_smoothing + other, other }
    }
}

/// Replaces the logits [images, classes] of a batch by the gradient of its mean cross-entropy: (softmax − target) /
/// images.
pub(super) fn replace_by_gradient<T: Element>(
    logits: &mut [T],
    labels: impl Iterator<Item = u8>,
    classes: usize,
    targets: Targets,
) {
    pulp::Arch::new().dispatch(GradientKernel { logits, labels, classes, targets });
}

/// Replaces logits by gradients, image by image. Compiled once for each instruction set.
struct GradientKernel<'a, T, L> {
    logits: &'a mut [T],
    labels: L,
    classes: usize,
    targets: Targets,
}

impl<T: Element, L: Iterator<Item = u8>> pulp::NullaryFnOnce for GradientKernel<'_, T, L> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let scale = 1.0 / (self.logits.len() / self.classes) as f64;
        for (logits, label) in self.logits.chunks_exact_mut(self.classes).zip(self.labels) {
            let SoftmaxParts { largest, sum, .. } = softmax_parts(logits);
            let inverse_sum = 1.0 / sum;
            for (class, logit) in logits.iter_mut().enumerate() {
                let target = if class == usize::from(label) { self.targets.label } else { self.targets.other };
                *logit = T::from_f64(flush_gradient((exp(logit.to_f64() - largest) * inverse_sum - target) * scale));
            }
        }
    }
}

/// Gradients with respect to logits whose magnitude is below this become 0: they change no weight.
pub(super) const GRADIENT_CUTOFF: f64 = 1e-20;

/// Returns `gradient`, or 0 if its magnitude is below [`GRADIENT_CUTOFF`].
///
/// In a network that has fitted its images, most gradients are that small. The earlier layers would turn them into
/// denormal numbers, which slowed a ticket's step at 26 % of the weights of LeNet-300-100 from 0.29 ms to more than
/// 1 ms in the second half of 50,000 iterations.
#[inline(always)]
pub(super) fn flush_gradient(gradient: f64) -> f64 {
    if gradient.abs() < GRADIENT_CUTOFF { 0.0 } else { gradient }
}

/// The numbers from which softmax and cross-entropy of one image follow.
struct SoftmaxParts {
    /// The class with the largest logit; the first one of equal ones.
    class: usize,
    /// The largest logit.
    largest: f64,
    /// Σ exp(logit − largest) over classes.
    sum: f64,
}

/// Returns the parts of the softmax of one image's logits [classes].
#[inline(always)]
fn softmax_parts<T: Element>(logits: &[T]) -> SoftmaxParts {
    let mut top = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[top] {
            top = class;
        }
    }
    let largest = logits[top].to_f64();
    let mut sum = 0.0;
    for logit in logits {
        sum += exp(logit.to_f64() - largest);
    }
    SoftmaxParts { class: top, largest, sum }
}

/// Returns eˣ for x ≤ 0 with a relative error below 6e-16; e⁻⁷⁰⁰ for x < −700, which changes no sum; NaN for NaN.
///
/// With x = k·ln 2 + r for an integer k and |r| ≤ ln 2 / 2, eˣ = 2ᵏ·eʳ, and eʳ is its Taylor series up to r¹²/12!. A
/// loop over this function compiles to vector instructions, unlike a loop over `libm::exp`, of which 600 calls took
/// 7 µs, a fifth of a sparse step.
#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    /// 1.5·2⁵²: adding it rounds a number to an integer, which is then in the lowest bits of the sum.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// ln 2 as a sum of two numbers; k times the first is exact.
    const LN_2: [f64; 2] = [0.693_147_180_369_123_8, 1.908_214_929_270_587_7e-10];
    let x = if x < -700.0 { -700.0 } else { x };
    let rounded = x.mul_add(std::f64::consts::LOG2_E, ROUND);
    let k = rounded - ROUND;
    let r = (-k).mul_add(LN_2[1], (-k).mul_add(LN_2[0], x));
    let mut series: f64 = 1.0 / 479_001_600.0;
    // Horner's scheme: the coefficients 1/11!, 1/10!, …, 1/0! after 1/12! above.
    for coefficient in [
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        series = series.mul_add(r, coefficient);
    }
    // 2ᵏ as a float64 with the exponent k + 1023; k is in the low bits of `rounded`.
    series * f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_HOT: Targets = Targets { label: 1.0, other: 0.0 };

    #[test]
    fn scores_and_gradient_equal_hand_computed_ones() {
        let mut sums = ScoreSums::default();
        scores(&[0.0_f64, 0.0], [1].into_iter(), 2, &mut sums);
        assert!((sums.loss - 2_f64.ln()).abs() < 1e-15 && sums.correct == 0, "of equal logits the first wins");
        let mut logits = [3_f64.ln(), 0.0, 0.0, 0.0];
        replace_by_gradient(&mut logits, [0, 1].into_iter(), 2, ONE_HOT);
        assert!((logits[0] + 0.125).abs() < 1e-15 && (logits[1] - 0.125).abs() < 1e-15);
    }

    #[test]
    fn targets_with_label_smoothing_equal_hand_computed_ones() {
        assert_eq!((Targets::new(0.0, 10).label, Targets::new(0.0, 10).other), (1.0, 0.0));
        let targets = Targets::new(0.5, 2);
        assert_eq!((targets.label, targets.other), (0.75, 0.25), "together 1");
        let mut logits = [3_f64.ln(), 0.0];
        replace_by_gradient(&mut logits, [0].into_iter(), 2, targets);
        assert!(logits.iter().all(|gradient| gradient.abs() < 1e-15), "3 : 1 is what is wanted: {logits:?}");
        let mut logits = [0.0_f64; 4];
        replace_by_gradient(&mut logits, [1].into_iter(), 4, Targets::new(0.2, 4));
        assert!((logits[1] + 0.6).abs() < 1e-15 && (logits[0] - 0.2).abs() < 1e-15, "1/4 less 0.85, and less 0.05");
    }

    #[test]
    fn gradients_below_the_cutoff_become_0() {
        let mut logits = [100.0_f32, 40.0, -9.0];
        replace_by_gradient(&mut logits, [0].into_iter(), 3, ONE_HOT);
        assert_eq!(logits[1..], [0.0, 0.0], "e⁻⁶⁰ is below the cutoff");
        let mut logits = [40.0_f32, 0.0];
        replace_by_gradient(&mut logits, [0].into_iter(), 2, ONE_HOT);
        assert!((logits[1] / 4.248_354e-18 - 1.0).abs() < 1e-6, "e⁻⁴⁰ is not");
    }

    #[test]
    fn exp_equals_libms() {
        for i in 0..200_000 {
            let x = -f64::from(i) * 0.0035 - 1e-4 * libm::sin(f64::from(i));
            let (ours, libms) = (exp(x), libm::exp(x));
            assert!((ours - libms).abs() <= 6e-16 * libms, "e^{x}: {ours} {libms}");
        }
        assert_eq!((exp(0.0), exp(-1e9), exp(f64::NEG_INFINITY)), (1.0, exp(-700.0), exp(-700.0)));
        assert!(exp(f64::NAN).is_nan() && exp(-700.0) > 0.0);
    }

    #[test]
    fn scores_do_not_overflow_and_keep_nan() {
        let mut sums = ScoreSums::default();
        scores(&[1e4_f32, -1e4], [0].into_iter(), 2, &mut sums);
        assert_eq!(sums, ScoreSums { loss: 0.0, correct: 1 });
        scores(&[f32::NAN, 0.0], [1].into_iter(), 2, &mut sums);
        assert!(sums.loss.is_nan());
    }
}
