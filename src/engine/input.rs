//! Bytes to inputs, batch by batch.

use super::element::Element;
use crate::data::Dataset;

/// Writes the inputs of `images` to `out`, image after image. Each is `byte · scale + offset`, rounded twice.
pub(super) fn gather<T: Element>(dataset: &Dataset, images: &[u32], out: &mut [T]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (&image, row) in images.iter().zip(out.chunks_exact_mut(dataset.pixels())) {
                let (scale, offset) = dataset.inputs.of(image);
                let (scale, offset) = (T::from_f64(scale), T::from_f64(offset));
                for (input, &byte) in row.iter_mut().zip(dataset.image(image)) {
                    *input = T::from_u8(byte) * scale + offset;
                }
            }
        },
    );
}
