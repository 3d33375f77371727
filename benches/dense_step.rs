//! The dense step of LeNet-300-100 (batch 60, Adam, float32, one thread) beside its eight matrix products alone, and
//! beside `PyTorch` (`benches/pytorch_lenet.py`).
//!
//! ```text
//! cargo bench --bench dense_step                                    the step and the products
//! LTH_BENCH_PYTHON=python3 cargo bench --bench dense_step           PyTorch too, in turns; any Python with torch
//! LTH_DATA_DIR=… …                                                  on MNIST instead of strokes
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use common::{BATCH, Step, microseconds};
use criterion::Criterion;
use lth::data::{Dataset, Split};
use lth::engine::dense;
use tch::{Device, Kind, Tensor};

mod common;

/// Steps of one measurement in turns.
const STEPS: u64 = 1000;
/// Turns.
const TURNS: usize = 9;

/// The eight matrix products of a step, and nothing else.
struct Products(Vec<(Tensor, Tensor, Tensor)>);

impl Products {
    fn new() -> Self {
        let random = |rows: i64, columns: i64| Tensor::randn([rows, columns], (Kind::Float, Device::Cpu));
        let sizes = [784, 300, 100, 10];
        let n = BATCH as i64;
        let values = sizes.map(|width| random(n, width));
        let deltas = sizes.map(|width| random(n, width));
        let mut products = Vec::new();
        for l in 0..3 {
            let w = random(sizes[l + 1], sizes[l]);
            products.push((values[l].shallow_clone(), w.tr(), values[l + 1].shallow_clone()));
            products.push((deltas[l + 1].tr(), values[l].shallow_clone(), random(sizes[l + 1], sizes[l])));
            if l > 0 {
                products.push((deltas[l + 1].shallow_clone(), w, deltas[l].shallow_clone()));
            }
        }
        Self(products)
    }

    fn step(&self) {
        for (a, b, out) in &self.0 {
            let _ = a.mm_out(out, b);
        }
    }
}

fn milliseconds(step: impl FnMut()) -> f64 {
    microseconds(STEPS, step) / 1e3
}

/// Our step, our products, `PyTorch`'s step and `PyTorch`'s products in turns, so that all see the same machine.
fn in_turns(python: &str, dataset: &Arc<Dataset>) {
    let folder = tempfile::tempdir().expect("a folder");
    let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
    let train = &dataset.train;
    let bytes: Vec<u8> = train.iter().flat_map(|&i| dataset.image(i)).copied().collect();
    lth::base::files::write(&images, &bytes).expect("images");
    let bytes: Vec<u8> = train.iter().map(|&i| dataset.labels[i as usize]).collect();
    lth::base::files::write(&labels, &bytes).expect("labels");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/pytorch_lenet.py");
    let mut opponent = Command::new(python)
        .arg(script)
        .args([&images, &labels])
        .arg(STEPS.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let mut ask = opponent.stdin.take().expect("a pipe");
    let mut answer = BufReader::new(opponent.stdout.take().expect("a pipe"));
    let (mut step, products) = (Step::new(dataset, dense::build, &common::pruned(0, 0.2)), Products::new());
    (0..300).for_each(|_| step.step());
    let mut columns: [Vec<f64>; 4] = Default::default();
    for _ in 0..TURNS {
        columns[0].push(milliseconds(|| step.step()));
        columns[1].push(milliseconds(|| products.step()));
        writeln!(ask, "go").expect("python listens");
        let mut line = String::new();
        answer.read_line(&mut line).expect("python answers");
        let numbers: Vec<f64> = line.split_whitespace().filter_map(|x| x.parse().ok()).collect();
        columns[2].push(numbers[0]);
        columns[3].push(numbers[1]);
    }
    drop(ask);
    opponent.wait().expect("python ends");
    println!("in turns, ms a step: median (minimum–maximum) of {TURNS} × {STEPS} steps");
    let names = ["lth: step", "lth: the 8 products alone", "PyTorch: step", "PyTorch: the 8 products alone"];
    for (name, column) in names.iter().zip(&mut columns) {
        column.sort_by(f64::total_cmp);
        println!("  {name:32} {:.3} ({:.3}–{:.3})", column[TURNS / 2], column[0], column[TURNS - 1]);
    }
    let median = |i: usize| columns[i][TURNS / 2];
    println!("  PyTorch's step / our step        {:.2}", median(2) / median(0));
    println!("  our step / our 8 products        {:.2}", median(0) / median(1));
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's own variables")]
fn main() {
    tch::set_num_threads(1);
    let dataset = common::dataset();
    let mut criterion = Criterion::default().configure_from_args();
    let (mut step, products) = (Step::new(&dataset, dense::build, &common::pruned(0, 0.2)), Products::new());
    criterion.bench_function("dense step", |b| b.iter(|| step.step()));
    let mut masked = Step::new(&dataset, dense::build, &common::pruned(15, 0.2));
    criterion.bench_function("dense step, 3.6 % of the weights", |b| b.iter(|| masked.step()));
    criterion.bench_function("its 8 products alone", |b| b.iter(|| products.step()));
    criterion.bench_function("evaluation of 10,000 images", |b| {
        b.iter(|| step.trainer.evaluate(Split::Test).expect("a score"));
    });
    criterion.final_summary();
    if let Ok(python) = std::env::var("LTH_BENCH_PYTHON") {
        in_turns(&python, &dataset);
    }
}
