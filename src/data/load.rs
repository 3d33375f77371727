//! Data sets from their configuration: first the facts ([`inspect`]), then the images, split ([`DatasetInfo::load`]).

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::builtin;
use super::builtin::{BuiltinDataset, FileFormat};
use super::dataset::{Dataset, Normalization};
use super::dataset_dir::{DataFile, DatasetDir};
use super::dirs;
use super::info::{DatasetInfo, ImageSource, RawImages};
use super::partial_test::PartialTest;
use super::{cifar, custom, idx, split, strokes};
use crate::config::{DataConfig, DatasetSpec, Diagnostic};
use crate::system::machine;

/// Pixels of an image of `strokes`, 28×28.
const PIXELS: usize = 28 * 28;

/// Index of the first test image of `strokes`: larger than the index of any training image.
const TEST_OFFSET: u64 = 1 << 32;

/// The error for a built-in data set that could not be read: a file of it is missing or not the official one.
#[derive(Debug)]
pub struct Unreadable {
    /// Name of the data set.
    pub set: &'static str,
    /// Folder of the data sets.
    pub folder: PathBuf,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not read the data set `{}` from `{}`", self.set, self.folder.display())
    }
}

/// Looks up the data set that `data` names and returns the facts about it.
///
/// Reads files if the facts depend on their bytes. Custom data are read whole; their images are returned too, for
/// [`DatasetInfo::split`], so that they need not be read twice. Of CIFAR only the test file is read, which may be
/// partial. MNIST, Fashion-MNIST and `strokes` are known without reading.
///
/// # Errors
/// Returns a diagnostic for custom data that are missing or not usable.
pub fn inspect(data: &DataConfig) -> Result<(DatasetInfo, Option<RawImages>), Diagnostic> {
    let set = match &data.dataset {
        DatasetSpec::Strokes => return Ok((DatasetInfo::strokes(data), None)),
        DatasetSpec::Idx { .. } | DatasetSpec::Images { .. } => {
            let (info, images) = custom::inspect(data)?;
            return Ok((info, Some(images)));
        }
        DatasetSpec::Mnist => &builtin::MNIST,
        DatasetSpec::FashionMnist => &builtin::FASHION_MNIST,
        DatasetSpec::Cifar10 => &builtin::CIFAR10,
        DatasetSpec::Cifar100 => &builtin::CIFAR100,
    };
    let folder = dirs::folder(data);
    let partial_test = PartialTest::find(set, &mut DatasetDir::of(set, &folder));
    Ok((DatasetInfo::builtin(set, &folder, partial_test.as_ref()), None))
}

/// Loads the data set that `data` names, splits it with `seed`, and verifies every file. `folder` overrides `data.dir`.
///
/// # Errors
/// Fails for a file that is missing or not usable, and for splits that are larger than the data set.
pub fn load(data: &DataConfig, folder: Option<&Path>, seed: u64) -> Result<Dataset> {
    let mut data = data.clone();
    data.dir = folder.map(Path::to_owned).or(data.dir);
    let (info, images) = inspect(&data).map_err(|problem| anyhow::anyhow!(problem.message))?;
    match images {
        Some(images) => info.split(images, &data, seed),
        None => info.load(&data, seed),
    }
}

impl DatasetInfo {
    /// Reads the images, verifies every file, and splits the images with `seed` as `data` says.
    ///
    /// # Errors
    /// Fails for a file that is missing, not usable or changed since [`inspect`], and for splits that are larger than
    /// the data set.
    pub fn load(&self, data: &DataConfig, seed: u64) -> Result<Dataset> {
        self.split(self.read()?, data, seed)
    }

    /// Like [`load`](Self::load), but takes the images that [`inspect`] returned.
    ///
    /// # Errors
    /// Fails for splits that are larger than the data set.
    pub fn split(&self, images: RawImages, data: &DataConfig, seed: u64) -> Result<Dataset> {
        let RawImages { images, labels } = images;
        let sizes = self.sizes(data).map_err(|problem| anyhow::anyhow!(problem.message))?;
        let splits = split::split(&labels, self.train, self.classes, data.validation, sizes, seed);
        let pixels = self.shape.iter().product();
        Ok(Dataset {
            shape: self.shape,
            classes: self.classes,
            inputs: Normalization::new(data.normalize, &self.mean_std, &images, pixels),
            images,
            labels,
            train: splits.train,
            validation: splits.validation,
            test: splits.test,
        })
    }

    /// Reads all images and labels.
    ///
    /// # Errors
    /// Fails for a file that is missing, not usable or changed since [`inspect`].
    pub fn read(&self) -> Result<RawImages> {
        match &self.source {
            ImageSource::Procedural { seed } => Ok(draw(self.train, self.test, *seed)),
            ImageSource::Builtin { set, folder } => read_builtin(set, folder, self.test)
                .with_context(|| Unreadable { set: set.name, folder: folder.clone() }),
            ImageSource::Custom { dataset } => custom::reload_verified(dataset, self.sum.as_deref())
                .with_context(|| format!("could not read the data in `{}`", self.name)),
        }
    }
}

/// Reads and verifies the files of a built-in data set with `test` test images.
fn read_builtin(set: &'static BuiltinDataset, folder: &Path, test: u32) -> Result<RawImages> {
    let mut dir = DatasetDir::of(set, folder);
    let mut raw = RawImages { images: Vec::new(), labels: Vec::new() };
    for (index, file) in set.files.iter().enumerate() {
        let part = read_file(set, index, &dir.open(file.name)?, test)?;
        raw.images.extend(part.images);
        raw.labels.extend(part.labels);
    }
    Ok(raw)
}

/// Returns the images, the labels or both of file `index` of a built-in data set with `test` test images, after
/// verifying its checksum.
///
/// # Errors
/// Fails for a file that is not the official one; a partial test file is accepted if it has `test` records.
pub(super) fn read_file(set: &BuiltinDataset, index: usize, file: &DataFile, test: u32) -> Result<RawImages> {
    let pinned = set.files[index];
    let (images, labels) = match set.form {
        FileFormat::Idx => {
            let count = if index < 2 { set.train } else { set.test };
            match index % 2 {
                0 => (idx::images(file, count, set.shape, pinned.sha256)?, Vec::new()),
                _ => (Vec::new(), idx::labels(file, count, set.classes, pinned.sha256)?),
            }
        }
        FileFormat::Cifar { labels, records } => {
            let is_test = index + 1 == set.files.len();
            let read = || -> Result<cifar::CifarRecords> {
                let content = cifar::read(&file.bytes, labels, set.classes)?;
                let found = content.labels.len() as u32;
                let expected = if is_test { test } else { records };
                ensure!(found == expected, "it holds {found} records instead of {expected}");
                // The checksum of a partial test file is in the keys of the trainings instead.
                if !is_test || test == set.test {
                    idx::verify(&file.bytes, pinned.sha256)?;
                }
                Ok(content)
            };
            let content = read().with_context(|| format!("`{}` is not usable", file.name))?;
            (content.images, content.labels)
        }
    };
    Ok(RawImages { images, labels })
}

/// Draws the images of `strokes` on all cores. Each image is a function of seed and index, so that the number of cores
/// changes no byte.
fn draw(train: u32, test: u32, seed: u64) -> RawImages {
    let count = train as usize + test as usize;
    let mut images = vec![[0_u8; PIXELS]; count];
    let mut labels = vec![0_u8; count];
    let chunk = count.div_ceil(machine::cores()).max(1);
    std::thread::scope(|scope| {
        for (part, (images, labels)) in images.chunks_mut(chunk).zip(labels.chunks_mut(chunk)).enumerate() {
            scope.spawn(move || {
                for (i, (image, label)) in images.iter_mut().zip(labels).enumerate() {
                    let index = (part * chunk + i) as u64;
                    let first_test = u64::from(train);
                    let drawn = if index < first_test { index } else { TEST_OFFSET + index - first_test };
                    *label = strokes::draw(seed, drawn, image);
                }
            });
        }
    });
    RawImages { images: images.into_flattened(), labels }
}
