//! What a data set looks like in numbers.

use anyhow::Result;
use serde::Serialize;

use super::custom::mean_std;
use super::info::{DatasetInfo, RawImages};
use super::{Dataset, Split};

/// A data set in numbers.
#[derive(Clone, Debug, Serialize)]
pub struct DatasetSummary {
    /// Its name; the folder of own data.
    pub name: String,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// The classes, by name or else by number.
    pub classes: Vec<String>,
    /// The parts, those for training first.
    pub parts: Vec<SplitSummary>,
    /// Mean of the pixels of all training files, from 0 to 1, by channel.
    pub mean: Vec<f64>,
    /// Their standard deviation.
    pub std: Vec<f64>,
    /// SHA-256 of own data.
    pub sha256: Option<String>,
    /// What whoever uses it must know.
    pub note: Option<String>,
}

/// A part of a data set.
#[derive(Clone, Debug, Serialize)]
pub struct SplitSummary {
    /// What it is for.
    pub name: &'static str,
    /// Its images.
    pub images: usize,
    /// Of each class.
    pub by_class: Vec<usize>,
}

impl DatasetSummary {
    /// All images of `source`, those of its training files and those of its test files, and the numbers of both.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn of_files(source: &DatasetInfo) -> Result<(Self, Dataset)> {
        let RawImages { images, labels } = source.read()?;
        let dataset = Dataset {
            shape: source.shape,
            classes: source.classes,
            images,
            labels,
            train: (0..source.train).collect(),
            validation: Vec::new(),
            test: (source.train..source.train + source.test).collect(),
            inputs: super::Normalization::Affine { scale: 1.0, offset: 0.0 },
        };
        let parts = [("training", dataset.train.as_slice()), ("test", &dataset.test)];
        Ok((Self::new(source, &dataset, &parts), dataset))
    }

    /// The numbers of a data set that has been split.
    pub fn of_split(source: &DatasetInfo, dataset: &Dataset) -> Self {
        let parts = [
            ("train", dataset.train.as_slice()),
            ("validation", dataset.indices(Split::Validation)),
            ("test", dataset.indices(Split::Test)),
        ];
        Self::new(source, dataset, &parts)
    }

    fn new(source: &DatasetInfo, dataset: &Dataset, parts: &[(&'static str, &[u32])]) -> Self {
        let [channels, height, width] = source.shape;
        let trained = &dataset.images[..source.train as usize * dataset.pixels()];
        let (mean, std) = mean_std(trained, channels, height * width).into_iter().unzip();
        let named = source.class_names.clone();
        let numbered = || (0..source.classes).map(|class| class.to_string()).collect();
        let part = |&(name, images): &(&'static str, &[u32])| {
            let mut by_class = vec![0; source.classes];
            for &image in images {
                by_class[usize::from(dataset.labels[image as usize])] += 1;
            }
            SplitSummary { name, images: images.len(), by_class }
        };
        Self {
            name: source.name.clone(),
            shape: source.shape,
            classes: if named.is_empty() { numbered() } else { named },
            parts: parts.iter().map(part).collect(),
            mean,
            std,
            sha256: source.sum.clone(),
            note: source.note.clone(),
        }
    }
}
