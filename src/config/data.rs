//! `[data]`: the data set, its splits, and how pixels become inputs. Reads no file of a data set.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::mistakes::diagnostic::Diagnostic;
use crate::system::user_path;

/// Upper bound of `train_images` and `test_images`; with more images memory would be exhausted.
const MAX_IMAGES: u32 = 10_000_000;
/// Upper bound of the number of classes: a label is stored in a byte.
const MAX_CLASSES: u32 = 256;

/// The data set, its splits and its preprocessing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Data")]
pub struct DataConfig {
    /// The data set.
    pub dataset: DatasetSpec,
    /// Folder of the built-in data sets. Overridden by `--data-dir`; the defaults are `LTH_DATA_DIR`, then `data`.
    /// A relative path starts at the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// The classes that are kept, by their labels; the others are left out. They get new labels from 0, in this order.
    /// Without it, all classes are kept. The constants of `mean_std` stay those of the whole data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<u32>>,
    /// Number of images held out of the training set for validation; the early stop is determined on them.
    #[serde(default = "default_validation")]
    pub validation: u32,
    /// Normalization of the pixels.
    #[serde(default)]
    pub normalize: Normalize,
    /// Data augmentation: random changes of each training image whenever it is used. Evaluations use the images
    /// unchanged.
    #[serde(default, skip_serializing_if = "Augment::is_none")]
    pub augment: Augment,
    /// Number of training images kept, balanced over the classes. The validation images are held out before, and keep the
    /// number that `validation` gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<u32>,
    /// Number of test images kept, balanced over the classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<u32>,
    /// With `strokes`: number of generated images for training and validation (60,000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_images: Option<u32>,
    /// With `strokes`: number of generated test images (10,000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_images: Option<u32>,
    /// With `strokes`: seed of the generated images (1), independent of the experiment's `seed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw_seed: Option<u64>,
}

/// A data set: a built-in one by name, or custom data with their folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "Dataset")]
pub enum DatasetSpec {
    /// Generated digits, 28×28 grey: stroke skeletons with random distortions. Needs no files.
    Strokes,
    /// MNIST, 28×28 grey.
    Mnist,
    /// Fashion-MNIST, 28×28 grey.
    FashionMnist,
    /// CIFAR-10, 32×32 in colour.
    Cifar10,
    /// CIFAR-100 with its 100 fine classes, 32×32 in colour.
    Cifar100,
    /// Custom data: four IDX files with MNIST's names, gzip-compressed or not; grey images, all of one size. Labels are
    /// bytes, 32-bit integers, or QMNIST's eight columns of these, the first of which is the class.
    Idx {
        /// Folder of the four files. A relative path is looked for beside the configuration file, then in the working
        /// directory.
        dir: PathBuf,
        /// Number of classes.
        classes: u32,
        /// The label of the first class (0): labels are from `first_label` to `first_label` + `classes` - 1. The labels
        /// of EMNIST's letters start at 1.
        #[serde(default, skip_serializing_if = "is_zero_label")]
        first_label: u32,
        /// Whether rows and columns of the images are swapped (false): EMNIST's images are stored column by column.
        #[serde(default, skip_serializing_if = "is_false")]
        transpose: bool,
        /// The prefix of the file names, such as `emnist-letters` of `emnist-letters-train-images-idx3-ubyte`; needed only
        /// where the folder has files with several prefixes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
        /// SHA-256 of the four decompressed files one after another: training images, training labels, test images,
        /// test labels. Other files are refused. `lth check` prints it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// Custom data: PNG files `train/<class>/*.png` and `test/<class>/*.png`, grey or in colour, all of one size.
    Images {
        /// Folder of `train` and `test`. A relative path is looked for beside the configuration file, then in the working
        /// directory.
        dir: PathBuf,
        /// SHA-256 of the decoded images, their labels and the names of the classes. Other data are refused. `lth check`
        /// prints it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
}

/// Normalization of the pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// Pixels in [0, 1].
    None,
    /// (pixel − mean) / standard deviation, for each channel, with pixels in [0, 1]: fixed constants for the built-in
    /// data sets; for custom data, computed from all images of the training files.
    #[default]
    MeanStd,
    /// Each image scaled to Euclidean length 1.
    L2,
}

/// Data augmentation: random changes of each training image whenever it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Random horizontal flip with probability 1/2.
    #[serde(default)]
    pub flip: bool,
    /// Random crop: images are padded by this many black pixels on each side and cropped at a random position to their
    /// original size.
    #[serde(default)]
    pub crop: u32,
}

impl DataConfig {
    /// Returns the number of images that `strokes` draws for training and validation.
    pub fn train_images(&self) -> u32 {
        self.train_images.unwrap_or(60_000)
    }

    /// Returns the number of images that `strokes` draws for the test set.
    pub fn test_images(&self) -> u32 {
        self.test_images.unwrap_or(10_000)
    }

    /// Returns the seed that `strokes` draws with.
    pub fn draw_seed(&self) -> u64 {
        self.draw_seed.unwrap_or(1)
    }

    /// Sets the checksum of custom data, so that reading the resolved configuration again fails if the files have
    /// changed.
    pub fn set_checksum(&mut self, checksum: &str) {
        if let DatasetSpec::Idx { sha256, .. } | DatasetSpec::Images { sha256, .. } = &mut self.dataset {
            *sha256 = Some(checksum.to_owned());
        }
    }

    /// Returns the folder of custom data; `None` for other data sets.
    pub fn custom_dir_mut(&mut self) -> Option<&mut PathBuf> {
        match &mut self.dataset {
            DatasetSpec::Idx { dir, .. } | DatasetSpec::Images { dir, .. } => Some(dir),
            _ => None,
        }
    }

    /// Returns whether the data set is a built-in one that consists of files; `strokes` is drawn and needs none.
    pub fn has_builtin_files(&self) -> bool {
        match self.dataset {
            DatasetSpec::Mnist | DatasetSpec::FashionMnist | DatasetSpec::Cifar10 | DatasetSpec::Cifar100 => true,
            DatasetSpec::Strokes | DatasetSpec::Idx { .. } | DatasetSpec::Images { .. } => false,
        }
    }

    /// Expands a leading `~/` of `dir` and of the `dir` of custom data, because a shell does not expand paths inside a
    /// file. Paths that cannot be expanded are added to `diagnostics`.
    pub(super) fn expand_folders(&mut self, diagnostics: &mut Vec<Diagnostic>) {
        let custom = match &mut self.dataset {
            DatasetSpec::Idx { dir, .. } => Some(("data.dataset.idx.dir", dir)),
            DatasetSpec::Images { dir, .. } => Some(("data.dataset.images.dir", dir)),
            _ => None,
        };
        let builtin = self.dir.as_mut().map(|dir| ("data.dir", dir));
        for (key, dir) in custom.into_iter().chain(builtin) {
            match user_path::expand(dir) {
                Ok(path) => *dir = path,
                Err(refused) => diagnostics.push(Diagnostic::new(key, refused.message).hint(refused.hint)),
            }
        }
    }

    /// Fills in the defaults of `strokes`.
    pub(super) fn resolve(&mut self) {
        if self.dataset == DatasetSpec::Strokes {
            self.train_images = Some(self.train_images());
            self.test_images = Some(self.test_images());
            self.draw_seed = Some(self.draw_seed());
        }
    }

    /// Checks the range of every number.
    pub(super) fn check_values(&self, checker: &mut Checker) {
        checker.require("data.validation", self.validation > 0, "must be at least 1: the early stop is found on it");
        if let DatasetSpec::Idx { classes, first_label, prefix, .. } = &self.dataset {
            let is_class_count = (2..=MAX_CLASSES).contains(classes);
            checker.require("data.dataset.idx.classes", is_class_count, "must be from 2 to 256");
            // Labels are signed numbers of 32 bits.
            let is_label = i32::try_from(*first_label).is_ok();
            checker.require("data.dataset.idx.first_label", is_label, "must be at most 2147483647");
            let is_prefix = prefix.as_ref().is_none_or(|prefix| !prefix.is_empty() && !prefix.contains(['/', '\\']));
            let message = "is the beginning of the files' names: not empty, and without `/`";
            checker.require("data.dataset.idx.prefix", is_prefix, message);
        }
        if let Some(classes) = &self.classes {
            checker.require_length("data.classes", classes.len());
        }
        checker.require("data.train_limit", self.train_limit != Some(0), "must be at least 1");
        checker.require("data.test_limit", self.test_limit != Some(0), "must be at least 1");
        let drawn = [("data.train_images", self.train_images), ("data.test_images", self.test_images)];
        for (key, images) in drawn {
            let is_valid = images.is_none_or(|images| (1..=MAX_IMAGES).contains(&images));
            checker.require(key, is_valid, "must be from 1 to 10 million");
        }
    }

    /// Checks that no key belongs to another data set.
    pub(super) fn check_combinations(&self, checker: &mut Checker) {
        let is_custom = matches!(self.dataset, DatasetSpec::Idx { .. } | DatasetSpec::Images { .. });
        let owner = "the built-in data sets; own data have a `dir` in `dataset`";
        checker.only_with_owner("data.dir", self.dir.is_some(), !is_custom, owner);
        let is_strokes = self.dataset == DatasetSpec::Strokes;
        let choice = "`dataset = \"strokes\"`";
        checker.only_with_choice("data.train_images", self.train_images.is_some(), is_strokes, choice);
        checker.only_with_choice("data.test_images", self.test_images.is_some(), is_strokes, choice);
        checker.only_with_choice("data.draw_seed", self.draw_seed.is_some(), is_strokes, choice);
    }
}

impl Augment {
    /// Returns whether training images are used unchanged.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

fn default_validation() -> u32 {
    5000
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero_label(first_label: &u32) -> bool {
    *first_label == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_false(option: &bool) -> bool {
    !*option
}
