//! The four products of a step over surviving weights only, for a block of 64 images.
//!
//! Images lie innermost, so a surviving weight is one number against four vectors, whatever its neighbours are; a sum over
//! inputs or outputs runs in the order of the pattern, in two chains that are added at the end of each segment; a sum over
//! images runs over the four vectors, then by halves. Both orders are the same for every kind of processor.

use std::ops::Range;

use super::tiled_csr::TiledCsr;
use crate::compute::simd::{Kernel, SimdExt, WIDTH};

/// Images of a block.
pub(super) const IMAGES: usize = 64;

/// Vectors that hold them.
const VECTORS: usize = IMAGES / WIDTH;

/// One feature of all images of a block, at a cache line: loads that cross two lines take half as long again.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Feature([[f32; WIDTH]; VECTORS]);

impl Feature {
    /// 0 in every image.
    pub(super) const ZERO: Self = Self([[0.0; WIDTH]; VECTORS]);

    /// The `v`th vector of images.
    #[inline(always)]
    pub(super) fn vector(&self, v: usize) -> &[f32; WIDTH] {
        &self.0[v]
    }

    /// The `v`th vector of images, to be written.
    #[inline(always)]
    pub(super) fn vector_mut(&mut self, v: usize) -> &mut [f32; WIDTH] {
        &mut self.0[v]
    }

    /// Image by image.
    #[inline(always)]
    pub(super) fn images(&self) -> &[f32] {
        self.0.as_flattened()
    }

    /// Image by image, to be written.
    #[inline(always)]
    pub(super) fn images_mut(&mut self) -> &mut [f32] {
        self.0.as_flattened_mut()
    }
}

/// The weights of a pattern, in its order.
pub(super) trait WeightAccess: Copy {
    /// How to reach those in `range`.
    fn part(&self, range: Range<usize>) -> Self;
    /// The weight at `k`.
    fn at(&self, k: usize) -> f32;
}

/// Stored in the order of the pattern.
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

/// Stored in the order of another pattern: all weights, and where each of this one's is among them.
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

/// What is done to a row of a product when it is complete.
#[derive(Clone, Copy)]
pub(super) enum Epilogue<'a> {
    /// Nothing.
    Nothing,
    /// `ReLU`.
    Relu,
    /// Its derivative: 0 where these outputs are not positive.
    Gate(&'a [Feature]),
}

/// y\[r\] ← start\[r\] + Σ w·x\[column\] for the rows r in `rows`: outputs from inputs, or gradients of inputs from those of
/// outputs.
pub(super) struct Spmm<'a, W> {
    pub(super) pattern: &'a TiledCsr,
    pub(super) rows: Range<usize>,
    pub(super) weights: W,
    /// Per row of `rows`; none where sums start at 0.
    pub(super) start: &'a [f32],
    pub(super) x: &'a [Feature],
    /// Per row of `rows`.
    pub(super) y: &'a mut [Feature],
    /// What it refers to is per row of `rows`.
    pub(super) after: Epilogue<'a>,
}

impl<W: WeightAccess> Kernel for Spmm<'_, W> {
    #[inline(always)]
    fn run<S: SimdExt>(self, simd: S) {
        let pattern = self.pattern;
        let tiles = pattern.ends.len() / pattern.rows.max(1);
        for tile in 0..tiles {
            let first = tile * pattern.rows + self.rows.start;
            let mut at = pattern.start(first);
            let ends = &pattern.ends[first..first + self.rows.len()];
            for (row, (&end, y)) in ends.iter().zip(self.y.iter_mut()).enumerate() {
                let segment = at..end as usize;
                at = segment.end;
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
    /// What the row begins with, in the first tile.
    start: Option<f32>,
    w: W,
    columns: &'a [u32],
    x: &'a [Feature],
    after: Epilogue<'a>,
    row: usize,
}

impl<W: WeightAccess> Sum<'_, W> {
    /// Adds it to the vectors `from..from + N` of `y`.
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

/// g\[k\] ← Σ over images of delta\[row\]·x\[column\], for the weights k of the segments in `segments` (or adds it, for
/// further blocks of a batch): the gradient of a layer's weights where they survive.
pub(super) struct WeightGradient<'a> {
    pub(super) pattern: &'a TiledCsr,
    pub(super) segments: Range<usize>,
    pub(super) delta: &'a [Feature],
    pub(super) x: &'a [Feature],
    /// Per weight of the segments.
    pub(super) gradient: &'a mut [f32],
    pub(super) add: bool,
}

impl Kernel for WeightGradient<'_> {
    #[inline(always)]
    fn run<S: SimdExt>(self, simd: S) {
        let Self { pattern, segments, delta, x, gradient, add } = self;
        let first = pattern.start(segments.start);
        let mut at = first;
        let mut row = segments.start % pattern.rows.max(1);
        for &end in &pattern.ends[segments] {
            let end = end as usize;
            if at < end {
                let d = delta[row].0.each_ref().map(|d| simd.load(d));
                let (sixteens, _) = pattern.columns(at..end).as_chunks::<WIDTH>();
                let (gradients, _) = gradient[at - first..end - first].as_chunks_mut::<WIDTH>();
                for (c, g) in sixteens.iter().zip(gradients) {
                    // Every fourth, so that the sums come out in order.
                    let sums = simd.sums([
                        products(simd, &d, x, [c[0], c[4], c[8], c[12]]),
                        products(simd, &d, x, [c[1], c[5], c[9], c[13]]),
                        products(simd, &d, x, [c[2], c[6], c[10], c[14]]),
                        products(simd, &d, x, [c[3], c[7], c[11], c[15]]),
                    ]);
                    simd.store(if add { simd.add(simd.load(g), sums) } else { sums }, g);
                }
                at += sixteens.len() * WIDTH;
                while at < end {
                    let sums = simd.four_sums(products(simd, &d, x, pattern.index_quad(at)));
                    match gradient[at - first..].first_chunk_mut::<4>() {
                        // What is too much belongs to the next segment, which writes it again.
                        Some(gradient) if !add => *gradient = sums,
                        _ => {
                            for (g, sum) in gradient[at - first..end - first].iter_mut().zip(sums) {
                                *g = if add { *g + sum } else { sum };
                            }
                        }
                    }
                    at += 4;
                }
                at = end;
            }
            row = if row + 1 == pattern.rows { 0 } else { row + 1 };
        }
    }
}

/// Four sums over images of d·x, half done. Written out: a closure here is not always inlined, and a function of its own
/// knows nothing of the processor's vectors and takes forty times as long.
#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "four columns")]
fn products<S: SimdExt>(simd: S, d: &[S::V; VECTORS], x: &[Feature], columns: [u32; 4]) -> S::Quad {
    let [a, b, c, e] = columns;
    simd.reduce([product(simd, d, x, a), product(simd, d, x, b), product(simd, d, x, c), product(simd, d, x, e)])
}

#[inline(always)]
fn product<S: SimdExt>(simd: S, d: &[S::V; VECTORS], x: &[Feature], column: u32) -> S::V {
    let x = &x[column as usize].0;
    let mut sum = simd.mul(d[0], simd.load(&x[0]));
    for v in 1..VECTORS {
        sum = simd.mul_add(d[v], simd.load(&x[v]), sum);
    }
    sum
}

/// The sum of each row of `delta` over images (or adds it): the gradient of a layer's biases.
pub(super) struct BiasGradient<'a> {
    pub(super) delta: &'a [Feature],
    pub(super) gradient: &'a mut [f32],
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
