//! A layer of a network that is given layer by layer, with its checks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checker::{Checker, is_below_one};

/// Upper bound of the outputs of a layer. Arbitrary, far above practical values; above it memory would be exhausted.
pub(super) const MAX_UNITS: u32 = 1_000_000;
/// Upper bound of the number of layers.
pub(super) const MAX_LAYERS: usize = 300;
/// Upper bound of a kernel, a window, a stride or a padding, in pixels.
const MAX_PIXELS: u32 = 1000;

/// A layer of a network that is given layer by layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerSpec {
    /// Flattens an image into a vector. The first linear layer does so implicitly.
    Flatten,
    /// A fully connected layer with a bias; the last one is the layer `output`.
    Linear {
        /// Number of outputs; in the last layer, the number of classes.
        out: u32,
    },
    /// A convolution with a square kernel and zero padding.
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
    /// Batch normalization of each channel (each feature, after a linear layer), with trained scale and shift; with
    /// running statistics in evaluation.
    BatchNorm,
    /// Max pooling over square windows.
    MaxPool {
        /// Height and width of a window in pixels.
        size: u32,
        /// Step between two windows in pixels (`size`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<u32>,
    },
    /// Average pooling over square windows.
    AvgPool {
        /// Height and width of a window in pixels.
        size: u32,
        /// Step between two windows in pixels (`size`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<u32>,
    },
    /// Global average pooling: the mean of each channel.
    GlobalAvgPool,
    /// max(x, 0).
    Relu,
    /// Dropout: in training, sets values to 0 with probability `rate` and scales the others by 1 / (1 − `rate`).
    Dropout {
        /// Probability that a value is set to 0.
        rate: f64,
    },
}

/// Checks the parameters of a network that is given layer by layer.
pub(super) fn check_layers(layers: &[LayerSpec], checker: &mut Checker) {
    checker.require("network.layers", layers.len() <= MAX_LAYERS, "must not have more than 300 layers");
    for (index, layer) in layers.iter().take(MAX_LAYERS).enumerate() {
        check_layer(&format!("network.layers[{index}]"), layer, checker);
    }
}

/// Checks the parameters of one layer; `key` is its path.
fn check_layer(key: &str, layer: &LayerSpec, checker: &mut Checker) {
    match layer {
        LayerSpec::Linear { out } => check_units(&format!("{key}.linear.out"), *out, checker),
        LayerSpec::Dropout { rate } => {
            let message = "is the share set to 0: at least 0 and below 1";
            checker.require(&format!("{key}.dropout.rate"), is_below_one(*rate), message);
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
pub(super) fn check_units(key: &str, units: u32, checker: &mut Checker) {
    checker.require(key, (1..=MAX_UNITS).contains(&units), "must be from 1 to a million");
}

/// Checks a length in pixels, if it is given.
fn check_pixels(key: &str, pixels: Option<u32>, checker: &mut Checker) {
    let is_valid = pixels.is_none_or(|pixels| (1..=MAX_PIXELS).contains(&pixels));
    checker.require(key, is_valid, "must be from 1 to 1000 pixels");
}
