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
use std::time::Instant;

use criterion::Criterion;
use lth::base::random::{Purpose, Stream};
use lth::base::state::Snapshot;
use lth::config::{self, Architecture, Data, Dtype, Init, Prune};
use lth::data::{Dataset, Split, load};
use lth::engine::{Batch, Recipe, Trainer, Update, dense};
use lth::lottery::all_ones;
use lth::network::{build, draw};
use lth::prune::{Counts, Pruning, Weights};
use lth::train::Order;
use tch::{Device, Kind, Tensor};

const BATCH: usize = 60;
/// Steps of one measurement in turns.
const STEPS: u64 = 1000;
/// Turns.
const TURNS: usize = 9;

/// A trainer in the middle of a training.
struct Step {
    trainer: Box<dyn Trainer>,
    order: Order<'static>,
    batch: [Batch; 1],
}

impl Step {
    /// After so many rounds of the paper's pruning by initial magnitude: which weights, does not matter for the time.
    fn new(dataset: &Arc<Dataset>, rounds: u32) -> Self {
        let network = build(&Architecture::Lenet300100.into(), [1, 28, 28], 10).expect("the paper's network");
        let update = Update::Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 };
        let mut generator = Stream::of_replicate(1, 1, Purpose::Init).generator(0);
        let start = Snapshot::fresh(draw(&network, Init::GlorotNormal, 0.0, &mut generator));
        let all = network.sizes();
        let mut counts = Counts { kept: all.iter().sum(), layers: Some(all.clone()) };
        let paper = serde_json::from_value(serde_json::json!({ "rate": { "linear": 0.2, "output": 0.1 } }));
        let paper: Prune = paper.expect("the paper's rates");
        let pruning = Pruning::new(&paper, &network).expect("rates");
        (0..rounds).for_each(|_| counts = pruning.next(&counts, &all));
        let weights = Weights {
            criterion: config::Criterion::Magnitude,
            initial: &start.weights,
            last: &start.weights,
            stream: Stream::of_replicate(1, 1, Purpose::Criterion),
        };
        let mask = pruning.cut_to(&counts, &all_ones(&network), &weights).expect("weights");
        let recipe = Recipe { network, update, dtype: Dtype::Float32, batch_size: BATCH };
        let mut trainer = dense::build(&recipe, dataset).expect("a trainer");
        trainer.load(0, &start, &mask).expect("a network");
        let images: &'static [u32] = dataset.train.clone().leak();
        let order = Order::new(Stream::of_replicate(1, 1, Purpose::Order), images, BATCH, true);
        Self { trainer, order, batch: [Batch::default()] }
    }

    fn step(&mut self) {
        let iteration = self.batch[0].iteration;
        self.order.fill(iteration, &mut self.batch[0].images);
        self.trainer.step(&self.batch, &[1.2e-3]).expect("a step");
        self.batch[0].iteration += 1;
    }
}

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

fn milliseconds(mut step: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..STEPS).for_each(|_| step());
    1e3 * start.elapsed().as_secs_f64() / STEPS as f64
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
    let (mut step, products) = (Step::new(dataset, 0), Products::new());
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
    let name = if std::env::var_os("LTH_DATA_DIR").is_some() { "mnist" } else { "strokes" };
    let data: Data = serde_json::from_value(serde_json::json!({ "dataset": name })).expect("a data set");
    let dataset = Arc::new(load(&data, None, 1).expect("the data"));
    let mut criterion = Criterion::default().configure_from_args();
    let (mut step, products) = (Step::new(&dataset, 0), Products::new());
    criterion.bench_function("dense step", |b| b.iter(|| step.step()));
    let mut masked = Step::new(&dataset, 15);
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
