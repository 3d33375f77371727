//! The sparse step of LeNet-300-100 kernel by kernel (batch 60, one thread), beside what the processor can do at most.
//!
//! A surviving weight meets a block of 64 images, in AVX-512 four vectors of 16: four fused multiply-adds. The limits are
//! measured here, by loops that do nothing else: multiply-adds on registers, and the loop of the forward pass (a weight and
//! four vectors from the first-level cache) without its bookkeeping. Cycles are those of a chain of integer
//! multiplications, three each, measured beside them.
//!
//! ```text
//! cargo bench --bench roofline                     LTH_DATA_DIR=… for MNIST instead of strokes
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::hint::black_box;

use clock::microseconds;
use lenet::{BATCH, pruned, spec};
use lth::engine::sparse;
use pulp::Simd;
use spread::Spread;

#[path = "parts/clock.rs"]
mod clock;
#[path = "parts/lenet.rs"]
mod lenet;
#[path = "parts/spread.rs"]
mod spread;

/// Measurements of each kernel.
const TURNS: usize = 7;

/// Rounds of a loop.
const ROUNDS: usize = 100_000;

/// Twelve independent chains of multiply-adds on registers.
struct Registers;

impl pulp::WithSimd for Registers {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let (mut sums, x) = ([simd.splat_f32s(1.0); 12], black_box(simd.splat_f32s(0.5)));
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, x, x);
            }
        }
        black_box(sums);
        12 * ROUNDS * S::F32_LANES
    }
}

/// Weights, each against the 64 images of a feature in the first-level cache, two at a time.
struct Cache<'a> {
    weights: &'a [[f32; 2]],
    /// Twice as many features.
    x: &'a [f32],
}

impl pulp::WithSimd for Cache<'_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let (x, _) = S::as_simd_f32s(self.x);
        let vectors = x.len() / self.weights.len() / 2;
        // As many chains as the kernels have with AVX-512; a processor with shorter vectors goes over them again.
        for first in (0..vectors).step_by(4) {
            let mut sums = [simd.splat_f32s(0.0); 8];
            for (weights, x) in self.weights.iter().zip(x.chunks_exact(2 * vectors)) {
                let (even, odd) = x.split_at(vectors);
                let [a, b] = [simd.splat_f32s(weights[0]), simd.splat_f32s(weights[1])];
                for v in 0..4 {
                    sums[v] = simd.mul_add_f32s(a, even[first + v], sums[v]);
                    sums[4 + v] = simd.mul_add_f32s(b, odd[first + v], sums[4 + v]);
                }
            }
            black_box(sums);
        }
        2 * self.weights.len() * 64
    }
}

/// Nanoseconds of a cycle, of a weight's multiply-adds on registers, and of them from the first-level cache.
fn limits() -> [f64; 3] {
    let cycle = microseconds(20, || {
        let mut x = black_box(3_u64);
        (0..ROUNDS).for_each(|_| x = x.wrapping_mul(x));
        black_box(x);
    }) / (3 * ROUNDS) as f64;
    let arch = pulp::Arch::new();
    let weight = |times: u64, work: &dyn Fn() -> usize| {
        let all = microseconds(times, || {
            black_box(work());
        });
        64.0 * all / work() as f64
    };
    let registers = weight(20, &|| arch.dispatch(Registers));
    // 64 features of 256 bytes, at a cache line: half of the smallest first-level cache.
    let (weights, x) = (vec![[0.5; 2]; 32], vec![1.0; 64 * 64 + 16]);
    let x = &x[x.as_ptr().align_offset(64)..][..64 * 64];
    let cache = weight(20_000, &|| arch.dispatch(Cache { weights: black_box(&weights), x: black_box(x) }));
    [cycle, registers, cache].map(|microseconds| 1e3 * microseconds)
}

fn main() {
    let dataset = lenet::dataset();
    let [cycle, registers, cache] = limits();
    println!("a cycle {cycle:.3} ns ({:.2} GHz)", 1.0 / cycle);
    println!("a weight's multiply-adds on registers {registers:.2} ns, {:.1} cycles", registers / cycle);
    println!("  = {:.0} GFLOP/s", 2.0 * 64.0 / registers);
    println!("and from the first-level cache {cache:.2} ns, {:.1} cycles", cache / cycle);
    for (n, rate) in [(1, 0.15), (4, 0.2), (7, 0.2), (15, 0.2), (20, 0.2)] {
        let (start, mask) = pruned(n, rate);
        println!("{:.2} % of the weights", 100.0 * mask.kept_total() as f64 / mask.total() as f64);
        let runs: Vec<Vec<sparse::KernelTiming>> = (0..TURNS)
            .map(|turn| {
                let images = &dataset.train[turn * BATCH..][..BATCH];
                sparse::time_kernels(&spec(), &dataset, (&start, &mask), images, 300).expect("a profile")
            })
            .collect();
        let mut total = 0.0;
        for (at, part) in runs[0].iter().enumerate() {
            let time = Spread::of(runs.iter().map(|parts| parts[at].nanoseconds / 1e3).collect());
            total += time.0;
            let layer = part.layer.map_or(String::new(), |layer| format!(" {layer}"));
            let each = 1e3 * time.0 / part.items as f64;
            print!("  {:<18} {:>7}  {time:<22}", format!("{}{layer}", part.name), part.items);
            println!(" {each:6.2} ns, {:5.1} cycles each", each / cycle);
        }
        println!("  {:<18} {:>7}  {total:.1} µs", "all", "");
    }
}
