//! The four products of a step, over active weights only and for a block of 64 images: outputs, and the gradients of
//! inputs, weights and biases.
//!
//! Activations are [features, images], so a weight is one number multiplied with the four vectors of a feature,
//! independent of its neighbours. A sum over inputs or outputs runs in the order of the pattern, in two accumulators,
//! one for the weights with even and one for those with odd positions in a segment, which are added at the end of the
//! segment. A sum over images runs over the four vectors, then by halves ([`Vector16::reduce`]). Both orders are the
//! same for every instruction set.

use std::ops::Range;

use super::tiled_csr::TiledCsr;
use crate::compute::simd::{Kernel, Vector16, WIDTH};

/// Images of a block.
pub(super) const IMAGES: usize = 64;

/// Vectors of 16 images in a block.
const VECTORS: usize = IMAGES / WIDTH;

/// One feature (an input, or an output of a layer) of all images of a block, aligned to cache lines: a vector load that
/// crosses a cache-line boundary takes 1.5 times as long.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Feature([[f32; WIDTH]; VECTORS]);

impl Feature {
    /// 0 in every image.
    pub(super) const ZERO: Self = Self([[0.0; WIDTH]; VECTORS]);

    /// Returns the feature of the images 16·`v` to 16·`v` + 15.
    #[inline(always)]
    pub(super) fn vector(&self, v: usize) -> &[f32; WIDTH] {
        &self.0[v]
    }

    /// Like [`Feature::vector`], but writable.
    #[inline(always)]
    pub(super) fn vector_mut(&mut self, v: usize) -> &mut [f32; WIDTH] {
        &mut self.0[v]
    }

    /// Returns the feature as one number per image: [64].
    #[inline(always)]
    pub(super) fn images(&self) -> &[f32] {
        self.0.as_flattened()
    }

    /// Like [`Feature::images`], but writable.
    #[inline(always)]
    pub(super) fn images_mut(&mut self) -> &mut [f32] {
        self.0.as_flattened_mut()
    }
}

/// Weights in the order of a pattern.
pub(super) trait WeightAccess: Copy {
    /// Returns the weights in `range`.
    fn part(&self, range: Range<usize>) -> Self;
    /// Returns the weight with index `k`.
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

/// Weights stored in the order of another pattern.
#[derive(Clone, Copy)]
pub(super) struct IndirectWeights<'a> {
    /// All weights, in the order of the other pattern.
    pub(super) weights: &'a [f32],
    /// The position in `weights` of each weight of this pattern.
    pub(super) positions: &'a [u32],
}

impl WeightAccess for IndirectWeights<'_> {
    #[inline(always)]
    fn part(&self, range: Range<usize>) -> Self {
        Self { weights: self.weights, positions: &self.positions[range] }
    }
    #[inline(always)]
    fn at(&self, k: usize) -> f32 {
        self.weights[self.positions[k] as usize]
    }
}

/// The operation on each row of a product after its sums are complete.
#[derive(Clone, Copy)]
pub(super) enum Epilogue<'a> {
    /// None, as for the output layer.
    Nothing,
    /// `ReLU`: max(x, 0).
    Relu,
    /// The derivative of `ReLU`: sums become 0 where these outputs of the `ReLU`, one [`Feature`] per row, are not
    /// positive.
    ReluBackward(&'a [Feature]),
}

/// Sparse matrix times dense matrix: y\[r\] ← initial\[r\] + Σ w·x\[column\] for the rows r in `rows`. Computes the
/// outputs of a layer from its inputs, or the gradient with respect to the inputs from the gradient with respect to the
/// outputs.
pub(super) struct SpmmKernel<'a, W> {
    /// The positions of the weights.
    pub(super) pattern: &'a TiledCsr,
    /// The rows to compute.
    pub(super) rows: Range<usize>,
    /// All weights of the pattern, in its order.
    pub(super) weights: W,
    /// The value at which the sum of each row of `rows` begins (a bias); empty for 0.
    pub(super) initial: &'a [f32],
    /// The dense matrix: [columns, images].
    pub(super) x: &'a [Feature],
    /// The result: [rows of `rows`, images].
    pub(super) y: &'a mut [Feature],
    /// The operation on each complete row; the outputs of [`Epilogue::ReluBackward`] are those of `rows`.
    pub(super) epilogue: Epilogue<'a>,
}

impl<W: WeightAccess> Kernel for SpmmKernel<'_, W> {
    #[inline(always)]
    fn run<S: Vector16>(self, simd: S) {
        let pattern = self.pattern;
        let tiles = pattern.ends.len() / pattern.rows.max(1);
        for tile in 0..tiles {
            let first = tile * pattern.rows + self.rows.start;
            let mut start = pattern.start(first);
            let ends = &pattern.ends[first..first + self.rows.len()];
            for (row, (&end, y)) in ends.iter().zip(self.y.iter_mut()).enumerate() {
                let segment = start..end as usize;
                start = segment.end;
                let sum = SegmentSum {
                    initial: if tile > 0 { None } else { Some(self.initial.get(row).copied().unwrap_or(0.0)) },
                    weights: self.weights.part(segment.clone()),
                    columns: pattern.columns(segment),
                    x: self.x,
                    epilogue: if tile + 1 < tiles { Epilogue::Nothing } else { self.epilogue },
                    row,
                };
                // All four vectors of the row, as many at a time as the registers hold.
                match S::REGISTER_VECTORS {
                    4 => sum.add::<S, 4>(simd, y, 0),
                    2 => (0..2).for_each(|i| sum.add::<S, 2>(simd, y, 2 * i)),
                    _ => (0..4).for_each(|i| sum.add::<S, 1>(simd, y, i)),
                }
            }
        }
    }
}

/// The sum over one segment of one row of a product.
struct SegmentSum<'a, W> {
    /// The value at which the row's sum begins, in the first tile; `None` in later tiles, where the sum continues from
    /// `y`.
    initial: Option<f32>,
    /// The weights of the segment.
    weights: W,
    /// The column of each weight.
    columns: &'a [u32],
    /// The dense matrix: [columns, images].
    x: &'a [Feature],
    /// The operation on the complete row; [`Epilogue::Nothing`] for all tiles but the last.
    epilogue: Epilogue<'a>,
    /// The index of the row among the rows that are computed.
    row: usize,
}

impl<W: WeightAccess> SegmentSum<'_, W> {
    /// Adds the segment to the vectors `from..from + N` of `y`.
    #[inline(always)]
    fn add<S: Vector16, const N: usize>(&self, simd: S, y: &mut Feature, from: usize) {
        let Self { weights, x, .. } = self;
        let mut even: [S::V; N] = match self.initial {
            Some(initial) => [simd.splat(initial); N],
            None => std::array::from_fn(|v| simd.load(&y.0[from + v])),
        };
        let (pairs, last) = self.columns.as_chunks::<2>();
        if !pairs.is_empty() {
            let mut odd: [S::V; N] = [simd.splat(0.0); N];
            for (k, &[a, b]) in pairs.iter().enumerate() {
                let wa = simd.splat(weights.at(2 * k));
                let wb = simd.splat(weights.at(2 * k + 1));
                let xa = &x[a as usize].0[from..from + N];
                let xb = &x[b as usize].0[from..from + N];
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
            let w = simd.splat(weights.at(self.columns.len() - 1));
            let x = &x[*last as usize].0[from..from + N];
            even = std::array::from_fn(|v| simd.mul_add(w, simd.load(&x[v]), even[v]));
        }
        match self.epilogue {
            Epilogue::Nothing => {}
            Epilogue::Relu => even = std::array::from_fn(|v| simd.max_zero(even[v])),
            Epilogue::ReluBackward(outputs) => {
                let output = &outputs[self.row].0[from..from + N];
                even = std::array::from_fn(|v| simd.zero_where_not_positive(even[v], simd.load(&output[v])));
            }
        }
        for (sum, y) in even.into_iter().zip(&mut y.0[from..]) {
            simd.store(sum, y);
        }
    }
}

/// Computes the gradient of a layer's active weights: g\[k\] ← Σ over images of delta\[row\]·x\[column\], for the
/// weights k of the segments in `segments`.
pub(super) struct WeightGradientKernel<'a> {
    /// The positions of the weights.
    pub(super) pattern: &'a TiledCsr,
    /// The segments to compute.
    pub(super) segments: Range<usize>,
    /// The gradient with respect to the layer's outputs: [rows, images].
    pub(super) delta: &'a [Feature],
    /// The layer's inputs: [columns, images].
    pub(super) x: &'a [Feature],
    /// The gradient of each weight of the segments.
    pub(super) gradient: &'a mut [f32],
    /// Whether to add to `gradient`, for all blocks of a batch but the first.
    pub(super) add: bool,
}

impl Kernel for WeightGradientKernel<'_> {
    #[inline(always)]
    fn run<S: Vector16>(self, simd: S) {
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
                    // Columns i, i + 4, i + 8 and i + 12 together, as `sums` takes them.
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
                        // Sums past the end of the segment are written to weights of the next segment, which overwrites
                        // them.
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

/// Begins the four sums over images of d·x of these columns. A function instead of a closure, because a closure is not
/// always inlined, and code that is not inlined is compiled without the processor's vector instructions and takes forty
/// times as long.
#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "four columns")]
fn products<S: Vector16>(simd: S, d: &[S::V; VECTORS], x: &[Feature], columns: [u32; 4]) -> S::Quad {
    let [a, b, c, e] = columns;
    simd.reduce([product(simd, d, x, a), product(simd, d, x, b), product(simd, d, x, c), product(simd, d, x, e)])
}

/// Returns the products d·x of one column, summed over the block's vectors.
#[inline(always)]
fn product<S: Vector16>(simd: S, d: &[S::V; VECTORS], x: &[Feature], column: u32) -> S::V {
    let x = &x[column as usize].0;
    let mut sum = simd.mul(d[0], simd.load(&x[0]));
    for v in 1..VECTORS {
        sum = simd.mul_add(d[v], simd.load(&x[v]), sum);
    }
    sum
}

/// Computes the gradient of a layer's biases: the sum of each row of `delta` over images.
pub(super) struct BiasGradientKernel<'a> {
    /// The gradient with respect to the layer's outputs: [units, images].
    pub(super) delta: &'a [Feature],
    /// The gradient of each bias.
    pub(super) gradient: &'a mut [f32],
    /// Whether to add to `gradient`, for all blocks of a batch but the first.
    pub(super) add: bool,
}

impl Kernel for BiasGradientKernel<'_> {
    #[inline(always)]
    fn run<S: Vector16>(self, simd: S) {
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
