//! Bytes to inputs, batch by batch.

use super::element::Element;
use crate::data::Dataset;

/// Writes the inputs of `images` to `out`, image after image. Each is `byte · scale + offset`, rounded twice.
pub(super) fn gather<T: Element>(dataset: &Dataset, images: &[u32], out: &mut [T]) {
    pulp::Arch::new().dispatch(Gather { dataset, images, out });
}

/// The pass, compiled once for each kind of processor.
struct Gather<'a, T> {
    dataset: &'a Dataset,
    images: &'a [u32],
    out: &'a mut [T],
}

impl<T: Element> pulp::NullaryFnOnce for Gather<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { dataset, images, out } = self;
        for (&image, row) in images.iter().zip(out.chunks_exact_mut(dataset.pixels())) {
            let (scale, offset) = dataset.inputs.of(image);
            let (scale, offset) = (T::from_f64(scale), T::from_f64(offset));
            for (input, &byte) in row.iter_mut().zip(dataset.image(image)) {
                *input = T::from_u8(byte) * scale + offset;
            }
        }
    }
}
