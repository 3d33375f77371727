//! The sources of masks: `mask` of an arm.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::at_init::AtInit;
use super::checker::Checker;
use super::early_bird::EarlyBird;
use super::source_file::SourceFile;

/// Largest number of entries of a grid of target sizes.
const MAX_GRID: usize = 1000;

/// The source of an arm's masks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MaskFrom")]
pub enum MaskSource {
    /// All ones; such an arm has round 0 only.
    Dense,
    /// The arm's own previous round, pruned; round 1 prunes the dense network.
    Iterative,
    /// The mask of the named arm, same replicate and round.
    Of(String),
    /// Uniformly random, with the named arm's count in every layer.
    Random(String),
    /// The trained dense network, pruned in one step to a target size.
    OneShot(TargetSize),
    /// The untrained network, pruned by a method at initialization.
    AtInit(AtInit),
    /// The dense network, pruned by the magnitude of its weights at an early time of its training.
    EarlyBird(EarlyBird),
    /// The mask in a file. If its path has `{round}`, the arm has the rounds of the experiment, else round 1 only.
    File(SourceFile),
}

/// The size of a mask that is pruned in one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Size")]
pub enum TargetSize {
    /// The size of the named arm's mask at the same round.
    Like(String),
    /// A grid of fractions, one round per entry: the fraction pruned from the layers with the largest rate; the other
    /// layers are pruned in proportion to their rates.
    Cut(Vec<f64>),
}

impl MaskSource {
    /// Returns the arm whose mask, its sizes by layer, or its size the mask has, and the config key below `mask` that names
    /// it.
    pub fn reference(&self) -> Option<(&str, &'static str)> {
        match self {
            Self::Of(name) => Some((name, "of")),
            Self::Random(name) => Some((name, "random")),
            Self::OneShot(TargetSize::Like(name)) => Some((name, "one_shot.like")),
            Self::AtInit(AtInit { size: TargetSize::Like(name), .. }) => Some((name, "at_init.like")),
            Self::EarlyBird(EarlyBird { size: TargetSize::Like(name), .. }) => Some((name, "early_bird.like")),
            Self::Dense | Self::Iterative | Self::File(_) | Self::OneShot(_) | Self::AtInit(_) | Self::EarlyBird(_) => {
                None
            }
        }
    }

    /// Returns the size of a mask that is pruned to a given size.
    pub fn size(&self) -> Option<&TargetSize> {
        match self {
            Self::OneShot(size) | Self::AtInit(AtInit { size, .. }) | Self::EarlyBird(EarlyBird { size, .. }) => {
                Some(size)
            }
            Self::Dense | Self::Iterative | Self::Of(_) | Self::Random(_) | Self::File(_) => None,
        }
    }

    /// Returns the grid of sizes: the fraction to prune in each round, if it has one.
    pub fn grid(&self) -> Option<&[f64]> {
        self.size()?.grid()
    }

    /// Returns the arm whose mask, or whose number of weights in every layer, is taken over.
    pub fn copied_arm(&self) -> Option<&str> {
        match self {
            Self::Of(name) | Self::Random(name) => Some(name),
            Self::Dense | Self::Iterative | Self::OneShot(_) | Self::AtInit(_) | Self::EarlyBird(_) | Self::File(_) => {
                None
            }
        }
    }

    /// Returns whether trained weights of this experiment are pruned.
    pub fn prunes_trained_weights(&self) -> bool {
        matches!(self, Self::Iterative | Self::OneShot(_))
    }

    /// Checks the range of every value. `key` is the path of the arm's key `mask`.
    pub(super) fn check(&self, key: &str, checker: &mut Checker) {
        match self {
            Self::OneShot(size) => size.check(&format!("{key}.one_shot"), checker),
            Self::AtInit(mask) => mask.check(&format!("{key}.at_init"), checker),
            Self::EarlyBird(mask) => mask.check(&format!("{key}.early_bird"), checker),
            Self::File(file) => file.check(&format!("{key}.file"), checker),
            Self::Dense | Self::Iterative | Self::Of(_) | Self::Random(_) => {}
        }
    }
}

impl TargetSize {
    /// Returns the size that the keys `like` and `cut` give, one of which must be given.
    pub(super) fn of_keys(like: Option<String>, cut: Option<Vec<f64>>) -> Result<Self, String> {
        match (like, cut) {
            (Some(like), None) => Ok(Self::Like(like)),
            (None, Some(cut)) => Ok(Self::Cut(cut)),
            (None, None) => Err("it has no size: add `like = \"ARM\"` or `cut = [0.5, 0.8]`".into()),
            (Some(_), Some(_)) => Err("`like` and `cut` both give its size: leave one of them out".into()),
        }
    }

    /// Returns the keys `like` and `cut`.
    pub(super) fn into_keys(self) -> (Option<String>, Option<Vec<f64>>) {
        match self {
            Self::Like(like) => (Some(like), None),
            Self::Cut(cut) => (None, Some(cut)),
        }
    }

    /// Returns the arm whose mask has the size.
    pub fn like(&self) -> Option<&str> {
        match self {
            Self::Like(arm) => Some(arm),
            Self::Cut(_) => None,
        }
    }

    /// Returns the grid of pruned fractions, one per round.
    pub fn grid(&self) -> Option<&[f64]> {
        match self {
            Self::Cut(grid) => Some(grid),
            Self::Like(_) => None,
        }
    }

    /// Checks a grid of pruned fractions. `key` is the path of the table with the size.
    pub(super) fn check(&self, key: &str, checker: &mut Checker) {
        let Self::Cut(grid) = self else { return };
        let key = format!("{key}.cut");
        let is_length = (1..=MAX_GRID).contains(&grid.len());
        checker.require(&key, is_length, "must have from 1 to 1000 entries");
        if let Some(entry) = grid.iter().position(|fraction| !(*fraction > 0.0 && *fraction < 1.0)) {
            checker.require(&format!("{key}[{entry}]"), false, "is the fraction that is cut: above 0 and below 1");
        }
    }
}
