//! Early-bird masks: drawn from the dense network while it trains, once they change little.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checker::{Checker, is_positive};
use super::mask_source::TargetSize;
use super::training_time::TrainingTime;

/// A mask that is drawn from the dense network while it trains: the first one by magnitude that has changed little for
/// some time (You et al. 2020, arXiv 1909.11957, for single weights instead of channels).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "EarlyBirdKeys", into = "EarlyBirdKeys")]
pub struct EarlyBird {
    /// The size of the mask.
    pub size: TargetSize,
    /// Time from one comparison of masks to the next; the first mask is that of the initial weights.
    pub every: TrainingTime,
    /// The number of successive masks that must be near each other, at least 2: the newest to each of those before.
    pub window: u32,
    /// What is near: the largest distance of two masks.
    pub threshold: f64,
    /// How the distance of two masks is measured.
    pub distance: MaskDistance,
}

/// The distance of two masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MaskDistance")]
pub enum MaskDistance {
    /// The share of weights that one mask keeps and the other does not, divided by the share that is expected of two random
    /// masks with the same numbers in every layer.
    #[default]
    Normalized,
    /// The share of weights that one mask keeps and the other does not, as by You et al. 2020. Random masks of 10% of the
    /// weights differ in 18%, so that the threshold means another thing at each size.
    Hamming,
}

/// A mask that is drawn from the dense network while it trains.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EarlyBird")]
struct EarlyBirdKeys {
    /// The size of the mask: that of the named arm's mask at the same round. Either this or `cut`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    like: Option<String>,
    /// The size of the mask, a round per entry: the fraction pruned from the layers with the largest rate; the other
    /// layers are pruned in proportion to their rates. Either this or `like`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<Vec<f64>>,
    /// Time from one comparison of masks to the next, in iterations (`100it`) or epochs (`1ep`).
    #[serde(default = "default_every", skip_serializing_if = "is_default_every")]
    every: TrainingTime,
    /// The number of successive masks that must be near each other: the newest to each of those before (5).
    #[serde(default = "default_window", skip_serializing_if = "is_default_window")]
    window: u32,
    /// The largest distance of masks that are near: 0.2 without it, or 0.1 with `hamming`. Both are the same for masks of half
    /// of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    /// How the distance of two masks is measured (`normalized`).
    #[serde(default, skip_serializing_if = "is_default_distance")]
    distance: MaskDistance,
}

impl MaskDistance {
    /// Returns the threshold of You et al. 2020 for masks of half of the weights.
    fn default_threshold(self) -> f64 {
        match self {
            Self::Normalized => 0.2,
            Self::Hamming => 0.1,
        }
    }
}

/// The largest number of masks that are compared.
const MAX_WINDOW: u32 = 1000;

impl EarlyBird {
    /// Checks the range of every value. `table` is the path of the table.
    pub(super) fn check(&self, table: &str, checker: &mut Checker) {
        let key = |name: &str| format!("{table}.{name}");
        let is_time = self.every != TrainingTime::of_iterations(0);
        checker.require(&key("every"), is_time, "must be at least `1it`");
        checker.require(&key("window"), (2..=MAX_WINDOW).contains(&self.window), "must be from 2 to 1000");
        checker.require(&key("threshold"), is_positive(self.threshold), "must be above 0");
        self.size.check(table, checker);
    }
}

impl TryFrom<EarlyBirdKeys> for EarlyBird {
    type Error = String;

    fn try_from(keys: EarlyBirdKeys) -> Result<Self, String> {
        let EarlyBirdKeys { like, cut, every, window, threshold, distance } = keys;
        let threshold = threshold.unwrap_or(distance.default_threshold());
        Ok(Self { size: TargetSize::of_keys(like, cut)?, every, window, threshold, distance })
    }
}

impl From<EarlyBird> for EarlyBirdKeys {
    fn from(mask: EarlyBird) -> Self {
        let EarlyBird { size, every, window, threshold, distance } = mask;
        let (like, cut) = size.into_keys();
        let threshold = Some(threshold).filter(|threshold| *threshold != distance.default_threshold());
        Self { like, cut, every, window, threshold, distance }
    }
}

fn default_every() -> TrainingTime {
    TrainingTime::of_epochs(1)
}

fn default_window() -> u32 {
    5
}

fn is_default_every(every: &TrainingTime) -> bool {
    *every == default_every()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_default_window(window: &u32) -> bool {
    *window == default_window()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_default_distance(distance: &MaskDistance) -> bool {
    *distance == MaskDistance::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MaskSource;
    use crate::config::test_support::{experiment, usage_error};

    fn mask(keys: &str) -> EarlyBird {
        let set = format!("arms={{a={{mask={{early_bird={{{keys}}}}},weights='rewind'}}}}");
        match experiment(&[&set]).arms.0.remove(0).1.mask {
            MaskSource::EarlyBird(mask) => mask,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn early_bird_masks_have_the_defaults_of_their_authors_and_are_written_as_given() {
        for keys in [
            r#""like":"b""#,
            r#""cut":[0.5],"every":"10it","window":3,"threshold":0.2,"distance":"hamming""#,
            r#""like":"b","threshold":0.1"#,
        ] {
            let written = serde_json::to_string(&mask(&keys.replace("\":", "\"="))).unwrap();
            assert_eq!(written, format!("{{{keys}}}"));
        }
        let EarlyBird { every, window, threshold, distance, .. } = mask("like='b'");
        assert_eq!((every.to_string(), window, threshold), ("1ep".to_owned(), 5, 0.2));
        assert_eq!(mask("like='b',distance='hamming'").threshold, 0.1);
        assert_eq!(distance, MaskDistance::Normalized);
    }

    #[test]
    fn early_bird_masks_out_of_range_are_refused() {
        for (keys, message) in [
            ("window=3", "it has no size"),
            ("like='b',every='0it'", "must be at least `1it`"),
            ("like='b',window=1", "must be from 2 to 1000"),
            ("like='b',threshold=0.0", "must be above 0"),
            ("like='b',distance='jaccard'", "one of"),
            ("cut=[2.0]", "above 0 and below 1"),
        ] {
            let error = usage_error(&[&format!("arms={{a={{mask={{early_bird={{{keys}}}}},weights='rewind'}}}}")]);
            assert!(error.contains(message), "{keys}: {error}");
        }
    }
}
