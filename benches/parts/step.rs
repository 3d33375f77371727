//! A training that can be taken step by step.

use std::sync::Arc;

use lth::base::mask::Mask;
use lth::base::rng::{Purpose, Stream};
use lth::base::tensors::Snapshot;
use lth::base::units::Iteration;
use lth::data::Dataset;
use lth::engine::{Batch, Trainer, TrainerSpec};
use lth::train::BatchSampler;

use crate::lenet::{BATCH, spec};

/// Makes a trainer.
pub(crate) type Build = fn(&TrainerSpec, &Arc<Dataset>) -> anyhow::Result<Box<dyn Trainer>>;

/// A trainer in the middle of a training.
pub(crate) struct Step {
    pub(crate) trainer: Box<dyn Trainer>,
    order: BatchSampler<'static>,
    batch: [Batch; 1],
}

impl Step {
    pub(crate) fn new(dataset: &Arc<Dataset>, build: Build, (start, mask): &(Snapshot, Mask)) -> Self {
        let mut trainer = build(&spec(), dataset).expect("a trainer");
        trainer.load(0, start, mask).expect("a network");
        let images: &'static [u32] = dataset.train.clone().leak();
        let order = BatchSampler::new(Stream::of_replicate(1, 1, Purpose::Order), images, BATCH, true);
        Self { trainer, order, batch: [Batch::default()] }
    }

    pub(crate) fn step(&mut self) {
        let iteration = self.batch[0].iteration;
        self.order.fill_batch(Iteration(iteration), &mut self.batch[0].images);
        self.trainer.step(&self.batch, &[1.2e-3]).expect("a step");
        self.batch[0].iteration += 1;
    }
}
