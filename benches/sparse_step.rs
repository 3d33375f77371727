//! The sparse step of LeNet-300-100 (batch 60, Adam, float32) with one thread and with two, beside the dense step (one
//! thread) under the same mask, at the densities of the paper; and the evaluation of 10,000 images.
//!
//! ```text
//! cargo bench --bench sparse_step                  LTH_DATA_DIR=… for MNIST instead of strokes
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use clock::microseconds;
use lenet::{BATCH, pruned, spec};
use lth::data::Split;
use lth::engine::{Trainer, sparse, torch};
use spread::Spread;
use training_run::TrainingRun;

#[path = "parts/clock.rs"]
mod clock;
#[path = "parts/lenet.rs"]
mod lenet;
#[path = "parts/spread.rs"]
mod spread;
#[path = "parts/training_run.rs"]
mod training_run;

/// Measurements of each trainer, about 0.1 s each, taken by turns, so that a change of the machine's speed affects all
/// trainers.
const TURNS: usize = 7;

/// The learning rate.
const LR: f64 = 1.2e-3;

fn main() {
    let dataset = lenet::dataset();
    println!("median (minimum–maximum) of {TURNS} turns, µs");
    println!("{:>9}  {:14} {:22} {:22} {:22} {:7} two", "weights", "", "dense", "sparse", "two threads", "sparse");
    // One round at 5, 10 and 15 %, then 1 to 24 rounds at 20 %.
    let single_rounds = [0.05, 0.1, 0.15].map(|rate| (1, rate));
    let more_rounds = [1, 4, 7, 11, 15, 20, 24].map(|rounds| (rounds, 0.2));
    for (rounds, rate) in single_rounds.into_iter().chain(more_rounds) {
        let network = pruned(rounds, rate);
        let percent_kept = 100.0 * network.1.kept_total() as f64 / network.1.total() as f64;
        let training_run = |trainer: Box<dyn Trainer>| TrainingRun::new(trainer, &network, &dataset, BATCH, LR);
        let sparse_trainer = || sparse::build(&spec(), &dataset).expect("a trainer");
        // Dense, sparse, sparse with two threads.
        let mut training_runs = [
            training_run(torch::build(&spec(), &dataset, 1).expect("a trainer")),
            training_run(sparse_trainer()),
            training_run(sparse_trainer()),
        ];
        training_runs[2].trainer.set_threads(2);
        let mut times: [Vec<f64>; 3] = Default::default();
        let mut evaluations: [Vec<f64>; 3] = Default::default();
        for turn in 0..=TURNS {
            for (index, training_run) in training_runs.iter_mut().enumerate() {
                let time = microseconds(if index == 0 { 200 } else { 1000 }, || training_run.step());
                let trainer = &mut training_run.trainer;
                let evaluation = microseconds(2, || drop(trainer.evaluate(Split::Test).expect("a score")));
                // The first turn is not counted.
                if turn > 0 {
                    times[index].push(time);
                    evaluations[index].push(evaluation / 1e3);
                }
            }
        }
        print(&format!("{percent_kept:.2} %"), "step, µs", times.map(Spread::of));
        print("", "evaluation, ms", evaluations.map(Spread::of));
    }
}

/// Prints a line of times: of the dense trainer, of the sparse one, and of the sparse one with two threads, then how
/// many times faster the second and the third are than the one before.
fn print(density: &str, quantity: &str, [dense, sparse, two]: [Spread; 3]) {
    let sparse_gain = dense.median / sparse.median;
    let two_gain = sparse.median / two.median;
    println!("{density:>9}  {quantity:14} {dense:<22} {sparse:<22} {two:<22} ×{sparse_gain:<6.2} ×{two_gain:.2}");
}
