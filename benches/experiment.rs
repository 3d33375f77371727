//! A whole experiment on one core: LeNet-300-100 on MNIST, 1 replicate, the ticket arm, 24 rounds of 1,000 iterations with
//! an evaluation every 100, by `lth run` and by `PyTorch` (`benches/pytorch_experiment.py`) in turns. `lth` evaluates on
//! 5,000 training images beside the 15,000 that `PyTorch` evaluates on; its time has start, data and files in it.
//!
//! ```text
//! LTH_DATA_DIR=… LTH_BENCH_PYTHON=python3 cargo bench --bench experiment      any Python with torch 2.11.0
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::path::Path;
use std::process::Command;

use clock::microseconds;
use lth::config::DataConfig;
use lth::data::{Dataset, load};
use lth::system::files;
use spread::Spread;

#[path = "parts/clock.rs"]
mod clock;
#[path = "parts/spread.rs"]
mod spread;

/// Turns.
const TURNS: usize = 5;
const ROUNDS: u32 = 24;
const ITERATIONS: u32 = 1000;

/// Runs the experiment with an evaluation every so many iterations, in a folder of its own; seconds.
fn lth(evaluate_every: u32) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("ticket.toml");
    let text = include_str!("../configs/lenet_mnist.toml");
    let until = text.find("[arms.random_reinit]").expect("the ticket arm comes first");
    files::write(&config, &text.as_bytes()[..until]).expect("a configuration");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lth"));
    command.arg("run").arg(&config).arg("--runs").arg(folder.path().join("runs")).arg("--quiet");
    for set in [
        "replicates=1".to_owned(),
        format!("rounds={ROUNDS}"),
        format!("train.iterations={ITERATIONS}"),
        format!("train.evaluate_every={evaluate_every}"),
        "run.workers=1".to_owned(),
    ] {
        command.args(["--set", &set]);
    }
    microseconds(1, || assert!(command.output().expect("lth").status.success(), "lth failed")) / 1e6
}

/// The same by `PyTorch`: seconds of training, and in all.
fn pytorch(python: &str, images: &Path, labels: &Path) -> [f64; 2] {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/pytorch_experiment.py");
    let numbers = [ROUNDS, ITERATIONS, 100].map(|number| number.to_string());
    let output = Command::new(python).arg(script).args([images, labels]).args(numbers).output().expect("python");
    let text = String::from_utf8(output.stdout).expect("text");
    let last = text.lines().last().expect("a line of JSON");
    let all: serde_json::Value = serde_json::from_str(last).expect("JSON");
    ["training", "total"].map(|key| all[key].as_f64().expect("seconds"))
}

/// Training, validation and test images, in this order.
fn write(dataset: &Dataset, images: &Path, labels: &Path) {
    let all = || dataset.train.iter().chain(&dataset.validation).chain(&dataset.test);
    let bytes: Vec<u8> = all().flat_map(|&i| dataset.image(i)).copied().collect();
    files::write(images, &bytes).expect("images");
    let bytes: Vec<u8> = all().map(|&i| dataset.labels[i as usize]).collect();
    files::write(labels, &bytes).expect("labels");
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's own variables")]
fn main() {
    let (Ok(python), Some(_)) = (std::env::var("LTH_BENCH_PYTHON"), std::env::var_os("LTH_DATA_DIR")) else {
        println!("skipped: it needs LTH_DATA_DIR (MNIST) and LTH_BENCH_PYTHON (a Python with torch)");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let (images, labels) = (folder.path().join("images"), folder.path().join("labels"));
    let data: DataConfig = serde_json::from_value(serde_json::json!({ "dataset": "mnist" })).expect("a data set");
    write(&load(&data, None, 1).expect("MNIST"), &images, &labels);
    let mut columns: [Vec<f64>; 4] = Default::default();
    for turn in 0..TURNS {
        let (ours, training, theirs) = (lth(100), lth(ITERATIONS), pytorch(&python, &images, &labels));
        for (column, value) in columns.iter_mut().zip([ours, theirs[1], training, theirs[0]]) {
            column.push(value);
        }
        println!("turn {}: {:?}", turn + 1, columns.each_ref().map(|column| column[turn]));
    }
    let [ours, theirs, training, theirs_training] = columns.map(Spread::of);
    let iterations = f64::from((ROUNDS + 1) * ITERATIONS);
    println!("seconds: median (minimum–maximum) of {TURNS} turns");
    println!("  lth, the whole command                               {ours}");
    println!("  PyTorch, training and evaluation                     {theirs}");
    println!("  lth, evaluated at the edges of a round only          {training}");
    println!("  PyTorch, training                                    {theirs_training}");
    println!("  whole: PyTorch / lth                                 {:.2}", theirs.0 / ours.0);
    println!("  training: PyTorch / lth                              {:.2}", theirs_training.0 / training.0);
    println!("  lth, ms an iteration with start and files            {:.3}", 1e3 * training.0 / iterations);
}
