//! The inputs of a network from the bytes of images, batch by batch.

use super::element::Element;
use crate::data::Dataset;

/// Copies the pixels of the images with indices `image_indices` in the data set to `bytes` [images, pixels].
///
/// Images are scattered over memory, and the processor keeps more loads in flight in a loop that does nothing else than
/// to copy.
pub(super) fn copy_pixels(dataset: &Dataset, image_indices: &[u32], bytes: &mut [u8]) {
    for (&image, row) in image_indices.iter().zip(bytes.chunks_exact_mut(dataset.image_bytes())) {
        row.copy_from_slice(dataset.image(image));
    }
}

/// Writes the inputs of the images with indices `image_indices` in the data set to `out` [images, pixels], and their
/// pixels to `bytes` [images, pixels], memory that callers allocate once. An input is `byte · scale + offset`, rounded
/// twice.
pub(super) fn normalized_batch<T: Element>(dataset: &Dataset, image_indices: &[u32], bytes: &mut [u8], out: &mut [T]) {
    copy_pixels(dataset, image_indices, bytes);
    pulp::Arch::new().dispatch(NormalizeKernel { dataset, image_indices, bytes, out });
}

/// Normalizes pixels to inputs, image by image and channel by channel. Compiled once for each instruction set.
struct NormalizeKernel<'a, T> {
    dataset: &'a Dataset,
    /// The images of the batch, as indices into the data set.
    image_indices: &'a [u32],
    /// The pixels: [images, pixels].
    bytes: &'a [u8],
    /// The inputs: [images, pixels].
    out: &'a mut [T],
}

impl<T: Element> pulp::NullaryFnOnce for NormalizeKernel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { dataset, image_indices, bytes, out } = self;
        let pixels = dataset.image_bytes();
        let channel_pixels = dataset.shape[1] * dataset.shape[2];
        let rows = out.chunks_exact_mut(pixels).zip(bytes.chunks_exact(pixels));
        for (&image, (inputs, bytes)) in image_indices.iter().zip(rows) {
            let channels = inputs.chunks_exact_mut(channel_pixels).zip(bytes.chunks_exact(channel_pixels));
            for (channel, (inputs, bytes)) in channels.enumerate() {
                let (scale, offset) = dataset.normalization.scale_and_offset(image, channel);
                let scale = T::from_f64(scale);
                let offset = T::from_f64(offset);
                for (input, &byte) in inputs.iter_mut().zip(bytes) {
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
