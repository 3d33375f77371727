//! The sparse step of LeNet-300-100 (batch 60, Adam, float32) with one thread and with two, beside the dense step (one
//! thread) under the same mask, at the densities of the paper; and the evaluation of 10,000 images.
//!
//! ```text
//! cargo bench --bench sparse_step                  LTH_DATA_DIR=… for MNIST instead of strokes
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use clock::microseconds;
use lenet::pruned;
use lth::data::Split;
use lth::engine::{sparse, torch};
use spread::Spread;
use step::Step;

#[path = "parts/clock.rs"]
mod clock;
#[path = "parts/lenet.rs"]
mod lenet;
#[path = "parts/spread.rs"]
mod spread;
#[path = "parts/step.rs"]
mod step;

/// Turns; each is some 0.1 s a trainer, and the two trainers take turns, so that both see the same machine.
const TURNS: usize = 7;

fn main() {
    let dataset = lenet::dataset();
    println!("median (minimum–maximum) of {TURNS} turns, µs");
    println!("{:>9}  {:14} {:22} {:22} {:22} {:7} two", "weights", "", "dense", "sparse", "two threads", "sparse");
    let rounds = |n| (n, 0.2);
    // Once at 5, 10 and 15 %, then rounds of 20 %.
    for (n, rate) in [
        (1, 0.05),
        (1, 0.1),
        (1, 0.15),
        rounds(1),
        rounds(4),
        rounds(7),
        rounds(11),
        rounds(15),
        rounds(20),
        rounds(24),
    ] {
        let network = pruned(n, rate);
        let left = 100.0 * network.1.kept_total() as f64 / network.1.total() as f64;
        let build = |build| Step::new(&dataset, build, &network);
        let mut steps =
            [build(|spec, dataset| torch::build(spec, dataset, 1)), build(sparse::build), build(sparse::build)];
        steps[2].trainer.set_threads(2);
        let (mut times, mut evaluations): ([Vec<f64>; 3], [Vec<f64>; 3]) = Default::default();
        for turn in 0..=TURNS {
            for (at, step) in steps.iter_mut().enumerate() {
                let time = microseconds(if at == 0 { 200 } else { 1000 }, || step.step());
                let evaluation = microseconds(2, || drop(step.trainer.evaluate(Split::Test).expect("a score")));
                if turn > 0 {
                    times[at].push(time);
                    evaluations[at].push(evaluation / 1e3);
                }
            }
        }
        print(&format!("{left:.2} %"), "step, µs", times.map(Spread::of));
        print("", "evaluation, ms", evaluations.map(Spread::of));
    }
}

/// Times by the dense trainer, the sparse one, and the sparse one with two threads.
fn print(name: &str, what: &str, [dense, sparse, two]: [Spread; 3]) {
    let ratios = (dense.0 / sparse.0, sparse.0 / two.0);
    println!("{name:>9}  {what:14} {dense:<22} {sparse:<22} {two:<22} ×{:<6.2} ×{:.2}", ratios.0, ratios.1);
}
