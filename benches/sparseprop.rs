//! Forward and backward pass of the layers of LeNet-300-100 at batch 60 on one core: our kernels and `SparseProp`'s
//! (`benches/sparseprop_layers.py`) in turns.
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

/// Turns.
const TURNS: usize = 7;
const SPARSITIES: [&str; 4] = ["0.8", "0.9", "0.95", "0.98"];
const LAYERS: [&str; 3] = ["784x300", "300x100", "100x10"];

/// The same share of each layer, at random.
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
    let mut opponent = Command::new(python)
        .arg(script)
        .args(SPARSITIES)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    let mut ask = opponent.stdin.take().expect("a pipe");
    let mut answer = BufReader::new(opponent.stdout.take().expect("a pipe"));
    let (dataset, start) = (lenet::dataset(), lenet::pruned(0, 0.2).0);
    // By sparsity: ours, the module as its users call it, its kernels called directly; forward and backward of all layers.
    let mut sums: [[Vec<f64>; 3]; 4] = Default::default();
    for _ in 0..TURNS {
        writeln!(ask, "go").expect("python listens");
        let mut line = String::new();
        answer.read_line(&mut line).expect("python answers");
        let theirs: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        for (sparsity, sums) in SPARSITIES.iter().zip(&mut sums) {
            let mask = mask(sparsity.parse().expect("a number"));
            let images = &dataset.train[..BATCH];
            let parts = time_kernels(&spec(), &dataset, (&start, &mask), images, 500).expect("a profile");
            let ours: f64 = parts
                .iter()
                .filter(|part| part.layer.is_some())
                .map(|KernelTiming { nanoseconds, .. }| nanoseconds)
                .sum();
            sums[0].push(ours / 1e3);
            for (way, column) in [(1, 1), (3, 2)] {
                let all = LAYERS.iter().map(|layer| theirs[sparsity][layer][way].as_f64().expect("a number"));
                sums[column].push(all.sum());
            }
        }
    }
    drop(ask);
    opponent.wait().expect("python ends");
    println!("µs, forward and backward of the three layers: median (minimum–maximum) of {TURNS} turns");
    for (sparsity, sums) in SPARSITIES.iter().zip(sums) {
        let [ours, module, kernels] = sums.map(Spread::of);
        println!(
            "  {sparsity:5} lth {ours:<22} SparseProp {module:<26} ×{:.1}   its kernels alone {kernels:<24} ×{:.1}",
            module.0 / ours.0,
            kernels.0 / ours.0
        );
    }
}
