//! A training run that is taken step by step.

use lth::base::mask::Mask;
use lth::base::rng::{Purpose, Stream};
use lth::base::tensors::Snapshot;
use lth::base::units::Iteration;
use lth::data::Dataset;
use lth::engine::{Batch, Trainer};
use lth::train::BatchSampler;

/// A trainer with one lane, and the images of its next step.
pub(crate) struct TrainingRun {
    pub(crate) trainer: Box<dyn Trainer>,
    sampler: BatchSampler<'static>,
    batch: [Batch; 1],
    lr: f64,
}

impl TrainingRun {
    /// Loads a network into `trainer`, to be trained on the training images of `dataset` at the learning rate `lr`.
    pub(crate) fn new(
        mut trainer: Box<dyn Trainer>,
        (start, mask): &(Snapshot, Mask),
        dataset: &Dataset,
        batch_size: usize,
        lr: f64,
    ) -> Self {
        trainer.load(0, start, mask).expect("a network");
        let images: &'static [u32] = dataset.train.clone().leak();
        let sampler = BatchSampler::new(Stream::of_replicate(1, 1, Purpose::Order), images, batch_size, true);
        Self { trainer, sampler, batch: [Batch::default()], lr }
    }

    /// Takes the next step.
    pub(crate) fn step(&mut self) {
        let iteration = self.batch[0].iteration;
        self.sampler.fill_batch(Iteration(iteration), &mut self.batch[0].images);
        self.trainer.step(&self.batch, &[self.lr]).expect("a step");
        self.batch[0].iteration += 1;
    }
}
