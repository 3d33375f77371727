//! What the benchmarks of steps share: LeNet-300-100 (batch 60, Adam) in the middle of a training, and turns.

use std::sync::Arc;
use std::time::Instant;

use lth::base::mask::Mask;
use lth::base::random::{Purpose, Stream};
use lth::base::state::Snapshot;
use lth::config::{self, Architecture, Data, Dtype, Init, Prune};
use lth::data::{Dataset, load};
use lth::engine::{Batch, Recipe, Trainer, Update};
use lth::lottery::all_ones;
use lth::network::{Network, build, draw};
use lth::prune::{Counts, Pruning, Weights};
use lth::train::Order;

/// Images of a batch.
pub(crate) const BATCH: usize = 60;

/// Makes a trainer.
pub(crate) type Build = fn(&Recipe, &Arc<Dataset>) -> anyhow::Result<Box<dyn Trainer>>;

/// MNIST where `LTH_DATA_DIR` is set, else strokes.
#[expect(clippy::disallowed_methods, reason = "the benchmark's own variables")]
pub(crate) fn dataset() -> Arc<Dataset> {
    let name = if std::env::var_os("LTH_DATA_DIR").is_some() { "mnist" } else { "strokes" };
    let data: Data = serde_json::from_value(serde_json::json!({ "dataset": name })).expect("a data set");
    Arc::new(load(&data, None, 1).expect("the data"))
}

/// The network.
pub(crate) fn network() -> Network {
    build(&Architecture::Lenet300100.into(), [1, 28, 28], 10).expect("the paper's network")
}

/// Initial weights, and the mask after `rounds` rounds of pruning them by magnitude at `rate`, the output layer at half of
/// it: which weights, hardly matters for the time.
pub(crate) fn pruned(rounds: u32, rate: f64) -> (Snapshot, Mask) {
    let network = network();
    let mut generator = Stream::of_replicate(1, 1, Purpose::Init).generator(0);
    let start = Snapshot::fresh(draw(&network, Init::GlorotNormal, 0.0, &mut generator));
    let all = network.sizes();
    let mut counts = Counts { kept: all.iter().sum(), layers: Some(all.clone()) };
    let rates = serde_json::from_value(serde_json::json!({ "rate": { "linear": rate, "output": rate / 2.0 } }));
    let rates: Prune = rates.expect("rates");
    let pruning = Pruning::new(&rates, &network).expect("rates");
    (0..rounds).for_each(|_| counts = pruning.next(&counts, &all));
    let weights = Weights {
        criterion: config::Criterion::Magnitude,
        initial: &start.weights,
        last: &start.weights,
        stream: Stream::of_replicate(1, 1, Purpose::Criterion),
    };
    let mask = pruning.cut_to(&counts, &all_ones(&network), &weights).expect("weights");
    (start, mask)
}

/// How it is trained.
pub(crate) fn recipe() -> Recipe {
    let update = Update::Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 };
    Recipe { network: network(), update, dtype: Dtype::Float32, batch_size: BATCH }
}

/// A trainer in the middle of a training.
pub(crate) struct Step {
    pub(crate) trainer: Box<dyn Trainer>,
    order: Order<'static>,
    batch: [Batch; 1],
}

impl Step {
    pub(crate) fn new(dataset: &Arc<Dataset>, build: Build, (start, mask): &(Snapshot, Mask)) -> Self {
        let mut trainer = build(&recipe(), dataset).expect("a trainer");
        trainer.load(0, start, mask).expect("a network");
        let images: &'static [u32] = dataset.train.clone().leak();
        let order = Order::new(Stream::of_replicate(1, 1, Purpose::Order), images, BATCH, true);
        Self { trainer, order, batch: [Batch::default()] }
    }

    pub(crate) fn step(&mut self) {
        let iteration = self.batch[0].iteration;
        self.order.fill(iteration, &mut self.batch[0].images);
        self.trainer.step(&self.batch, &[1.2e-3]).expect("a step");
        self.batch[0].iteration += 1;
    }
}

/// Microseconds that `work` takes, over `times` times.
pub(crate) fn microseconds(times: u64, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..times).for_each(|_| work());
    1e6 * start.elapsed().as_secs_f64() / times as f64
}

/// Median, minimum and maximum.
pub(crate) struct Spread(pub(crate) f64, pub(crate) f64, pub(crate) f64);

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values[values.len() / 2], values[0], values[values.len() - 1])
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{:.1} ({:.1}–{:.1})", self.0, self.1, self.2);
        f.pad(&text)
    }
}
