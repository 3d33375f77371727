//! What is known of each data set before a byte is read: sizes, constants, sums. Enough to draw a plan.

use serde_json::{Value, json};

use super::strokes;
use crate::config::{Data, DatasetName, Problem};

/// A file of a data set and the SHA-256 of its decompressed bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pinned {
    pub(super) name: &'static str,
    pub(super) sha256: &'static str,
}

/// Training images, training labels, test images, test labels.
const MNIST: [Pinned; 4] = [
    Pinned {
        name: "train-images-idx3-ubyte",
        sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    },
    Pinned {
        name: "train-labels-idx1-ubyte",
        sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    },
    Pinned {
        name: "t10k-images-idx3-ubyte",
        sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    },
    Pinned {
        name: "t10k-labels-idx1-ubyte",
        sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
];

const FASHION_MNIST: [Pinned; 4] = [
    Pinned {
        name: "train-images-idx3-ubyte",
        sha256: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    },
    Pinned {
        name: "train-labels-idx1-ubyte",
        sha256: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    },
    Pinned {
        name: "t10k-images-idx3-ubyte",
        sha256: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    },
    Pinned {
        name: "t10k-labels-idx1-ubyte",
        sha256: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
];

/// What is known of the data set an experiment names.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name as in the configuration, and of its folder.
    pub name: &'static str,
    /// Channels, height, width.
    pub shape: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// Images for training and validation together.
    pub train: u32,
    /// Test images.
    pub test: u32,
    /// Mean and standard deviation of the training pixels in [0, 1].
    pub mean_std: (f64, f64),
    /// What determines the bytes: pinned sums, or the seed they are drawn with. Part of every key.
    pub identity: Value,
    pub(super) files: Option<[Pinned; 4]>,
    pub(super) draw_seed: u64,
}

impl Source {
    /// The data set that `data` names.
    pub fn new(data: &Data) -> Self {
        let idx = |name, mean_std, files: [Pinned; 4]| Self {
            name,
            shape: [1, 28, 28],
            classes: 10,
            train: 60_000,
            test: 10_000,
            mean_std,
            identity: json!({ "sha256": files.map(|file| file.sha256) }),
            files: Some(files),
            draw_seed: 0,
        };
        match data.dataset {
            DatasetName::Mnist => idx("mnist", (0.1307, 0.3081), MNIST),
            DatasetName::FashionMnist => idx("fashion_mnist", (0.2860, 0.3530), FASHION_MNIST),
            DatasetName::Strokes => {
                let (train, test) = (data.train_images(), data.test_images());
                let draw_seed = data.draw_seed();
                Self {
                    name: "strokes",
                    shape: [1, 28, 28],
                    classes: 10,
                    train,
                    test,
                    mean_std: (strokes::MEAN, strokes::STD),
                    identity: json!({ "strokes": 1, "seed": draw_seed, "train": train, "test": test }),
                    files: None,
                    draw_seed,
                }
            }
        }
    }

    /// The sizes of the parts after `validation`, `train_limit` and `test_limit`: training, validation, test.
    ///
    /// # Errors
    /// Where a part would be empty or larger than what there is.
    pub fn sizes(&self, data: &Data) -> Result<(u32, u32, u32), Problem> {
        let Some(whole) = self.train.checked_sub(data.validation).filter(|&n| n > 0) else {
            let message = format!("`{}` has only {} training images, validation included", self.name, self.train);
            return Err(Problem::new("data.validation", message));
        };
        let test = data.test_limit.unwrap_or(self.test);
        if test > self.test {
            let message = format!("`{}` has only {} test images", self.name, self.test);
            return Err(Problem::new("data.test_limit", message));
        }
        let Some(limit) = data.train_limit else { return Ok((whole, data.validation, test)) };
        if limit > whole {
            let message = format!("`{}` has only {whole} training images beside the validation set", self.name);
            return Err(Problem::new("data.train_limit", message));
        }
        // In proportion, and never nothing: the early stop is found on it.
        let share = f64::from(data.validation) * f64::from(limit) / f64::from(whole);
        Ok((limit, (share.round() as u32).max(1), test))
    }
}
