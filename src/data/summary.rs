//! Summary of a data set: sizes, classes, and statistics of its pixels.

use anyhow::Result;
use serde::Serialize;

use super::image_counts::ImageCounts;
use super::info::{DatasetInfo, RawImages};
use super::pixel_stats::mean_std;
use super::{Dataset, Split};

/// Summary of a data set.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct DatasetSummary {
    /// Name of the data set; the folder of custom data.
    pub name: String,
    /// Shape of an image: [channels, height, width].
    pub shape: [usize; 3],
    /// Names of the classes, or their numbers if they have no names; by label.
    pub classes: Vec<String>,
    /// The splits, that of the training images first.
    #[serde(rename = "parts")]
    pub splits: Vec<SplitSummary>,
    /// Numbers of images of the splits of an experiment; `None` for a data set by its name.
    #[serde(rename = "images", skip_serializing_if = "Option::is_none")]
    pub image_counts: Option<ImageCounts>,
    /// Mean of the pixels of all training files in [0, 1], per channel.
    pub mean: Vec<f64>,
    /// Standard deviation of the same pixels, per channel.
    pub std: Vec<f64>,
    /// SHA-256 of custom data; `None` for other data sets.
    pub sha256: Option<String>,
    /// A note on results with it; `None` if there is nothing to note.
    pub note: Option<String>,
}

/// Summary of a split of a data set.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct SplitSummary {
    /// Name of the split, such as `training`.
    pub name: &'static str,
    /// Number of images.
    pub images: usize,
    /// Number of images of each class, by label.
    pub by_class: Vec<usize>,
}

impl DatasetSummary {
    /// Reads all files of a data set and returns their summary and the data set. It has two splits: all images of the
    /// training files, and all images of the test files.
    ///
    /// # Errors
    /// Fails if a file is missing or not usable.
    pub fn of_files(info: &DatasetInfo) -> Result<(Self, Dataset)> {
        let RawImages { images, labels } = info.read()?;
        let dataset = Dataset {
            shape: info.shape,
            classes: info.classes,
            images,
            labels,
            train: (0..info.train_images).collect(),
            validation: Vec::new(),
            test: (info.train_images..info.train_images + info.test_images).collect(),
            normalization: super::Normalization::Affine { scale: 1.0, offset: 0.0 },
        };
        let splits = [("training", dataset.train.as_slice()), ("test", &dataset.test)];
        Ok((Self::new(info, &dataset, &splits), dataset))
    }

    /// Returns the summary of a data set as an experiment splits it.
    pub fn of_split(info: &DatasetInfo, dataset: &Dataset) -> Self {
        let splits = [
            ("train", dataset.train.as_slice()),
            ("validation", dataset.indices(Split::Validation)),
            ("test", dataset.indices(Split::Test)),
        ];
        let [train, validation, test] = splits.map(|(_, images)| images.len() as u32);
        let image_counts = Some(ImageCounts::new(train, validation, test));
        Self { image_counts, ..Self::new(info, dataset, &splits) }
    }

    fn new(info: &DatasetInfo, dataset: &Dataset, splits: &[(&'static str, &[u32])]) -> Self {
        let [channels, height, width] = info.shape;
        let train_pixels = &dataset.images[..info.train_images as usize * dataset.image_bytes()];
        let (mean, std) = mean_std(train_pixels, channels, height * width).into_iter().unzip();
        let names = info.class_names.clone();
        let numbers = || (0..info.classes).map(|class| class.to_string()).collect();
        let summary = |&(name, images): &(&'static str, &[u32])| {
            let mut by_class = vec![0; info.classes];
            for &image in images {
                by_class[usize::from(dataset.labels[image as usize])] += 1;
            }
            SplitSummary { name, images: images.len(), by_class }
        };
        Self {
            name: info.name.clone(),
            shape: info.shape,
            classes: if names.is_empty() { numbers() } else { names },
            splits: splits.iter().map(summary).collect(),
            image_counts: None,
            mean,
            std,
            sha256: info.sha256.clone(),
            note: info.note.clone(),
        }
    }
}
