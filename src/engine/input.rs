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
        let plane = dataset.shape[1] * dataset.shape[2];
        for (&image, row) in images.iter().zip(out.chunks_exact_mut(dataset.pixels())) {
            let planes = row.chunks_exact_mut(plane).zip(dataset.image(image).chunks_exact(plane));
            for (channel, (row, bytes)) in planes.enumerate() {
                let (scale, offset) = dataset.inputs.of(image, channel);
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
    use crate::data::Inputs;

    #[test]
    fn each_channel_has_its_own_scale_and_offset() {
        let dataset = Dataset {
            shape: [2, 1, 2],
            classes: 2,
            images: vec![1, 2, 3, 4, 5, 6, 7, 8],
            labels: vec![0, 1],
            train: vec![0, 1],
            validation: vec![],
            test: vec![],
            inputs: Inputs::PerChannel(vec![(2.0, 0.5), (10.0, -1.0)]),
        };
        let mut out = [0.0_f32; 8];
        gather(&dataset, &[1, 0], &mut out);
        assert_eq!(out, [10.5, 12.5, 69.0, 79.0, 2.5, 4.5, 29.0, 39.0]);
    }
}
