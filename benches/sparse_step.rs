//! The sparse step of LeNet-300-100 (batch 60, Adam, float32, one thread) beside the dense step under the same mask, at the
//! densities of the paper, and evaluation by both.
//!
//! ```text
//! cargo bench --bench sparse_step                  LTH_DATA_DIR=… for MNIST instead of strokes
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use common::{Spread, Step, microseconds, pruned};
use lth::data::Split;
use lth::engine::{dense, sparse};

mod common;

/// Turns; each is some 0.1 s a trainer, and the two trainers take turns, so that both see the same machine.
const TURNS: usize = 7;

fn main() {
    let dataset = common::dataset();
    println!("median (minimum–maximum) of {TURNS} turns, µs");
    println!(
        "weights left    dense step            sparse step           ratio   dense evaluation        sparse evaluation     ratio"
    );
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
        let left = 100.0 * network.1.kept() as f64 / network.1.total() as f64;
        let mut steps = [Step::new(&dataset, dense::build, &network), Step::new(&dataset, sparse::build, &network)];
        let (mut times, mut evaluations) = ([vec![], vec![]], [vec![], vec![]]);
        for turn in 0..=TURNS {
            for (at, step) in steps.iter_mut().enumerate() {
                let time = microseconds(if at == 0 { 200 } else { 1000 }, || step.step());
                let evaluation = microseconds(2, || drop(step.trainer.evaluate(Split::Test).expect("a score")));
                if turn > 0 {
                    times[at].push(time);
                    evaluations[at].push(evaluation);
                }
            }
        }
        let [dense, sparse] = times.map(Spread::of);
        let [dense_e, sparse_e] = evaluations.map(Spread::of);
        println!(
            "{left:6.2} %        {dense:<21} {sparse:<21} {:<7.2} {dense_e:<24} {sparse_e:<22} {:.2}",
            dense.0 / sparse.0,
            dense_e.0 / sparse_e.0
        );
    }
}
