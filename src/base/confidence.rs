//! Calibration of a classifier: how well the probability that it gives its answer agrees with how often the answer is
//! right. Independent of networks.

use serde::{Deserialize, Serialize};

/// Number of bins of equal width that confidences are sorted into (Guo et al. 2017, arXiv 1706.04599, Section 2).
pub const CONFIDENCE_BINS: usize = 15;

/// The answers whose confidence lies in one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceBin {
    /// Number of answers.
    pub answers: u64,
    /// Number of these that are right.
    pub correct: u64,
    /// Sum of their confidences, each 0..=1.
    pub confidence_sum: f64,
}

/// The answers of a classifier by confidence: bin i of [`CONFIDENCE_BINS`] = M has those with a confidence in
/// (i / M, (i + 1) / M], i from 0. The confidence of an answer is the largest probability of the softmax.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceBins(pub Vec<ConfidenceBin>);

impl Default for ConfidenceBins {
    fn default() -> Self {
        Self(vec![ConfidenceBin::default(); CONFIDENCE_BINS])
    }
}

impl ConfidenceBins {
    /// Adds an answer with its `confidence`, 0..=1.
    pub fn add(&mut self, confidence: f64, is_correct: bool) {
        let index = (confidence * CONFIDENCE_BINS as f64).ceil() as usize;
        if let Some(bin) = self.0.get_mut(index.saturating_sub(1).min(CONFIDENCE_BINS - 1)) {
            bin.answers += 1;
            bin.correct += u64::from(is_correct);
            bin.confidence_sum += confidence;
        }
    }

    /// Returns the number of answers.
    pub fn answers(&self) -> u64 {
        self.0.iter().map(|bin| bin.answers).sum()
    }

    /// Returns the share of right answers, 0..=1; 0 without answers.
    pub fn accuracy(&self) -> f64 {
        let correct: u64 = self.0.iter().map(|bin| bin.correct).sum();
        correct as f64 / self.answers().max(1) as f64
    }

    /// Returns the mean confidence, 0..=1; 0 without answers.
    pub fn mean_confidence(&self) -> f64 {
        self.0.iter().map(|bin| bin.confidence_sum).sum::<f64>() / self.answers().max(1) as f64
    }

    /// Returns the expected calibration error (Guo et al. 2017, equation 3): the mean over all answers of
    /// |accuracy − mean confidence| of their bin, 0..=1; 0 without answers.
    pub fn expected_calibration_error(&self) -> f64 {
        let gap = |bin: &ConfidenceBin| (bin.correct as f64 - bin.confidence_sum).abs();
        self.0.iter().map(gap).sum::<f64>() / self.answers().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_error_by_hand() {
        let mut bins = ConfidenceBins::default();
        assert_eq!(bins.expected_calibration_error(), 0.0);
        // One bin: 2 of 4 right at a confidence of 0.75, off by 0.25; another: 1 of 1 at 1.0, exact.
        for is_correct in [true, true, false, false] {
            bins.add(0.75, is_correct);
        }
        bins.add(1.0, true);
        assert!((bins.expected_calibration_error() - 0.25 * 0.8).abs() < 1e-15);
        assert_eq!((bins.answers(), bins.accuracy()), (5, 0.6));
        assert!((bins.mean_confidence() - 0.8).abs() < 1e-15);
    }

    #[test]
    fn confidence_at_the_edge_of_a_bin_belongs_to_the_bin_below() {
        let mut bins = ConfidenceBins::default();
        for confidence in [0.0, 1.0 / 15.0, 1.0 / 15.0 + 1e-9, 1.0] {
            bins.add(confidence, true);
        }
        let counts: Vec<u64> = bins.0.iter().map(|bin| bin.answers).collect();
        assert_eq!((counts[0], counts[1], counts[14]), (2, 1, 1));
    }
}
