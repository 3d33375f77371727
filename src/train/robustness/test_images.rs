//! The test images of a data set, as they are and corrupted.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::data::{Corruption, Dataset, Split, corruption};

/// The corrupted copies of all test images that are kept in memory, in bytes: 35 of MNIST's have 274 MB, 35 of
/// CIFAR-10's would have 1.1 GB and are made anew for each network.
const KEPT_BYTES: usize = 1 << 29;

/// A corruption with the bits of its strength, and its seed.
type CorruptionKey = (Corruption, u64, u64);

/// The test images. Corrupted copies are made once for all networks that are evaluated, if they fit into memory.
pub struct TestImages<'a> {
    dataset: &'a Dataset,
    /// Corrupted copies [images, channels, height, width].
    corrupted: Mutex<BTreeMap<CorruptionKey, Arc<OnceLock<Vec<u8>>>>>,
}

/// The bytes of images, shared or made for one use.
pub(super) enum ImageBytes<'a> {
    /// Images of the data set, or made for one use.
    Plain(Cow<'a, [u8]>),
    /// Shared by several networks.
    Shared(Arc<OnceLock<Vec<u8>>>),
}

impl ImageBytes<'_> {
    /// Returns the bytes [images, channels, height, width].
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Shared(cell) => cell.get().map_or(&[], Vec::as_slice),
        }
    }
}

impl<'a> TestImages<'a> {
    /// Returns the test images of a data set.
    pub fn new(dataset: &'a Dataset) -> Self {
        Self { dataset, corrupted: Mutex::default() }
    }

    /// Returns the data set.
    pub(super) fn dataset(&self) -> &'a Dataset {
        self.dataset
    }

    /// Returns the indices of the test images in the data set.
    pub(super) fn indices(&self) -> &'a [u32] {
        self.dataset.indices(Split::Test)
    }

    /// Returns the test images as they are.
    pub(super) fn plain(&self) -> ImageBytes<'a> {
        let bytes = self.indices().iter().flat_map(|&image| self.dataset.image(image).iter().copied()).collect();
        ImageBytes::Plain(Cow::Owned(bytes))
    }

    /// Returns the test images, corrupted.
    pub(super) fn corrupted(&self, corruption: Corruption, strength: f64, seed: u64) -> ImageBytes<'a> {
        let key = (corruption, strength.to_bits(), seed);
        let cell = {
            let mut kept = self.corrupted.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = (kept.len() + 1) * self.indices().len() * self.dataset.image_bytes();
            if !kept.contains_key(&key) && bytes > KEPT_BYTES {
                return ImageBytes::Plain(Cow::Owned(self.corrupt(corruption, strength, seed)));
            }
            Arc::clone(kept.entry(key).or_default())
        };
        // Other threads that need the same images wait here, and not for the lock of all.
        cell.get_or_init(|| self.corrupt(corruption, strength, seed));
        ImageBytes::Shared(cell)
    }

    /// Corrupts every test image.
    fn corrupt(&self, corruption: Corruption, strength: f64, seed: u64) -> Vec<u8> {
        let image = |&image: &u32| {
            let mut noise = corruption::noise_of_image(seed, image);
            corruption.apply(strength, self.dataset.shape, self.dataset.image(image), &mut noise)
        };
        self.indices().iter().flat_map(image).collect()
    }
}
