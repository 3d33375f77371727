//! What the host chooses for each step of a trainer on a device: the images, the random numbers' keys and the learning
//! rates. It is one tensor, copied to the device at once, so that a recorded step finds the inputs of every step in the
//! same place.

use std::ops::Range;

use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// The inputs of one step on the host, in the order of lanes.
pub(super) struct HostInputs {
    /// The images of all lanes, as indices into the data set.
    pub(super) images: Vec<i64>,
    /// The augmentation of each image; empty if images are not augmented.
    pub(super) augmentations: Vec<i64>,
    /// The draw keys of the dropout layers, layer after layer, one per lane each.
    pub(super) draw_keys: Vec<i64>,
    /// The factors of the optimizer (see [`update::factors`](super::update::factors)), one after the other, one per
    /// lane each.
    pub(super) factors: Vec<f64>,
}

/// The inputs of a step as one tensor on a device.
pub(super) struct StepInputs {
    /// All inputs as int64, in the order of the fields of [`HostInputs`]; factors by their bits.
    words: Tensor,
    shape: InputsShape,
}

/// The sizes of the inputs of a step. A recorded step serves only steps of the same sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InputsShape {
    images: usize,
    augmentations: usize,
    draw_keys: usize,
    factors: usize,
    lanes: usize,
    /// Whether all lanes have the same factors.
    pub(super) shares_factors: bool,
}

impl InputsShape {
    /// Returns whether a step that was recorded with inputs of this shape can take a step with inputs of another: the
    /// sizes are equal, and it reads each lane's factors if they differ.
    pub(super) fn serves(self, other: Self) -> bool {
        self == (Self { shares_factors: self.shares_factors, ..other })
            && (!self.shares_factors || other.shares_factors)
    }
}

impl HostInputs {
    /// Returns the shape of the inputs of `lanes` lanes.
    pub(super) fn shape(&self, lanes: usize) -> InputsShape {
        InputsShape {
            images: self.images.len(),
            augmentations: self.augmentations.len(),
            draw_keys: self.draw_keys.len(),
            factors: self.factors.len(),
            lanes,
            shares_factors: self.factors.chunks_exact(lanes).all(|factor| factor.iter().all(|&x| x == factor[0])),
        }
    }

    fn words(&self) -> Vec<i64> {
        let factors = self.factors.iter().map(|factor| factor.to_bits() as i64);
        [&self.images, &self.augmentations, &self.draw_keys].into_iter().flatten().copied().chain(factors).collect()
    }
}

impl StepInputs {
    /// Copies inputs to the device, without waiting for it.
    ///
    /// # Errors
    /// Fails if libtorch fails.
    pub(super) fn new(inputs: &HostInputs, shape: InputsShape, device: Device) -> Result<Self> {
        Ok(Self { words: upload(&inputs.words(), device)?, shape })
    }

    /// Returns the shape of the inputs.
    pub(super) fn shape(&self) -> InputsShape {
        self.shape
    }

    /// Replaces the inputs by others of the same shape, in the same memory.
    ///
    /// # Errors
    /// Fails if libtorch fails.
    pub(super) fn replace(&mut self, inputs: &HostInputs) -> Result<()> {
        let words = upload(&inputs.words(), self.words.device())?;
        Ok(self.words.f_copy_(&words)?)
    }

    /// Returns the images of all lanes [lanes · images].
    pub(super) fn images(&self) -> Result<Tensor> {
        self.part(0..self.shape.images)
    }

    /// Returns the augmentation of each image [lanes · images]; `None` if images are not augmented.
    pub(super) fn augmentations(&self) -> Result<Option<Tensor>> {
        let start = self.shape.images;
        let n = self.shape.augmentations;
        (n > 0).then(|| self.part(start..start + n)).transpose()
    }

    /// Returns the draw keys of the dropout layers [layers, lanes]; `None` for a network without dropout.
    pub(super) fn draw_keys(&self) -> Result<Option<Tensor>> {
        let InputsShape { images, augmentations, draw_keys: n, lanes, .. } = self.shape;
        let start = images + augmentations;
        (n > 0).then(|| Ok(self.part(start..start + n)?.f_view([-1, lanes as i64])?)).transpose()
    }

    /// Returns the factors of the optimizer [factors, lanes] in float64.
    pub(super) fn factors(&self) -> Result<Tensor> {
        let InputsShape { images, augmentations, draw_keys, factors: n, lanes, .. } = self.shape;
        let start = images + augmentations + draw_keys;
        Ok(self.part(start..start + n)?.f_view_dtype(Kind::Double)?.f_view([-1, lanes as i64])?)
    }

    fn part(&self, range: Range<usize>) -> Result<Tensor> {
        Ok(self.words.f_narrow(0, range.start as i64, range.len() as i64)?)
    }
}

/// Copies `values` to the device without waiting for the device: the copy is queued after the device's earlier work.
/// CUDA copies up to 64 KiB (8,192 numbers) of ordinary memory into a buffer of its own before the call returns, and
/// does not wait; with more it may wait.
///
/// # Errors
/// Fails if libtorch fails.
pub(super) fn upload(values: &[i64], device: Device) -> Result<Tensor> {
    let host = Tensor::from_slice(values);
    if device == Device::Cpu {
        return Ok(host);
    }
    Ok(host.f_to_device_(device, Kind::Int64, true, false)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_inputs_return_what_was_put_in() {
        let host = |first: i64| HostInputs {
            images: vec![first, 8, 9, 10],
            augmentations: vec![3, 1, 4, 1],
            draw_keys: vec![-5, 6],
            factors: vec![0.5, 0.25, -2.0, 1e-300],
        };
        let shape = host(7).shape(2);
        assert!(!shape.shares_factors);
        let mut inputs = StepInputs::new(&host(1), shape, Device::Cpu).unwrap();
        inputs.replace(&host(7)).unwrap();
        let whole = |tensor: Tensor| Vec::<i64>::try_from(tensor.reshape([-1])).unwrap();
        assert_eq!(whole(inputs.images().unwrap()), [7, 8, 9, 10]);
        assert_eq!(whole(inputs.augmentations().unwrap().unwrap()), [3, 1, 4, 1]);
        let draw_keys = inputs.draw_keys().unwrap().unwrap();
        assert_eq!((draw_keys.size(), whole(draw_keys)), (vec![1, 2], vec![-5, 6]));
        let factors = inputs.factors().unwrap();
        assert_eq!(factors.size(), [2, 2]);
        assert_eq!(Vec::<f64>::try_from(factors.reshape([-1])).unwrap(), [0.5, 0.25, -2.0, 1e-300]);
    }

    #[test]
    fn step_inputs_without_augmentation_and_dropout_have_none() {
        let host = HostInputs { images: vec![1], augmentations: vec![], draw_keys: vec![], factors: vec![0.1, 0.1] };
        let shape = host.shape(2);
        assert!(shape.shares_factors);
        let inputs = StepInputs::new(&host, shape, Device::Cpu).unwrap();
        assert!(inputs.augmentations().unwrap().is_none() && inputs.draw_keys().unwrap().is_none());
    }
}
