//! What an experiment learns from, before it is learned from: enough to draw a plan. Built-in sets are known without
//! their files; own data are read, because only their bytes say what they are.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use serde_json::{Value, json};

use super::builtin;
use super::builtin::{BuiltinDataset, FileFormat};
use super::dataset_dir::{DatasetDir, FileLocation};
use super::load::folder;
use super::{cifar, custom, strokes};
use crate::base::key::sha256;
use crate::config::{DataConfig, DatasetSpec, Diagnostic};

/// What is known of the data set an experiment names.
#[derive(Clone, Debug)]
pub struct DatasetInfo {
    /// The name as in the configuration; the folder of own data.
    pub name: String,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// The classes by name, where they have names.
    pub class_names: Vec<String>,
    /// Images for training and validation together.
    pub train: u32,
    /// Test images.
    pub test: u32,
    /// Test images of the whole set: more than `test` where the test file holds fewer than the official records.
    pub whole_test: u32,
    /// Mean and standard deviation of the training pixels in [0, 1], channel by channel.
    pub mean_std: Vec<(f64, f64)>,
    /// What determines the bytes: pinned sums, the seed they are drawn with, or the sum of own data. Part of every key.
    pub identity: Value,
    /// SHA-256 of own data.
    pub sum: Option<String>,
    /// What whoever reads the results must know of the data.
    pub note: Option<String>,
    pub(super) bytes: ImageSource,
}

/// Where the images come from.
#[derive(Clone, Debug)]
pub(super) enum ImageSource {
    /// Drawn from this seed.
    Procedural { seed: u64 },
    /// The files of a built-in set, looked for in this folder.
    Builtin { set: &'static BuiltinDataset, folder: PathBuf },
    /// Own data. They are read already, and wait here for whoever loads them first.
    Custom { dataset: DatasetSpec, read: Arc<Mutex<Option<RawImages>>> },
}

/// Images and labels, those of the training files first.
#[derive(Debug)]
pub(super) struct RawImages {
    pub(super) images: Vec<u8>,
    pub(super) labels: Vec<u8>,
}

impl DatasetInfo {
    /// The data set that `data` names.
    ///
    /// # Errors
    /// Own data that cannot be used.
    pub fn new(data: &DataConfig) -> Result<Self, Diagnostic> {
        let official = |set| Ok(Self::builtin(set, &folder(data)));
        match &data.dataset {
            DatasetSpec::Strokes => Ok(Self::strokes(data)),
            DatasetSpec::Mnist => official(&builtin::MNIST),
            DatasetSpec::FashionMnist => official(&builtin::FASHION_MNIST),
            DatasetSpec::Cifar10 => official(&builtin::CIFAR10),
            DatasetSpec::Cifar100 => official(&builtin::CIFAR100),
            DatasetSpec::Idx { .. } | DatasetSpec::Images { .. } => custom::source(data),
        }
    }

    fn strokes(data: &DataConfig) -> Self {
        let (train, test, seed) = (data.train_images(), data.test_images(), data.draw_seed());
        Self {
            name: "strokes".to_owned(),
            shape: [1, 28, 28],
            classes: 10,
            class_names: Vec::new(),
            train,
            test,
            whole_test: test,
            mean_std: vec![(strokes::MEAN, strokes::STD)],
            identity: json!({ "strokes": 1, "seed": seed, "train": train, "test": test }),
            sum: None,
            note: None,
            bytes: ImageSource::Procedural { seed },
        }
    }

    fn builtin(set: &'static BuiltinDataset, folder: &Path) -> Self {
        let sums: Vec<&str> = set.files.iter().map(|file| file.sha256).collect();
        let mut source = Self {
            name: set.name.to_owned(),
            shape: set.shape,
            classes: set.classes,
            class_names: set.class_names.iter().map(|&name| name.to_owned()).collect(),
            train: set.train,
            test: set.test,
            whole_test: set.test,
            mean_std: set.mean_std.to_vec(),
            identity: json!({ "sha256": sums }),
            sum: None,
            note: None,
            bytes: ImageSource::Builtin { set, folder: folder.to_owned() },
        };
        if let Some(part) = PartialTest::find(set, &mut DatasetDir::of(set, folder)) {
            source.note = Some(part.note(set));
            source.test = part.records;
            // A test on fewer images is another test: its results must never be found under the key of the whole one.
            let mut sums: Vec<&str> = sums;
            sums.pop();
            sums.push(&part.sha256);
            source.identity = json!({ "sha256": sums, "test": part.records });
        }
        source
    }

    /// The sizes of the parts after `validation`, `train_limit` and `test_limit`: training, validation, test.
    ///
    /// # Errors
    /// Where a part would be empty or larger than what there is.
    pub fn sizes(&self, data: &DataConfig) -> Result<(u32, u32, u32), Diagnostic> {
        let Some(whole) = self.train.checked_sub(data.validation).filter(|&n| n > 0) else {
            let message = format!(
                "{} images cannot be held out for validation: `{}` has only {} training images, validation included",
                data.validation, self.name, self.train
            );
            return Err(
                Diagnostic::new("data.validation", message).hint("set `data.validation` to a tenth of them, or so")
            );
        };
        let test = data.test_limit.unwrap_or(self.test);
        if test > self.test {
            let message = format!("`{}` has only {} test images", self.name, self.test);
            let hint = format!("at most {}, or leave it out to test on all", self.test);
            return Err(Diagnostic::new("data.test_limit", message).hint(hint));
        }
        let Some(limit) = data.train_limit else { return Ok((whole, data.validation, test)) };
        if limit > whole {
            let message = format!("`{}` has only {whole} training images beside the validation set", self.name);
            let hint = format!("at most {whole}, or leave it out to train on all");
            return Err(Diagnostic::new("data.train_limit", message).hint(hint));
        }
        // In proportion, and never nothing: the early stop is found on it.
        let share = f64::from(data.validation) * f64::from(limit) / f64::from(whole);
        Ok((limit, (share.round() as u32).max(1), test))
    }
}

/// A test file with fewer than the official records.
pub(super) struct PartialTest {
    pub(super) records: u32,
    file: String,
    sha256: String,
}

impl PartialTest {
    /// Looks whether there is one. A damaged file is not found out here but when it is loaded.
    pub(super) fn find(set: &BuiltinDataset, shelf: &mut DatasetDir) -> Option<Self> {
        let FileFormat::Cifar { labels, .. } = set.form else { return None };
        shelf.find(set.last_file().name).filter(FileLocation::is_plain_file)?;
        let file = shelf.open(set.last_file().name).ok()?;
        let records = cifar::read(&file.bytes, labels, set.classes).ok()?.labels.len() as u32;
        let is_part = (1..set.test).contains(&records);
        is_part.then(|| Self { records, sha256: sha256(&file.bytes), file: file.name })
    }

    /// What to say of results on it.
    pub(super) fn note(&self, set: &BuiltinDataset) -> String {
        format!(
            "`{}` holds {} of the {} test images of `{}`: results on them are not comparable with those on the whole \
             test set",
            self.file, self.records, set.test, set.name
        )
    }
}
