//! From a configuration to a data set in memory.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use anyhow::{Context, Result, ensure};

use super::builtin::{BuiltinDataset, FileFormat};
use super::dataset::{Dataset, Normalization};
use super::dataset_dir::{DataFile, DatasetDir};
use super::info::{DatasetInfo, ImageSource, RawImages};
use super::{cifar, custom, idx, split, strokes};
use crate::config::DataConfig;
use crate::system::{env, user_path};

/// Pixels of an image of `strokes`.
const PIXELS: usize = 28 * 28;

/// Test images of `strokes` are drawn from here on: no training set reaches so far.
const TEST_OFFSET: u64 = 1 << 32;

/// A built-in data set could not be read: it is not there, or a file of it is not what it should be.
#[derive(Debug)]
pub struct Unreadable {
    /// Which.
    pub set: &'static str,
    /// Where it was looked for.
    pub folder: PathBuf,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not read the data set `{}` from `{}`", self.set, self.folder.display())
    }
}

/// The folder that built-in data sets are looked for in: `data.dir`, else `LTH_DATA_DIR`, else `data`.
pub fn folder(data: &DataConfig) -> PathBuf {
    data.dir.clone().unwrap_or_else(default_folder)
}

/// The same where no experiment says.
pub fn default_folder() -> PathBuf {
    user_path::env_folder_or_literal(env::DATA).unwrap_or_else(|| PathBuf::from("data"))
}

/// Loads the data set that `data` names, splits it with `seed`, and verifies every file. `folder` beats `data.dir`.
///
/// # Errors
/// What is wrong with which file, or which folder has none.
pub fn load(data: &DataConfig, folder: Option<&Path>, seed: u64) -> Result<Dataset> {
    let mut data = data.clone();
    data.dir = folder.map(Path::to_owned).or(data.dir);
    DatasetInfo::new(&data).map_err(|problem| anyhow::anyhow!(problem.message))?.load(&data, seed)
}

impl DatasetInfo {
    /// Loads the images, splits them with `seed` as `data` says, and verifies every file.
    ///
    /// # Errors
    /// What is wrong with which file, or which folder has none.
    pub fn load(&self, data: &DataConfig, seed: u64) -> Result<Dataset> {
        let RawImages { images, labels } = self.read()?;
        let sizes = self.sizes(data).map_err(|problem| anyhow::anyhow!(problem.message))?;
        let parts = split::split(&labels, self.train, self.classes, data.validation, sizes, seed);
        let pixels = self.shape.iter().product();
        Ok(Dataset {
            shape: self.shape,
            classes: self.classes,
            inputs: Normalization::new(data.normalize, &self.mean_std, &images, pixels),
            images,
            labels,
            train: parts.train,
            validation: parts.validation,
            test: parts.test,
        })
    }

    /// All images and labels.
    pub(super) fn read(&self) -> Result<RawImages> {
        match &self.bytes {
            ImageSource::Procedural { seed } => Ok(draw(self.train, self.test, *seed)),
            ImageSource::Builtin { set, folder } => read_official(set, folder, self.test)
                .with_context(|| Unreadable { set: set.name, folder: folder.clone() }),
            ImageSource::Custom { dataset, read } => {
                let first = read.lock().unwrap_or_else(PoisonError::into_inner).take();
                first
                    .map_or_else(|| custom::reload_verified(dataset, self.sum.as_deref()), Ok)
                    .with_context(|| format!("could not read the data in `{}`", self.name))
            }
        }
    }
}

/// Reads and verifies the files of a built-in set, which has `test` test images.
fn read_official(set: &'static BuiltinDataset, folder: &Path, test: u32) -> Result<RawImages> {
    let mut shelf = DatasetDir::of(set, folder);
    let mut raw = RawImages { images: Vec::new(), labels: Vec::new() };
    for (at, file) in set.files.iter().enumerate() {
        let read = read_file(set, at, &shelf.open(file.name)?, test)?;
        raw.images.extend(read.images);
        raw.labels.extend(read.labels);
    }
    Ok(raw)
}

/// Reads and verifies the file number `at` of a built-in set, which has `test` test images: its images, labels or both.
pub(super) fn read_file(set: &BuiltinDataset, at: usize, file: &DataFile, test: u32) -> Result<RawImages> {
    let pinned = set.files[at];
    let (images, labels) = match set.form {
        FileFormat::Idx => {
            let count = if at < 2 { set.train } else { set.test };
            match at % 2 {
                0 => (idx::images(file, count, set.shape, pinned.sha256)?, Vec::new()),
                _ => (Vec::new(), idx::labels(file, count, set.classes, pinned.sha256)?),
            }
        }
        FileFormat::Cifar { labels, records } => {
            let is_test = at + 1 == set.files.len();
            let read = || -> Result<cifar::CifarRecords> {
                let read = cifar::read(&file.bytes, labels, set.classes)?;
                let (found, wanted) = (read.labels.len() as u32, if is_test { test } else { records });
                ensure!(found == wanted, "it holds {found} records instead of {wanted}");
                // The sum of a test set that is not whole is in the key of whatever is trained with it.
                if !is_test || test == set.test {
                    idx::verify(&file.bytes, pinned.sha256)?;
                }
                Ok(read)
            };
            let read = read().with_context(|| format!("`{}` is not usable", file.name))?;
            (read.images, read.labels)
        }
    };
    Ok(RawImages { images, labels })
}

/// Draws the images of `strokes` on all cores; each is a function of its index alone, so the cores change nothing.
fn draw(train: u32, test: u32, seed: u64) -> RawImages {
    let count = train as usize + test as usize;
    let mut images = vec![[0_u8; PIXELS]; count];
    let mut labels = vec![0_u8; count];
    let chunk = count.div_ceil(env::cores()).max(1);
    std::thread::scope(|scope| {
        for (n, (images, labels)) in images.chunks_mut(chunk).zip(labels.chunks_mut(chunk)).enumerate() {
            scope.spawn(move || {
                for (i, (image, label)) in images.iter_mut().zip(labels).enumerate() {
                    let index = (n * chunk + i) as u64;
                    let train = u64::from(train);
                    let index = if index < train { index } else { TEST_OFFSET + index - train };
                    *label = strokes::draw(seed, index, image);
                }
            });
        }
    });
    RawImages { images: images.into_flattened(), labels }
}
