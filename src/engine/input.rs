//! From the bytes of images to the inputs of networks, batch by batch.

use super::element::Element;
use crate::data::Dataset;

/// Copies the bytes of `images` to `bytes` [images, pixels]. Images are scattered over memory, and a loop that does
/// nothing else keeps more loads in flight.
pub(super) fn copy_pixels(dataset: &Dataset, images: &[u32], bytes: &mut [u8]) {
    for (&image, row) in images.iter().zip(bytes.chunks_exact_mut(dataset.image_bytes())) {
        row.copy_from_slice(dataset.image(image));
    }
}

/// Writes the inputs of `images` to `out` [images, pixels] and their bytes to `bytes` [images, pixels]. An input is
/// `byte · scale + offset`, rounded twice.
pub(super) fn normalized_batch<T: Element>(dataset: &Dataset, images: &[u32], bytes: &mut [u8], out: &mut [T]) {
    copy_pixels(dataset, images, bytes);
    pulp::Arch::new().dispatch(Convert { dataset, images, bytes, out });
}

/// The conversion of bytes to inputs, compiled once for each instruction set.
struct Convert<'a, T> {
    dataset: &'a Dataset,
    images: &'a [u32],
    bytes: &'a [u8],
    out: &'a mut [T],
}

impl<T: Element> pulp::NullaryFnOnce for Convert<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { dataset, images, bytes, out } = self;
        let (pixels, plane) = (dataset.image_bytes(), dataset.shape[1] * dataset.shape[2]);
        let rows = out.chunks_exact_mut(pixels).zip(bytes.chunks_exact(pixels));
        for (&image, (row, bytes)) in images.iter().zip(rows) {
            let planes = row.chunks_exact_mut(plane).zip(bytes.chunks_exact(plane));
            for (channel, (row, bytes)) in planes.enumerate() {
                let (scale, offset) = dataset.normalization.scale_and_offset(image, channel);
                let (scale, offset) = (T::from_f64(scale), T::from_f64(offset));
                for (input, &byte) in row.iter_mut().zip(bytes) {
                    *input = T::from_u8(byte) * scale + offset;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Normalization;

    #[test]
    fn normalized_batch_scales_each_channel() {
        let dataset = Dataset {
            shape: [2, 1, 2],
            classes: 2,
            images: vec![1, 2, 3, 4, 5, 6, 7, 8],
            labels: vec![0, 1],
            train: vec![0, 1],
            validation: vec![],
            test: vec![],
            normalization: Normalization::PerChannel(vec![(2.0, 0.5), (10.0, -1.0)]),
        };
        let mut out = [0.0_f32; 8];
        normalized_batch(&dataset, &[1, 0], &mut [0; 8], &mut out);
        assert_eq!(out, [10.5, 12.5, 69.0, 79.0, 2.5, 4.5, 29.0, 39.0]);
    }
}
