//! Pixels to input features: the images of a block are transposed, from [images, pixels] to [pixels, images], and the pixels
//! that used weights read are normalized.

use super::kernels::{Feature, IMAGES};
use crate::compute::simd::{Kernel, SimdExt, SimdLevel, WIDTH};
use crate::data::Dataset;
use crate::engine::input::copy_pixels;

/// Rows and columns of the matrix of bytes that is transposed at a time: the bytes of a word.
const WORD: usize = 8;

/// One pixel in all images of a block, in sets of eight images.
pub(super) type TransposedBytes = [[u8; WORD]; SETS];

/// Sets of eight images.
const SETS: usize = IMAGES / WORD;

/// Words of pixels that are read from an image at a time: a cache line.
const WORDS: usize = 8;

/// A cache line of pixels.
type CacheLine = [u64; WORDS];

/// Scale and offset of each image of a block, channel by channel: `[scale, offset]`. 0 behind the last image.
#[derive(Clone, Debug)]
pub(super) struct NormalizeTable(Vec<[Feature; 2]>);

impl NormalizeTable {
    /// Returns a table of zeros.
    pub(super) fn new(dataset: &Dataset) -> Self {
        Self(vec![[Feature::ZERO; 2]; dataset.shape[0]])
    }

    /// Sets the scales and offsets of these images, at most 64.
    pub(super) fn fill(&mut self, dataset: &Dataset, images: &[u32]) {
        for (channel, [scales, offsets]) in self.0.iter_mut().enumerate() {
            let (scales, offsets) = (scales.images_mut(), offsets.images_mut());
            for (&image, (scale, offset)) in images.iter().zip(scales.iter_mut().zip(offsets.iter_mut())) {
                let (image_scale, image_offset) = dataset.normalization.scale_and_offset(image, channel);
                *scale = image_scale as f32;
                *offset = image_offset as f32;
            }
            scales[images.len()..].fill(0.0);
            offsets[images.len()..].fill(0.0);
        }
    }
}

/// A used input: a pixel in one channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputColumn {
    /// The index among the pixels of all channels.
    pub(super) pixel: u32,
    /// The channel.
    pub(super) channel: u32,
}

impl InputColumn {
    /// Returns the inputs with these indices among the pixels of all channels.
    pub(super) fn of(pixels: &[u32], dataset: &Dataset) -> Vec<Self> {
        let plane = (dataset.shape[1] * dataset.shape[2]) as u32;
        pixels.iter().map(|&pixel| Self { pixel, channel: pixel / plane }).collect()
    }
}

/// Returns for each cache line of an image's pixels whether it contains any of `inputs`.
pub(super) fn lines(inputs: &[InputColumn], pixels: usize) -> Vec<bool> {
    let mut lines = vec![false; pixels.div_ceil(WORD * WORDS)];
    for input in inputs {
        lines[input.pixel as usize / (WORD * WORDS)] = true;
    }
    lines
}

/// Transposes the pixels of at most a block of images. Bytes behind the last image are arbitrary.
pub(super) struct Transpose<'a> {
    /// The pixels: [images, pixels].
    pub(super) rows: &'a [u8],
    /// For each cache line of an image's pixels whether it is transposed; others are left as they are.
    pub(super) lines: &'a [bool],
    /// The transposed pixels: [pixels, images].
    pub(super) bytes: &'a mut [TransposedBytes],
}

impl Kernel for Transpose<'_> {
    #[inline(always)]
    fn run<S: SimdExt>(self, simd: S) {
        let pixels = self.bytes.len();
        let mut rows: [&[u8]; IMAGES] = [&[]; IMAGES];
        rows.iter_mut().zip(self.rows.chunks_exact(pixels)).for_each(|(to, row)| *to = row);
        // A line of all images, then the next, so that writes are close together.
        for (number, bytes) in self.bytes.chunks_mut(WORD * WORDS).enumerate() {
            if !self.lines[number] {
                continue;
            }
            let mut words = [[CacheLine::default(); SETS]; WORD];
            for (set, rows) in rows.as_chunks::<WORD>().0.iter().enumerate() {
                let lines = swap(std::array::from_fn(|k| line(rows[k], number)));
                for p in 0..WORD {
                    words[p][set] = lines[p];
                }
            }
            for words in &mut words {
                *words = simd.transpose(words);
            }
            for (bytes, pixel) in bytes.iter_mut().zip(0..WORD * WORDS) {
                *bytes = pulp::cast(words[pixel % WORD][pixel / WORD]);
            }
        }
    }
}

/// Returns line `number` of a row; 0 behind the end of the row.
#[inline(always)]
fn line(row: &[u8], number: usize) -> CacheLine {
    let rest = row.get(number * WORD * WORDS..).unwrap_or_default();
    let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
        let mut bytes = [0; WORD * WORDS];
        bytes.iter_mut().zip(rest).for_each(|(to, &byte)| *to = byte);
        bytes
    });
    pulp::cast(bytes)
}

/// Swaps rows and bytes: before, byte p of word g of row k is pixel 8g + p of image k; after, byte k of word g of row p is.
#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "eight rows, which must stay in registers")]
fn swap(rows: [CacheLine; WORD]) -> [CacheLine; WORD] {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = rows;
    swap_parts::<32>(&mut a, &mut e);
    swap_parts::<32>(&mut b, &mut f);
    swap_parts::<32>(&mut c, &mut g);
    swap_parts::<32>(&mut d, &mut h);
    swap_parts::<16>(&mut a, &mut c);
    swap_parts::<16>(&mut b, &mut d);
    swap_parts::<16>(&mut e, &mut g);
    swap_parts::<16>(&mut f, &mut h);
    swap_parts::<8>(&mut a, &mut b);
    swap_parts::<8>(&mut c, &mut d);
    swap_parts::<8>(&mut e, &mut f);
    swap_parts::<8>(&mut g, &mut h);
    [a, b, c, d, e, f, g, h]
}

/// Swaps the upper of each two neighbouring parts of `BITS` bits in `a` with the lower in `b`.
#[inline(always)]
fn swap_parts<const BITS: u32>(a: &mut CacheLine, b: &mut CacheLine) {
    let mask = u64::MAX / ((1 << BITS) + 1);
    for (a, b) in a.iter_mut().zip(b) {
        let swapped = ((*a >> BITS) ^ *b) & mask;
        *b ^= swapped;
        *a ^= swapped << BITS;
    }
}

/// Returns the pixels of `images`, transposed block by block: [blocks, pixels].
pub(super) fn transpose_all(path: SimdLevel, dataset: &Dataset, images: &[u32]) -> Vec<TransposedBytes> {
    let pixels = dataset.image_bytes();
    let mut bytes = vec![TransposedBytes::default(); images.len().div_ceil(IMAGES) * pixels];
    let mut rows = vec![0; IMAGES * pixels];
    let lines = vec![true; pixels.div_ceil(WORD * WORDS)];
    for (images, bytes) in images.chunks(IMAGES).zip(bytes.chunks_exact_mut(pixels)) {
        let rows = &mut rows[..images.len() * pixels];
        copy_pixels(dataset, images, rows);
        path.run(Transpose { rows, lines: &lines, bytes });
    }
    bytes
}

/// Computes input features from transposed pixels: `byte · scale + offset`, rounded twice, as in every engine.
pub(super) struct UnpackKernel<'a> {
    /// Scale and offset of each image.
    pub(super) scales: &'a NormalizeTable,
    /// The inputs to compute.
    pub(super) inputs: &'a [InputColumn],
    /// The pixels of all channels: [pixels, images].
    pub(super) bytes: &'a [TransposedBytes],
    /// The features, one per input.
    pub(super) out: &'a mut [Feature],
}

impl Kernel for UnpackKernel<'_> {
    #[inline(always)]
    fn run<S: SimdExt>(self, simd: S) {
        for (input, out) in self.inputs.iter().zip(self.out) {
            let [scales, offsets] = &self.scales.0[input.channel as usize];
            let bytes = self.bytes[input.pixel as usize].as_flattened().as_chunks::<WIDTH>().0;
            for (v, bytes) in bytes.iter().enumerate() {
                let x = simd.mul(simd.load(&bytes.map(f32::from)), simd.load(scales.vector(v)));
                simd.store(simd.add(x, simd.load(offsets.vector(v))), out.vector_mut(v));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Normalization;
    use crate::engine::input;

    #[test]
    fn gathered_inputs_equal_those_of_normalized_batch() {
        // 2 channels of 5 × 7: 70 pixels, so the second line is not full.
        let dataset = Dataset {
            shape: [2, 5, 7],
            classes: 2,
            images: (0..70 * 70_u32).map(|i| (i * i % 251) as u8).collect(),
            labels: vec![0; 70],
            train: vec![],
            validation: vec![],
            test: vec![],
            normalization: Normalization::PerChannel(vec![(0.01, -0.3), (0.02, 0.7)]),
        };
        let images: Vec<u32> = (0..61).map(|j| j * 17 % 70).collect();
        let mut expected = vec![0.0; 61 * 70];
        input::normalized_batch::<f32>(&dataset, &images, &mut vec![0; 61 * 70], &mut expected);
        // Some of the first line, and one behind it.
        let pixels: Vec<u32> = (0..64).filter(|p| p % 5 != 1).chain([69]).collect();
        let inputs = InputColumn::of(&pixels, &dataset);
        let mut scales = NormalizeTable::new(&dataset);
        scales.fill(&dataset, &images);
        assert_eq!((lines(&inputs, 70), lines(&inputs[..9], 70)), (vec![true, true], vec![true, false]));
        for path in SimdLevel::all() {
            let (mut rows, mut bytes) = (vec![255; 61 * 70], vec![TransposedBytes::default(); 70]);
            copy_pixels(&dataset, &images, &mut rows);
            path.run(Transpose { rows: &rows, lines: &lines(&inputs, 70), bytes: &mut bytes });
            let mut out = vec![Feature::ZERO; pixels.len()];
            path.run(UnpackKernel { scales: &scales, inputs: &inputs, bytes: &bytes, out: &mut out });
            for (place, &pixel) in pixels.iter().enumerate() {
                for (j, &x) in out[place].images().iter().enumerate() {
                    let x_expected = if j < 61 { expected[j * 70 + pixel as usize] } else { 0.0 };
                    assert_eq!(x, x_expected, "{path:?}, pixel {pixel} of image {j}");
                }
            }
        }
    }
}
