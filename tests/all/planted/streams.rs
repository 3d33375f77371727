//! The order of the training images: which training runs share it, and which must not.

use std::collections::BTreeMap;

use lth::base::rng::{Purpose, Stream};
use lth::base::units::Iteration;
use lth::train::BatchSampler;

use crate::fake::{Fault, run_experiment};
use crate::support::{SMOKE_TRAININGS, rows, run_dir, smoke_document};

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

#[test]
fn data_order_is_that_of_all_training_runs_of_a_replicate_and_of_no_other() {
    let folder = tempfile::tempdir().unwrap();
    run_experiment(folder.path(), &smoke_document(&["replicates=3"]), Fault::None, 0);
    let run_dir = run_dir(folder.path());
    // Each step of the fake trainer multiplies all weights by a number that depends on the images of its batch, and its
    // loss is 1 plus the sum of magnitudes: the growth of this sum tells the order of the images.
    let mut sums: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in rows(&run_dir, "curves.csv") {
        let loss: f64 = row["validation_loss"].parse().unwrap();
        sums.entry(row["key"].clone()).or_default().push(loss - 1.0);
    }
    let growths = rows(&run_dir, "rounds.csv").into_iter().map(|row| {
        let sums = &sums[&row["key"]];
        (row["replicate"].clone(), sums[sums.len() - 1] / sums[0])
    });
    let growths: Vec<(String, f64)> = growths.collect();
    assert_eq!(growths.len(), SMOKE_TRAININGS / 2 * 3);
    for (replicate, growth) in &growths {
        for (other_replicate, other) in &growths {
            let is_same_order = (growth / other - 1.0).abs() < 1e-5;
            assert_eq!(
                is_same_order,
                replicate == other_replicate,
                "{replicate}: {growth}, {other_replicate}: {other}"
            );
        }
    }
}
