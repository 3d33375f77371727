//! Masks made at initialization: the method, the size of the mask, and the images for its scores.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::mask_source::TargetSize;
use super::score_images::ScoreImages;

/// A mask that is made before any training, by scores of the untrained network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "AtInitKeys", into = "AtInitKeys")]
pub struct AtInit {
    /// What determines the scores.
    pub scoring: Scoring,
    /// The size of the mask.
    pub size: TargetSize,
}

/// Everything that determines the mask of a method at initialization but its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scoring {
    /// The method.
    pub method: AtInitMethod,
    /// The number of steps in which the mask is pruned to its size, at least 1: weights are scored anew before each.
    pub steps: u32,
    /// The images that the scores of each step are computed on; `None` for methods that need none.
    pub images: Option<ScoreImages>,
    /// The statistics that batch norms use while weights are scored on images.
    pub batch_norm: ScoreBatchNorm,
    /// Whether the weights with the lowest scores are kept instead of those with the highest.
    pub is_inverted: bool,
}

/// The statistics that batch norms use while weights are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ScoreBatchNorm")]
pub enum ScoreBatchNorm {
    /// Those of each batch, as in training.
    Batch,
    /// The running statistics, as in evaluation. Before training these are means of 0 and variances of 1.
    Running,
}

/// A method that scores the weights of the untrained network; those with the highest scores are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AtInitMethod")]
pub enum AtInitMethod {
    /// The magnitude of the initial weight.
    Magnitude,
    /// A uniformly random number.
    Random,
    /// SNIP (Lee et al. 2019, arXiv 1810.02340): |θ·g|, with the gradient g of the loss.
    Snip,
    /// Iterative SNIP (de Jorge et al. 2021, arXiv 2006.09081): SNIP in several steps, each on other images.
    IterativeSnip,
    /// FORCE (de Jorge et al. 2021): like iterative SNIP, but weights that an earlier step pruned may come back.
    Force,
    /// `GraSP` (Wang et al. 2020, arXiv 2002.07376): θ·Hg, with the Hessian H of the loss at temperature 200.
    Grasp,
    /// `SynFlow` (Tanaka et al. 2020, arXiv 2006.05467): |θ|·∂R/∂|θ|, where R is the sum of the outputs of the network with
    /// absolute weights for an image of ones. In 100 steps, in float64, without data.
    Synflow,
}

/// A mask that is made before any training, by scores of the untrained network.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "AtInit")]
struct AtInitKeys {
    /// How the weights are scored.
    method: AtInitMethod,
    /// The size of the mask: that of the named arm's mask at the same round. Either this or `cut`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    like: Option<String>,
    /// The size of the mask, a round per entry: the fraction pruned from the layers with the largest rate; the other
    /// layers are pruned in proportion to their rates. Either this or `like`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<Vec<f64>>,
    /// With `synflow` (100), `force` and `iterative_snip` (60): number of steps in which the mask is pruned to its size.
    /// Weights are scored anew before each, and the share that is kept falls by the same factor in each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    steps: Option<u32>,
    /// With `snip` and `grasp` (10 images per class), `force` and `iterative_snip` (1 batch in each step): the images that
    /// scores are computed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    score: Option<ScoreImages>,
    /// With methods that need images: the statistics of batch norms while weights are scored. Without it, those of the
    /// authors' code: `running` with `snip`, else `batch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch_norm: Option<ScoreBatchNorm>,
    /// Keep the weights with the lowest scores instead of those with the highest (false). A control.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    inverted: bool,
}

impl AtInitMethod {
    /// Returns the name in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Magnitude => "magnitude",
            Self::Random => "random",
            Self::Snip => "snip",
            Self::IterativeSnip => "iterative_snip",
            Self::Force => "force",
            Self::Grasp => "grasp",
            Self::Synflow => "synflow",
        }
    }

    /// Returns the number of steps that the method's authors take, if it takes several.
    fn default_steps(self) -> Option<u32> {
        match self {
            Self::Magnitude | Self::Random | Self::Snip | Self::Grasp => None,
            Self::IterativeSnip | Self::Force => Some(60),
            Self::Synflow => Some(100),
        }
    }

    /// Returns the images that are usual for the method, if it needs images.
    fn default_images(self) -> Option<ScoreImages> {
        match self {
            Self::Magnitude | Self::Random | Self::Synflow => None,
            Self::Snip | Self::Grasp => Some(ScoreImages::ImagesPerClass(10)),
            Self::IterativeSnip | Self::Force => Some(ScoreImages::Batches(1)),
        }
    }

    /// Returns the statistics of batch norms in the code of the method's authors.
    pub fn default_batch_norm(self) -> ScoreBatchNorm {
        match self {
            Self::Grasp | Self::IterativeSnip | Self::Force => ScoreBatchNorm::Batch,
            Self::Magnitude | Self::Random | Self::Snip | Self::Synflow => ScoreBatchNorm::Running,
        }
    }
}

impl Scoring {
    /// Returns whether the scores are made of gradients.
    pub fn needs_gradients(&self) -> bool {
        self.images.is_some() || self.method == AtInitMethod::Synflow
    }

    /// Returns whether the mask depends on random draws besides the initial weights.
    pub fn is_random(&self) -> bool {
        self.method == AtInitMethod::Random || self.images.is_some()
    }
}

impl AtInit {
    /// Checks the range of every value. `key` is the path of the table.
    pub(super) fn check(&self, key: &str, checker: &mut Checker) {
        let Scoring { method, steps, images, is_inverted, .. } = self.scoring;
        let is_number = (1..=10_000).contains(&steps);
        checker.require(&format!("{key}.steps"), is_number, "must be from 1 to 10000");
        if let Some(images) = images {
            images.check(&format!("{key}.score"), checker);
        }
        let has_opposite = !(is_inverted && method == AtInitMethod::Random);
        let message = "has no meaning for random scores: the opposite of a random order is one";
        checker.require(&format!("{key}.inverted"), has_opposite, message);
        self.size.check(key, checker);
    }
}

impl TryFrom<AtInitKeys> for AtInit {
    type Error = String;

    fn try_from(keys: AtInitKeys) -> Result<Self, String> {
        let AtInitKeys { method, like, cut, steps, score, batch_norm, inverted } = keys;
        let size = TargetSize::of_keys(like, cut)?;
        let name = method.as_str();
        if steps.is_some() && method.default_steps().is_none() {
            return Err(format!("`steps` belongs to `synflow`, `force` and `iterative_snip`, not to `{name}`"));
        }
        if score.is_some() && method.default_images().is_none() {
            return Err(format!("`score` belongs to methods that need images, and `{name}` needs none"));
        }
        if batch_norm.is_some() && method.default_images().is_none() {
            return Err(format!("`batch_norm` belongs to methods that need images, and `{name}` needs none"));
        }
        let scoring = Scoring {
            method,
            steps: steps.or(method.default_steps()).unwrap_or(1),
            images: score.or(method.default_images()),
            batch_norm: batch_norm.unwrap_or(method.default_batch_norm()),
            is_inverted: inverted,
        };
        Ok(Self { scoring, size })
    }
}

impl From<AtInit> for AtInitKeys {
    fn from(mask: AtInit) -> Self {
        let AtInit { scoring: Scoring { method, steps, images, batch_norm, is_inverted }, size } = mask;
        let (like, cut) = size.into_keys();
        let default_steps = method.default_steps();
        Self {
            method,
            like,
            cut,
            steps: default_steps.and(Some(steps)).filter(|_| default_steps != Some(steps)),
            score: images.filter(|_| images != method.default_images()),
            batch_norm: Some(batch_norm).filter(|_| batch_norm != method.default_batch_norm()),
            inverted: is_inverted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MaskSource;
    use crate::config::test_support::{experiment, usage_error};

    fn mask(keys: &str) -> AtInit {
        let set = format!("arms={{a={{mask={{at_init={{{keys}}}}},weights='rewind'}}}}");
        match experiment(&[&set]).arms.0.remove(0).1.mask {
            MaskSource::AtInit(mask) => mask,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn methods_at_initialization_have_the_defaults_of_their_authors_and_are_written_as_given() {
        for keys in [
            r#""method":"snip","like":"b""#,
            r#""method":"grasp","cut":[0.5,0.9],"score":{"images_per_class":1},"batch_norm":"running","inverted":true"#,
            r#""method":"force","like":"b","steps":10,"score":{"batches":2}"#,
        ] {
            let written = serde_json::to_string(&mask(&keys.replace("\":", "\"="))).unwrap();
            assert_eq!(written, format!("{{{keys}}}"));
        }
        let Scoring { steps, images, .. } = mask("method='synflow',like='b'").scoring;
        assert_eq!((steps, images), (100, None));
        let Scoring { steps, images, .. } = mask("method='iterative_snip',like='b'").scoring;
        assert_eq!((steps, images), (60, Some(ScoreImages::Batches(1))));
    }

    #[test]
    fn keys_of_another_method_or_without_size_are_refused() {
        let error =
            |keys: &str| usage_error(&[&format!("arms={{a={{mask={{at_init={{{keys}}}}},weights='rewind'}}}}")]);
        for (keys, message) in [
            ("method='snip'", "it has no size"),
            ("method='snip',like='b',cut=[0.5]", "both give its size"),
            ("method='snip',like='b',steps=3", "`steps` belongs to `synflow`, `force` and `iterative_snip`"),
            ("method='synflow',like='b',score={batches=1}", "`score` belongs to methods that need images"),
            ("method='synflow',like='b',batch_norm='batch'", "`batch_norm` belongs to methods that need images"),
            ("method='synflow',like='b',steps=0", "must be from 1 to 10000"),
            ("method='snip',like='b',score={images_per_class=0}", "must name at least one image"),
            ("method='random',like='b',inverted=true", "has no meaning for random scores"),
            ("method='snap',like='b'", "did you mean `snip`?"),
            ("method='snip',cut=[1.0]", "above 0 and below 1"),
        ] {
            let error = error(keys);
            assert!(error.contains(message), "{keys}: {error}");
        }
    }
}
