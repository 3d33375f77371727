//! The data set on the device: images are selected by index, augmented and normalized there.

use std::sync::Arc;

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::layers::Activation;
use super::memory::Memory;
use super::step_inputs::upload;
use crate::base::rng::{CounterRng, mix};
use crate::config::Augment;
use crate::data::{Dataset, Normalization};
use crate::engine::input::copy_pixels;
use crate::engine::trainer::{Batch, TrainerSpec};

/// The site of the augmentation in the elementwise stream (see [`engine::dropout`](crate::engine::dropout)), after
/// those of all dropout layers.
const AUGMENTATION_SITE: u64 = 1 << 32;

/// The images of a data set, from which inputs on a device are made.
pub(super) struct DeviceImages {
    dataset: Arc<Dataset>,
    device: Device,
    /// The type of the inputs.
    kind: Kind,
    /// Whether images have their channels innermost in memory (see [`channels_last`]).
    channels_last: bool,
    /// For [`Memory::Device`] the bytes of all images [images, channels, height, width] and all labels [images]; `None`
    /// on the host, where `dataset` is read instead.
    resident: Option<(Tensor, Tensor)>,
    /// The scale of the normalization, of each channel [1, channels, 1, 1] or of each image [images, 1, 1, 1].
    scale: Tensor,
    /// The offset of the normalization, in the shape of `scale`.
    offset: Tensor,
}

/// The drawn augmentation of one image: whether it is mirrored, and by how much it is moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DrawnAugmentation {
    /// Whether the image is mirrored left to right.
    pub(super) flip: bool,
    /// The offset of the crop from the upper left corner of the padded image, [down, right], each in 0..=2·padding. An
    /// offset equal to the padding leaves the image in place.
    pub(super) offset: [u64; 2],
}

impl DrawnAugmentation {
    /// Draws the augmentation of the image with this index in a batch; `draw_key` is that of the iteration and the
    /// augmentation.
    fn draw(augment: Augment, draw_key: u64, index: u64) -> Self {
        let number = mix(draw_key, index);
        let positions = 2 * u64::from(augment.crop) + 1;
        // 31 bits for each direction, one for mirroring.
        let offset = [number & 0x7FFF_FFFF, (number >> 31) & 0x7FFF_FFFF].map(|bits| (bits * positions) >> 31);
        Self { flip: augment.flip && number >> 63 == 1, offset }
    }

    /// Returns the augmentation as one number: mirroring in the lowest bit, then 20 bits for the offset in each
    /// direction.
    fn packed(&self) -> i64 {
        i64::from(self.flip) | (self.offset[0] as i64) << 1 | (self.offset[1] as i64) << 21
    }
}

impl DeviceImages {
    /// Prepares `dataset` for inputs of type `kind` on `device`, with channels innermost in memory if `channels_last`. With
    /// [`Memory::Device`] the data set is copied to the device, once for all training runs of a trainer.
    ///
    /// # Errors
    /// Fails if the device has too little memory.
    pub(super) fn new(
        dataset: &Arc<Dataset>,
        (device, memory): (Device, Memory),
        kind: Kind,
        channels_last: bool,
    ) -> Result<Self> {
        let [channels, height, width] = dataset.shape.map(|n| n as i64);
        let resident = match memory {
            Memory::Host => None,
            Memory::Device => {
                let images = Tensor::from_slice(&dataset.images).f_view([-1, channels, height, width])?;
                let labels = Tensor::from_slice(&dataset.labels);
                Some((images.f_to_device(device)?, labels.f_to_device(device)?.f_to_kind(Kind::Int64)?))
            }
        };
        let tensor = |values: Vec<f64>, shape: [i64; 4]| {
            Tensor::from_slice(&values).f_view(shape)?.f_to_device(device)?.f_to_kind(kind)
        };
        let (pairs, shape): (Vec<(f64, f64)>, _) = match &dataset.normalization {
            Normalization::PerImage(_) => {
                let images = 0..dataset.labels.len() as u32;
                (images.map(|image| dataset.normalization.scale_and_offset(image, 0)).collect(), [-1, 1, 1, 1])
            }
            Normalization::Affine { .. } | Normalization::PerChannel(_) => (
                (0..channels as usize).map(|channel| dataset.normalization.scale_and_offset(0, channel)).collect(),
                [1, -1, 1, 1],
            ),
        };
        let (scales, offsets) = pairs.into_iter().unzip();
        Ok(Self {
            dataset: Arc::clone(dataset),
            device,
            kind,
            channels_last,
            resident,
            scale: tensor(scales, shape)?,
            offset: tensor(offsets, shape)?,
        })
    }

    /// Returns the inputs of one batch per lane, and their labels [lanes, images]. All batches have the same size.
    /// `augmentations` has a number per image (see [`augmentations`]); `None` leaves images as they are. Inputs are
    /// features if `as_features`.
    ///
    /// # Errors
    /// Fails if libtorch fails.
    pub(super) fn batch(
        &self,
        image_index: &Tensor,
        augmentations: Option<(&Tensor, Augment)>,
        lanes: i64,
        as_features: bool,
    ) -> Result<(Activation, Tensor)> {
        let mut bytes = self.bytes(image_index)?;
        if let Some((packed, augment)) = augmentations {
            bytes = self.augment(&bytes, augment, packed)?;
        }
        let x = self.inputs(&bytes, image_index, self.channels_last && lanes == 1 && !as_features)?;
        let labels = self.labels(image_index)?.f_view([lanes, -1])?;
        Ok((self.to_layout(&x, lanes, as_features)?, labels))
    }

    /// Returns the inputs of a batch, not augmented and the same for every lane, and their labels [images].
    /// `image_indices` are indices into the data set. Inputs are features if `as_features`.
    ///
    /// # Errors
    /// Fails if libtorch fails.
    pub(super) fn plain_batch(
        &self,
        image_indices: &[u32],
        lanes: i64,
        as_features: bool,
    ) -> Result<(Activation, Tensor)> {
        let indices: Vec<i64> = image_indices.iter().map(|&image| i64::from(image)).collect();
        let image_index = upload(&indices, self.device)?;
        let is_innermost = self.channels_last && lanes == 1 && !as_features;
        let x = self.inputs(&self.bytes(&image_index)?, &image_index, is_innermost)?;
        let n = image_indices.len() as i64;
        let labels = self.labels(&image_index)?;
        let inputs = if as_features {
            Activation::Features(x.f_reshape([1, n, -1])?.f_expand([lanes, n, -1], false)?)
        } else if lanes == 1 {
            Activation::Image(x)
        } else if self.channels_last {
            let repeated = x.f_permute([0, 2, 3, 1])?.f_repeat([1, 1, 1, lanes])?;
            Activation::Image(repeated.f_permute([0, 3, 1, 2])?)
        } else {
            Activation::Image(x.f_repeat([1, lanes, 1, 1])?)
        };
        Ok((inputs, labels))
    }

    /// Returns the pixels of images as bytes [images, channels, height, width].
    fn bytes(&self, image_index: &Tensor) -> Result<Tensor> {
        if let Some((resident, _)) = &self.resident {
            return Ok(resident.f_index_select(0, image_index)?);
        }
        let image_indices = host_indices(image_index)?;
        let mut bytes = vec![0; image_indices.len() * self.dataset.image_bytes()];
        copy_pixels(&self.dataset, &image_indices, &mut bytes);
        let [channels, height, width] = self.dataset.shape.map(|n| n as i64);
        Ok(Tensor::from_slice(&bytes).f_view([-1, channels, height, width])?)
    }

    /// Returns the labels of images [images].
    fn labels(&self, image_index: &Tensor) -> Result<Tensor> {
        if let Some((_, resident)) = &self.resident {
            return Ok(resident.f_index_select(0, image_index)?);
        }
        let label = |&image: &u32| i64::from(self.dataset.labels[image as usize]);
        let labels: Vec<i64> = host_indices(image_index)?.iter().map(label).collect();
        Ok(Tensor::from_slice(&labels))
    }

    /// Returns the inputs [images, channels, height, width]: byte · scale + offset, rounded twice, as in every engine;
    /// with channels innermost in memory if `channels_last`.
    fn inputs(&self, bytes: &Tensor, image_index: &Tensor, channels_last: bool) -> Result<Tensor> {
        let constants = |constants: &Tensor| match &self.dataset.normalization {
            Normalization::PerImage(_) => constants.f_index_select(0, image_index),
            Normalization::Affine { .. } | Normalization::PerChannel(_) => Ok(constants.shallow_clone()),
        };
        let bytes = if channels_last {
            bytes.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?
        } else {
            bytes.shallow_clone()
        };
        Ok(bytes.f_to_kind(self.kind)?.f_mul(&constants(&self.scale)?)?.f_add(&constants(&self.offset)?)?)
    }

    /// Pads each image with black, crops it at its offset to its former size, then mirrors it or not. `bytes` are
    /// [images, channels, height, width]; `packed` has a number per image (see [`augmentations`]).
    fn augment(&self, bytes: &Tensor, augment: Augment, packed: &Tensor) -> Result<Tensor> {
        let (images, channels, height, width) = bytes.size4()?;
        let padding = i64::from(augment.crop);
        let packed = packed.f_view([images, 1])?;
        let part =
            |shift: i64, bits: i64| packed.f_bitwise_right_shift_tensor_scalar(shift)?.f_bitwise_and((1 << bits) - 1);
        let down = part(1, 20)?.f_sub_scalar(padding)?;
        let right = part(21, 20)?.f_sub_scalar(padding)?;
        // A column x of the result is column x + right of the source, or, mirrored, width − 1 − x + right.
        let flip = part(0, 1)?;
        let sign = flip.f_mul_scalar(-2)?.f_add_scalar(1)?;
        let first_column = flip.f_mul_scalar(width - 1)?;
        let count = |n: i64| Tensor::f_arange(n, (Kind::Int64, self.device))?.f_view([1, n]);
        // The source row and column of each pixel of the result, [images, height] and [images, width]. Pixels whose
        // source is outside the image are black.
        let rows = count(height)?.f_add(&down)?;
        let columns = count(width)?.f_mul(&sign)?.f_add(&first_column)?.f_add(&right)?;
        let is_inside = |position: &Tensor, n: i64| position.f_ge(0)?.f_logical_and(&position.f_lt(n)?);
        let inside =
            is_inside(&rows, height)?.f_unsqueeze(2)?.f_logical_and(&is_inside(&columns, width)?.f_unsqueeze(1)?)?;
        let row_starts = rows.f_clamp(0, height - 1)?.f_unsqueeze(2)?.f_mul_scalar(width)?;
        let source = row_starts.f_add(&columns.f_clamp(0, width - 1)?.f_unsqueeze(1)?)?;
        let source = source.f_view([images, 1, height * width])?.f_expand([images, channels, height * width], false)?;
        let moved = bytes.f_view([images, channels, -1])?.f_gather(2, &source, false)?;
        let moved = moved.f_view([images, channels, height, width])?;
        Ok(moved.f_where_self(&inside.f_unsqueeze(1)?, &moved.f_zeros_like()?)?)
    }

    /// Arranges inputs [lanes · images, channels, height, width] as activations of all lanes.
    fn to_layout(&self, x: &Tensor, lanes: i64, as_features: bool) -> Result<Activation> {
        let (all_images, channels, height, width) = x.size4()?;
        let images = all_images / lanes;
        if as_features {
            return Ok(Activation::Features(x.f_reshape([lanes, images, -1])?));
        }
        if lanes == 1 {
            return Ok(Activation::Image(x.shallow_clone()));
        }
        let by_lane = x.f_view([lanes, images, channels, height, width])?;
        if self.channels_last {
            let innermost = by_lane.f_permute([1, 3, 4, 0, 2])?.f_reshape([images, height, width, lanes * channels])?;
            return Ok(Activation::Image(innermost.f_permute([0, 3, 1, 2])?));
        }
        Ok(Activation::Image(by_lane.f_transpose(0, 1)?.f_reshape([images, lanes * channels, height, width])?))
    }
}

/// Returns whether images in `memory` should have their channels innermost: on the CPU for one network; on a GPU always,
/// but for one network with batch norm in full float32. On an H100 (libtorch 2.11.0), a convolution of 16 networks takes
/// 0.25 to 0.85 times as long with channels innermost, and the step of one `ResNet`-20 in float32 1.25 times as long.
pub(super) fn channels_last(memory: Memory, lanes: usize, spec: &TrainerSpec) -> bool {
    match memory {
        Memory::Host => lanes == 1,
        Memory::Device => {
            let has_batch_norm = !spec.network.buffers().is_empty();
            lanes > 1 || !has_batch_norm || !spec.matmul_precision.is_exact()
        }
    }
}

/// Returns the augmentation of each image of all lanes, lane after lane, as one number each.
pub(super) fn augmentations(batches: &[Batch], augment: Augment) -> Vec<i64> {
    draw_augmentations(batches, augment).iter().map(DrawnAugmentation::packed).collect()
}

/// Draws the augmentation of each image of all lanes, lane after lane.
fn draw_augmentations(batches: &[Batch], augment: Augment) -> Vec<DrawnAugmentation> {
    let lane_augmentations = |batch: &Batch| {
        let Batch { elementwise, iteration, ref images } = *batch;
        let draw_key = CounterRng::key(elementwise, iteration, AUGMENTATION_SITE);
        (0..images.len() as u64).map(move |index| DrawnAugmentation::draw(augment, draw_key, index))
    };
    batches.iter().flat_map(lane_augmentations).collect()
}

/// Returns the values of `image_index`, which is on the host.
fn host_indices(image_index: &Tensor) -> Result<Vec<u32>> {
    Ok(Vec::<i64>::try_from(image_index)?.into_iter().map(|image| image as u32).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::{Purpose, Stream};
    use crate::engine::input::normalized_batch;

    fn dataset(normalization: Normalization) -> Arc<Dataset> {
        Arc::new(Dataset {
            shape: [2, 5, 6],
            classes: 3,
            images: (0..7 * 60).map(|i| (i * 37 % 251 + 1) as u8).collect(),
            labels: vec![0, 1, 2, 0, 1, 2, 0],
            train: (0..7).collect(),
            validation: vec![],
            test: vec![],
            normalization,
        })
    }

    fn batch(lane: u32) -> Batch {
        let elementwise = Stream::of_replicate(1, lane + 1, Purpose::Elementwise).counter_rng();
        Batch { images: vec![6, lane, 2], iteration: 5, elementwise }
    }

    /// The images of both batches, `batch(0)` and `batch(1)`.
    fn image_index() -> Tensor {
        Tensor::from_slice(&[6_i64, 0, 2, 6, 1, 2])
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::<f32>::try_from(tensor.reshape([-1])).unwrap()
    }

    #[test]
    fn inputs_equal_those_of_normalized_batch() {
        for normalization in [
            Normalization::Affine { scale: 1.0 / 255.0, offset: -0.3 },
            Normalization::PerChannel(vec![(0.1, 0.7), (0.3, -0.2)]),
            Normalization::PerImage((0..7).map(|i| 0.01 * f64::from(i + 1)).collect()),
        ] {
            let dataset = dataset(normalization);
            let mut expected = vec![0.0_f32; 6 * 60];
            normalized_batch(&dataset, &[6, 0, 2, 6, 1, 2], &mut vec![0; 6 * 60], &mut expected);
            for (memory, channels_last) in [(Memory::Host, false), (Memory::Device, false), (Memory::Device, true)] {
                let place = (Device::Cpu, memory);
                let pixels = DeviceImages::new(&dataset, place, Kind::Float, channels_last).unwrap();
                let (features, labels) = pixels.batch(&image_index(), None, 2, true).unwrap();
                let Activation::Features(features) = features else { panic!("an image") };
                assert_eq!((features.size(), values(&features)), (vec![2, 3, 60], expected.clone()));
                assert_eq!(Vec::<i64>::try_from(labels.reshape([-1])).unwrap(), [0, 0, 2, 0, 1, 2]);
                // As images: the channels of each lane together.
                let Activation::Image(image) = pixels.batch(&image_index(), None, 2, false).unwrap().0 else {
                    panic!("features")
                };
                assert_eq!(image.size(), [3, 4, 5, 6]);
                assert_eq!(values(&image.reshape([3, 2, 60]).transpose(0, 1)), expected);
                // The same images in every lane.
                let Activation::Image(same) = pixels.plain_batch(&[6, 0, 2], 2, false).unwrap().0 else {
                    panic!("features")
                };
                let lanes = values(&same.reshape([3, 2, 60]).transpose(0, 1));
                assert!(lanes[..180] == expected[..180] && lanes[180..] == expected[..180]);
            }
        }
    }

    #[test]
    fn augment_equals_plain_loops() {
        let dataset = dataset(Normalization::Affine { scale: 1.0, offset: 0.0 });
        let pixels = DeviceImages::new(&dataset, (Device::Cpu, Memory::Host), Kind::Float, false).unwrap();
        let augment = Augment { flip: true, crop: 2 };
        let batches = [batch(0), batch(1)];
        let drawn = draw_augmentations(&batches, augment);
        let packed = Tensor::from_slice(&augmentations(&batches, augment));
        let augmented = pixels.batch(&image_index(), Some((&packed, augment)), 2, true).unwrap().0;
        let Activation::Features(features) = augmented else { panic!("an image") };
        let mut expected = Vec::new();
        for (&image, augmentation) in [6, 0, 2, 6, 1, 2].iter().zip(&drawn) {
            let bytes = dataset.image(image);
            for (channel, y, x) in (0..2).flat_map(|c| (0..5).flat_map(move |y| (0..6).map(move |x| (c, y, x)))) {
                let x = if augmentation.flip { 5 - x } else { x };
                let [down, right] = augmentation.offset.map(|offset| offset as i64 - 2);
                let (y, x) = (y + down, x + right);
                let inside = (0..5).contains(&y) && (0..6).contains(&x);
                expected.push(if inside { f32::from(bytes[(channel * 30 + y * 6 + x) as usize]) } else { 0.0 });
            }
        }
        assert_eq!(values(&features), expected);
    }

    #[test]
    fn augmentations_are_uniform_and_differ_by_step() {
        let stream = Stream::of_replicate(1, 1, Purpose::Elementwise).counter_rng();
        let batch = |iteration| [Batch { images: vec![0; 9_000], iteration, elementwise: stream }];
        let drawn = draw_augmentations(&batch(0), Augment { flip: true, crop: 4 });
        let count =
            |is_counted: &dyn Fn(&DrawnAugmentation) -> bool| drawn.iter().filter(|drawn| is_counted(drawn)).count();
        assert!((4_300..4_700).contains(&count(&|drawn| drawn.flip)));
        for offset in 0..9 {
            assert!((880..1_120).contains(&count(&|drawn| drawn.offset[0] == offset)), "{offset}");
            assert!((880..1_120).contains(&count(&|drawn| drawn.offset[1] == offset)), "{offset}");
        }
        assert_ne!(drawn, draw_augmentations(&batch(1), Augment { flip: true, crop: 4 }));
        let unchanged = draw_augmentations(&batch(0), Augment { flip: false, crop: 0 });
        assert!(unchanged.iter().all(|drawn| *drawn == DrawnAugmentation::default()));
    }
}
