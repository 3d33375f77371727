//! `[network]`: the network and its initialization. Whether the shapes of the layers fit is checked where it is built.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::architecture::Architecture;
use super::checker::{Checker, is_below_one, is_positive};
use super::layer_spec::{LayerSpec, MAX_LAYERS, MAX_UNITS, check_layers};
use super::mistakes::diagnostic::Diagnostic;
use super::source_file::FileWeights;

/// The network and its initialization. Written as the flat keys of `[network]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "NetworkKeys")]
pub struct NetworkConfig {
    /// The layers of the network.
    pub structure: NetworkStructure,
    /// The distribution of the initial weights; biases start at 0.
    pub init: WeightInit,
    /// The standard deviation of [`WeightInit::Normal`], above 0; `None` with other distributions.
    pub init_std: Option<f64>,
    /// The weights in a file that the dense network starts from, instead of weights drawn from `init`.
    pub pretrained: Option<FileWeights>,
}

/// The layers of a network.
#[derive(Clone, Debug, PartialEq)]
pub enum NetworkStructure {
    /// An architecture by name.
    Named(NamedNetwork),
    /// The layers in their order, from the image to one output per class.
    Layers(Vec<LayerSpec>),
}

/// An architecture by name, with its options.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedNetwork {
    /// The architecture.
    pub architecture: Architecture,
    /// Whether convolutions are followed by batch norms; `None` for architectures without this choice.
    pub batch_norm: Option<bool>,
    /// Rate of the dropout after every hidden linear layer, in [0, 1); `None` for the default.
    pub dropout: Option<f64>,
}

/// The network and its initialization.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Network")]
pub(super) struct NetworkKeys {
    /// The architecture by name. `layers` can be given instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    architecture: Option<Architecture>,
    /// The network layer by layer, from the image to one output per class, instead of `architecture`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<LayerSpec>>,
    /// The distribution of the initial weights; biases start at 0.
    #[serde(default)]
    init: WeightInit,
    /// With `init = "normal"`: the standard deviation (0.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    init_std: Option<f64>,
    /// With a VGG: whether each convolution is followed by a batch norm (true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch_norm: Option<bool>,
    /// With an architecture by name: rate of the dropout after every hidden linear layer (0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dropout: Option<f64>,
    /// Weights in a file that the dense network starts from (θ₀), instead of weights drawn from `init`; arms with
    /// `weights = "reinit"` draw them. `{replicate}` in the path stands for the replicate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pretrained: Option<FileWeights>,
}

/// The distribution of the initial weights. `fan_in` and `fan_out` are those of the layer's weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Init")]
pub enum WeightInit {
    /// Normal, variance 2 / (`fan_in` + `fan_out`), untruncated.
    #[default]
    GlorotNormal,
    /// Uniform with the variance of `glorot_normal`.
    GlorotUniform,
    /// Normal, variance 2 / `fan_in`.
    KaimingNormal,
    /// Uniform with the variance of `kaiming_normal`.
    KaimingUniform,
    /// Normal with standard deviation `init_std`.
    Normal,
}

impl From<NetworkStructure> for NetworkConfig {
    /// Returns a network with the default initialization.
    fn from(structure: NetworkStructure) -> Self {
        Self { structure, init: WeightInit::default(), init_std: None, pretrained: None }
    }
}

impl From<Architecture> for NetworkConfig {
    /// Returns the architecture with everything else at its default.
    fn from(architecture: Architecture) -> Self {
        NetworkStructure::Named(NamedNetwork { architecture, batch_norm: None, dropout: None }).into()
    }
}

impl From<Vec<LayerSpec>> for NetworkConfig {
    /// Returns a network of these layers with the default initialization.
    fn from(layers: Vec<LayerSpec>) -> Self {
        NetworkStructure::Layers(layers).into()
    }
}

impl NamedNetwork {
    /// Returns whether the convolutions of a VGG are followed by batch norms.
    pub fn batch_norm(&self) -> bool {
        self.batch_norm.unwrap_or(true)
    }

    /// Returns the rate of the dropout after every hidden linear layer.
    pub fn dropout(&self) -> f64 {
        self.dropout.unwrap_or(0.0)
    }
}

impl NetworkConfig {
    /// Returns the standard deviation of `init = "normal"`; the default is about that of `glorot_normal` (Frankle & Carbin
    /// 2019, Appendix G.5).
    pub fn init_std(&self) -> f64 {
        self.init_std.unwrap_or(0.1)
    }

    /// Returns the layers of a network that is given layer by layer; none for an architecture by name.
    pub fn layers(&self) -> &[LayerSpec] {
        match &self.structure {
            NetworkStructure::Named(_) => &[],
            NetworkStructure::Layers(layers) => layers,
        }
    }

    /// Returns whether shortcuts have convolutions.
    pub(super) fn has_shortcuts(&self) -> bool {
        match &self.structure {
            NetworkStructure::Named(named) => named.architecture.has_shortcuts(),
            NetworkStructure::Layers(_) => false,
        }
    }

    /// Returns whether the main branch has convolutions. (Those on shortcuts do not count.)
    pub(super) fn has_convolutions(&self) -> bool {
        match &self.structure {
            NetworkStructure::Named(named) => named.architecture.has_convolutions(),
            NetworkStructure::Layers(layers) => layers.iter().any(|layer| matches!(layer, LayerSpec::Conv { .. })),
        }
    }
}

impl NetworkKeys {
    /// Checks the range of every number, and that the network is given either by name or layer by layer.
    pub(super) fn check_values(&self, checker: &mut Checker) {
        checker.require("network.init_std", self.init_std.is_none_or(is_positive), "must be above 0");
        checker.require_float32("network.init_std", self.init_std);
        if let Some(FileWeights { file, .. }) = &self.pretrained {
            file.check("network.pretrained.file", checker);
            let message = "has `{round}`, and the dense network has no rounds";
            checker.require("network.pretrained.file", !file.has_rounds(), message);
        }
        let is_rate = self.dropout.is_none_or(is_below_one);
        checker.require("network.dropout", is_rate, "is the share set to 0: at least 0 and below 1");
        match self.structure() {
            Ok(NetworkStructure::Named(named)) => check_architecture(&named.architecture, checker),
            Ok(NetworkStructure::Layers(layers)) => check_layers(&layers, checker),
            Err(diagnostic) => checker.push(diagnostic),
        }
    }

    /// Checks that no key belongs to another architecture or initialization.
    pub(super) fn check_combinations(&self, checker: &mut Checker) {
        let is_normal = self.init == WeightInit::Normal;
        checker.only_with_choice("network.init_std", self.init_std.is_some(), is_normal, "`init = \"normal\"`");
        let is_named = |has_choice: fn(&Architecture) -> bool| self.architecture.as_ref().is_some_and(has_choice);
        let is_vgg = is_named(Architecture::has_optional_batch_norm);
        let owner = "a VGG by name, such as `vgg19`";
        checker.only_with_owner("network.batch_norm", self.batch_norm.is_some(), is_vgg, owner);
        let has_hidden_linear = is_named(Architecture::has_hidden_linear);
        let owner = "an architecture by name with hidden linear layers, such as `conv2`";
        checker.only_with_owner("network.dropout", self.dropout.is_some(), has_hidden_linear, owner);
    }

    /// Returns the layers of the network, with the default of `batch_norm` filled in where the architecture has this choice.
    ///
    /// # Errors
    /// Fails if the network is not given, or given twice: by name and layer by layer.
    fn structure(&self) -> Result<NetworkStructure, Diagnostic> {
        match (&self.architecture, &self.layers) {
            (Some(architecture), None) => {
                let default = architecture.has_optional_batch_norm().then_some(true);
                Ok(NetworkStructure::Named(NamedNetwork {
                    architecture: architecture.clone(),
                    batch_norm: self.batch_norm.or(default),
                    dropout: self.dropout,
                }))
            }
            (None, Some(layers)) => Ok(NetworkStructure::Layers(layers.clone())),
            (None, None) => {
                let hint = "such as `architecture = \"lenet_300_100\"`, or give the network layer by layer: \
                            `layers = [{ linear = { out = 300 } }, \"relu\", { linear = { out = 10 } }]`";
                Err(Diagnostic::missing_key("network.architecture").hint(hint))
            }
            (Some(_), Some(_)) => {
                let message = "`network.layers` and `network.architecture` both say what the network is";
                Err(Diagnostic::new("network.layers", message).hint("leave one of them out").on_key())
            }
        }
    }

    /// Returns the configuration with its defaults filled in.
    ///
    /// # Errors
    /// Fails if the network is not given, or given twice: by name and layer by layer.
    pub(super) fn resolve(self) -> Result<NetworkConfig, Diagnostic> {
        let structure = self.structure()?;
        let Self { init, init_std, pretrained, .. } = self;
        let mut config = NetworkConfig { structure, init, init_std, pretrained };
        if config.init == WeightInit::Normal {
            config.init_std = Some(config.init_std());
        }
        Ok(config)
    }
}

impl From<NetworkConfig> for NetworkKeys {
    fn from(config: NetworkConfig) -> Self {
        let NetworkConfig { structure, init, init_std, pretrained } = config;
        match structure {
            NetworkStructure::Named(NamedNetwork { architecture, batch_norm, dropout }) => {
                Self { architecture: Some(architecture), layers: None, init, init_std, batch_norm, dropout, pretrained }
            }
            NetworkStructure::Layers(layers) => Self {
                architecture: None,
                layers: Some(layers),
                init,
                init_std,
                batch_norm: None,
                dropout: None,
                pretrained,
            },
        }
    }
}

/// Checks the parameters of an architecture.
fn check_architecture(architecture: &Architecture, checker: &mut Checker) {
    if let &Architecture::WideResnet { depth, width } = architecture {
        let key = "network.architecture.wide_resnet";
        let is_depth = depth >= 10 && (depth - 4).is_multiple_of(6) && depth <= 1000;
        checker.require(
            &format!("{key}.depth"),
            is_depth,
            "must be 10, 16, 22, 28, 34 or so: 4 more than a multiple of 6",
        );
        checker.require(&format!("{key}.width"), (1..=100).contains(&width), "must be from 1 to 100");
    }
    let Architecture::Mlp { hidden } = architecture else { return };
    let key = "network.architecture.mlp.hidden";
    let are_sizes = hidden.iter().all(|units| (1..=MAX_UNITS).contains(units));
    checker.require(key, are_sizes, "must have from 1 to a million units in each layer");
    checker.require(key, hidden.len() <= MAX_LAYERS, "must not have more than 300 layers");
}

#[cfg(test)]
mod tests {
    use crate::config::test_support::{experiment, usage_error};

    #[test]
    fn depth_of_a_wide_network_is_4_more_than_a_multiple_of_6() {
        let error = |depth: u32, width: u32| {
            usage_error(&[&format!("network={{architecture={{wide_resnet={{depth={depth},width={width}}}}}}}")])
        };
        for (depth, width, message) in
            [(20, 2, "wide_resnet.depth` must be 10, 16,"), (16, 0, "wide_resnet.width` must be from 1")]
        {
            let said = error(depth, width);
            assert!(said.contains(message), "{said}");
        }
    }

    #[test]
    fn network_defaults_are_written_where_they_apply() {
        let written = |network: &str| {
            let set = format!("network={{{network}}}");
            serde_json::to_string(&experiment(&[&set]).network).unwrap()
        };
        let conv2 = r#"{"architecture":"conv2","init":"glorot_normal"}"#;
        assert_eq!(written("architecture='conv2'"), conv2);
        let vgg = r#"{"architecture":"vgg11","init":"normal","init_std":0.1,"batch_norm":true}"#;
        assert_eq!(written("architecture='vgg11',init='normal'"), vgg);
        let layers = r#"{"layers":["relu",{"linear":{"out":10}}],"init":"glorot_normal"}"#;
        assert_eq!(written("layers=['relu',{linear={out=10}}]"), layers);
    }

    #[test]
    fn network_is_given_by_name_or_layer_by_layer() {
        let both = usage_error(&["network.layers=[{linear={out=10}}]"]);
        assert!(both.contains("both say what the network is"), "{both}");
        let neither = usage_error(&["network={}"]);
        assert!(neither.contains("`network.architecture` is missing"), "{neither}");
    }
}
