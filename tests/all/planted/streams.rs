//! The order of the training images: which training runs share it, and which must not.

use lth::base::rng::{Purpose, Stream};
use lth::base::units::Iteration;
use lth::train::BatchSampler;

/// Returns the images of an epoch, from 0, in their order.
fn epoch_order(seed: u64, replicate: u32, epoch: u64) -> Vec<u32> {
    let images: Vec<u32> = (0..100).collect();
    let mut sampler = BatchSampler::new(Stream::of_replicate(seed, replicate, Purpose::Order), &images, 100, false);
    let mut batch = Vec::new();
    sampler.fill_batch(Iteration(epoch), &mut batch);
    batch
}

#[test]
fn data_order_of_an_epoch_is_that_of_no_other_seed_replicate_or_epoch() {
    // With an order drawn from seed + epoch, epoch 1 of seed 1 would be epoch 0 of seed 2.
    let mut orders = Vec::new();
    for seed in 1..5 {
        for replicate in 1..4 {
            for epoch in 0..4 {
                orders.push(epoch_order(seed, replicate, epoch));
            }
        }
    }
    let count = orders.len();
    orders.sort_unstable();
    orders.dedup();
    assert_eq!(orders.len(), count);
}
