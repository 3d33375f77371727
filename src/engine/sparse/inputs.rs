//! The inputs of a block from the pixels of its images: the pixels are transposed, from [images, pixels] to
//! [pixels, images], and those that are active inputs are normalized.

use super::kernels::{Feature, IMAGES};
use crate::compute::simd::{Kernel, SimdLevel, Vector16, WIDTH};
use crate::data::Dataset;
use crate::engine::input::copy_pixels;

/// Bytes of a word. Bytes are transposed in matrices of as many rows and columns.
const WORD_BYTES: usize = 8;

/// Sets of [`WORD_BYTES`] images in a block.
const IMAGE_SETS: usize = IMAGES / WORD_BYTES;

/// Words of a cache line. The pixels of an image are read line by line.
const LINE_WORDS: usize = 8;

/// Bytes of a cache line.
const LINE_BYTES: usize = WORD_BYTES * LINE_WORDS;

/// One pixel in all images of a block: [image sets, images of a set].
pub(super) type TransposedBytes = [[u8; WORD_BYTES]; IMAGE_SETS];

/// A cache line of pixels of one image.
type CacheLine = [u64; LINE_WORDS];

/// Scale and offset of the normalization of each image of a block: [channels], each `[scale, offset]`, of which each
/// has one number per image, 0 after the last image.
#[derive(Clone, Debug)]
pub(super) struct NormalizeTable(Vec<[Feature; 2]>);

impl NormalizeTable {
    /// Returns a table of zeros.
    pub(super) fn new(dataset: &Dataset) -> Self {
        Self(vec![[Feature::ZERO; 2]; dataset.shape[0]])
    }

    /// Sets the scales and offsets of a block's images; `image_indices` are at most 64 indices into the data set.
    pub(super) fn fill(&mut self, dataset: &Dataset, image_indices: &[u32]) {
        for (channel, [scales, offsets]) in self.0.iter_mut().enumerate() {
            let scales = scales.images_mut();
            let offsets = offsets.images_mut();
            for (&image, (scale, offset)) in image_indices.iter().zip(scales.iter_mut().zip(offsets.iter_mut())) {
                let (image_scale, image_offset) = dataset.normalization.scale_and_offset(image, channel);
                *scale = image_scale as f32;
                *offset = image_offset as f32;
            }
            scales[image_indices.len()..].fill(0.0);
            offsets[image_indices.len()..].fill(0.0);
        }
    }
}

/// An active input: a pixel in one channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputColumn {
    /// The index among the pixels of all channels.
    pub(super) pixel: u32,
    /// The index of the channel.
    pub(super) channel: u32,
}

impl InputColumn {
    /// Returns the inputs with these indices among the pixels of all channels.
    pub(super) fn from_pixels(pixels: &[u32], dataset: &Dataset) -> Vec<Self> {
        let channel_pixels = (dataset.shape[1] * dataset.shape[2]) as u32;
        pixels.iter().map(|&pixel| Self { pixel, channel: pixel / channel_pixels }).collect()
    }
}

/// Returns for each cache line of an image's pixels whether it contains any of `inputs`.
pub(super) fn active_lines(inputs: &[InputColumn], pixels: usize) -> Vec<bool> {
    let mut lines = vec![false; pixels.div_ceil(LINE_BYTES)];
    for input in inputs {
        lines[input.pixel as usize / (LINE_BYTES)] = true;
    }
    lines
}

/// Transposes the pixels of at most a block of images. Bytes after the last image are arbitrary.
pub(super) struct TransposeKernel<'a> {
    /// The pixels: [images, pixels].
    pub(super) pixels: &'a [u8],
    /// For each cache line of an image's pixels whether it is transposed. The pixels of other lines are not written.
    pub(super) active_lines: &'a [bool],
    /// The transposed pixels: [pixels, images].
    pub(super) transposed: &'a mut [TransposedBytes],
}

impl Kernel for TransposeKernel<'_> {
    #[inline(always)]
    fn run<S: Vector16>(self, simd: S) {
        let pixel_count = self.transposed.len();
        let mut rows: [&[u8]; IMAGES] = [&[]; IMAGES];
        rows.iter_mut().zip(self.pixels.chunks_exact(pixel_count)).for_each(|(row, pixels)| *row = pixels);
        // A line of all images, then the next, so that writes are close together.
        for (line, transposed) in self.transposed.chunks_mut(LINE_BYTES).enumerate() {
            if !self.active_lines[line] {
                continue;
            }
            // [pixel within a word, image set, word of the line]: each word holds one pixel of the eight images of a
            // set.
            let mut words = [[CacheLine::default(); IMAGE_SETS]; WORD_BYTES];
            for (set, rows) in rows.as_chunks::<WORD_BYTES>().0.iter().enumerate() {
                let lines = transpose_words(std::array::from_fn(|k| read_line(rows[k], line)));
                for p in 0..WORD_BYTES {
                    words[p][set] = lines[p];
                }
            }
            // The result is [pixel within a word, word of the line, image set].
            for words in &mut words {
                *words = simd.transpose(words);
            }
            for (bytes, pixel) in transposed.iter_mut().zip(0..LINE_BYTES) {
                *bytes = pulp::cast(words[pixel % WORD_BYTES][pixel / WORD_BYTES]);
            }
        }
    }
}

/// Returns the line with index `line` of an image's pixels, with 0 past the end of the pixels.
#[inline(always)]
fn read_line(pixels: &[u8], line: usize) -> CacheLine {
    let rest = pixels.get(line * LINE_BYTES..).unwrap_or_default();
    let bytes = rest.first_chunk().copied().unwrap_or_else(|| {
        let mut bytes = [0; LINE_BYTES];
        bytes.iter_mut().zip(rest).for_each(|(to, &byte)| *to = byte);
        bytes
    });
    pulp::cast(bytes)
}

/// Transposes the matrix of bytes [rows, bytes of a word] of each word. Before, byte p of word g of row k is pixel 8g +
/// p of image k. After, that pixel is byte k of word g of row p.
#[inline(always)]
#[expect(clippy::many_single_char_names, reason = "eight rows, which must stay in registers")]
fn transpose_words(rows: [CacheLine; WORD_BYTES]) -> [CacheLine; WORD_BYTES] {
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

/// Returns the pixels of the images with indices `image_indices` in the data set, transposed block by block:
/// [blocks, pixels, images].
pub(super) fn transpose_all(simd: SimdLevel, dataset: &Dataset, image_indices: &[u32]) -> Vec<TransposedBytes> {
    let pixel_count = dataset.image_bytes();
    let mut transposed = vec![TransposedBytes::default(); image_indices.len().div_ceil(IMAGES) * pixel_count];
    let mut pixels = vec![0; IMAGES * pixel_count];
    let active_lines = vec![true; pixel_count.div_ceil(LINE_BYTES)];
    for (images, transposed) in image_indices.chunks(IMAGES).zip(transposed.chunks_exact_mut(pixel_count)) {
        let pixels = &mut pixels[..images.len() * pixel_count];
        copy_pixels(dataset, images, pixels);
        simd.run(TransposeKernel { pixels, active_lines: &active_lines, transposed });
    }
    transposed
}

/// Normalizes transposed pixels to inputs: `byte · scale + offset`, rounded twice, as in every engine.
pub(super) struct NormalizeKernel<'a> {
    /// Scale and offset of each image.
    pub(super) normalization: &'a NormalizeTable,
    /// The inputs to compute.
    pub(super) inputs: &'a [InputColumn],
    /// The pixels of all channels: [pixels, images].
    pub(super) transposed: &'a [TransposedBytes],
    /// The inputs: [active inputs, images].
    pub(super) out: &'a mut [Feature],
}

impl Kernel for NormalizeKernel<'_> {
    #[inline(always)]
    fn run<S: Vector16>(self, simd: S) {
        for (input, out) in self.inputs.iter().zip(self.out) {
            let [scales, offsets] = &self.normalization.0[input.channel as usize];
            let bytes = self.transposed[input.pixel as usize].as_flattened().as_chunks::<WIDTH>().0;
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
    fn block_inputs_equal_those_of_normalized_batch() {
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
        // Some pixels of the first line, and one of the second.
        let pixels: Vec<u32> = (0..64).filter(|p| p % 5 != 1).chain([69]).collect();
        let inputs = InputColumn::from_pixels(&pixels, &dataset);
        let mut normalization = NormalizeTable::new(&dataset);
        normalization.fill(&dataset, &images);
        let lines = active_lines(&inputs, 70);
        assert_eq!((&lines[..], &active_lines(&inputs[..9], 70)[..]), (&[true, true][..], &[true, false][..]));
        for simd in SimdLevel::all() {
            let mut bytes = vec![255; 61 * 70];
            let mut transposed = vec![TransposedBytes::default(); 70];
            copy_pixels(&dataset, &images, &mut bytes);
            simd.run(TransposeKernel { pixels: &bytes, active_lines: &lines, transposed: &mut transposed });
            let mut out = vec![Feature::ZERO; pixels.len()];
            let (normalization, transposed) = (&normalization, &transposed[..]);
            simd.run(NormalizeKernel { normalization, inputs: &inputs, transposed, out: &mut out });
            for (&pixel, input) in pixels.iter().zip(&out) {
                for (j, &x) in input.images().iter().enumerate() {
                    let x_expected = if j < 61 { expected[j * 70 + pixel as usize] } else { 0.0 };
                    assert_eq!(x, x_expected, "{simd:?}, pixel {pixel} of image {j}");
                }
            }
        }
    }
}
