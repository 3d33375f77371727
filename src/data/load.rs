//! Data sets from their configuration: first the facts ([`inspect`]), then the images, split ([`DatasetInfo::load`]).

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::builtin;
use super::builtin::{BuiltinDataset, FileFormat};
use super::class_selection::count_classes;
use super::dataset::{Dataset, Normalization};
use super::dataset_dir::{DataFile, DatasetDir};
use super::dirs;
use super::info::{DatasetInfo, ImageSource, RawImages};
use super::partial_test::PartialTest;
use super::{cifar, custom, idx, split, strokes};
use crate::config::{DataConfig, DatasetSpec, Diagnostic};
use crate::system::machine;
use crate::system::parallel::run_in_parallel;

/// Index of the first test image of `strokes`: larger than the index of any training image.
const TEST_OFFSET: u64 = 1 << 32;

/// The error for a built-in data set that could not be read: a file is missing or is not the official one.
#[derive(Debug)]
pub struct Unreadable {
    /// Name of the data set.
    pub builtin: &'static str,
    /// Folder of the data sets.
    pub folder: PathBuf,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not read the data set `{}` from `{}`", self.builtin, self.folder.display())
    }
}

/// Looks up the data set that `data` names and returns the facts about it.
///
/// Reads files only if the facts depend on their bytes. Custom data are read whole; their images are returned too, for
/// [`DatasetInfo::split`], so that they need not be read twice. Of CIFAR only the test file is read, which may be
/// partial. For MNIST, Fashion-MNIST and `strokes` nothing is read.
///
/// # Errors
/// Returns a diagnostic if custom data are missing or not usable.
pub fn inspect(data: &DataConfig) -> Result<(DatasetInfo, Option<RawImages>), Diagnostic> {
    let classes = data.classes.as_deref();
    let Some(builtin) = builtin::of(&data.dataset) else {
        if data.dataset == DatasetSpec::Strokes {
            let info = DatasetInfo::strokes(data);
            let Some(classes) = classes else { return Ok((info, None)) };
            let labels: Vec<u8> = strokes_indices(info.train_images, info.test_images)
                .map(|index| strokes::label(data.draw_seed(), index))
                .collect();
            let counts = count_classes(&labels, info.train_images, info.classes);
            return Ok((info.select(classes, &counts)?, None));
        }
        let (info, images) = custom::inspect(data)?;
        let Some(classes) = classes else { return Ok((info, Some(images))) };
        let counts = count_classes(&images.labels, info.train_images, info.classes);
        let info = info.select(classes, &counts)?;
        let images = info.selected(images);
        return Ok((info, Some(images)));
    };
    let folder = dirs::folder(data);
    let partial_test = PartialTest::find(builtin, &mut DatasetDir::find(builtin, &folder));
    let info = DatasetInfo::builtin(builtin, &folder, partial_test.as_ref());
    let Some(classes) = classes else { return Ok((info, None)) };
    let mut counts = builtin.class_counts();
    if let Some(partial) = partial_test {
        counts[1] = partial.class_counts;
    }
    Ok((info.select(classes, &counts)?, None))
}

/// Returns the indices of the images of `strokes`: those of the training images, then those of the test images.
fn strokes_indices(train_images: u32, test_images: u32) -> impl Iterator<Item = u64> {
    (0..u64::from(train_images)).chain((0..u64::from(test_images)).map(|index| TEST_OFFSET + index))
}

/// Loads the data set that `data` names, splits it with `seed`, and verifies every file. `folder` overrides `data.dir`.
///
/// # Errors
/// Fails if a file is missing or not usable, and if the splits are larger than the data set.
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
    /// Fails if a file is missing, not usable or changed since [`inspect`], and if the splits are larger than the data
    /// set.
    pub fn load(&self, data: &DataConfig, seed: u64) -> Result<Dataset> {
        self.split(self.read()?, data, seed)
    }

    /// Like [`load`](Self::load), but takes the images that [`inspect`] returned.
    ///
    /// # Errors
    /// Fails if the splits are larger than the data set.
    pub fn split(&self, images: RawImages, data: &DataConfig, seed: u64) -> Result<Dataset> {
        let RawImages { images, labels } = images;
        let counts = self.image_counts(data).map_err(|problem| anyhow::anyhow!(problem.message))?;
        let splits = split::split(&labels, self.train_images, self.classes, counts, seed);
        let image_bytes = self.shape.iter().product();
        Ok(Dataset {
            shape: self.shape,
            classes: self.classes,
            normalization: Normalization::new(data.normalize, &self.mean_std, &images, image_bytes),
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
    /// Fails if a file is missing, not usable or changed since [`inspect`].
    pub fn read(&self) -> Result<RawImages> {
        let all = (self.train_images, self.test_images);
        let (train, test) =
            self.selection.as_ref().map_or(all, |part| (part.whole_train_images, part.whole_test_images));
        let raw = match &self.source {
            ImageSource::Procedural { seed } => draw(train, test, *seed),
            ImageSource::Builtin { builtin, folder } => read_builtin(builtin, folder, test)
                .with_context(|| Unreadable { builtin: builtin.name, folder: folder.clone() })?,
            ImageSource::Custom { dataset } => custom::reload_verified(dataset, self.sha256.as_deref())
                .with_context(|| format!("could not read the data in `{}`", self.name))?,
        };
        Ok(self.selected(raw))
    }

    /// Returns the images of the classes that are kept.
    fn selected(&self, raw: RawImages) -> RawImages {
        match &self.selection {
            Some(selection) => selection.filter(raw, self.shape.iter().product()),
            None => raw,
        }
    }
}

/// Reads and verifies the files of a built-in data set with `test` test images.
fn read_builtin(builtin: &'static BuiltinDataset, folder: &Path, test: u32) -> Result<RawImages> {
    let mut dir = DatasetDir::find(builtin, folder);
    let mut raw = RawImages { images: Vec::new(), labels: Vec::new() };
    for (index, file) in builtin.files.iter().enumerate() {
        let part = read_file(builtin, index, &dir.open(file.name)?, test)?;
        raw.images.extend(part.images);
        raw.labels.extend(part.labels);
    }
    Ok(raw)
}

/// Returns the images, the labels or both of file `index` of a built-in data set with `test` test images, after
/// verifying its checksum.
///
/// # Errors
/// Fails if the file is not the official one; a partial test file is accepted if it has `test` records.
pub(super) fn read_file(builtin: &BuiltinDataset, index: usize, file: &DataFile, test: u32) -> Result<RawImages> {
    let pinned = builtin.files[index];
    let (images, labels) = match builtin.format {
        FileFormat::Idx => {
            let count = if index < 2 { builtin.train_images } else { builtin.test_images };
            match index % 2 {
                0 => (idx::images(file, count, builtin.shape, pinned.sha256)?, Vec::new()),
                _ => (Vec::new(), idx::labels(file, count, builtin.classes, pinned.sha256)?),
            }
        }
        FileFormat::Cifar { label_bytes, records } => {
            let is_test = index + 1 == builtin.files.len();
            let read = || -> Result<cifar::CifarRecords> {
                let content = cifar::read(&file.bytes, label_bytes, builtin.classes)?;
                let found = content.labels.len() as u32;
                let expected = if is_test { test } else { records };
                ensure!(found == expected, "it holds {found} records instead of {expected}");
                // A partial test file has no pinned checksum: its checksum is part of the training keys instead.
                if !is_test || test == builtin.test_images {
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

/// Draws the images of `strokes` on all cores. Each image is a function of seed and index, so that the result does not
/// depend on the number of cores.
fn draw(train_images: u32, test_images: u32, seed: u64) -> RawImages {
    let count = train_images as usize + test_images as usize;
    let mut images = vec![[0_u8; strokes::PIXELS]; count];
    let mut labels = vec![0_u8; count];
    let images_per_core = count.div_ceil(machine::cores()).max(1);
    let chunks = images.chunks_mut(images_per_core).zip(labels.chunks_mut(images_per_core)).enumerate();
    run_in_parallel(chunks.map(|(core, (images, labels))| {
        move || {
            for (i, (image, label)) in images.iter_mut().zip(labels).enumerate() {
                let index = (core * images_per_core + i) as u64;
                let first_test = u64::from(train_images);
                let drawn = if index < first_test { index } else { TEST_OFFSET + index - first_test };
                *label = strokes::draw(seed, drawn, image);
            }
        }
    }));
    RawImages { images: images.into_flattened(), labels }
}
