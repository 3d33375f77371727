//! Facts about the data set of an experiment that a plan needs: shape, classes, sizes and identity. Plain data
//! that [`inspect`](super::inspect) returns.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::builtin::BuiltinDataset;
use super::class_selection::ClassSelection;
use super::partial_test::PartialTest;
use super::strokes;
use crate::config::{DataConfig, DatasetSpec};

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
    /// The classes that are kept, if these are not all.
    pub(super) selection: Option<ClassSelection>,
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
            selection: None,
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
            selection: None,
            source: ImageSource::Builtin { builtin, folder: folder.to_owned() },
        }
    }
}
