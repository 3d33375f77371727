//! Cross-entropy, its gradient and the accuracy. In float64 for every engine: these are few numbers, and the same bits
//! everywhere (`libm`) are worth more than the time.

use super::element::Element;

/// Sums over images.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    /// Cross-entropy, in nats.
    pub(super) loss: f64,
    /// Images whose largest logit is the label's (the first of equal ones counts).
    pub(super) correct: u64,
}

/// Adds an image's cross-entropy and whether it is classified correctly.
pub(super) fn score<T: Element>(logits: &[T], label: u8, sums: &mut Sums) {
    let (top, log_sum) = log_sum_exp(logits);
    sums.loss += log_sum - logits[usize::from(label)].to_f64();
    sums.correct += u64::from(top == usize::from(label));
}

/// Replaces an image's logits by the gradient of the mean cross-entropy over `batch` images:
/// (softmax − one-hot) / batch.
pub(super) fn gradient<T: Element>(logits: &mut [T], label: u8, batch: usize) {
    let (_, log_sum) = log_sum_exp(logits);
    let scale = 1.0 / batch as f64;
    for (class, logit) in logits.iter_mut().enumerate() {
        let target = f64::from(u8::from(class == usize::from(label)));
        *logit = T::from_f64((libm::exp(logit.to_f64() - log_sum) - target) * scale);
    }
}

/// The class of the largest logit, and ln Σ exp(logit), shifted by the largest so that nothing overflows.
fn log_sum_exp<T: Element>(logits: &[T]) -> (usize, f64) {
    let mut top = 0;
    for (class, logit) in logits.iter().enumerate() {
        if *logit > logits[top] {
            top = class;
        }
    }
    let largest = logits[top].to_f64();
    let sum: f64 = logits.iter().map(|logit| libm::exp(logit.to_f64() - largest)).sum();
    (top, largest + libm::log(sum))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let mut sums = Sums::default();
        score(&[0.0_f64, 0.0], 1, &mut sums);
        assert!((sums.loss - 2_f64.ln()).abs() < 1e-15 && sums.correct == 0, "of equal logits the first wins");
        let mut logits = [3_f64.ln(), 0.0];
        gradient(&mut logits, 0, 2);
        assert!((logits[0] + 0.125).abs() < 1e-15 && (logits[1] - 0.125).abs() < 1e-15);
    }

    #[test]
    fn large_logits_do_not_overflow_and_nan_is_not_hidden() {
        let mut sums = Sums::default();
        score(&[1e4_f32, -1e4], 0, &mut sums);
        assert_eq!(sums, Sums { loss: 0.0, correct: 1 });
        score(&[f32::NAN, 0.0], 1, &mut sums);
        assert!(sums.loss.is_nan());
    }
}
