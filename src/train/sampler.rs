//! The order of the training images: a function of the stream and the iteration, so that any iteration can be reached.

use crate::base::rng::Stream;

/// Batches by iteration: one permutation per epoch.
pub struct BatchSampler<'a> {
    stream: Stream,
    images: &'a [u32],
    batch_size: usize,
    drop_last: bool,
    /// The epoch that `permutation` is of.
    epoch: Option<u64>,
    permutation: Vec<u32>,
}

impl<'a> BatchSampler<'a> {
    /// The order of `images` by `stream`. `drop_last` leaves out the last, smaller batch of each epoch.
    pub fn new(stream: Stream, images: &'a [u32], batch_size: usize, drop_last: bool) -> Self {
        Self { stream, images, batch_size, drop_last, epoch: None, permutation: Vec::new() }
    }

    /// Batches in one epoch.
    pub fn batches_per_epoch(&self) -> u64 {
        let full = self.images.len() / self.batch_size;
        let rest = self.images.len() % self.batch_size;
        (full + usize::from(rest > 0 && !self.drop_last)) as u64
    }

    /// Writes the images of step `iteration` (from 0) to `batch`.
    pub fn fill_batch(&mut self, iteration: u64, batch: &mut Vec<u32>) {
        let epoch = iteration / self.batches_per_epoch();
        if self.epoch != Some(epoch) {
            self.permutation = self.stream.generator(epoch).permutation(self.images.len() as u32);
            self.epoch = Some(epoch);
        }
        let start = (iteration % self.batches_per_epoch()) as usize * self.batch_size;
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
        let mut order = BatchSampler::new(Stream::of_replicate(1, 1, Purpose::Order), &images, 4, drop_last);
        (0..2 * order.batches_per_epoch())
            .map(|iteration| {
                let mut batch = Vec::new();
                order.fill_batch(iteration, &mut batch);
                batch
            })
            .collect()
    }

    #[test]
    fn an_epoch_shows_every_image_once() {
        let all = epochs(false);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2, 4, 4, 2]);
        let mut first = all[..3].concat();
        first.sort_unstable();
        assert_eq!(first, (100..110).collect::<Vec<_>>());
        assert_ne!(all[..3], all[3..], "each epoch has its own order");
    }

    #[test]
    fn the_last_smaller_batch_is_dropped_if_asked() {
        let (kept, dropped) = (epochs(false), epochs(true));
        assert_eq!(dropped.len(), 4);
        assert_eq!((&dropped[..2], &dropped[2..]), (&kept[..2], &kept[3..5]));
    }
}
