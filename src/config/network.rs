//! What learns, as a person writes it, and what about that makes no sense.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diagnostic::Diagnostic;

/// Bounds that no experiment comes near; beyond them memory would end before the work does.
const MAX_UNITS: u32 = 1_000_000;
const MAX_LAYERS: usize = 300;
/// Of a kernel, a square, a stride or a padding.
const MAX_PIXELS: u32 = 1000;

/// What learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Network")]
pub struct NetworkConfig {
    /// The architecture by name; `layers` may stand in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<Architecture>,
    /// The network layer by layer, from the image to one output per class; in place of `architecture`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<LayerSpec>>,
    /// How initial weights are drawn; biases start at 0.
    #[serde(default)]
    pub init: WeightInit,
    /// With `init = "normal"`: the standard deviation (0.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_std: Option<f64>,
    /// With a VGG: whether a batch norm stands behind each convolution (true).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_norm: Option<bool>,
    /// With an architecture by name: dropout of this rate behind every hidden linear layer (0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
}

/// An architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// 784–300–100–10 with `ReLU` (`LeCun` et al. 1998; the paper's Lenet).
    #[serde(rename = "lenet_300_100")]
    Lenet300100,
    /// `LeNet-5` as it is trained today: 5×5 convolutions of 6 (padded by 2) and 16 channels, each with `ReLU` and 2×2
    /// max-pooling, then 120–84–10 with `ReLU` (`LeCun` et al. 1998 had trained pooling, tanh and fewer connections).
    #[serde(rename = "lenet_5")]
    Lenet5,
    /// The paper's Conv-2: two 3×3 convolutions of 64 channels, 2×2 max-pooling, then 256–256–10; `ReLU` everywhere.
    Conv2,
    /// The paper's Conv-4: Conv-2 with a second pair of convolutions, of 128 channels, and pooling.
    Conv4,
    /// The paper's Conv-6: Conv-4 with a third pair, of 256 channels, and pooling; 2.26 million weights (the paper prints
    /// 1.7, which its description does not give).
    Conv6,
    /// `ResNet-20` for CIFAR (He et al., arXiv 1512.03385, section 4.2) with convolutions on the shortcuts where the shape
    /// changes; the paper's "Resnet-18".
    Resnet20,
    /// `resnet20`, by the name that the lottery ticket papers give it.
    Resnet18Lth,
    /// `ResNet-32` for CIFAR.
    Resnet32,
    /// `ResNet-56` for CIFAR.
    Resnet56,
    /// `ResNet-110` for CIFAR.
    Resnet110,
    /// VGG-11 for CIFAR: 3×3 convolutions with `ReLU` in five groups, 2×2 max-pooling behind four of them and the mean of
    /// each channel behind the last, one linear layer (Simonyan & Zisserman, arXiv 1409.1556; Liu et al. 2019).
    Vgg11,
    /// VGG-13 for CIFAR.
    Vgg13,
    /// VGG-16 for CIFAR.
    Vgg16,
    /// VGG-19 for CIFAR; the paper's.
    Vgg19,
    /// A fully connected network with `ReLU`.
    Mlp {
        /// Units of each hidden layer.
        hidden: Vec<u32>,
    },
}

/// A layer of a network that is given layer by layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LayerSpec {
    /// An image as one row of numbers; the first linear layer does so by itself.
    Flatten,
    /// Every output from every input, with a bias; the last one is the layer `output`.
    Linear {
        /// Outputs; those of the last are the classes.
        out: u32,
    },
    /// A convolution with a square kernel; zeros stand around the image.
    Conv {
        /// Channels that go out.
        out: u32,
        /// Height and width of the kernel (3).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kernel: Option<u32>,
        /// Step between two positions (1).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<u32>,
        /// Rows and columns of zeros on each side (half the kernel, rounded down). With stride 1 the size stays where the
        /// kernel is odd, and grows by one where it is even.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        padding: Option<u32>,
        /// Whether each channel has a bias (true).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bias: Option<bool>,
    },
    /// Each channel (each feature, behind a linear layer) to mean 0 and variance 1 over the batch, then scaled and shifted
    /// by trained numbers; in evaluation by running statistics.
    BatchNorm,
    /// The largest value of each square.
    MaxPool {
        /// Height and width of a square.
        size: u32,
        /// Step between two squares (`size`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<u32>,
    },
    /// The mean of each square.
    AvgPool {
        /// Height and width of a square.
        size: u32,
        /// Step between two squares (`size`).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<u32>,
    },
    /// The mean of each channel: what comes out is a row of features.
    GlobalAvgPool,
    /// max(x, 0).
    Relu,
    /// In training, sets values to 0 at random and scales the others by 1 / (1 − `rate`).
    Dropout {
        /// The share that is set to 0.
        rate: f64,
    },
}

/// How initial weights are drawn. Fans are those of the layer's weight.
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
    /// The architecture with everything else at its default.
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
    /// Standard deviation of `init = "normal"`: about that of `glorot_normal` (the paper, Appendix G.5).
    pub fn init_std(&self) -> f64 {
        self.init_std.unwrap_or(0.1)
    }

    /// Whether a VGG has batch norm.
    pub fn batch_norm(&self) -> bool {
        self.batch_norm.unwrap_or(true)
    }

    /// Rate of the dropout behind every hidden linear layer of an architecture.
    pub fn dropout(&self) -> f64 {
        self.dropout.unwrap_or(0.0)
    }

    /// Fills in the defaults that depend on other values.
    pub(super) fn resolve(&mut self) {
        if self.init == WeightInit::Normal {
            self.init_std = Some(self.init_std());
        }
        if self.is_vgg() {
            self.batch_norm = Some(self.batch_norm());
        }
    }

    /// Whether it is a VGG by name.
    pub(super) fn is_vgg(&self) -> bool {
        use Architecture::{Vgg11, Vgg13, Vgg16, Vgg19};
        matches!(self.architecture, Some(Vgg11 | Vgg13 | Vgg16 | Vgg19))
    }

    /// Whether it has convolutions on shortcuts.
    pub(super) fn has_shortcuts(&self) -> bool {
        use Architecture::{Resnet18Lth, Resnet20, Resnet32, Resnet56, Resnet110};
        matches!(self.architecture, Some(Resnet18Lth | Resnet20 | Resnet32 | Resnet56 | Resnet110))
    }

    /// Whether it is an architecture with linear layers before the last.
    pub(super) fn has_hidden_linear(&self) -> bool {
        use Architecture::{Conv2, Conv4, Conv6, Lenet5, Lenet300100, Mlp};
        matches!(self.architecture, Some(Lenet300100 | Lenet5 | Conv2 | Conv4 | Conv6 | Mlp { .. }))
    }

    /// Whether it has convolutions on the way from the image to the logits.
    pub(super) fn has_convolutions(&self) -> bool {
        match (&self.architecture, &self.layers) {
            (_, Some(layers)) => layers.iter().any(|layer| matches!(layer, LayerSpec::Conv { .. })),
            (Some(Architecture::Lenet300100 | Architecture::Mlp { .. }) | None, None) => false,
            (Some(_), None) => true,
        }
    }

    /// That it is given in one way, and that its numbers make sense; whether its shapes fit is for the room above.
    pub(super) fn check(&self, problems: &mut Vec<Diagnostic>) {
        match (&self.architecture, &self.layers) {
            (None, None) => {
                let missing = Diagnostic::new("network.architecture", "`network.architecture` is missing");
                let hint = "such as `architecture = \"lenet_300_100\"`, or give the network layer by layer: \
                            `layers = [{ linear = { out = 300 } }, \"relu\", { linear = { out = 10 } }]`";
                problems.push(missing.hint(hint).on_key());
            }
            (Some(_), Some(_)) => {
                let message = "`network.layers` and `network.architecture` both say what the network is";
                problems.push(Diagnostic::new("network.layers", message).hint("leave one of them out").on_key());
            }
            (Some(Architecture::Mlp { hidden }), None) => {
                let key = "network.architecture.mlp.hidden";
                if !hidden.iter().all(|units| (1..=MAX_UNITS).contains(units)) {
                    let message = format!("`{key}` must have from 1 to a million units in each layer");
                    problems.push(Diagnostic::new(key, message));
                }
                if hidden.len() > MAX_LAYERS {
                    problems.push(Diagnostic::new(key, format!("`{key}` must not have more than 300 layers")));
                }
            }
            (Some(_), None) => {}
            (None, Some(layers)) => check_layers(layers, problems),
        }
    }
}

fn check_layers(layers: &[LayerSpec], problems: &mut Vec<Diagnostic>) {
    let mut need = |fine: bool, key: String, message: &str| {
        if !fine {
            problems.push(Diagnostic::new(&key, format!("`{key}` {message}")));
        }
    };
    need(layers.len() <= MAX_LAYERS, "network.layers".to_owned(), "must not have more than 300 layers");
    for (at, layer) in layers.iter().enumerate() {
        let key = format!("network.layers[{at}]");
        match layer {
            LayerSpec::Linear { out } => {
                need((1..=MAX_UNITS).contains(out), key + ".linear.out", "must be from 1 to a million");
            }
            LayerSpec::Dropout { rate } => {
                let what = "is the share set to 0: at least 0 and below 1";
                need((0.0..1.0).contains(rate), key + ".dropout.rate", what);
            }
            LayerSpec::Conv { out, kernel, stride, padding, bias: _ } => {
                need((1..=MAX_UNITS).contains(out), format!("{key}.conv.out"), "must be from 1 to a million");
                for (name, pixels) in [("kernel", kernel), ("stride", stride)] {
                    let fine = pixels.is_none_or(|n| (1..=MAX_PIXELS).contains(&n));
                    need(fine, format!("{key}.conv.{name}"), "must be from 1 to 1000 pixels");
                }
                let fine = padding.is_none_or(|n| n <= MAX_PIXELS);
                need(fine, format!("{key}.conv.padding"), "must be at most 1000 pixels");
            }
            LayerSpec::MaxPool { size, stride } | LayerSpec::AvgPool { size, stride } => {
                let word = if matches!(layer, LayerSpec::MaxPool { .. }) { "max_pool" } else { "avg_pool" };
                for (name, pixels) in [("size", Some(*size)), ("stride", *stride)] {
                    let fine = pixels.is_none_or(|n| (1..=MAX_PIXELS).contains(&n));
                    need(fine, format!("{key}.{word}.{name}"), "must be from 1 to 1000 pixels");
                }
            }
            LayerSpec::Flatten | LayerSpec::BatchNorm | LayerSpec::GlobalAvgPool | LayerSpec::Relu => {}
        }
    }
}
