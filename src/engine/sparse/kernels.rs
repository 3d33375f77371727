//! The four products of a step over remaining weights only, for a block of 64 images: outputs, and the gradients of inputs,
//! weights and biases.
//!
//! Activations are [features, images], so a weight is one number multiplied with four vectors, independent of its
//! neighbours. A sum over inputs or outputs runs in the order of the pattern, in two chains that are added at the end of each
//! segment; a sum over images runs over the four vectors, then by halves. Both orders are the same for every instruction set.

use std::ops::Range;

use super::tiled_csr::TiledCsr;
use crate::compute::simd::{Kernel, SimdExt, WIDTH};

/// Images of a block.
pub(super) const IMAGES: usize = 64;

/// Vectors of a block's images.
const VECTORS: usize = IMAGES / WIDTH;

/// One feature of all images of a block, at a cache line: loads that cross two lines take half as long again.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Feature([[f32; WIDTH]; VECTORS]);

impl Feature {
    /// 0 in every image.
    pub(super) const ZERO: Self = Self([[0.0; WIDTH]; VECTORS]);

    /// Returns vector `v` of images.
    #[inline(always)]
    pub(super) fn vector(&self, v: usize) -> &[f32; WIDTH] {
        &self.0[v]
    }

    /// Returns vector `v` of images, to be written.
    #[inline(always)]
    pub(super) fn vector_mut(&mut self, v: usize) -> &mut [f32; WIDTH] {
        &mut self.0[v]
    }

    /// Returns the feature of each image.
    #[inline(always)]
    pub(super) fn images(&self) -> &[f32] {
        self.0.as_flattened()
    }

    /// Returns the feature of each image, to be written.
    #[inline(always)]
    pub(super) fn images_mut(&mut self) -> &mut [f32] {
        self.0.as_flattened_mut()
    }
}

/// Access to weights in the order of a pattern.
pub(super) trait WeightAccess: Copy {
    /// Returns access to the weights in `range`.
    fn part(&self, range: Range<usize>) -> Self;
    /// Returns weight `k`.
    fn at(&self, k: usize) -> f32;
}

/// Weights stored in the order of the pattern.
impl WeightAccess for &[f32] {
    #[inline(always)]
    fn part(&self, range: Range<usize>) -> Self {
        &self[range]
    }
    #[inline(always)]
    fn at(&self, k: usize) -> f32 {
        self[k]
    }
}

/// Weights stored in the order of another pattern: all weights, and the index of each weight of this pattern among them.
#[derive(Clone, Copy)]
pub(super) struct IndirectWeights<'a>(pub(super) &'a [f32], pub(super) &'a [u32]);

impl WeightAccess for IndirectWeights<'_> {
    #[inline(always)]
    fn part(&self, range: Range<usize>) -> Self {
        Self(self.0, &self.1[range])
    }
    #[inline(always)]
    fn at(&self, k: usize) -> f32 {
        self.0[self.1[k] as usize]
    }
}

/// The operation on a row of a product when its sums are complete.
#[derive(Clone, Copy)]
pub(super) enum Epilogue<'a> {
    /// No activation: the output layer.
    Nothing,
    /// max(x, 0).
    Relu,
    /// The derivative of `ReLU`: 0 where these outputs are not positive.
    Gate(&'a [Feature]),
}

/// Sparse matrix times dense matrix: y\[r\] ← start\[r\] + Σ w·x\[column\] for the rows r in `rows`. Computes outputs from inputs,
/// or gradients of inputs from those of outputs.
pub(super) struct Spmm<'a, W> {
    /// The positions of the weights.
    pub(super) pattern: &'a TiledCsr,
    /// The rows to compute.
    pub(super) rows: Range<usize>,
    /// All weights of the pattern.
    pub(super) weights: W,
    /// The start of the sum of each row of `rows`; empty to start at 0.
    pub(super) start: &'a [f32],
    /// The factor of each column.
    pub(super) x: &'a [Feature],
    /// The result of each row of `rows`.
    pub(super) y: &'a mut [Feature],
    /// The operation on each complete row; outputs it holds are those of `rows`.
    pub(super) after: Epilogue<'a>,
}

impl<W: WeightAccess> Kernel for Spmm<'_, W> {
    #[inline(always)]
    fn run<S: SimdExt>(self, simd: S) {
        let pattern = self.pattern;
        let tiles = pattern.ends.len() / pattern.rows.max(1);
        for tile in 0..tiles {
            let first = tile * pattern.rows + self.rows.start;
            let mut start = pattern.start(first);
            let ends = &pattern.ends[first..first + self.rows.len()];
            for (row, (&end, y)) in ends.iter().zip(self.y.iter_mut()).enumerate() {
                let segment = start..end as usize;
                start = segment.end;
                let (w, columns) = (self.weights.part(segment.clone()), pattern.columns(segment));
                let sum = Sum {
                    start: if tile > 0 { None } else { Some(self.start.get(row).copied().unwrap_or(0.0)) },
                    w,
                    columns,
                    x: self.x,
                    after: if tile + 1 < tiles { Epilogue::Nothing } else { self.after },
                    row,
                };
                match S::REGISTER_VECTORS {
                    4 => sum.add::<S, 4>(simd, y, 0),
                    2 => (0..2).for_each(|i| sum.add::<S, 2>(simd, y, 2 * i)),
                    _ => (0..4).for_each(|i| sum.add::<S, 1>(simd, y, i)),
                }
            }
        }
    }
}

/// One segment of one row of a product.
struct Sum<'a, W> {
    /// The start of the row's sum, in the first tile; in later tiles the sum continues from `y`.
    start: Option<f32>,
    /// The weights of the segment.
    w: W,
    /// Their columns.
    columns: &'a [u32],
    /// The factor of each column of the matrix.
    x: &'a [Feature],
    /// The operation on the complete row.
    after: Epilogue<'a>,
    /// The row, counted from the first that is computed.
    row: usize,
}

impl<W: WeightAccess> Sum<'_, W> {
    /// Adds the segment to the vectors `from..from + N` of `y`.
    #[inline(always)]
    fn add<S: SimdExt, const N: usize>(&self, simd: S, y: &mut Feature, from: usize) {
        let Self { w, x, .. } = self;
        let mut even: [S::V; N] = match self.start {
            Some(start) => [simd.splat(start); N],
            None => std::array::from_fn(|v| simd.load(&y.0[from + v])),
        };
        let (pairs, last) = self.columns.as_chunks::<2>();
        if !pairs.is_empty() {
            let mut odd: [S::V; N] = [simd.splat(0.0); N];
            for (k, &[a, b]) in pairs.iter().enumerate() {
                let (wa, wb) = (simd.splat(w.at(2 * k)), simd.splat(w.at(2 * k + 1)));
                let (xa, xb) = (&x[a as usize].0[from..from + N], &x[b as usize].0[from..from + N]);
                for v in 0..N {
                    even[v] = simd.mul_add(wa, simd.load(&xa[v]), even[v]);
                }
                for v in 0..N {
                    odd[v] = simd.mul_add(wb, simd.load(&xb[v]), odd[v]);
                }
            }
            even = std::array::from_fn(|v| simd.add(even[v], odd[v]));
        }
        if let [last] = last {
            let (w, x) = (simd.splat(w.at(self.columns.len() - 1)), &x[*last as usize].0[from..from + N]);
            even = std::array::from_fn(|v| simd.mul_add(w, simd.load(&x[v]), even[v]));
        }
        match self.after {
            Epilogue::Nothing => {}
            Epilogue::Relu => even = std::array::from_fn(|v| simd.relu(even[v])),
            Epilogue::Gate(outputs) => {
                let by = &outputs[self.row].0[from..from + N];
                even = std::array::from_fn(|v| simd.gate(even[v], simd.load(&by[v])));
            }
        }
        for (sum, y) in even.into_iter().zip(&mut y.0[from..]) {
            simd.store(sum, y);
        }
    }
}

/// Computes the gradient of a layer's remaining weights: g\[k\] ← Σ over images of delta\[row\]·x\[column\], for the weights k of
/// the segments in `segments`.
pub(super) struct WeightGradient<'a> {
    /// The positions of the weights.
    pub(super) pattern: &'a TiledCsr,
    /// The segments to compute.
    pub(super) segments: Range<usize>,
    /// The gradient with respect to the layer's outputs, one per row.
    pub(super) delta: &'a [Feature],
    /// The layer's inputs, one per column.
    pub(super) x: &'a [Feature],
    /// The gradient of each weight of the segments.
    pub(super) gradient: &'a mut [f32],
    /// Whether to add to `gradient`, for all blocks of a batch but the first.
    pub(super) add: bool,
}

impl Kernel for WeightGradient<'_> {
    #[inline(always)]
    fn run<S: SimdExt>(self, simd: S) {
        let Self { pattern, segments, delta, x, gradient, add } = self;
        let first = pattern.start(segments.start);
        let mut next = first;
        let mut row = segments.start % pattern.rows.max(1);
        for &end in &pattern.ends[segments] {
            let end = end as usize;
            if next < end {
                let d = delta[row].0.each_ref().map(|d| simd.load(d));
                let (sixteens, _) = pattern.columns(next..end).as_chunks::<WIDTH>();
                let (gradients, _) = gradient[next - first..end - first].as_chunks_mut::<WIDTH>();
                for (c, g) in sixteens.iter().zip(gradients) {
                    // Every fourth column, so that the sums are in order.
                    let sums = simd.sums([
                        products(simd, &d, x, [c[0], c[4], c[8], c[12]]),
                        products(simd, &d, x, [c[1], c[5], c[9], c[13]]),
                        products(simd, &d, x, [c[2], c[6], c[10], c[14]]),
                        products(simd, &d, x, [c[3], c[7], c[11], c[15]]),
                    ]);
                    simd.store(if add { simd.add(simd.load(g), sums) } else { sums }, g);
                }
                next += sixteens.len() * WIDTH;
                while next < end {
                    let sums = simd.four_sums(products(simd, &d, x, pattern.index_quad(next)));
                    match gradient[next - first..].first_chunk_mut::<4>() {
                        // Sums behind the end belong to the next segment, which overwrites them.
                        Some(gradient) if !add => *gradient = sums,
                        _ => {
                            for (g, sum) in gradient[next - first..end - first].iter_mut().zip(sums) {
                                *g = if add { *g + sum } else { sum };
                            }
                        }
                    }
                    next += 4;
                }
                next = end;
            }
            row = if row + 1 == pattern.rows { 0 } else { row + 1 };
        }
    }
}

/// Begins four sums over images of d·x. Written out: a closure is not always inlined, and a function that is not inlined is
/// compiled without the processor's vector instructions and takes forty times as long.
#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "four columns")]
fn products<S: SimdExt>(simd: S, d: &[S::V; VECTORS], x: &[Feature], columns: [u32; 4]) -> S::Quad {
    let [a, b, c, e] = columns;
    simd.reduce([product(simd, d, x, a), product(simd, d, x, b), product(simd, d, x, c), product(simd, d, x, e)])
}

/// Returns the products d·x of one column, summed over the block's vectors.
#[inline(always)]
fn product<S: SimdExt>(simd: S, d: &[S::V; VECTORS], x: &[Feature], column: u32) -> S::V {
    let x = &x[column as usize].0;
    let mut sum = simd.mul(d[0], simd.load(&x[0]));
    for v in 1..VECTORS {
        sum = simd.mul_add(d[v], simd.load(&x[v]), sum);
    }
    sum
}

/// Computes the gradient of a layer's biases: the sum of each row of `delta` over images.
pub(super) struct BiasGradient<'a> {
    /// The gradient with respect to the layer's outputs, one per unit.
    pub(super) delta: &'a [Feature],
    /// The gradient of each bias.
    pub(super) gradient: &'a mut [f32],
    /// Whether to add to `gradient`, for all blocks of a batch but the first.
    pub(super) add: bool,
}

impl Kernel for BiasGradient<'_> {
    #[inline(always)]
    fn run<S: SimdExt>(self, simd: S) {
        for (delta, gradient) in self.delta.chunks(4).zip(self.gradient.chunks_mut(4)) {
            let mut rows = [simd.splat(0.0); 4];
            for (row, delta) in rows.iter_mut().zip(delta) {
                for vector in &delta.0 {
                    *row = simd.add(*row, simd.load(vector));
                }
            }
            for (gradient, sum) in gradient.iter_mut().zip(simd.four_sums(simd.reduce(rows))) {
                *gradient = if self.add { *gradient + sum } else { sum };
            }
        }
    }
}

#[cfg(test)]
mod tests;
