//! The step of convolutional networks (float32, one thread) beside `PyTorch`'s (`benches/pytorch_conv.py`), measured by
//! turns.
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
use lth::config::{Architecture, DataConfig, WeightInit};
use lth::data::{Dataset, Normalization, load};
use lth::engine::optim::{Adam, Sgd};
use lth::engine::{Optimizer, TrainerSpec, torch};
use lth::lottery::all_ones;
use lth::network::{build, init_weights};
use pytorch_process::PytorchProcess;
use spread::Spread;
use training_run::TrainingRun;

#[path = "parts/clock.rs"]
mod clock;
#[path = "parts/pytorch_process.rs"]
mod pytorch_process;
#[path = "parts/spread.rs"]
mod spread;
#[path = "parts/training_run.rs"]
mod training_run;

/// Measurements of each step, taken by turns.
const TURNS: usize = 5;

/// Steps of one measurement.
const STEPS: u64 = 10;

/// A network, the size of its batches, its optimizer and its learning rate.
struct Case {
    name: &'static str,
    architecture: Architecture,
    batch_size: usize,
    optimizer: Optimizer,
    lr: f64,
}

fn cases() -> [Case; 4] {
    let adam = Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, decoupled: false });
    let sgd = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 });
    [
        Case { name: "conv2", architecture: Architecture::Conv2, batch_size: 60, optimizer: adam, lr: 2e-4 },
        Case { name: "conv4", architecture: Architecture::Conv4, batch_size: 60, optimizer: adam, lr: 3e-4 },
        Case { name: "conv6", architecture: Architecture::Conv6, batch_size: 60, optimizer: adam, lr: 3e-4 },
        Case { name: "resnet20", architecture: Architecture::Resnet20, batch_size: 128, optimizer: sgd, lr: 0.03 },
    ]
}

/// Returns the training run of a case from new initial weights.
fn training_run(case: &Case, dataset: &Arc<Dataset>) -> TrainingRun {
    let network = build(&case.architecture.clone().into(), dataset.shape, 10).expect("a network");
    let spec = TrainerSpec::plain(network.clone(), case.optimizer, case.batch_size);
    let trainer = torch::build(&spec, dataset, 1).expect("a trainer");
    let mut generator = Stream::of_replicate(1, 1, Purpose::Init).generator(0);
    let start = Snapshot::initial(init_weights(&network, WeightInit::GlorotNormal, 0.0, &mut generator));
    TrainingRun::new(trainer, &(start, all_ones(&network)), dataset, case.batch_size, case.lr)
}

/// Returns CIFAR-10 if `LTH_DATA_DIR` is set, else 10,000 images of noise.
#[expect(clippy::disallowed_methods, reason = "the benchmark's own variables")]
fn dataset() -> Arc<Dataset> {
    if std::env::var_os("LTH_DATA_DIR").is_some() {
        let data: DataConfig = serde_json::from_value(serde_json::json!({ "dataset": "cifar10" })).expect("a data set");
        return Arc::new(load(&data, None, 1).expect("the data"));
    }
    let image_count = 10_000_u32;
    Arc::new(Dataset {
        shape: [3, 32, 32],
        classes: 10,
        images: (0..u64::from(image_count) * 3072).map(|i| mix(1, i) as u8).collect(),
        labels: (0..u64::from(image_count)).map(|i| (mix(2, i) % 10) as u8).collect(),
        train: (0..image_count).collect(),
        validation: (0..1).collect(),
        test: (0..1).collect(),
        normalization: Normalization::Affine { scale: 1.0 / 64.0, offset: -2.0 },
    })
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's own variables")]
fn main() {
    let dataset = dataset();
    let python = std::env::var("LTH_BENCH_PYTHON").ok();
    let names: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    println!("ms a step: median (minimum–maximum) of {TURNS} turns of {STEPS} steps, one thread");
    for case in cases().iter().filter(|case| names.is_empty() || names.iter().any(|name| name == case.name)) {
        let mut training_run = training_run(case, &dataset);
        let arguments = [case.name.to_owned(), case.batch_size.to_string(), STEPS.to_string()];
        let mut pytorch =
            python.as_ref().map(|python| PytorchProcess::new(python, "pytorch_conv.py", &dataset, &arguments));
        let mut ours = Vec::new();
        // PyTorch's times with channels first in memory, and with channels last.
        let mut channels_first = Vec::new();
        let mut channels_last = Vec::new();
        for turn in 0..=TURNS {
            let time = microseconds(STEPS, || training_run.step()) / 1e3;
            let answer = pytorch.as_mut().map(PytorchProcess::measure);
            // The first turn is not counted.
            if turn > 0 {
                ours.push(time);
                if let Some([first, last]) = answer.as_deref() {
                    channels_first.push(*first);
                    channels_last.push(*last);
                }
            }
        }
        let ours = Spread::of(ours);
        println!("  {:9} ours {ours}", case.name);
        if let Some(pytorch) = pytorch {
            let first = Spread::of(channels_first);
            let last = Spread::of(channels_last);
            let ratio = first.median.min(last.median) / ours.median;
            println!("  {:9} PyTorch {first}, channels last {last}; PyTorch's better / ours {ratio:.2}", "");
            pytorch.end();
        }
    }
}
