//! Facts about the data set of an experiment that a plan needs: shape, classes, sizes and identity. Plain data
//! that [`inspect`](super::inspect) returns.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::builtin::BuiltinDataset;
use super::partial_test::PartialTest;
use super::strokes;
use crate::config::{DataConfig, DatasetSpec, Diagnostic};

/// Facts about a data set, without its images.
#[derive(Clone, Debug)]
pub struct DatasetInfo {
    /// Name as in the configuration; the folder of custom data.
    pub name: String,
    /// Shape of an image: [channels, height, width].
    pub shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// Names of the classes by label; empty if they have none.
    pub class_names: Vec<String>,
    /// Number of images for training and validation together.
    pub train_images: u32,
    /// Number of test images.
    pub test_images: u32,
    /// Number of test images in the official data set: more than `test_images` if the test file is partial.
    pub whole_test_images: u32,
    /// Mean and standard deviation of the training pixels in [0, 1], per channel.
    pub mean_std: Vec<(f64, f64)>,
    /// JSON that identifies the images and labels; part of the key of every training run. It has the pinned checksums,
    /// the seed and sizes of procedural images, or the checksum of custom data.
    pub identity: Value,
    /// SHA-256 of custom data; `None` for other data sets.
    pub sha256: Option<String>,
    /// A note that reports and results must show, such as that of a partial test file; `None` for no note.
    pub note: Option<String>,
    /// The source of the images, from which [`read`](Self::read) gets them.
    pub(super) source: ImageSource,
}

/// The source of the images.
#[derive(Clone, Debug)]
pub(super) enum ImageSource {
    /// Images drawn from this seed.
    Procedural { seed: u64 },
    /// The files of a built-in data set, in this folder of data sets.
    Builtin { builtin: &'static BuiltinDataset, folder: PathBuf },
    /// Custom data, by their configuration.
    Custom { dataset: DatasetSpec },
}

/// Decoded images and labels; those of the training files first, then those of the test files.
#[derive(Debug)]
pub struct RawImages {
    /// Pixels, [images, channels, height, width], one byte each.
    pub(super) images: Vec<u8>,
    /// Class of each image, from 0.
    pub(super) labels: Vec<u8>,
}

impl DatasetInfo {
    /// Returns the facts about `strokes`, as many images as `data` asks for.
    pub(super) fn strokes(data: &DataConfig) -> Self {
        let train_images = data.train_images();
        let test_images = data.test_images();
        let seed = data.draw_seed();
        Self {
            name: "strokes".to_owned(),
            shape: [1, 28, 28],
            classes: 10,
            class_names: Vec::new(),
            train_images,
            test_images,
            whole_test_images: test_images,
            mean_std: vec![(strokes::MEAN, strokes::STD)],
            identity: json!({ "strokes": 1, "seed": seed, "train": train_images, "test": test_images }),
            sha256: None,
            note: None,
            source: ImageSource::Procedural { seed },
        }
    }

    /// Returns the facts about a built-in data set in `folder`, whose test file may be partial.
    pub(super) fn builtin(builtin: &'static BuiltinDataset, folder: &Path, partial_test: Option<&PartialTest>) -> Self {
        let mut checksums: Vec<&str> = builtin.files.iter().map(|file| file.sha256).collect();
        let identity = match partial_test {
            None => json!({ "sha256": checksums }),
            // A test on fewer images is another test: its results must not have the key of those on the whole test set.
            Some(partial) => {
                checksums.pop();
                checksums.push(&partial.sha256);
                json!({ "sha256": checksums, "test": partial.records })
            }
        };
        Self {
            name: builtin.name.to_owned(),
            shape: builtin.shape,
            classes: builtin.classes,
            class_names: builtin.class_names.iter().map(|&name| name.to_owned()).collect(),
            train_images: builtin.train_images,
            test_images: partial_test.map_or(builtin.test_images, |partial| partial.records),
            whole_test_images: builtin.test_images,
            mean_std: builtin.mean_std.to_vec(),
            identity,
            sha256: None,
            note: partial_test.map(|partial| partial.note(builtin)),
            source: ImageSource::Builtin { builtin, folder: folder.to_owned() },
        }
    }

    /// Returns the sizes of the splits after `validation`, `train_limit` and `test_limit`: (training, validation,
    /// test).
    ///
    /// # Errors
    /// Returns a diagnostic if a split would be empty or larger than the images for it.
    pub fn sizes(&self, data: &DataConfig) -> Result<(u32, u32, u32), Diagnostic> {
        let Some(whole) = self.train_images.checked_sub(data.validation).filter(|&n| n > 0) else {
            let message = format!(
                "{} images cannot be held out for validation: `{}` has only {} training images, validation included",
                data.validation, self.name, self.train_images
            );
            return Err(
                Diagnostic::new("data.validation", message).hint("set `data.validation` to a tenth of them, or so")
            );
        };
        let test = data.test_limit.unwrap_or(self.test_images);
        if test > self.test_images {
            let message = format!("`{}` has only {} test images", self.name, self.test_images);
            let hint = format!("at most {}, or leave it out to test on all", self.test_images);
            return Err(Diagnostic::new("data.test_limit", message).hint(hint));
        }
        let Some(limit) = data.train_limit else { return Ok((whole, data.validation, test)) };
        if limit > whole {
            let message = format!("`{}` has only {whole} training images beside the validation set", self.name);
            let hint = format!("at most {whole}, or leave it out to train on all");
            return Err(Diagnostic::new("data.train_limit", message).hint(hint));
        }
        // In proportion, and at least one image: the early stop is found on the validation set.
        let share = f64::from(data.validation) * f64::from(limit) / f64::from(whole);
        Ok((limit, (share.round() as u32).max(1), test))
    }
}
