//! The dense step of LeNet-300-100 (batch 60, Adam, float32, one thread) and its evaluation of 10,000 images, beside their
//! matrix products alone, and beside `PyTorch` (`benches/pytorch_lenet.py`), all in turns.
//!
//! ```text
//! cargo bench --bench dense_step                                    the step and the products
//! LTH_BENCH_PYTHON=python3 cargo bench --bench dense_step           PyTorch too; any Python with torch 2.11.0
//! LTH_DATA_DIR=… …                                                  on MNIST instead of strokes
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use clock::microseconds;
use lenet::BATCH;
use lth::data::Split;
use lth::engine::torch;
use opponent::Opponent;
use spread::Spread;
use step::Step;
use tch::{Device, Kind, Tensor};

#[path = "parts/clock.rs"]
mod clock;
#[path = "parts/lenet.rs"]
mod lenet;
#[path = "parts/opponent.rs"]
mod opponent;
#[path = "parts/spread.rs"]
mod spread;
#[path = "parts/step.rs"]
mod step;

/// Turns, and steps of one measurement.
const TURNS: usize = 9;
const STEPS: u64 = 1000;

/// Images that an evaluation takes at a time.
const BLOCK: i64 = 250;

/// Matrix products, and nothing else.
struct Products(Vec<(Tensor, Tensor, Tensor)>);

impl Products {
    /// Those of a step: eight.
    fn of_step() -> Self {
        let n = BATCH as i64;
        let mut products = Self::forward(n).0;
        let deltas = SIZES.map(|width| random(n, width));
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

    /// Those of a forward pass with `n` images.
    fn forward(n: i64) -> Self {
        let product = |l: usize| (random(n, SIZES[l]), random(SIZES[l + 1], SIZES[l]).tr(), random(n, SIZES[l + 1]));
        Self((0..3).map(product).collect())
    }

    fn multiply(&self) {
        for (a, b, out) in &self.0 {
            let _ = a.mm_out(out, b);
        }
    }
}

const SIZES: [i64; 4] = [784, 300, 100, 10];

fn random(rows: i64, columns: i64) -> Tensor {
    Tensor::randn([rows, columns], (Kind::Float, Device::Cpu))
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's own variable")]
fn main() {
    tch::set_num_threads(1);
    let dataset = lenet::dataset();
    let trainer =
        |rounds| Step::new(&dataset, |spec, dataset| torch::build(spec, dataset, 1), &lenet::pruned(rounds, 0.2));
    let (mut step, mut masked) = (trainer(0), trainer(15));
    let (products, forward) = (Products::of_step(), Products::forward(BLOCK));
    let images = dataset.test.len() as u64;
    let more = [STEPS.to_string()];
    let python = std::env::var("LTH_BENCH_PYTHON").ok();
    let mut opponent = python.map(|python| Opponent::new(&python, "pytorch_lenet.py", &dataset, &more));
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
        times[0] = microseconds(STEPS, || step.step()) / 1e3;
        times[1] = microseconds(STEPS, || masked.step()) / 1e3;
        times[2] = microseconds(STEPS, || products.multiply()) / 1e3;
        times[3] = microseconds(5, || drop(step.trainer.evaluate(Split::Test).expect("a score"))) / 1e3;
        times[4] = microseconds(5 * images.div_ceil(BLOCK as u64), || forward.multiply()) / 1e3;
        times[4] *= images.div_ceil(BLOCK as u64) as f64;
        if let Some(opponent) = &mut opponent {
            let answer = opponent.measure("go");
            [times[5], times[6]] = [answer[0], answer[1]];
        }
        if turn > 0 {
            columns.iter_mut().zip(times).for_each(|(column, time)| column.push(time));
        }
    }
    println!("ms: median (minimum–maximum) of {TURNS} turns of {STEPS} steps");
    let spreads = columns.map(Spread::of);
    for (name, spread) in names.iter().zip(&spreads).take(if opponent.is_some() { 7 } else { 5 }) {
        println!("  {name:32} {:.3} ({:.3}–{:.3})", spread.0, spread.1, spread.2);
    }
    println!("  step / its products              {:.2}", spreads[0].0 / spreads[2].0);
    println!("  evaluation / its products        {:.2}", spreads[3].0 / spreads[4].0);
    if let Some(opponent) = opponent {
        println!("  PyTorch's step / our step        {:.2}", spreads[5].0 / spreads[0].0);
        opponent.end();
    }
}
