//! Networks trained in lockstep: network-iterations a second by the number of lanes, on a GPU if CUDA is available,
//! else on the CPU. On the CPU lanes save only the time of a step that does not depend on the size of the network.
//!
//! ```text
//! cargo bench --bench lanes                              five networks with 1, 4, 16 and 64 lanes
//! cargo bench --bench lanes -- lenet_300_100 1 4 16      this network, these numbers of lanes
//! cargo bench --bench lanes -- tf32                      products and convolutions in TF32
//! LTH_BENCH_PYTHON=python3 cargo bench --bench lanes     beside PyTorch (on a GPU; any Python with torch 2.11.0)
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::sync::Arc;

use clock::microseconds;
use lth::base::rng::{Purpose, Stream, mix};
use lth::base::tensors::Snapshot;
use lth::config::{Architecture, MatmulPrecision, WeightInit};
use lth::data::{Dataset, Normalization, Split};
use lth::engine::optim::{Adam, Sgd};
use lth::engine::{Batch, Optimizer, Trainer, TrainerSpec, torch};
use lth::lottery::all_ones;
use lth::network::{build, init_weights};
use pytorch_process::PytorchProcess;
use spread::Spread;

#[path = "parts/clock.rs"]
mod clock;
#[path = "parts/pytorch_process.rs"]
mod pytorch_process;
#[path = "parts/spread.rs"]
mod spread;

/// Measurements of each number of lanes.
const TURNS: usize = 5;

/// Images of the data set.
const IMAGES: u32 = 5000;

/// A network, the shape [channels, height, width] of its images, the size of its batches, its optimizer, and the steps
/// of a measurement on the CPU.
struct Case {
    name: &'static str,
    architecture: Architecture,
    shape: [usize; 3],
    batch_size: usize,
    optimizer: Optimizer,
    steps: u64,
}

fn cases() -> [Case; 5] {
    let adam = Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, decoupled: false });
    let sgd = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 });
    let (lenet, cifar) = ([1, 28, 28], [3, 32, 32]);
    let case = |name, architecture, shape, batch_size, optimizer, steps| Case {
        name,
        architecture,
        shape,
        batch_size,
        optimizer,
        steps,
    };
    [
        case("lenet_300_100", Architecture::Lenet300100, lenet, 60, adam, 50),
        case("conv2", Architecture::Conv2, cifar, 60, adam, 3),
        case("conv6", Architecture::Conv6, cifar, 60, adam, 3),
        case("resnet20", Architecture::Resnet20, cifar, 128, sgd, 3),
        case("vgg19", Architecture::Vgg19, cifar, 64, sgd, 1),
    ]
}

/// Returns a data set of noise.
fn dataset(shape: [usize; 3]) -> Arc<Dataset> {
    let pixels = shape.iter().product::<usize>() as u64;
    Arc::new(Dataset {
        shape,
        classes: 10,
        images: (0..u64::from(IMAGES) * pixels).map(|i| mix(1, i) as u8).collect(),
        labels: (0..u64::from(IMAGES)).map(|i| (mix(2, i) % 10) as u8).collect(),
        train: (0..IMAGES).collect(),
        validation: (0..100).collect(),
        // One image: an evaluation is only to wait for the device.
        test: vec![0],
        normalization: Normalization::Affine { scale: 1.0 / 64.0, offset: -2.0 },
    })
}

/// Returns a trainer with a network in every lane.
fn trainer(
    case: &Case,
    dataset: &Arc<Dataset>,
    (gpu, matmul_precision): (Option<usize>, MatmulPrecision),
    lanes: usize,
) -> anyhow::Result<Box<dyn Trainer>> {
    let network = build(&case.architecture.clone().into(), case.shape, 10).expect("a network");
    let spec =
        TrainerSpec { gpu, matmul_precision, ..TrainerSpec::plain(network.clone(), case.optimizer, case.batch_size) };
    let mut trainer = torch::build(&spec, dataset, lanes)?;
    for lane in 0..lanes {
        let mut generator = Stream::of_replicate(1, 1 + lane as u32, Purpose::Init).generator(0);
        let start = Snapshot::initial(init_weights(&network, WeightInit::GlorotNormal, 0.0, &mut generator));
        trainer.load(lane, &start, &all_ones(&network))?;
    }
    Ok(trainer)
}

/// Returns a batch of random images for each lane.
fn batches(case: &Case, lanes: usize, iteration: u64) -> Vec<Batch> {
    let image = |lane: usize, i: usize| (mix(3 + lane as u64, iteration * 1000 + i as u64) % u64::from(IMAGES)) as u32;
    let batch =
        |lane| Batch { images: (0..case.batch_size).map(|i| image(lane, i)).collect(), iteration, ..Batch::default() };
    (0..lanes).map(batch).collect()
}

/// Starts `PyTorch` on the GPU, if there is one and `LTH_BENCH_PYTHON` names the Python.
#[expect(clippy::disallowed_methods, reason = "a benchmark takes its options from the environment")]
fn pytorch(
    case: &Case,
    dataset: &Dataset,
    (gpu, precision): (Option<usize>, MatmulPrecision),
    steps: u64,
) -> Option<PytorchProcess> {
    let python = std::env::var("LTH_BENCH_PYTHON").ok().filter(|_| gpu.is_some())?;
    let [channels, side, _] = case.shape;
    let numbers = [channels, side, case.batch_size, steps as usize].map(|n| n.to_string());
    let words = [case.name.to_owned()].into_iter().chain(numbers).chain((!precision.is_exact()).then(|| "tf32".into()));
    let arguments: Vec<String> = words.collect();
    Some(PytorchProcess::new(&python, "pytorch_gpu.py", dataset, &arguments))
}

fn main() {
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let is_tf32 = words.iter().any(|word| word == "tf32");
    words.retain(|word| word != "tf32");
    let precision = if is_tf32 { MatmulPrecision::Tf32 } else { MatmulPrecision::Exact };
    let (numbers, names): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.parse::<usize>().is_ok());
    let given_counts: Vec<usize> = numbers.iter().filter_map(|word| word.parse().ok()).collect();
    let lane_counts = if given_counts.is_empty() { vec![1, 4, 16, 64] } else { given_counts };
    let gpu = torch::cuda_devices().is_ok().then_some(0);
    println!(
        "network-iterations a second on {}: median (minimum–maximum) of {TURNS} turns",
        gpu.map_or("the CPU", |_| "GPU 0")
    );
    for case in cases().iter().filter(|case| names.is_empty() || names.iter().any(|name| *name == case.name)) {
        let dataset = dataset(case.shape);
        // Many steps on a GPU, because the program waits for the GPU once per measurement.
        let steps = if gpu.is_some() { 100 } else { case.steps };
        let mut pytorch = pytorch(case, &dataset, (gpu, precision), steps);
        let mut first_rate = None;
        for &lanes in &lane_counts {
            let mut trainer = match trainer(case, &dataset, (gpu, precision), lanes) {
                Ok(trainer) => trainer,
                Err(error) => {
                    println!("  {:13} {lanes:3} lanes: {error}", case.name);
                    continue;
                }
            };
            let mut iteration = 0;
            let mut rate = || {
                let micros = microseconds(steps, || {
                    trainer.step(&batches(case, lanes, iteration), &vec![1e-4; lanes]).expect("a step");
                    iteration += 1;
                });
                // Steps do not wait for the device, an evaluation does.
                let wait = microseconds(1, || drop(trainer.evaluate(Split::Test).expect("a score")));
                1e6 * lanes as f64 / (micros + wait / steps as f64)
            };
            // The first measurement is not counted.
            rate();
            let mut pytorch_rates = Vec::new();
            let mut measure = || {
                pytorch_rates.extend(pytorch.as_mut().map(|pytorch| pytorch.measure()[0]));
                rate()
            };
            let spread = Spread::of((0..TURNS).map(|_| measure()).collect());
            let first = *first_rate.get_or_insert(spread.median);
            println!("  {:13} {lanes:3} lanes: {spread}, {:.2} times the first", case.name, spread.median / first);
            if !pytorch_rates.is_empty() {
                let pytorch = Spread::of(pytorch_rates);
                println!(
                    "  {:13} PyTorch, one: {pytorch}; we are {:.2} times as fast",
                    "",
                    spread.median / pytorch.median
                );
            }
        }
        pytorch.into_iter().for_each(PytorchProcess::end);
    }
}
