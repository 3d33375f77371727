//! `[network]`: the network and its initialization. Whether the shapes of the layers fit is checked where it is built.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::architecture::Architecture;
use super::checker::{Checker, is_fraction, is_positive};
use super::diagnostic::Diagnostic;

/// Upper bound of the outputs of a layer; no experiment comes near it, and above it memory would be exhausted.
const MAX_UNITS: u32 = 1_000_000;
/// Upper bound of the number of layers.
const MAX_LAYERS: usize = 300;
/// Upper bound of a kernel, a window, a stride or a padding, in pixels.
const MAX_PIXELS: u32 = 1000;

/// The network and its initialization.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Network")]
pub struct NetworkConfig {
    /// The architecture by name. `layers` can be given instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// The network layer by layer, from the image to one output per class, instead of `architecture`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<LayerSpec>>,
    /// The distribution of the initial weights; biases start at 0.
    #[serde(default)]
    pub init: WeightInit,
    /// With `init = "normal"`: the standard deviation (0.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_std: Option<f64>,
    /// With a VGG: whether each convolution is followed by a batch norm (true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_norm: Option<bool>,
    /// With an architecture by name: rate of the dropout after every hidden linear layer (0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
}

/// A layer of a network that is given layer by layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerSpec {
    /// Turns an image into a row of numbers. The first linear layer does this by itself.
    Flatten,
    /// A fully connected layer with a bias; the last one is the layer `output`.
    Linear {
        /// Number of outputs; in the last layer, the number of classes.
        out: u32,
    },
    /// A convolution with a square kernel; the image is padded with zeros.
    Conv {
        /// Number of output channels.
        out: u32,
        /// Height and width of the kernel in pixels (3).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kernel: Option<u32>,
        /// Step between two positions in pixels (1).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<u32>,
        /// Rows and columns of zeros on each side (half the kernel, rounded down). With stride 1 the image keeps its size if
        /// the kernel is odd, and grows by one pixel if it is even.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        padding: Option<u32>,
        /// Whether each channel has a bias (true).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bias: Option<bool>,
    },
    /// Batch normalization: each channel (each feature, after a linear layer) to mean 0 and variance 1 over the batch, then
    /// scaled and shifted by trained parameters; in evaluation with running statistics.
    BatchNorm,
    /// The largest value of each square window.
    MaxPool {
        /// Height and width of a window in pixels.
        size: u32,
        /// Step between two windows in pixels (`size`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<u32>,
    },
    /// The mean of each square window.
    AvgPool {
        /// Height and width of a window in pixels.
        size: u32,
        /// Step between two windows in pixels (`size`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<u32>,
    },
    /// The mean of each channel; the output is a row of features.
    GlobalAvgPool,
    /// max(x, 0).
    Relu,
    /// In training, sets values to 0 at random and scales the others by 1 / (1 − `rate`).
    Dropout {
        /// The share of values that is set to 0.
        rate: f64,
    },
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

impl From<Architecture> for NetworkConfig {
    /// Returns the architecture with everything else at its default.
    fn from(architecture: Architecture) -> Self {
        Self {
            architecture: Some(architecture),
            layers: None,
            init: WeightInit::default(),
            init_std: None,
            batch_norm: None,
            dropout: None,
        }
    }
}

impl NetworkConfig {
    /// Returns the standard deviation of `init = "normal"`; the default is about that of `glorot_normal` (Frankle & Carbin
    /// 2019, Appendix G.5).
    pub fn init_std(&self) -> f64 {
        self.init_std.unwrap_or(0.1)
    }

    /// Returns whether the convolutions of a VGG are followed by batch norms.
    pub fn batch_norm(&self) -> bool {
        self.batch_norm.unwrap_or(true)
    }

    /// Returns the rate of the dropout after every hidden linear layer of an architecture.
    pub fn dropout(&self) -> f64 {
        self.dropout.unwrap_or(0.0)
    }

    /// Returns whether the network has convolutions on shortcuts.
    pub(super) fn has_shortcuts(&self) -> bool {
        self.architecture.as_ref().is_some_and(Architecture::has_shortcuts)
    }

    /// Returns whether the network has convolutions on the way from the image to the logits.
    pub(super) fn has_convolutions(&self) -> bool {
        match (&self.architecture, &self.layers) {
            (_, Some(layers)) => layers.iter().any(|layer| matches!(layer, LayerSpec::Conv { .. })),
            (Some(architecture), None) => architecture.has_convolutions(),
            (None, None) => false,
        }
    }

    /// Returns whether the network is an architecture by name with linear layers before the output layer.
    fn has_hidden_linear(&self) -> bool {
        self.architecture.as_ref().is_some_and(Architecture::has_hidden_linear)
    }

    /// Returns whether the network is an architecture by name whose batch norm can be left out.
    fn has_optional_batch_norm(&self) -> bool {
        self.architecture.as_ref().is_some_and(Architecture::has_optional_batch_norm)
    }

    /// Fills in the defaults that depend on other values.
    pub(super) fn resolve(&mut self) {
        if self.init == WeightInit::Normal {
            self.init_std = Some(self.init_std());
        }
        if self.has_optional_batch_norm() {
            self.batch_norm = Some(self.batch_norm());
        }
    }

    /// Checks the range of every number, and that the network is given either by name or layer by layer.
    pub(super) fn check_values(&self, checker: &mut Checker) {
        checker.require("network.init_std", self.init_std.is_none_or(is_positive), "must be above 0");
        let is_rate = self.dropout.is_none_or(is_fraction);
        checker.require("network.dropout", is_rate, "is the share set to 0: at least 0 and below 1");
        match (&self.architecture, &self.layers) {
            (None, None) => {
                let hint = "such as `architecture = \"lenet_300_100\"`, or give the network layer by layer: \
                            `layers = [{ linear = { out = 300 } }, \"relu\", { linear = { out = 10 } }]`";
                checker.push(Diagnostic::missing_key("network.architecture").hint(hint));
            }
            (Some(_), Some(_)) => {
                let message = "`network.layers` and `network.architecture` both say what the network is";
                checker.push(Diagnostic::new("network.layers", message).hint("leave one of them out").on_key());
            }
            (Some(architecture), None) => check_architecture(architecture, checker),
            (None, Some(layers)) => check_layers(layers, checker),
        }
    }

    /// Checks that no key belongs to another architecture or initialization.
    pub(super) fn check_combinations(&self, checker: &mut Checker) {
        let is_normal = self.init == WeightInit::Normal;
        checker.only_with_choice("network.init_std", self.init_std.is_some(), is_normal, "`init = \"normal\"`");
        let owner = "a VGG by name, such as `vgg19`";
        checker.only_with("network.batch_norm", self.batch_norm.is_some(), self.has_optional_batch_norm(), owner);
        let owner = "an architecture by name with hidden linear layers, such as `conv2`";
        checker.only_with("network.dropout", self.dropout.is_some(), self.has_hidden_linear(), owner);
    }
}

/// Checks the parameters of an architecture.
fn check_architecture(architecture: &Architecture, checker: &mut Checker) {
    let Architecture::Mlp { hidden } = architecture else { return };
    let key = "network.architecture.mlp.hidden";
    let are_sizes = hidden.iter().all(|units| (1..=MAX_UNITS).contains(units));
    checker.require(key, are_sizes, "must have from 1 to a million units in each layer");
    checker.require(key, hidden.len() <= MAX_LAYERS, "must not have more than 300 layers");
}

/// Checks the parameters of a network that is given layer by layer.
fn check_layers(layers: &[LayerSpec], checker: &mut Checker) {
    checker.require("network.layers", layers.len() <= MAX_LAYERS, "must not have more than 300 layers");
    for (index, layer) in layers.iter().enumerate() {
        check_layer(&format!("network.layers[{index}]"), layer, checker);
    }
}

/// Checks the parameters of one layer; `key` is its path.
fn check_layer(key: &str, layer: &LayerSpec, checker: &mut Checker) {
    match layer {
        LayerSpec::Linear { out } => check_units(&format!("{key}.linear.out"), *out, checker),
        LayerSpec::Dropout { rate } => {
            let message = "is the share set to 0: at least 0 and below 1";
            checker.require(&format!("{key}.dropout.rate"), is_fraction(*rate), message);
        }
        LayerSpec::Conv { out, kernel, stride, padding, bias: _ } => {
            check_units(&format!("{key}.conv.out"), *out, checker);
            check_pixels(&format!("{key}.conv.kernel"), *kernel, checker);
            check_pixels(&format!("{key}.conv.stride"), *stride, checker);
            let is_padding = padding.is_none_or(|padding| padding <= MAX_PIXELS);
            checker.require(&format!("{key}.conv.padding"), is_padding, "must be at most 1000 pixels");
        }
        LayerSpec::MaxPool { size, stride } => {
            check_pixels(&format!("{key}.max_pool.size"), Some(*size), checker);
            check_pixels(&format!("{key}.max_pool.stride"), *stride, checker);
        }
        LayerSpec::AvgPool { size, stride } => {
            check_pixels(&format!("{key}.avg_pool.size"), Some(*size), checker);
            check_pixels(&format!("{key}.avg_pool.stride"), *stride, checker);
        }
        LayerSpec::Flatten | LayerSpec::BatchNorm | LayerSpec::GlobalAvgPool | LayerSpec::Relu => {}
    }
}

/// Checks a number of outputs.
fn check_units(key: &str, units: u32, checker: &mut Checker) {
    checker.require(key, (1..=MAX_UNITS).contains(&units), "must be from 1 to a million");
}

/// Checks a length in pixels, if it is given.
fn check_pixels(key: &str, pixels: Option<u32>, checker: &mut Checker) {
    let is_valid = pixels.is_none_or(|pixels| (1..=MAX_PIXELS).contains(&pixels));
    checker.require(key, is_valid, "must be from 1 to 1000 pixels");
}
