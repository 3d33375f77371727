//! A whole experiment on one core: LeNet-300-100 on MNIST, 1 replicate, the ticket arm, 24 rounds of 1,000 iterations
//! with an evaluation every 100, by `lth run` and by `PyTorch` (`benches/pytorch_experiment.py`), by turns. Both
//! evaluate on 15,000 validation and test images, `lth` also on 5,000 training images. The time of `lth` includes the
//! start of the program, reading the data and writing files.
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

/// Measurements of each program, taken by turns.
const TURNS: usize = 5;

/// Rounds after the dense network.
const ROUNDS: u32 = 24;

/// Iterations of a round.
const ITERATIONS: u32 = 1000;

/// Runs the experiment by `lth run` in a new folder, with an evaluation every `evaluate_every` iterations. Returns its
/// time in seconds.
fn lth_seconds(evaluate_every: u32) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("ticket.toml");
    let text = include_str!("../configs/lenet_mnist.toml");
    let ticket_end = text.find("[arms.random_reinit]").expect("the ticket arm comes first");
    files::write(&config, &text.as_bytes()[..ticket_end]).expect("a configuration");
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

/// Runs the experiment by `PyTorch`. Returns the seconds of training, and of training and evaluation together.
fn pytorch_seconds(python: &str, images: &Path, labels: &Path) -> [f64; 2] {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/pytorch_experiment.py");
    let evaluate_every = 100;
    let numbers = [ROUNDS, ITERATIONS, evaluate_every].map(|number| number.to_string());
    let output = Command::new(python).arg(script).args([images, labels]).args(numbers).output().expect("python");
    let text = String::from_utf8(output.stdout).expect("text");
    let last = text.lines().last().expect("a line of JSON");
    let times: serde_json::Value = serde_json::from_str(last).expect("JSON");
    ["training", "total"].map(|key| times[key].as_f64().expect("seconds"))
}

/// Writes the bytes and the labels of training, validation and test images, in this order.
fn write(dataset: &Dataset, images: &Path, labels: &Path) {
    let indices = || dataset.train.iter().chain(&dataset.validation).chain(&dataset.test);
    let bytes: Vec<u8> = indices().flat_map(|&i| dataset.image(i)).copied().collect();
    files::write(images, &bytes).expect("images");
    let bytes: Vec<u8> = indices().map(|&i| dataset.labels[i as usize]).collect();
    files::write(labels, &bytes).expect("labels");
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's own variables")]
fn main() {
    let (Ok(python), Some(_)) = (std::env::var("LTH_BENCH_PYTHON"), std::env::var_os("LTH_DATA_DIR")) else {
        println!("skipped: it needs LTH_DATA_DIR (MNIST) and LTH_BENCH_PYTHON (a Python with torch)");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let images = folder.path().join("images");
    let labels = folder.path().join("labels");
    let data: DataConfig = serde_json::from_value(serde_json::json!({ "dataset": "mnist" })).expect("a data set");
    write(&load(&data, None, 1).expect("MNIST"), &images, &labels);
    let mut columns: [Vec<f64>; 4] = Default::default();
    for turn in 0..TURNS {
        let lth_whole = lth_seconds(100);
        let lth_training = lth_seconds(ITERATIONS);
        let [pytorch_training, pytorch_whole] = pytorch_seconds(&python, &images, &labels);
        for (column, value) in columns.iter_mut().zip([lth_whole, pytorch_whole, lth_training, pytorch_training]) {
            column.push(value);
        }
        println!("turn {}: {:?}", turn + 1, columns.each_ref().map(|column| column[turn]));
    }
    let [lth_whole, pytorch_whole, lth_training, pytorch_training] = columns.map(Spread::of);
    let iterations = f64::from((ROUNDS + 1) * ITERATIONS);
    println!("seconds: median (minimum–maximum) of {TURNS} turns");
    println!("  lth, the whole command                               {lth_whole}");
    println!("  PyTorch, training and evaluation                     {pytorch_whole}");
    println!("  lth, evaluated at the edges of a round only          {lth_training}");
    println!("  PyTorch, training                                    {pytorch_training}");
    println!("  whole: PyTorch / lth                                 {:.2}", pytorch_whole.median / lth_whole.median);
    println!(
        "  training: PyTorch / lth                              {:.2}",
        pytorch_training.median / lth_training.median
    );
    println!("  lth, ms an iteration with start and files            {:.3}", 1e3 * lth_training.median / iterations);
}
