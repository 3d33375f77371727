//! Dropout as tensor operations. The random numbers are those of the elementwise stream (see
//! [`engine::dropout`](crate::engine::dropout)), computed by integer arithmetic on the device and equal to those on the
//! host.

use anyhow::{Result, anyhow};
use tch::{Kind, Tensor};

use crate::engine::dropout::Dropout;

/// The masks of the dropout layers of one forward pass, drawn layer after layer.
pub(super) struct DropoutMasks<'a> {
    /// The dropout layers that have not been applied yet.
    layers: std::slice::Iter<'a, Dropout>,
    /// The draw keys of all dropout layers in this iteration [layers, lanes]; `None` if nothing is dropped, as in
    /// evaluation.
    draw_keys: Option<&'a Tensor>,
}

impl<'a> DropoutMasks<'a> {
    /// Returns the masks of the dropout `layers` of a network, in the order they are applied; `draw_keys` are
    /// [layers, lanes].
    pub(super) fn new(layers: &'a [Dropout], draw_keys: Option<&'a Tensor>) -> Self {
        Self { layers: layers.iter(), draw_keys }
    }

    /// Applies the next dropout layer to [lanes, images, features]. The counter of a value is its row-major position in
    /// its lane.
    pub(super) fn for_features(&mut self, x: &Tensor) -> Result<Tensor> {
        let (lanes, images, features) = x.size3()?;
        let elements = counters(images * features, x)?.f_view([1, images, features])?;
        self.apply(x, &elements, &[lanes, 1, 1], &[lanes, images, features])
    }

    /// Applies the next dropout layer to [images, lanes · channels, height, width]. The counter of a value is its
    /// row-major position among the values [images, channels, height, width] of its lane.
    pub(super) fn for_channels(&mut self, x: &Tensor, lanes: i64) -> Result<Tensor> {
        let shape = x.size();
        let images = shape[0];
        let elements = counters(x.numel() as i64 / lanes, x)?.f_view([images, 1, -1])?;
        self.apply(x, &elements, &[1, lanes, 1], &shape)
    }

    /// Applies the next dropout layer to `x`, which has the shape `shape`. `elements` are the counters of its values;
    /// in their shape and `lanes`, the shape of one draw key per lane, sizes of 1 are broadcast.
    fn apply(&mut self, x: &Tensor, elements: &Tensor, lanes: &[i64], shape: &[i64]) -> Result<Tensor> {
        let dropout = self.layers.next().ok_or_else(|| anyhow!("a dropout layer that was not counted"))?;
        let Some(draw_keys) = self.draw_keys else { return Ok(x.shallow_clone()) };
        let numbers = mix(&draw_keys.f_get(dropout.site as i64)?.f_view(lanes)?, elements)?;
        let dropped = upper_half(&numbers)?.f_lt(dropout.threshold as i64)?.f_view(shape)?;
        Ok(x.f_mul_scalar(dropout.scale)?.f_masked_fill(&dropped, 0.0)?)
    }
}

/// Returns 0, 1, …, n − 1 on the device of `x`.
fn counters(n: i64, x: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_arange(n, (Kind::Int64, x.device()))?)
}

/// Returns [`crate::base::rng::mix`] of each pair of words. Its words are unsigned; those of the tensors are signed,
/// with the same bits.
pub(super) fn mix(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    const SPREAD: u64 = 0xD6E8_FEB8_6659_FD93;
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let stir = |z: &Tensor, shift: i64, factor: u64| -> Result<Tensor> {
        Ok(z.f_bitwise_xor_tensor(&shifted(z, shift)?)?.f_mul_scalar(factor as i64)?)
    };
    let z = b.f_mul_scalar(SPREAD as i64)?.f_bitwise_xor_tensor(a)?.f_add_scalar(STEP as i64)?;
    let z = stir(&z, 30, 0xBF58_476D_1CE4_E5B9)?;
    let z = stir(&z, 27, 0x94D0_49BB_1331_11EB)?;
    Ok(z.f_bitwise_xor_tensor(&shifted(&z, 31)?)?)
}

/// Returns the upper 32 bits of each word.
fn upper_half(z: &Tensor) -> Result<Tensor> {
    shifted(z, 32)
}

/// Shifts each word to the right by `bits`, with zeros from the left; libtorch's shift would repeat the sign bit.
fn shifted(z: &Tensor, bits: i64) -> Result<Tensor> {
    Ok(z.f_bitwise_right_shift_tensor_scalar(bits)?.f_bitwise_and((1_i64 << (64 - bits)) - 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng;

    #[test]
    fn mix_equals_that_of_the_host() {
        let a = [3_u64, u64::MAX, 0x8000_0000_0000_0001];
        let draw_keys = Tensor::from_slice(&a.map(|a| a as i64)).view([3, 1]);
        let elements = counters(1000, &draw_keys).unwrap().view([1, 1000]);
        let mixed = Vec::<i64>::try_from(mix(&draw_keys, &elements).unwrap().view([-1])).unwrap();
        let expected: Vec<u64> = a.iter().flat_map(|&a| (0..1000).map(move |b| rng::mix(a, b))).collect();
        assert_eq!(mixed.iter().map(|&z| z as u64).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn dropout_masks_equal_those_of_the_host() {
        let layer = Dropout::new(0, 0.4);
        let layers = [layer];
        let draw_keys = Tensor::from_slice(&[7_i64, -9]).view([1, 2]);
        let x = Tensor::ones([3, 2 * 5, 2, 2], (Kind::Float, tch::Device::Cpu));
        let image = DropoutMasks::new(&layers, Some(&draw_keys)).for_channels(&x, 2).unwrap();
        let dropped = Vec::<f32>::try_from(image.view([3, 2, 20]).transpose(0, 1).reshape([-1])).unwrap();
        let features =
            DropoutMasks::new(&layers, Some(&draw_keys)).for_features(&x.view([3, 2, 20]).transpose(0, 1)).unwrap();
        assert_eq!(Vec::<f32>::try_from(features.reshape([-1])).unwrap(), dropped);
        for (lane, draw_key) in [7_u64, (-9_i64) as u64].into_iter().enumerate() {
            let expected = (0..60).map(|element| if layer.keeps(draw_key, element) { layer.scale as f32 } else { 0.0 });
            assert!(dropped[lane * 60..][..60].iter().copied().eq(expected), "lane {lane}");
        }
    }
}
