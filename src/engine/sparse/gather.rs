//! Bytes to features: the images of a block, transposed so that they lie innermost; pixels that no surviving weight looks
//! at are left out.

use super::kernels::{Feature, IMAGES};
use super::simd::{Kernel, Wide};
use crate::data::Dataset;

/// Pixels that are transposed together: the bytes of a word.
const PIXELS: usize = 8;

/// Images of a word of transposed bytes; as many words hold a block.
const WORDS: usize = IMAGES / 8;

/// Eight pixels beside each other, some of which are looked at.
#[derive(Clone, Debug)]
struct Group {
    /// The first of them.
    pixel: usize,
    /// Which of them are looked at.
    live: [bool; PIXELS],
    /// Of the first of them that is looked at, the place among all such pixels.
    first: usize,
}

/// The pixels that are looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Live {
    groups: Vec<Group>,
}

impl Live {
    /// `pixels` are in order.
    pub(super) fn new(pixels: &[u32]) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (place, &pixel) in pixels.iter().enumerate() {
            let (pixel, within) = (pixel as usize / PIXELS * PIXELS, pixel as usize % PIXELS);
            if groups.last().is_none_or(|group| group.pixel != pixel) {
                groups.push(Group { pixel, live: [false; PIXELS], first: place });
            }
            groups.last_mut().into_iter().for_each(|group| group.live[within] = true);
        }
        Self { groups }
    }

    /// Groups of pixels.
    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Of group `at`, the place of its first pixel among all that are looked at; behind the last group, their number.
    pub(super) fn first(&self, at: usize) -> usize {
        match (self.groups.get(at), self.groups.last()) {
            (Some(group), _) => group.first,
            (None, Some(last)) => last.first + last.live.iter().filter(|&&live| live).count(),
            (None, None) => 0,
        }
    }
}

/// Scale and offset of each image of a block, channel by channel; 0 behind the last image.
#[derive(Clone, Debug)]
pub(super) struct Scales(Vec<[Feature; 2]>);

impl Scales {
    pub(super) fn new(dataset: &Dataset) -> Self {
        Self(vec![[Feature::ZERO; 2]; dataset.shape[0]])
    }

    /// For these images.
    pub(super) fn fill(&mut self, dataset: &Dataset, images: &[u32]) {
        for (channel, [scales, offsets]) in self.0.iter_mut().enumerate() {
            let (scales, offsets) = (scales.images_mut(), offsets.images_mut());
            for (&image, (scale, offset)) in images.iter().zip(scales.iter_mut().zip(offsets.iter_mut())) {
                let of = dataset.inputs.of(image, channel);
                (*scale, *offset) = (of.0 as f32, of.1 as f32);
            }
            scales[images.len()..].fill(0.0);
            offsets[images.len()..].fill(0.0);
        }
    }
}

/// Writes the pixels of some groups as features.
pub(super) struct Gather<'a> {
    pub(super) dataset: &'a Dataset,
    /// At most a block.
    pub(super) images: &'a [u32],
    pub(super) scales: &'a Scales,
    pub(super) live: &'a Live,
    pub(super) groups: std::ops::Range<usize>,
    /// Per pixel of the groups that is looked at.
    pub(super) out: &'a mut [Feature],
}

impl Kernel for Gather<'_> {
    #[inline(always)]
    fn run<S: Wide>(self, _: S) {
        let (pixels, plane) = (self.dataset.pixels(), self.dataset.shape[1] * self.dataset.shape[2]);
        let bytes = self.dataset.images.as_slice();
        let mut out = self.out.iter_mut();
        for group in &self.live.groups[self.groups] {
            let mut words = [[0_u64; WORDS]; 8];
            let width = PIXELS.min(pixels - group.pixel);
            for (j, &image) in self.images.iter().enumerate() {
                let at = image as usize * pixels + group.pixel;
                words[j % 8][j / 8] = match bytes[at..at + width].try_into() {
                    Ok(eight) => u64::from_le_bytes(eight),
                    Err(_) => little_endian(&bytes[at..at + width]),
                };
            }
            transpose(&mut words);
            for ((words, live), pixel) in words.iter().zip(group.live).zip(group.pixel..) {
                if live {
                    let [scales, offsets] = &self.scales.0[pixel / plane];
                    if let Some(out) = out.next() {
                        convert(&pulp::cast(words.map(u64::to_le_bytes)), scales, offsets, out);
                    }
                }
            }
        }
    }
}

/// The bytes of `images`, transposed: block by block, of each pixel its byte in each image; 0 behind the last image.
pub(super) fn transpose_images(dataset: &Dataset, images: &[u32]) -> Vec<[u8; IMAGES]> {
    let mut bytes = Vec::with_capacity(images.len().div_ceil(IMAGES) * dataset.pixels());
    for block in images.chunks(IMAGES) {
        let first = bytes.len();
        bytes.resize(first + dataset.pixels(), [0; IMAGES]);
        for (j, &image) in block.iter().enumerate() {
            for (pixel, &byte) in bytes[first..].iter_mut().zip(dataset.image(image)) {
                pixel[j] = byte;
            }
        }
    }
    bytes
}

/// Writes pixels that are transposed already as features.
pub(super) struct Spread<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) scales: &'a Scales,
    pub(super) pixels: &'a [u32],
    /// Of every pixel of the data set, its byte in each image.
    pub(super) bytes: &'a [[u8; IMAGES]],
    /// Per pixel of `pixels`.
    pub(super) out: &'a mut [Feature],
}

impl Kernel for Spread<'_> {
    #[inline(always)]
    fn run<S: Wide>(self, _: S) {
        let plane = self.dataset.shape[1] * self.dataset.shape[2];
        for (&pixel, out) in self.pixels.iter().zip(self.out) {
            let [scales, offsets] = &self.scales.0[pixel as usize / plane];
            convert(&self.bytes[pixel as usize], scales, offsets, out);
        }
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// Swaps rows and bytes: before, byte p of `words[k][g]` is pixel p of image 8g + k; after, byte k of `words[p][g]` is.
#[inline(always)]
fn transpose(words: &mut [[u64; WORDS]; 8]) {
    for (rows, mask) in [(4, 0x0000_0000_ffff_ffff_u64), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)] {
        let shift = 8 * rows;
        for k in (0..8).filter(|k| k & rows == 0) {
            for g in 0..WORDS {
                let (a, b) = (words[k][g], words[k + rows][g]);
                let swapped = ((a >> shift) ^ b) & mask;
                words[k + rows][g] = b ^ swapped;
                words[k][g] = a ^ (swapped << shift);
            }
        }
    }
}

/// One pixel of all images: `byte · scale + offset`, rounded twice, as every engine does.
#[inline(always)]
fn convert(bytes: &[u8; IMAGES], scales: &Feature, offsets: &Feature, out: &mut Feature) {
    let (scales, offsets) = (scales.images().iter(), offsets.images().iter());
    for (((out, &byte), scale), offset) in out.images_mut().iter_mut().zip(bytes).zip(scales).zip(offsets) {
        *out = f32::from(byte) * scale + offset;
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Path;
    use super::*;
    use crate::data::Inputs;
    use crate::engine::input;

    #[test]
    fn the_same_inputs_as_image_by_image_on_every_path() {
        // 2 channels of 3 × 7: 42 pixels, so the last group has two.
        let dataset = Dataset {
            shape: [2, 3, 7],
            classes: 2,
            images: (0..42 * 70_u32).map(|i| (i * i % 251) as u8).collect(),
            labels: vec![0; 70],
            train: vec![],
            validation: vec![],
            test: vec![],
            inputs: Inputs::PerChannel(vec![(0.01, -0.3), (0.02, 0.7)]),
        };
        let images: Vec<u32> = (0..61).map(|j| j * 17 % 70).collect();
        let mut expected = vec![0.0; 61 * 42];
        input::gather::<f32>(&dataset, &images, &mut expected);
        let pixels: Vec<u32> = (0..42).filter(|p| p % 5 != 1 && !(8..16).contains(p)).collect();
        let live = Live::new(&pixels);
        assert_eq!((live.groups(), live.first(1), live.first(5)), (5, 6, pixels.len()));
        let mut scales = Scales::new(&dataset);
        scales.fill(&dataset, &images);
        for path in Path::all() {
            let mut out = vec![Feature::ZERO; pixels.len()];
            let groups = 0..live.groups();
            let (dataset, images, scales, live) = (&dataset, &images[..], &scales, &live);
            path.run(Gather { dataset, images, scales, live, groups, out: &mut out });
            for (place, &pixel) in pixels.iter().enumerate() {
                for (j, &x) in out[place].images().iter().enumerate() {
                    let x_expected = if j < 61 { expected[j * 42 + pixel as usize] } else { 0.0 };
                    assert_eq!(x, x_expected, "{path:?}, pixel {pixel} of image {j}");
                }
            }
        }
    }
}
