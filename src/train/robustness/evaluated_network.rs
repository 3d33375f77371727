//! Measures a trained network on test images.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::attack::Attack;
use super::condition::Condition;
use super::test_images::TestImages;
use crate::base::confidence::ConfidenceBins;
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::tensors::Snapshot;
use crate::engine::{PixelBatch, Probe};

/// Number of images that are evaluated at a time.
const BATCH_IMAGES: usize = 250;

/// A trained network: its weights and running statistics under a mask, and a probe of its architecture and data set.
#[derive(Clone, Copy)]
pub struct EvaluatedNetwork<'a> {
    /// Computes logits and gradients.
    pub probe: &'a dyn Probe,
    /// Weights, and running statistics of batch norms.
    pub snapshot: &'a Snapshot,
    /// The mask.
    pub mask: &'a Mask,
}

/// The test images of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// Number of test images of the class.
    pub images: u64,
    /// Number of these that are classified correctly.
    pub correct: u64,
}

/// The measurement of a network on the test images as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CleanMeasurement {
    /// Mean cross-entropy per image, in nats.
    pub loss: f64,
    /// The images of each class.
    pub classes: Vec<ClassCount>,
    /// The answers by confidence.
    pub confidence: ConfidenceBins,
}

impl CleanMeasurement {
    /// Returns the share of images that are classified correctly, 0..=1.
    pub fn accuracy(&self) -> f64 {
        self.confidence.accuracy()
    }

    /// Returns the number of images.
    pub fn images(&self) -> u64 {
        self.confidence.answers()
    }
}

/// The measurement of a network under one condition.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionMeasurement {
    /// The condition.
    pub condition: Condition,
    /// Number of images.
    pub images: u64,
    /// Loss and accuracy on these.
    pub score: Score,
}

impl EvaluatedNetwork<'_> {
    /// Measures the network on the test images as they are. Calls `should_stop` before every batch, and returns `None`
    /// once it returns true.
    ///
    /// # Errors
    /// Fails if the network does not fit the probe or the device fails.
    pub fn measure_clean(
        &self,
        images: &TestImages<'_>,
        should_stop: &dyn Fn() -> bool,
    ) -> Result<Option<CleanMeasurement>> {
        let mut confidence = ConfidenceBins::default();
        let mut classes = vec![ClassCount::default(); images.dataset().classes];
        let mut loss = 0.0;
        let is_complete =
            self.for_each_answer(images, images.plain().as_slice(), None, should_stop, |label, answer| {
                confidence.add(answer.confidence, answer.is_correct);
                classes[usize::from(label)].images += 1;
                classes[usize::from(label)].correct += u64::from(answer.is_correct);
                loss += answer.loss;
            })?;
        let measurement = CleanMeasurement { loss: loss / confidence.answers() as f64, classes, confidence };
        Ok(is_complete.then_some(measurement))
    }

    /// Measures the network under a condition. Calls `should_stop` before every batch, and returns `None` once it
    /// returns true.
    ///
    /// # Errors
    /// Fails like [`measure_clean`](Self::measure_clean).
    pub fn measure(
        &self,
        condition: Condition,
        images: &TestImages<'_>,
        should_stop: &dyn Fn() -> bool,
    ) -> Result<Option<ConditionMeasurement>> {
        let (bytes, attack, count) = match condition {
            Condition::Corruption { corruption, strength, seed, .. } => {
                (images.corrupted(corruption, strength, seed), None, usize::MAX)
            }
            Condition::Attack { attack, images: count } => (images.plain(), Some(attack), count as usize),
        };
        let used = count.saturating_mul(images.dataset().image_bytes()).min(bytes.as_slice().len());
        let (mut n, mut correct, mut loss) = (0_u64, 0_u64, 0.0);
        let is_complete =
            self.for_each_answer(images, &bytes.as_slice()[..used], attack, should_stop, |_, answer| {
                n += 1;
                correct += u64::from(answer.is_correct);
                loss += answer.loss;
            })?;
        let score = Score { loss: loss / n as f64, accuracy: correct as f64 / n as f64 };
        Ok(is_complete.then_some(ConditionMeasurement { condition, images: n, score }))
    }

    /// Calls `on_answer` with the label and the answer of each image of `bytes` [images, channels, height, width], the
    /// first test images in their order. Returns false if `should_stop` has returned true.
    fn for_each_answer(
        &self,
        images: &TestImages<'_>,
        bytes: &[u8],
        attack: Option<Attack>,
        should_stop: &dyn Fn() -> bool,
        mut on_answer: impl FnMut(u8, Answer),
    ) -> Result<bool> {
        let dataset = images.dataset();
        let pixels = dataset.image_bytes();
        ensure!(!bytes.is_empty(), "no test images");
        for (indices, bytes) in images.indices().chunks(BATCH_IMAGES).zip(bytes.chunks(BATCH_IMAGES * pixels)) {
            if should_stop() {
                return Ok(false);
            }
            let indices = &indices[..bytes.len() / pixels];
            let labels: Vec<u8> = indices.iter().map(|&image| dataset.labels[image as usize]).collect();
            let mut batch: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte) / 255.0).collect();
            if let Some(attack) = attack {
                batch = self.attacked(attack, indices, &batch, &labels)?;
            }
            let batch = PixelBatch { pixels: &batch, labels: &labels };
            let logits = self.probe.on_pixels(self.snapshot, self.mask, batch, false)?.logits;
            for (logits, &label) in logits.chunks_exact(dataset.classes).zip(&labels) {
                on_answer(label, Answer::new(logits, label));
            }
        }
        Ok(true)
    }

    /// Returns the images [images, pixels] after an attack; `indices` are their indices in the data set.
    fn attacked(&self, attack: Attack, indices: &[u32], originals: &[f32], labels: &[u8]) -> Result<Vec<f32>> {
        let pixels = originals.len() / indices.len();
        let start: Vec<f32> = indices.iter().flat_map(|&image| attack.start(image, pixels)).collect();
        attack.attacked(originals, &start, pixels, |images| {
            let batch = PixelBatch { pixels: images, labels };
            Ok(self.probe.on_pixels(self.snapshot, self.mask, batch, true)?.gradient)
        })
    }
}

/// The answer of a network to an image.
struct Answer {
    /// The probability of the class with the largest logit, 0..=1.
    confidence: f64,
    /// Whether the first of the largest logits is that of the label.
    is_correct: bool,
    /// The cross-entropy, in nats.
    loss: f64,
}

impl Answer {
    /// Returns the answer that `logits` [classes] give.
    fn new(logits: &[f32], label: u8) -> Self {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = logits.iter().map(|&logit| libm::exp(f64::from(logit) - f64::from(largest))).sum();
        let answer = logits.iter().position(|&logit| logit == largest);
        let margin = f64::from(logits[usize::from(label)]) - f64::from(largest);
        Self { confidence: 1.0 / sum, is_correct: answer == Some(usize::from(label)), loss: libm::log(sum) - margin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_by_hand() {
        let answer = Answer::new(&[0.0, f32::ln(3.0)], 0);
        assert!((answer.confidence - 0.75).abs() < 1e-7 && !answer.is_correct);
        assert!((answer.loss - libm::log(4.0)).abs() < 1e-7);
        assert!(Answer::new(&[1.0, 1.0], 0).is_correct && !Answer::new(&[1.0, 1.0], 1).is_correct, "the first");
    }
}
