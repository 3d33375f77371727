//! The order of the training images: a function of the stream and the iteration, so that any iteration can be reached.

use crate::base::rng::Stream;
use crate::base::units::Iteration;

/// Returns the iterations of one epoch over `images` training images. `drop_last` leaves out the last batch if it is
/// smaller than `batch_size`.
pub fn iterations_per_epoch(images: u64, batch_size: u64, drop_last: bool) -> u64 {
    if drop_last { images / batch_size } else { images.div_ceil(batch_size) }
}

/// The batches of a training run by iteration: each epoch goes through a random permutation of the training images.
pub struct BatchSampler<'a> {
    stream: Stream,
    /// Indices into the data set.
    images: &'a [u32],
    batch_size: usize,
    /// Whether the last batch of an epoch is left out if it is smaller than `batch_size`.
    drop_last: bool,
    /// The epoch whose order `permutation` is, from 0; `None` before the first batch.
    epoch: Option<u64>,
    /// The order of that epoch: indices into `images`.
    permutation: Vec<u32>,
}

impl<'a> BatchSampler<'a> {
    /// Returns the sampler of `images`, indices into the data set, in the orders that `stream` draws. `drop_last` as in
    /// [`iterations_per_epoch`].
    pub fn new(stream: Stream, images: &'a [u32], batch_size: usize, drop_last: bool) -> Self {
        Self { stream, images, batch_size, drop_last, epoch: None, permutation: Vec::new() }
    }

    /// Returns the number of batches in one epoch.
    pub fn batches_per_epoch(&self) -> u64 {
        iterations_per_epoch(self.images.len() as u64, self.batch_size as u64, self.drop_last)
    }

    /// Replaces `batch` by the images of the step that has `iteration` steps before it: indices into the data set.
    pub fn fill_batch(&mut self, iteration: Iteration, batch: &mut Vec<u32>) {
        let epoch = iteration.0 / self.batches_per_epoch();
        if self.epoch != Some(epoch) {
            self.permutation = self.stream.generator(epoch).permutation(self.images.len() as u32);
            self.epoch = Some(epoch);
        }
        let start = (iteration.0 % self.batches_per_epoch()) as usize * self.batch_size;
        let end = (start + self.batch_size).min(self.images.len());
        batch.clear();
        batch.extend(self.permutation[start..end].iter().map(|&i| self.images[i as usize]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Purpose;

    fn epochs(drop_last: bool) -> Vec<Vec<u32>> {
        let images: Vec<u32> = (100..110).collect();
        let mut sampler = BatchSampler::new(Stream::of_replicate(1, 1, Purpose::Order), &images, 4, drop_last);
        (0..2 * sampler.batches_per_epoch())
            .map(|iteration| {
                let mut batch = Vec::new();
                sampler.fill_batch(Iteration(iteration), &mut batch);
                batch
            })
            .collect()
    }

    #[test]
    fn epoch_contains_every_image_once() {
        let batches = epochs(false);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2, 4, 4, 2]);
        let mut first = batches[..3].concat();
        first.sort_unstable();
        assert_eq!(first, (100..110).collect::<Vec<_>>());
        assert_ne!(batches[..3], batches[3..], "each epoch has its own order");
    }

    #[test]
    fn drop_last_leaves_out_the_smaller_batch() {
        let (kept, dropped) = (epochs(false), epochs(true));
        assert_eq!(dropped.len(), 4);
        assert_eq!((&dropped[..2], &dropped[2..]), (&kept[..2], &kept[3..5]));
    }
}
