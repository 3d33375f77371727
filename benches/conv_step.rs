//! The step of convolutional networks (float32, one thread) beside `PyTorch`'s (`benches/pytorch_conv.py`), in turns.
//!
//! ```text
//! cargo bench --bench conv_step                                     our steps
//! LTH_BENCH_PYTHON=python3 cargo bench --bench conv_step            PyTorch's too; any Python with torch 2.11.0
//! LTH_DATA_DIR=… …                                                  on CIFAR-10 instead of noise
//! … --bench conv_step -- conv2                                      of this network alone
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::sync::Arc;

use clock::microseconds;
use lth::base::rng::{Purpose, Stream, mix};
use lth::base::tensors::Snapshot;
use lth::base::units::Iteration;
use lth::config::{Architecture, DataConfig, WeightInit};
use lth::data::{Dataset, Normalization, load};
use lth::engine::optim::{Adam, Sgd};
use lth::engine::{Batch, Optimizer, Trainer, TrainerSpec, torch};
use lth::lottery::all_ones;
use lth::network::{build, init_weights};
use lth::train::BatchSampler;
use opponent::Opponent;
use spread::Spread;

#[path = "parts/clock.rs"]
mod clock;
#[path = "parts/opponent.rs"]
mod opponent;
#[path = "parts/spread.rs"]
mod spread;

/// Turns, and steps of one measurement.
const TURNS: usize = 5;
const STEPS: u64 = 10;

/// A network, its batch, and how it is trained.
struct Case {
    name: &'static str,
    architecture: Architecture,
    batch: usize,
    update: Optimizer,
    lr: f64,
}

fn cases() -> [Case; 4] {
    let adam = Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 });
    let sgd = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 });
    [
        Case { name: "conv2", architecture: Architecture::Conv2, batch: 60, update: adam, lr: 2e-4 },
        Case { name: "conv4", architecture: Architecture::Conv4, batch: 60, update: adam, lr: 3e-4 },
        Case { name: "conv6", architecture: Architecture::Conv6, batch: 60, update: adam, lr: 3e-4 },
        Case { name: "resnet20", architecture: Architecture::Resnet20, batch: 128, update: sgd, lr: 0.03 },
    ]
}

/// A training that can be taken step by step.
struct Step {
    trainer: Box<dyn Trainer>,
    order: BatchSampler<'static>,
    batch: [Batch; 1],
    lr: f64,
}

impl Step {
    fn new(case: &Case, dataset: &Arc<Dataset>) -> Self {
        let network = build(&case.architecture.clone().into(), dataset.shape, 10).expect("a network");
        let mut trainer =
            torch::build(&TrainerSpec::plain(network.clone(), case.update, case.batch), dataset, 1).expect("a trainer");
        let mut generator = Stream::of_replicate(1, 1, Purpose::Init).generator(0);
        let start = Snapshot::initial(init_weights(&network, WeightInit::GlorotNormal, 0.0, &mut generator));
        trainer.load(0, &start, &all_ones(&network)).expect("weights");
        let images: &'static [u32] = dataset.train.clone().leak();
        let order = BatchSampler::new(Stream::of_replicate(1, 1, Purpose::Order), images, case.batch, true);
        Self { trainer, order, batch: [Batch::default()], lr: case.lr }
    }

    fn step(&mut self) {
        let iteration = self.batch[0].iteration;
        self.order.fill_batch(Iteration(iteration), &mut self.batch[0].images);
        self.trainer.step(&self.batch, &[self.lr]).expect("a step");
        self.batch[0].iteration += 1;
    }
}

/// CIFAR-10 where `LTH_DATA_DIR` is set, else as many images of noise.
#[expect(clippy::disallowed_methods, reason = "the benchmark's own variables")]
fn dataset() -> Arc<Dataset> {
    if std::env::var_os("LTH_DATA_DIR").is_some() {
        let data: DataConfig = serde_json::from_value(serde_json::json!({ "dataset": "cifar10" })).expect("a data set");
        return Arc::new(load(&data, None, 1).expect("the data"));
    }
    let images = 10_000_u32;
    Arc::new(Dataset {
        shape: [3, 32, 32],
        classes: 10,
        images: (0..u64::from(images) * 3072).map(|i| mix(1, i) as u8).collect(),
        labels: (0..u64::from(images)).map(|i| (mix(2, i) % 10) as u8).collect(),
        train: (0..images).collect(),
        validation: (0..1).collect(),
        test: (0..1).collect(),
        normalization: Normalization::Affine { scale: 1.0 / 64.0, offset: -2.0 },
    })
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's own variables")]
fn main() {
    let dataset = dataset();
    let python = std::env::var("LTH_BENCH_PYTHON").ok();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    println!("ms a step: median (minimum–maximum) of {TURNS} turns of {STEPS} steps, one thread");
    for case in cases().iter().filter(|case| wanted.is_empty() || wanted.iter().any(|name| name == case.name)) {
        let mut step = Step::new(case, &dataset);
        let more = [case.name.to_owned(), case.batch.to_string(), STEPS.to_string()];
        let mut opponent = python.as_ref().map(|python| Opponent::new(python, "pytorch_conv.py", &dataset, &more));
        let (mut ours, mut theirs, mut last) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..=TURNS {
            let time = microseconds(STEPS, || step.step()) / 1e3;
            // Channels first, channels last.
            let other = opponent.as_mut().map(|opponent| opponent.measure("go"));
            if turn > 0 {
                ours.push(time);
                if let Some([first, other]) = other.as_deref() {
                    theirs.push(*first);
                    last.push(*other);
                }
            }
        }
        let ours = Spread::of(ours);
        println!("  {:9} ours {ours}", case.name);
        if let Some(opponent) = opponent {
            let (theirs, last) = (Spread::of(theirs), Spread::of(last));
            let best = theirs.0.min(last.0);
            println!("  {:9} PyTorch {theirs}, channels last {last}; PyTorch's better / ours {:.2}", "", best / ours.0);
            opponent.end();
        }
    }
}
