//! The sparse step of LeNet-300-100 kernel by kernel (batch 60, one thread), beside the limits of the processor.
//!
//! An active weight is multiplied with a block of 64 images, with AVX-512 four vectors of 16: four fused multiply-adds.
//! Two limits are measured by loops that do nothing else: multiply-adds on registers, and the loop of the forward pass
//! (a weight and four vectors from the first-level cache) without its index arithmetic. The length of a cycle is
//! measured by a chain of integer multiplications, each of which takes three cycles.
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

/// Measurements of each kernel, on different batches.
const TURNS: usize = 7;

/// Passes of a loop that measures a limit.
const PASSES: usize = 100_000;

/// Twelve independent chains of multiply-adds on registers. Returns the number of multiply-adds.
struct Registers;

impl pulp::WithSimd for Registers {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let mut sums = [simd.splat_f32s(1.0); 12];
        let x = black_box(simd.splat_f32s(0.5));
        for _ in 0..PASSES {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, x, x);
            }
        }
        black_box(sums);
        12 * PASSES * S::F32_LANES
    }
}

/// Multiply-adds of weights, each with the 64 images of a feature in the first-level cache, two weights at a time.
/// Returns the number of multiply-adds.
struct Cache<'a> {
    /// The weights in pairs.
    weights: &'a [[f32; 2]],
    /// The features, one per weight: [features, 64 images].
    x: &'a [f32],
}

impl pulp::WithSimd for Cache<'_> {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let (x, _) = S::as_simd_f32s(self.x);
        // Vectors of a feature.
        let vectors = x.len() / self.weights.len() / 2;
        // Eight accumulators, as in the kernels with AVX-512; a processor with shorter vectors passes over the weights
        // again.
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

/// Returns in nanoseconds the length of a cycle, the time of a weight's multiply-adds on registers, and their time with
/// features from the first-level cache.
fn limits() -> [f64; 3] {
    let cycle = microseconds(20, || {
        let mut x = black_box(3_u64);
        (0..PASSES).for_each(|_| x = x.wrapping_mul(x));
        black_box(x);
    }) / (3 * PASSES) as f64;
    let arch = pulp::Arch::new();
    // Microseconds of the 64 multiply-adds of a weight in `kernel`, which returns the number of its multiply-adds.
    let weight_time = |calls: u64, kernel: &dyn Fn() -> usize| {
        let call_time = microseconds(calls, || {
            black_box(kernel());
        });
        64.0 * call_time / kernel() as f64
    };
    let registers = weight_time(20, &|| arch.dispatch(Registers));
    // 64 features of 64 images, 256 bytes each, aligned to cache lines: together half of the smallest first-level
    // cache.
    let weights = vec![[0.5; 2]; 32];
    let storage = vec![1.0_f32; 64 * 64 + 16];
    let x = &storage[storage.as_ptr().align_offset(64)..][..64 * 64];
    let cache = weight_time(20_000, &|| arch.dispatch(Cache { weights: black_box(&weights), x: black_box(x) }));
    [cycle, registers, cache].map(|microseconds| 1e3 * microseconds)
}

fn main() {
    let dataset = lenet::dataset();
    let [cycle, registers, cache] = limits();
    println!("a cycle {cycle:.3} ns ({:.2} GHz)", 1.0 / cycle);
    println!("a weight's multiply-adds on registers {registers:.2} ns, {:.1} cycles", registers / cycle);
    println!("  = {:.0} GFLOP/s", 2.0 * 64.0 / registers);
    println!("and from the first-level cache {cache:.2} ns, {:.1} cycles", cache / cycle);
    for (rounds, rate) in [(1, 0.15), (4, 0.2), (7, 0.2), (15, 0.2), (20, 0.2)] {
        let (start, mask) = pruned(rounds, rate);
        println!("{:.2} % of the weights", 100.0 * mask.kept_total() as f64 / mask.total() as f64);
        // [measurements, kernels]
        let timings: Vec<Vec<sparse::KernelTiming>> = (0..TURNS)
            .map(|turn| {
                let images = &dataset.train[turn * BATCH..][..BATCH];
                sparse::time_kernels(&spec(), &dataset, (&start, &mask), images, 300).expect("timings")
            })
            .collect();
        let mut total = 0.0;
        for (index, kernel) in timings[0].iter().enumerate() {
            let time = Spread::of(timings.iter().map(|kernels| kernels[index].nanoseconds / 1e3).collect());
            total += time.median;
            let layer = kernel.layer.map_or(String::new(), |layer| format!(" {layer}"));
            let item_time = 1e3 * time.median / kernel.items as f64;
            print!("  {:<18} {:>7}  {time:<22}", format!("{}{layer}", kernel.name), kernel.items);
            println!(" {item_time:6.2} ns, {:5.1} cycles each", item_time / cycle);
        }
        println!("  {:<18} {:>7}  {total:.1} µs", "all", "");
    }
}
