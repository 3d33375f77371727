//! Forward and backward pass of the layers of LeNet-300-100 at batch 60 on one core: our kernels and `SparseProp`'s
//! (`benches/sparseprop_layers.py`), measured by turns.
//!
//! ```text
//! LTH_BENCH_PYTHON=python3 cargo bench --bench sparseprop      a Python with torch 2.11.0 and sparseprop 0.1.14
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use lenet::{BATCH, spec};
use lth::base::mask::{LayerMask, Mask};
use lth::base::rng::mix;
use lth::engine::sparse::{KernelTiming, time_kernels};
use spread::Spread;

#[path = "parts/lenet.rs"]
mod lenet;
#[path = "parts/spread.rs"]
mod spread;

/// Measurements of each implementation, taken by turns.
const TURNS: usize = 7;

/// Shares of pruned weights.
const SPARSITIES: [&str; 4] = ["0.8", "0.9", "0.95", "0.98"];

/// The layers, inputs × outputs, as the script names them.
const LAYERS: [&str; 3] = ["784x300", "300x100", "100x10"];

/// Returns a random mask that prunes the same share of each layer.
fn mask(sparsity: f64) -> Mask {
    let layer = |weight: &lth::network::PrunableTensor| {
        let number = |i: usize| (mix(7, i as u64) >> 11) as f64 / (1_u64 << 53) as f64;
        let kept = (0..weight.parameter.len()).map(|i| number(i) >= sparsity).collect();
        LayerMask { name: weight.parameter.name.clone(), shape: weight.parameter.shape.clone(), kept }
    };
    Mask(lenet::network().weights().iter().map(layer).collect())
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's own variable")]
fn main() {
    let Ok(python) = std::env::var("LTH_BENCH_PYTHON") else {
        println!("skipped: it needs LTH_BENCH_PYTHON, a Python with torch and sparseprop");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/sparseprop_layers.py");
    let mut sparseprop = Command::new(python)
        .arg(script)
        .args(SPARSITIES)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let mut requests = sparseprop.stdin.take().expect("a pipe");
    let mut answers = BufReader::new(sparseprop.stdout.take().expect("a pipe"));
    let dataset = lenet::dataset();
    let start = lenet::pruned(0, 0.2).0;
    // For each sparsity the times of forward and backward of all layers: our kernels, SparseProp's module as its users
    // call it, and SparseProp's kernels called directly.
    let mut sums: [[Vec<f64>; 3]; 4] = Default::default();
    for _ in 0..TURNS {
        writeln!(requests, "go").expect("python listens");
        let mut line = String::new();
        answers.read_line(&mut line).expect("python answers");
        let answer: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        for (sparsity, sums) in SPARSITIES.iter().zip(&mut sums) {
            let mask = mask(sparsity.parse().expect("a number"));
            let images = &dataset.train[..BATCH];
            let timings = time_kernels(&spec(), &dataset, (&start, &mask), images, 500).expect("timings");
            let ours: f64 = timings
                .iter()
                .filter(|timing| timing.layer.is_some())
                .map(|KernelTiming { nanoseconds, .. }| nanoseconds)
                .sum();
            sums[0].push(ours / 1e3);
            // Entries b and d of the answer: see the script.
            for (entry, column) in [(1, 1), (3, 2)] {
                let times = LAYERS.iter().map(|layer| answer[sparsity][layer][entry].as_f64().expect("a number"));
                sums[column].push(times.sum());
            }
        }
    }
    drop(requests);
    sparseprop.wait().expect("python ends");
    println!("µs, forward and backward of the three layers: median (minimum–maximum) of {TURNS} turns");
    for (sparsity, sums) in SPARSITIES.iter().zip(sums) {
        let [ours, module, kernels] = sums.map(Spread::of);
        println!(
            "  {sparsity:5} lth {ours:<22} SparseProp {module:<26} ×{:.1}   its kernels alone {kernels:<24} ×{:.1}",
            module.median / ours.median,
            kernels.median / ours.median
        );
    }
}
