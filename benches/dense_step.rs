//! The dense step of LeNet-300-100 (batch 60, Adam, float32, one thread) and its evaluation of 10,000 images, beside
//! their matrix products alone, and beside `PyTorch` (`benches/pytorch_lenet.py`), measured by turns.
//!
//! ```text
//! cargo bench --bench dense_step                                    the step and the products
//! LTH_BENCH_PYTHON=python3 cargo bench --bench dense_step           PyTorch too; any Python with torch 2.11.0
//! LTH_DATA_DIR=… …                                                  on MNIST instead of strokes
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use clock::microseconds;
use lenet::{BATCH, pruned, spec};
use lth::data::Split;
use lth::engine::torch;
use pytorch_process::PytorchProcess;
use spread::Spread;
use tch::{Device, Kind, Tensor};
use training_run::TrainingRun;

#[path = "parts/clock.rs"]
mod clock;
#[path = "parts/lenet.rs"]
mod lenet;
#[path = "parts/pytorch_process.rs"]
mod pytorch_process;
#[path = "parts/spread.rs"]
mod spread;
#[path = "parts/training_run.rs"]
mod training_run;

/// Measurements of each kind, taken by turns.
const TURNS: usize = 9;

/// Steps of one measurement.
const STEPS: u64 = 1000;

/// The learning rate.
const LR: f64 = 1.2e-3;

/// Images that an evaluation processes at a time.
const BLOCK: i64 = 250;

/// Matrix products of random matrices: two factors each, and the memory of the product.
struct Products(Vec<(Tensor, Tensor, Tensor)>);

impl Products {
    /// Returns the products of a step: eight.
    fn of_step() -> Self {
        let n = BATCH as i64;
        let mut products = Self::forward(n).0;
        let deltas = SIZES.map(|features| random(n, features));
        for l in 0..3 {
            products.push((deltas[l + 1].tr(), random(n, SIZES[l]), random(SIZES[l + 1], SIZES[l])));
            if l > 0 {
                products.push((
                    deltas[l + 1].shallow_clone(),
                    random(SIZES[l + 1], SIZES[l]),
                    deltas[l].shallow_clone(),
                ));
            }
        }
        Self(products)
    }

    /// Returns the products of a forward pass with `n` images: three.
    fn forward(n: i64) -> Self {
        let product = |l: usize| (random(n, SIZES[l]), random(SIZES[l + 1], SIZES[l]).tr(), random(n, SIZES[l + 1]));
        Self((0..3).map(product).collect())
    }

    /// Computes all products.
    fn multiply(&self) {
        for (a, b, out) in &self.0 {
            let _ = a.mm_out(out, b);
        }
    }
}

/// Features of the input, then outputs of each layer.
const SIZES: [i64; 4] = [784, 300, 100, 10];

/// Returns a random matrix [rows, columns].
fn random(rows: i64, columns: i64) -> Tensor {
    Tensor::randn([rows, columns], (Kind::Float, Device::Cpu))
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's own variable")]
fn main() {
    tch::set_num_threads(1);
    let dataset = lenet::dataset();
    let training_run = |rounds| {
        let trainer = torch::build(&spec(), &dataset, 1).expect("a trainer");
        TrainingRun::new(trainer, &pruned(rounds, 0.2), &dataset, BATCH, LR)
    };
    let mut dense = training_run(0);
    let mut masked = training_run(15);
    let step_products = Products::of_step();
    let evaluation_products = Products::forward(BLOCK);
    let blocks = (dataset.test.len() as u64).div_ceil(BLOCK as u64);
    let python = std::env::var("LTH_BENCH_PYTHON").ok();
    let mut pytorch =
        python.map(|python| PytorchProcess::new(&python, "pytorch_lenet.py", &dataset, &[STEPS.to_string()]));
    let names = [
        "step",
        "step, 3.6 % of the weights",
        "its 8 products alone",
        "evaluation of all test images",
        "its products alone",
        "PyTorch: step",
        "PyTorch: its 8 products alone",
    ];
    let mut columns: [Vec<f64>; 7] = Default::default();
    for turn in 0..=TURNS {
        let mut times = [0.0; 7];
        times[0] = microseconds(STEPS, || dense.step()) / 1e3;
        times[1] = microseconds(STEPS, || masked.step()) / 1e3;
        times[2] = microseconds(STEPS, || step_products.multiply()) / 1e3;
        times[3] = microseconds(5, || drop(dense.trainer.evaluate(Split::Test).expect("a score"))) / 1e3;
        times[4] = blocks as f64 * microseconds(5 * blocks, || evaluation_products.multiply()) / 1e3;
        if let Some(pytorch) = &mut pytorch {
            let answer = pytorch.measure();
            [times[5], times[6]] = [answer[0], answer[1]];
        }
        // The first turn is not counted.
        if turn > 0 {
            columns.iter_mut().zip(times).for_each(|(column, time)| column.push(time));
        }
    }
    println!("ms: median (minimum–maximum) of {TURNS} turns of {STEPS} steps");
    let spreads = columns.map(Spread::of);
    for (name, spread) in names.iter().zip(&spreads).take(if pytorch.is_some() { 7 } else { 5 }) {
        println!("  {name:32} {:.3} ({:.3}–{:.3})", spread.median, spread.min, spread.max);
    }
    println!("  step / its products              {:.2}", spreads[0].median / spreads[2].median);
    println!("  evaluation / its products        {:.2}", spreads[3].median / spreads[4].median);
    if let Some(pytorch) = pytorch {
        println!("  PyTorch's step / our step        {:.2}", spreads[5].median / spreads[0].median);
        pytorch.end();
    }
}
