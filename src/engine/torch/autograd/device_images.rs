//! The data set on the device: images fetched by number, augmented and normalised there.

use std::sync::Arc;

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::layers::Activation;
use super::memory::Memory;
use crate::base::rng::{CounterRng, mix};
use crate::config::Augment;
use crate::data::{Dataset, Normalization};
use crate::engine::input::copy_pixels;
use crate::engine::trainer::Batch;

/// The site of augmentation in the elementwise stream, after those of all dropout layers.
const AUGMENTATION_SITE: u64 = 1 << 32;

/// The images of a data set, as inputs on a device.
pub(super) struct DeviceImages {
    dataset: Arc<Dataset>,
    device: Device,
    /// Type of the inputs.
    kind: Kind,
    /// For [`Memory::Device`] all images as bytes [images, channels, height, width] and all labels [images]; on the
    /// host the data set itself is read.
    resident: Option<(Tensor, Tensor)>,
    /// Factor of each channel [1, channels, 1, 1], or of each image [images, 1, 1, 1].
    scale: Tensor,
    /// Offset, in the shape of `scale`.
    offset: Tensor,
}

/// The random change of one image: whether it is mirrored, and where it is moved to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Augmentation {
    pub(super) flip: bool,
    /// Offset of the crop from the padded image's corner, down and to the right, each in 0..=2·padding; the padding
    /// itself leaves the image in place.
    pub(super) moved: [u64; 2],
}

impl Augmentation {
    /// Draws the change of image number `index` of a batch; `key` is that of the iteration.
    fn draw(augment: Augment, key: u64, index: u64) -> Self {
        let number = mix(key, index);
        let positions = 2 * u64::from(augment.crop) + 1;
        // 31 bits for each direction, one for mirroring.
        let moved = [number & 0x7FFF_FFFF, (number >> 31) & 0x7FFF_FFFF].map(|bits| (bits * positions) >> 31);
        Self { flip: augment.flip && number >> 63 == 1, moved }
    }

    /// Returns the change as one number: mirroring in the lowest bit, then 20 bits for each direction.
    fn packed(&self) -> i64 {
        i64::from(self.flip) | (self.moved[0] as i64) << 1 | (self.moved[1] as i64) << 21
    }
}

impl DeviceImages {
    /// Prepares `dataset` for inputs of type `kind` on `device`; with [`Memory::Device`] copies it there, once for all
    /// training runs of a trainer.
    ///
    /// # Errors
    /// If the device has too little memory.
    pub(super) fn new(dataset: &Arc<Dataset>, device: Device, memory: Memory, kind: Kind) -> Result<Self> {
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
            resident,
            scale: tensor(scales, shape)?,
            offset: tensor(offsets, shape)?,
        })
    }

    /// Returns the inputs of one batch per lane, and the labels [lanes, images]. Inputs are features if `as_features`.
    ///
    /// # Errors
    /// If libtorch fails.
    pub(super) fn batch(&self, batches: &[Batch], augment: Augment, as_features: bool) -> Result<(Activation, Tensor)> {
        let (lanes, images) = (batches.len() as i64, batches[0].images.len() as i64);
        let numbers: Vec<u32> = batches.iter().flat_map(|batch| batch.images.iter().copied()).collect();
        let index = self.index(&numbers)?;
        let mut bytes = self.bytes(&numbers, &index)?;
        if augment != Augment::default() {
            bytes = self.augment(&bytes, augment, &augmentations(batches, augment))?;
        }
        let x = self.inputs(&bytes, &index, lanes == 1 && !as_features)?;
        let labels = self.labels(&numbers, &index)?.f_view([lanes, images])?;
        Ok((to_layout(&x, lanes, images, as_features)?, labels))
    }

    /// Returns the inputs of `images`, unchanged and the same for every lane, and their labels [images]. Inputs are
    /// features if `as_features`.
    ///
    /// # Errors
    /// If libtorch fails.
    pub(super) fn plain_batch(&self, images: &[u32], lanes: i64, as_features: bool) -> Result<(Activation, Tensor)> {
        let index = self.index(images)?;
        let x = self.inputs(&self.bytes(images, &index)?, &index, lanes == 1 && !as_features)?;
        let n = images.len() as i64;
        let labels = self.labels(images, &index)?;
        let value = if as_features {
            Activation::Features(x.f_reshape([1, n, -1])?.f_expand([lanes, n, -1], false)?)
        } else if lanes == 1 {
            to_layout(&x, 1, n, false)?
        } else {
            Activation::Image(x.f_repeat([1, lanes, 1, 1])?)
        };
        Ok((value, labels))
    }

    fn index(&self, images: &[u32]) -> Result<Tensor> {
        upload(&images.iter().map(|&image| i64::from(image)).collect::<Vec<_>>(), self.device)
    }

    /// Returns the pixels of `images` as bytes [images, channels, height, width].
    fn bytes(&self, images: &[u32], index: &Tensor) -> Result<Tensor> {
        if let Some((resident, _)) = &self.resident {
            return Ok(resident.f_index_select(0, index)?);
        }
        let mut bytes = vec![0; images.len() * self.dataset.image_bytes()];
        copy_pixels(&self.dataset, images, &mut bytes);
        let [channels, height, width] = self.dataset.shape.map(|n| n as i64);
        Ok(Tensor::from_slice(&bytes).f_view([-1, channels, height, width])?)
    }

    fn labels(&self, images: &[u32], index: &Tensor) -> Result<Tensor> {
        if let Some((_, resident)) = &self.resident {
            return Ok(resident.f_index_select(0, index)?);
        }
        let labels: Vec<i64> = images.iter().map(|&image| i64::from(self.dataset.labels[image as usize])).collect();
        Ok(Tensor::from_slice(&labels))
    }

    /// Returns byte · scale + offset, rounded twice, as on the host.
    fn inputs(&self, bytes: &Tensor, index: &Tensor, is_image: bool) -> Result<Tensor> {
        let constants = |constants: &Tensor| match &self.dataset.normalization {
            Normalization::PerImage(_) => constants.f_index_select(0, index),
            Normalization::Affine { .. } | Normalization::PerChannel(_) => Ok(constants.shallow_clone()),
        };
        // Convolutions on the CPU are faster with channels innermost.
        let bytes = if is_image && self.resident.is_none() {
            bytes.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?
        } else {
            bytes.shallow_clone()
        };
        Ok(bytes.f_to_kind(self.kind)?.f_mul(&constants(&self.scale)?)?.f_add(&constants(&self.offset)?)?)
    }

    /// Pads each image with black, crops it where it is moved to, then mirrors it or not. `bytes` are [images,
    /// channels, height, width], with one change per image.
    fn augment(&self, bytes: &Tensor, augment: Augment, changes: &[Augmentation]) -> Result<Tensor> {
        let (images, channels, height, width) = bytes.size4()?;
        let padding = i64::from(augment.crop);
        // One number per image, so that few bytes are copied to the device.
        let packed: Vec<i64> = changes.iter().map(Augmentation::packed).collect();
        let packed = upload(&packed, self.device)?.f_view([images, 1])?;
        let part =
            |shift: i64, bits: i64| packed.f_bitwise_right_shift_tensor_scalar(shift)?.f_bitwise_and((1 << bits) - 1);
        let (down, right) = (part(1, 20)?.f_sub_scalar(padding)?, part(21, 20)?.f_sub_scalar(padding)?);
        // x or width − 1 − x: the distance from one end or the other.
        let flip = part(0, 1)?;
        let sign = flip.f_mul_scalar(-2)?.f_add_scalar(1)?;
        let first_column = flip.f_mul_scalar(width - 1)?;
        let count = |n: i64| Tensor::f_arange(n, (Kind::Int64, self.device))?.f_view([1, n]);
        // The source row and column of each pixel, [images, height] and [images, width]; outside the image they are
        // black.
        let rows = count(height)?.f_add(&down)?;
        let columns = count(width)?.f_mul(&sign)?.f_add(&first_column)?.f_add(&right)?;
        let is_inside = |position: &Tensor, n: i64| position.f_ge(0)?.f_logical_and(&position.f_lt(n)?);
        let inside =
            is_inside(&rows, height)?.f_unsqueeze(2)?.f_logical_and(&is_inside(&columns, width)?.f_unsqueeze(1)?)?;
        let row_starts = rows.f_clamp(0, height - 1)?.f_unsqueeze(2)?.f_mul_scalar(width)?;
        let source = row_starts.f_add(&columns.f_clamp(0, width - 1)?.f_unsqueeze(1)?)?;
        let source = source.f_view([images, 1, height * width])?.f_expand([images, channels, height * width], false)?;
        let picked = bytes.f_view([images, channels, -1])?.f_gather(2, &source, false)?;
        let picked = picked.f_view([images, channels, height, width])?;
        Ok(picked.f_where_self(&inside.f_unsqueeze(1)?, &picked.f_zeros_like()?)?)
    }
}

/// Draws the change of each image of all lanes, lane after lane.
fn augmentations(batches: &[Batch], augment: Augment) -> Vec<Augmentation> {
    let lane_changes = |batch: &Batch| {
        let Batch { elementwise, iteration, ref images } = *batch;
        let key = CounterRng::key(elementwise, iteration, AUGMENTATION_SITE);
        (0..images.len() as u64).map(move |index| Augmentation::draw(augment, key, index))
    };
    batches.iter().flat_map(lane_changes).collect()
}

/// Copies `values` to the device without waiting for it. The copy is queued behind earlier work of the device: up to 64
/// KiB (8,192 numbers) CUDA reads ordinary memory into a buffer of its own before the call returns, and waits for
/// nothing; with more than that it may wait.
///
/// # Errors
/// If libtorch fails.
pub(super) fn upload(values: &[i64], device: Device) -> Result<Tensor> {
    let host = Tensor::from_slice(values);
    if device == Device::Cpu {
        return Ok(host);
    }
    Ok(host.f_to_device_(device, Kind::Int64, true, false)?)
}

/// Arranges images [lanes · images, channels, height, width] as activations of all lanes.
fn to_layout(x: &Tensor, lanes: i64, images: i64, as_features: bool) -> Result<Activation> {
    if as_features {
        return Ok(Activation::Features(x.f_reshape([lanes, images, -1])?));
    }
    if lanes == 1 {
        return Ok(Activation::Image(x.shallow_clone()));
    }
    let (_, channels, height, width) = x.size4()?;
    let by_image = x.f_reshape([lanes, images, channels, height, width])?.f_transpose(0, 1)?;
    Ok(Activation::Image(by_image.f_reshape([images, lanes * channels, height, width])?))
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

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::<f32>::try_from(tensor.reshape([-1])).unwrap()
    }

    #[test]
    fn inputs_equal_the_hosts_to_the_bit() {
        for normalization in [
            Normalization::Affine { scale: 1.0 / 255.0, offset: -0.3 },
            Normalization::PerChannel(vec![(0.1, 0.7), (0.3, -0.2)]),
            Normalization::PerImage((0..7).map(|i| 0.01 * f64::from(i + 1)).collect()),
        ] {
            let dataset = dataset(normalization);
            let pixels = DeviceImages::new(&dataset, Device::Cpu, Memory::Host, Kind::Float).unwrap();
            let batches = [batch(0), batch(1)];
            let mut expected = vec![0.0_f32; 6 * 60];
            let images: Vec<u32> = batches.iter().flat_map(|batch| batch.images.clone()).collect();
            normalized_batch(&dataset, &images, &mut vec![0; 6 * 60], &mut expected);
            let (row, labels) = pixels.batch(&batches, Augment::default(), true).unwrap();
            let Activation::Features(row) = row else { panic!("an image") };
            assert_eq!((row.size(), values(&row)), (vec![2, 3, 60], expected.clone()));
            assert_eq!(Vec::<i64>::try_from(labels.reshape([-1])).unwrap(), [0, 0, 2, 0, 1, 2]);
            // As images: the channels of each lane together.
            let Activation::Image(image) = pixels.batch(&batches, Augment::default(), false).unwrap().0 else {
                panic!("a row")
            };
            assert_eq!(image.size(), [3, 4, 5, 6]);
            assert_eq!(values(&image.view([3, 2, 60]).transpose(0, 1)), expected);
        }
    }

    #[test]
    fn augment_moves_and_mirrors_as_loops_would() {
        let dataset = dataset(Normalization::Affine { scale: 1.0, offset: 0.0 });
        let pixels = DeviceImages::new(&dataset, Device::Cpu, Memory::Host, Kind::Float).unwrap();
        let augment = Augment { flip: true, crop: 2 };
        let drawn = augmentations(&[batch(0), batch(1)], augment);
        let Activation::Features(row) = pixels.batch(&[batch(0), batch(1)], augment, true).unwrap().0 else {
            panic!("an image")
        };
        let mut expected = Vec::new();
        for (&image, change) in [6, 0, 2, 6, 1, 2].iter().zip(&drawn) {
            let bytes = dataset.image(image);
            for (channel, y, x) in (0..2).flat_map(|c| (0..5).flat_map(move |y| (0..6).map(move |x| (c, y, x)))) {
                let x = if change.flip { 5 - x } else { x };
                let (y, x) = (y + change.moved[0] as i64 - 2, x + change.moved[1] as i64 - 2);
                let inside = (0..5).contains(&y) && (0..6).contains(&x);
                expected.push(if inside { f32::from(bytes[(channel * 30 + y * 6 + x) as usize]) } else { 0.0 });
            }
        }
        assert_eq!(values(&row), expected);
    }

    #[test]
    fn augmentations_are_uniform_and_differ_by_step() {
        let stream = Stream::of_replicate(1, 1, Purpose::Elementwise).counter_rng();
        let batch = |iteration| [Batch { images: vec![0; 9_000], iteration, elementwise: stream }];
        let drawn = augmentations(&batch(0), Augment { flip: true, crop: 4 });
        let count = |is: &dyn Fn(&Augmentation) -> bool| drawn.iter().filter(|change| is(change)).count();
        assert!((4_300..4_700).contains(&count(&|change| change.flip)));
        for moved in 0..9 {
            assert!((880..1_120).contains(&count(&|change| change.moved[0] == moved)), "{moved}");
            assert!((880..1_120).contains(&count(&|change| change.moved[1] == moved)), "{moved}");
        }
        assert_ne!(drawn, augmentations(&batch(1), Augment { flip: true, crop: 4 }));
        let still = augmentations(&batch(0), Augment { flip: false, crop: 0 });
        assert!(still.iter().all(|change| *change == Augmentation::default()));
    }
}
