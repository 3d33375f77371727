//! The numbers of images of the splits of an experiment, now and as earlier versions of this program determined them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::builtin;
use super::info::DatasetInfo;
use crate::base::format::with_thousands;
use crate::config::{DataConfig, Diagnostic};

/// Number of validation images below which a warning is due: the standard error of an accuracy of 0.9 on 500 images is
/// 1.3 percentage points.
const FEW_VALIDATION_IMAGES: u32 = 500;

/// The numbers of images of the splits of an experiment. Displayed as one line, such as `10,000 train, 2,000
/// validation, 2,000 test; training accuracy on 2,000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ImageCounts {
    /// Training images.
    pub train: u32,
    /// Validation images.
    pub validation: u32,
    /// Test images.
    pub test: u32,
    /// Training images that the training accuracy is measured on: the first ones, as many as there are validation
    /// images.
    pub train_accuracy_on: u32,
}

impl ImageCounts {
    /// Returns the counts for splits of these sizes.
    pub(super) fn new(train: u32, validation: u32, test: u32) -> Self {
        Self { train, validation, test, train_accuracy_on: train.min(validation) }
    }

    /// Returns the number of images that one evaluation of a network reads.
    pub fn evaluated(&self) -> u64 {
        u64::from(self.train_accuracy_on) + u64::from(self.validation) + u64::from(self.test)
    }

    /// Returns a warning if the validation set is small; `None` from 500 images on.
    pub fn warning(&self) -> Option<String> {
        (self.validation < FEW_VALIDATION_IMAGES).then(|| {
            let count = with_thousands(self.validation.into());
            format!(
                "only {count} validation images: the early stop and the choice of rounds rest on few images \
                 (`data.validation` = 500 or more is better)"
            )
        })
    }
}

impl fmt::Display for ImageCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [train, validation, test, train_accuracy_on] =
            [self.train, self.validation, self.test, self.train_accuracy_on].map(|n| with_thousands(n.into()));
        write!(f, "{train} train, {validation} validation, {test} test; training accuracy on {train_accuracy_on}")
    }
}

impl DatasetInfo {
    /// Returns the numbers of images of the splits with `validation`, `train_limit` and `test_limit`. The validation set
    /// has as many images as `validation` says; the limits apply to the training and test images only.
    ///
    /// # Errors
    /// Returns a diagnostic if a split would be empty or larger than the images for it.
    pub fn image_counts(&self, data: &DataConfig) -> Result<ImageCounts, Diagnostic> {
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
        let train = data.train_limit.unwrap_or(whole);
        if train > whole {
            let message = format!("`{}` has only {whole} training images beside the validation set", self.name);
            let hint = format!("at most {whole}, or leave it out to train on all");
            return Err(Diagnostic::new("data.train_limit", message).hint(hint));
        }
        Ok(ImageCounts::new(train, data.validation, test))
    }

    /// Returns whether earlier versions of this program gave the experiment fewer validation images than this version:
    /// they reduced the validation set in proportion to `train_limit`. The splits must be possible.
    pub fn had_fewer_validation_images(&self, data: &DataConfig) -> bool {
        let whole = self.train_images.saturating_sub(data.validation);
        data.train_limit.is_some_and(|limit| reduced_validation(data.validation, limit, whole) < data.validation)
    }

    /// Returns the numbers of images of the splits of a stored training run, from the part `data` of the content of its
    /// key; `None` if they are unknown, because it was trained on other custom data than these.
    pub fn recorded_image_counts(&self, data: &Value) -> Option<ImageCounts> {
        let number = |value: &Value, key: &str| value.get(key)?.as_u64().and_then(|n| u32::try_from(n).ok());
        let source = data.get("source")?;
        let (train_images, test_images) = if *source == self.identity {
            (self.train_images, self.test_images)
        } else if source.get("only_classes").is_some() {
            return None;
        } else if source.get("strokes").is_some() {
            (number(source, "train")?, number(source, "test")?)
        } else {
            let first_file = source.get("sha256")?.get(0)?.as_str()?;
            let builtin = builtin::ALL.into_iter().find(|builtin| builtin.files[0].sha256 == first_file)?;
            (builtin.train_images, number(source, "test").unwrap_or(builtin.test_images))
        };
        let validation = number(data, "validation")?;
        let whole = train_images.checked_sub(validation)?;
        let test = number(data, "test_limit").unwrap_or(test_images);
        Some(match number(data, "train_limit") {
            None => ImageCounts::new(whole, validation, test),
            Some(limit) if data.get(WHOLE_VALIDATION).is_some() => ImageCounts::new(limit, validation, test),
            Some(limit) => ImageCounts::new(limit, reduced_validation(validation, limit, whole), test),
        })
    }
}

/// The name of the mark, in the part `data` of the content of a key, of experiments whose validation set is as large as
/// configured although `train_limit` is set. Keys without the mark were made when `train_limit` reduced it.
pub const WHOLE_VALIDATION: &str = "whole_validation";

/// Returns the number of validation images that earlier versions of this program used with `train_limit`: in proportion
/// to the `whole` training images, and at least 1.
fn reduced_validation(validation: u32, train_limit: u32, whole: u32) -> u32 {
    let share = f64::from(validation) * f64::from(train_limit) / f64::from(whole.max(1));
    (share.round() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The data of `strokes` with 100 images for training and validation and 20 for the test.
    fn strokes(validation: u32, train_limit: Option<u32>) -> (DatasetInfo, DataConfig) {
        let value = json!({
            "dataset": "strokes", "train_images": 100, "test_images": 20, "validation": validation,
            "train_limit": train_limit,
        });
        let data: DataConfig = serde_json::from_value(value).unwrap();
        (DatasetInfo::strokes(&data), data)
    }

    fn counts(validation: u32, train_limit: Option<u32>) -> Result<ImageCounts, String> {
        let (info, data) = strokes(validation, train_limit);
        info.image_counts(&data).map_err(|diagnostic| diagnostic.message)
    }

    // regression: `validation = 1000` with `train_limit = 5000` gave 85 validation images, without a word
    #[test]
    fn validation_images_are_as_written_beside_train_limit() {
        assert_eq!(
            counts(20, Some(10)),
            Ok(ImageCounts { train: 10, validation: 20, test: 20, train_accuracy_on: 10 })
        );
        assert_eq!(counts(20, None), Ok(ImageCounts { train: 80, validation: 20, test: 20, train_accuracy_on: 20 }));
        let message = counts(100, Some(10)).unwrap_err();
        assert!(message.starts_with("100 images cannot be held out") && message.contains("only 100"), "{message}");
        let message = counts(20, Some(81)).unwrap_err();
        assert!(message.contains("only 80 training images beside the validation set"), "{message}");
    }

    #[test]
    fn earlier_versions_reduced_validation_in_proportion() {
        // 20 · 40 / 80 = 10.
        let had_fewer = |validation, limit| {
            let (info, data) = strokes(validation, limit);
            info.had_fewer_validation_images(&data)
        };
        assert!(had_fewer(20, Some(40)));
        assert!(!had_fewer(20, Some(80)), "all training images");
        assert!(!had_fewer(20, None));
        assert!(!had_fewer(1, Some(10)), "never below one image");
    }

    #[test]
    fn recorded_counts_are_those_of_the_version_that_made_the_key() {
        let (info, _) = strokes(20, None);
        let recorded = |data: Value| info.recorded_image_counts(&data).map(|counts| (counts.train, counts.validation));
        let source = json!({ "strokes": 1, "seed": 7, "train": 50, "test": 5 });
        assert_eq!(recorded(json!({ "source": source, "validation": 10 })), Some((40, 10)));
        let limited = json!({ "source": source, "validation": 10, "train_limit": 20 });
        assert_eq!(recorded(limited.clone()), Some((20, 5)));
        let mut marked = limited;
        marked[WHOLE_VALIDATION] = json!(true);
        assert_eq!(recorded(marked), Some((20, 10)));
        let cifar = json!({ "sha256": [builtin::CIFAR10.files[0].sha256], "test": 1000 });
        let counts = info.recorded_image_counts(&json!({ "source": cifar, "validation": 5000 })).unwrap();
        assert_eq!((counts.train, counts.test), (45_000, 1000));
        assert_eq!(recorded(json!({ "source": { "idx": 1, "sha256": "ab" }, "validation": 10 })), None);
    }

    #[test]
    fn few_validation_images_are_a_warning() {
        assert!(ImageCounts::new(1000, 499, 100).warning().unwrap().starts_with("only 499 validation images"));
        assert_eq!(ImageCounts::new(1000, 500, 100).warning(), None);
        let line = ImageCounts::new(55_000, 5_000, 10_000).to_string();
        assert_eq!(line, "55,000 train, 5,000 validation, 10,000 test; training accuracy on 5,000");
    }
}
