//! `[prune]`: which weights a round of pruning removes, and how many.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checker::{Checker, is_below_one};
use super::mistakes::diagnostic::Diagnostic;
use super::network::NetworkConfig;
use super::score_images::ScoreImages;

/// Pruning criterion, scope and rate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Prune")]
pub struct PruneConfig {
    /// The score by which weights are kept.
    #[serde(default)]
    pub criterion: Criterion,
    /// The weights that the criteria `magnitude_increase`, `movement`, `large_init` and `large_final_same_sign` compare
    /// with (`training_start`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_weights: Option<ReferenceWeights>,
    /// With the criterion `wanda` (10 images per class): the images whose activations weigh the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreImages>,
    /// Whether weights are ranked within their layer or across the network.
    #[serde(default)]
    pub scope: Scope,
    /// Fraction of the remaining weights that a round prunes.
    #[serde(default)]
    pub rate: RateConfig,
    /// The prunable weights: layers (`linear2`), kinds (`conv`), or patterns of layer names (`block3.*`; `*` matches
    /// any characters, `?` one). Without it, all weights are prunable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Exceptions from `include`: layers, kinds (`output`) or patterns that are not pruned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// Score by which weights are kept; the lowest scores are pruned first (Zhou et al. 2019, section 3, for all but
/// `magnitude`, `lamp` and `wanda`). Ties are broken at random, by a random stream of the criterion's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// The magnitude at the end of training (Frankle & Carbin 2019).
    #[default]
    Magnitude,
    /// The growth of the magnitude in training, from the reference weight on.
    MagnitudeIncrease,
    /// The distance moved in training, from the reference weight on. (The criterion of Zhou et al. 2019, not the "movement
    /// pruning" of Sanh et al. 2020.)
    Movement,
    /// A uniformly random number, independent of the weights (a control).
    Random,
    /// The magnitude of the reference weight.
    LargeInit,
    /// The negative magnitude at the end of training: small weights are kept.
    SmallFinal,
    /// The magnitude at the end of training; 0 where the sign differs from that of the reference weight.
    LargeFinalSameSign,
    /// LAMP (Lee et al. 2021, arXiv 2010.07611): the square of the magnitude at the end of training, divided by the sum of
    /// the squares of all weights of the layer that are at least as large. For scope `global`, whose layers it balances.
    Lamp,
    /// Wanda (Sun et al. 2024, arXiv 2306.11695): the magnitude at the end of training times the norm of the input that the
    /// weight multiplies, over the images of `prune.score`. For linear layers, ranked over a layer or all layers; the
    /// authors rank the weights of each output unit.
    Wanda,
}

/// The weights that a criterion compares trained weights with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceWeights {
    /// The weights that the pruned training run started from: the rewind point; with `weights = "final"` the trained
    /// weights of the round before.
    #[default]
    TrainingStart,
    /// The weights of iteration 0 of the replicate, wherever the training run started.
    Initial,
}

/// Where weights are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Weights are ranked within their layer.
    #[default]
    Layerwise,
    /// Weights are ranked across all prunable layers together.
    Global,
}

/// Fractions of the remaining weights that a round prunes, in [0, 1).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rate")]
pub struct RateConfig {
    /// With scope `global`: rate of all included weights together (0.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<f64>,
    /// Rate of convolutions (0.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conv: Option<f64>,
    /// Rate of convolutions on shortcuts (the rate of `conv`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortcut: Option<f64>,
    /// Rate of linear layers (0.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear: Option<f64>,
    /// Rate of the output layer (half of `linear`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<f64>,
    /// Rates of single layers by name; they take precedence over the rate of the kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layers: BTreeMap<String, f64>,
}

impl Criterion {
    /// Returns whether the score depends on an earlier value of the weight, beside or in place of the trained one.
    pub fn needs_reference_weights(self) -> bool {
        match self {
            Self::Magnitude | Self::Random | Self::SmallFinal | Self::Lamp | Self::Wanda => false,
            Self::MagnitudeIncrease | Self::Movement | Self::LargeInit | Self::LargeFinalSameSign => true,
        }
    }

    /// Returns whether many weights of one network commonly have the same score: weights whose sign has changed, or that
    /// training has not moved. With the other criteria few scores are equal: where two `f32` values coincide, those
    /// of the largest weights of layers with `lamp`, and those of inputs that are always 0 with `wanda`.
    pub fn gives_equal_scores(self) -> bool {
        match self {
            Self::Magnitude | Self::Random | Self::SmallFinal | Self::LargeInit | Self::Lamp | Self::Wanda => false,
            Self::MagnitudeIncrease | Self::Movement | Self::LargeFinalSameSign => true,
        }
    }
}

impl RateConfig {
    /// Returns the rate of all included layers together, with scope `global`.
    pub fn all(&self) -> f64 {
        self.all.unwrap_or(0.2)
    }

    /// Returns the rate of convolutions.
    pub fn conv(&self) -> f64 {
        self.conv.unwrap_or(0.2)
    }

    /// Returns the rate of convolutions on shortcuts.
    pub fn shortcut(&self) -> f64 {
        self.shortcut.unwrap_or(self.conv())
    }

    /// Returns the rate of linear layers.
    pub fn linear(&self) -> f64 {
        self.linear.unwrap_or(0.2)
    }

    /// Returns the rate of the output layer: half that of the other linear layers (Frankle & Carbin 2019, Figure 2).
    pub fn output(&self) -> f64 {
        self.output.unwrap_or(self.linear() / 2.0)
    }
}

impl PruneConfig {
    /// Fills in the defaults that depend on the criterion, the scope and the network. Rates of kinds of layers that the
    /// network does not have are removed, so that one file serves several networks, and so that only values with an
    /// effect are recorded.
    pub(super) fn resolve(&mut self, network: &NetworkConfig) {
        if self.criterion.needs_reference_weights() {
            self.reference_weights = Some(self.reference_weights.unwrap_or_default());
        }
        if self.criterion == Criterion::Wanda {
            self.score = Some(self.score.unwrap_or(ScoreImages::ImagesPerClass(10)));
        }
        let rate = &mut self.rate;
        match self.scope {
            Scope::Layerwise => {
                rate.shortcut = network.has_shortcuts().then(|| rate.shortcut());
                rate.conv = network.has_convolutions().then(|| rate.conv());
                rate.linear = Some(rate.linear());
                rate.output = Some(rate.output());
            }
            Scope::Global => rate.all = Some(rate.all()),
        }
    }

    /// Checks that no key belongs to another criterion or scope.
    pub(super) fn check_combinations(&self, checker: &mut Checker) {
        let owner = "the criteria `magnitude_increase`, `movement`, `large_init` and `large_final_same_sign`";
        let has_reference = self.reference_weights.is_some();
        checker.only_with_owner(
            "prune.reference_weights",
            has_reference,
            self.criterion.needs_reference_weights(),
            owner,
        );
        let is_wanda = self.criterion == Criterion::Wanda;
        checker.only_with_choice("prune.score", self.score.is_some(), is_wanda, "`criterion = \"wanda\"`");
        if let Some(images) = self.score {
            images.check("prune.score", checker);
        }
        let is_global = self.scope == Scope::Global;
        if self.criterion == Criterion::Lamp && !is_global {
            let message = "`lamp` balances layers, and the scope ranks each layer by itself, where it is `magnitude`";
            let hint = "set `prune.scope = \"global\"`, or choose `magnitude`";
            checker.push(Diagnostic::new("prune.criterion", message).hint(hint));
        }
        let rate = &self.rate;
        checker.only_with_choice("prune.rate.all", rate.all.is_some(), is_global, "`scope = \"global\"`");
        let layerwise = [
            ("prune.rate.conv", rate.conv.is_some()),
            ("prune.rate.shortcut", rate.shortcut.is_some()),
            ("prune.rate.linear", rate.linear.is_some()),
            ("prune.rate.output", rate.output.is_some()),
            ("prune.rate.layers", !rate.layers.is_empty()),
        ];
        for (key, is_given) in layerwise {
            checker.only_with_choice(key, is_given, !is_global, "`scope = \"layerwise\"`");
        }
    }

    /// Checks the range of every rate.
    pub(super) fn check_rates(&self, checker: &mut Checker) {
        let rate = &self.rate;
        let kinds = [
            ("all", rate.all),
            ("linear", rate.linear),
            ("output", rate.output),
            ("conv", rate.conv),
            ("shortcut", rate.shortcut),
        ];
        checker.require_length("prune.rate.layers", rate.layers.len());
        let kinds = kinds.into_iter().filter_map(|(name, rate)| Some((name.to_owned(), rate?)));
        let layers = rate.layers.iter().map(|(name, &rate)| (format!("layers.{name}"), rate));
        for (name, rate) in kinds.chain(layers) {
            if !is_below_one(rate) {
                checker.push(invalid_rate(format!("prune.rate.{name}"), rate));
            }
        }
    }
}

/// Returns the mistake of a rate outside [0, 1). The hint takes a number between 1 and 100 for a percentage.
fn invalid_rate(key: String, rate: f64) -> Diagnostic {
    let message = format!("`{key}` is the fraction cut per round: at least 0 and below 1, not {rate}");
    let diagnostic = Diagnostic::new(key, message);
    let is_percentage = rate > 1.0 && rate < 100.0;
    if is_percentage { diagnostic.hint(format!("{rate} % is written {}", rate / 100.0)) } else { diagnostic }
}

#[cfg(test)]
mod tests {
    use crate::config::test_support::{experiment, usage_error};

    #[test]
    fn rate_of_convolutions_is_recorded_for_networks_with_convolutions() {
        let rate = |architecture: &str| {
            let sets = [format!("network.architecture={architecture}"), "prune.rate={conv=0.5,linear=0.4}".to_owned()];
            let rate = experiment(&[&sets[0], &sets[1]]).prune.rate;
            (rate.conv, rate.shortcut, rate.linear, rate.output)
        };
        assert_eq!(rate("lenet_300_100"), (None, None, Some(0.4), Some(0.2)));
        assert_eq!(rate("conv2"), (Some(0.5), None, Some(0.4), Some(0.2)));
        assert_eq!(rate("resnet20"), (Some(0.5), Some(0.5), Some(0.4), Some(0.2)));
    }

    #[test]
    fn rate_in_percent_has_hint_with_the_fraction() {
        let error = usage_error(&["prune.rate.linear=20"]);
        assert!(error.contains("hint: 20 % is written 0.2"), "{error}");
        let error = usage_error(&["prune.rate.linear=1"]);
        assert!(error.contains("at least 0 and below 1, not 1") && !error.contains("hint"), "{error}");
    }
}
