//! The images that the scores of weights are computed on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checker::Checker;

/// The images that scores are computed on: drawn from the training split by a random stream of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ScoreImages")]
pub enum ScoreImages {
    /// So many images of each class, or all if a class has fewer.
    ImagesPerClass(u32),
    /// So many batches of `train.batch_size` images of any class.
    Batches(u32),
}

impl ScoreImages {
    /// Checks that there is an image. `key` is the path of the value.
    pub(super) fn check(self, key: &str, checker: &mut Checker) {
        let has_images = !matches!(self, Self::ImagesPerClass(0) | Self::Batches(0));
        checker.require(key, has_images, "must name at least one image");
    }
}
