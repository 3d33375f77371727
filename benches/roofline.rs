//! The sparse step of LeNet-300-100 kernel by kernel, beside what the processor can do at most.
//!
//! A surviving weight meets 64 images, four vectors of 16: four fused multiply-adds and at least four loads. The limits are
//! measured here, by loops that do nothing else; cycles are counted with the clock that a chain of additions shows.
//!
//! ```text
//! cargo bench --bench roofline                     LTH_DATA_DIR=… for MNIST instead of strokes
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use common::{BATCH, Spread, pruned, recipe};
use lth::engine::sparse;

mod common;

/// Measurements of each kernel.
const TURNS: usize = 7;

fn main() {
    let dataset = common::dataset();
    for (n, rate) in [(1, 0.15), (4, 0.2), (7, 0.2), (15, 0.2), (20, 0.2)] {
        let (start, mask) = pruned(n, rate);
        println!("{:.2} % of the weights", 100.0 * mask.kept() as f64 / mask.total() as f64);
        let runs: Vec<Vec<sparse::Part>> = (0..TURNS)
            .map(|turn| {
                let images = &dataset.train[turn * BATCH..][..BATCH];
                sparse::profile(&recipe(), &dataset, (&start, &mask), images, 300).expect("a profile")
            })
            .collect();
        let mut total = 0.0;
        for (at, part) in runs[0].iter().enumerate() {
            let time = Spread::of(runs.iter().map(|parts| parts[at].nanoseconds / 1e3).collect());
            total += time.0;
            let layer = part.layer.map_or(String::new(), |layer| format!(" {layer}"));
            let each = 1e3 * time.0 / part.items as f64;
            println!("  {:<18} {:>7}  {time:<22} {each:.2} ns each", format!("{}{layer}", part.name), part.items);
        }
        println!("  all                         {total:.1}");
    }
}
