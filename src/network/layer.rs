//! A network as a list of layers, and what derives from it: names, shapes, kinds, counts, multiply-adds.

use serde::Serialize;

/// A layer. An image is \[channels, height, width\], a row \[features\]; both with the images of a batch in front.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// An image to a row of features.
    Flatten,
    /// A row to a row: x·Wᵀ + b.
    Linear {
        /// Features that come in.
        inputs: usize,
        /// Features that go out.
        outputs: usize,
    },
    /// A convolution (cross-correlation, as everywhere) with a square kernel, zeros around the image.
    Conv {
        /// Channels that come in.
        inputs: usize,
        /// Channels that go out.
        outputs: usize,
        /// Height and width of the kernel.
        kernel: usize,
        /// Step between two positions.
        stride: usize,
        /// Rows and columns of zeros on each side.
        padding: usize,
        /// Whether each output channel has a bias.
        bias: bool,
        /// Height and width of what goes out.
        size: [usize; 2],
    },
    /// Each channel, or each feature of a row, to mean 0 and variance 1 over the batch and all positions, then scaled and
    /// shifted by two trained numbers; in evaluation by running statistics (Ioffe & Szegedy, arXiv 1502.03167).
    BatchNorm {
        /// Channels, or features of a row.
        channels: usize,
    },
    /// max(x, 0).
    Relu,
    /// The largest value of each square; what is left over at the right and below is not looked at.
    MaxPool {
        /// Height and width of a square.
        size: usize,
        /// Step between two squares.
        stride: usize,
    },
    /// The mean of each square, like [`Layer::MaxPool`].
    AvgPool {
        /// Height and width of a square.
        size: usize,
        /// Step between two squares.
        stride: usize,
    },
    /// The mean of each channel: an image to a row with a feature per channel.
    GlobalAvgPool,
    /// In training, each value becomes 0 with probability `rate`, else value / (1 − `rate`); in evaluation nothing
    /// happens (Srivastava et al. 2014, scaled in training).
    Dropout {
        /// Below 1.
        rate: f64,
    },
    /// body(x) + shortcut(x) (He et al., arXiv 1512.03385); the shapes of both are equal.
    Residual {
        /// What is learned beside the shortcut.
        body: Vec<Layer>,
        /// Empty for x itself.
        shortcut: Vec<Layer>,
    },
}

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Network {
    /// Channels, height, width of an image.
    pub input: [usize; 3],
    /// Logits that come out.
    pub classes: usize,
    /// In the order they are applied.
    pub layers: Vec<Layer>,
}

/// What kind of weight a layer has; rates are given per kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightKind {
    /// A convolution on the way from the image to the logits.
    Conv,
    /// A linear layer that is not the last.
    Linear,
    /// The last linear layer.
    Output,
    /// A convolution on the shortcut of a residual block.
    Shortcut,
}

impl WeightKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Conv, Self::Linear, Self::Output, Self::Shortcut];

    /// The word in configurations and CSVs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conv => "conv",
            Self::Linear => "linear",
            Self::Output => "output",
            Self::Shortcut => "shortcut",
        }
    }
}

/// What a tensor of a network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorRole {
    /// Conv and linear weights: drawn at random, pruned.
    Weight,
    /// Added: 0 at first.
    Bias,
    /// What batch norm scales by: 1 at first.
    Scale,
    /// Running mean of batch norm: 0 at first.
    Mean,
    /// Running variance of batch norm: 1 at first.
    Variance,
}

/// A tensor of a network: something that is trained, or a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Such as `linear1.weight`.
    pub name: String,
    /// Sizes; a linear weight is [out, in], that of a convolution [out, in, height, width].
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: TensorRole,
}

impl TensorSpec {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What its values are before training, where they are not drawn.
    pub fn initial(&self) -> Option<f32> {
        match self.role {
            TensorRole::Weight => None,
            TensorRole::Bias | TensorRole::Mean => Some(0.0),
            TensorRole::Scale | TensorRole::Variance => Some(1.0),
        }
    }
}

/// A weight tensor that masks speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunableTensor {
    /// The layer's name, such as `linear1`, `block1.conv2` or `output`.
    pub layer: String,
    /// Its kind.
    pub kind: WeightKind,
    /// The parameter.
    pub parameter: TensorSpec,
    /// Multiply-adds that each weight takes part in, per image.
    pub macs_per_weight: u64,
}

/// A layer with its name.
struct NamedLayer<'a> {
    name: String,
    /// Looked at where it has weights.
    kind: WeightKind,
    layer: &'a Layer,
}

/// Names layers by kind and number, in the order of the list.
#[derive(Default)]
struct NameCounter {
    conv: usize,
    linear: usize,
    norm: usize,
    block: usize,
}

impl Network {
    /// Every layer that has parameters, in the order they are applied; of a residual block the body comes first.
    fn named(&self) -> Vec<NamedLayer<'_>> {
        let mut all = Vec::new();
        collect_named(&self.layers, "", &mut all);
        // The last linear layer gives the logits.
        if let Some(last) = all.iter_mut().rev().find(|named| matches!(named.layer, Layer::Linear { .. })) {
            last.name.replace_range(.., "output");
            last.kind = WeightKind::Output;
        }
        all
    }

    /// Every conv and linear weight, in the order of the layers.
    pub fn weights(&self) -> Vec<PrunableTensor> {
        let weight = |NamedLayer { name, kind, layer }: NamedLayer<'_>| {
            let (shape, uses) = match *layer {
                Layer::Linear { inputs, outputs } => (vec![outputs, inputs], 1),
                Layer::Conv { inputs, outputs, kernel, size: [height, width], .. } => {
                    (vec![outputs, inputs, kernel, kernel], (height * width) as u64)
                }
                _ => return None,
            };
            let parameter = TensorSpec { name: format!("{name}.weight"), shape, role: TensorRole::Weight };
            Some(PrunableTensor { layer: name, kind, parameter, macs_per_weight: uses })
        };
        self.named().into_iter().filter_map(weight).collect()
    }

    /// Everything that is trained: of each layer the weight, then the bias.
    pub fn parameters(&self) -> Vec<TensorSpec> {
        let mut weights = self.weights().into_iter();
        let mut all = Vec::new();
        for NamedLayer { name, layer, .. } in self.named() {
            let vector =
                |what: &str, length, role| TensorSpec { name: format!("{name}.{what}"), shape: vec![length], role };
            let bias = match *layer {
                Layer::BatchNorm { channels } => {
                    all.push(vector("weight", channels, TensorRole::Scale));
                    Some(channels)
                }
                Layer::Linear { outputs, .. } | Layer::Conv { outputs, bias: true, .. } => Some(outputs),
                _ => None,
            };
            if !matches!(layer, Layer::BatchNorm { .. }) {
                all.extend(weights.next().map(|weight| weight.parameter));
            }
            all.extend(bias.map(|length| vector("bias", length, TensorRole::Bias)));
        }
        all
    }

    /// What is not trained but belongs to the network: of each batch norm the running mean, then the running variance.
    pub fn buffers(&self) -> Vec<TensorSpec> {
        let statistics = |NamedLayer { name, layer, .. }: NamedLayer<'_>| {
            let Layer::BatchNorm { channels } = *layer else { return vec![] };
            let vector = |what: &str, role| TensorSpec { name: format!("{name}.{what}"), shape: vec![channels], role };
            vec![vector("running_mean", TensorRole::Mean), vector("running_var", TensorRole::Variance)]
        };
        self.named().into_iter().flat_map(statistics).collect()
    }

    /// The number of weights of each conv and linear layer.
    pub fn sizes(&self) -> Vec<u64> {
        self.weights().iter().map(|weight| weight.parameter.len() as u64).collect()
    }

    /// The number of conv and linear weights.
    pub fn weights_total(&self) -> u64 {
        self.sizes().into_iter().fold(0, u64::saturating_add)
    }

    /// Multiply-adds for one image where each layer keeps so many weights; biases are not counted.
    pub fn macs(&self, kept: &[u64]) -> u64 {
        self.weights().iter().zip(kept).map(|(weight, kept)| weight.macs_per_weight * kept).sum()
    }
}

fn collect_named<'a>(layers: &'a [Layer], before: &str, all: &mut Vec<NamedLayer<'a>>) {
    let mut names = NameCounter::default();
    for layer in layers {
        let (count, word, kind) = match layer {
            Layer::Conv { .. } => (&mut names.conv, "conv", WeightKind::Conv),
            Layer::Linear { .. } => (&mut names.linear, "linear", WeightKind::Linear),
            Layer::BatchNorm { .. } => (&mut names.norm, "bn", WeightKind::Conv),
            Layer::Residual { body, shortcut } => {
                names.block += 1;
                let block = format!("{before}block{}.", names.block);
                collect_named(body, &block, all);
                all.extend(shortcut.iter().filter_map(|layer| of_shortcut(layer, &block)));
                continue;
            }
            Layer::Flatten
            | Layer::Relu
            | Layer::MaxPool { .. }
            | Layer::AvgPool { .. }
            | Layer::GlobalAvgPool
            | Layer::Dropout { .. } => continue,
        };
        *count += 1;
        all.push(NamedLayer { name: format!("{before}{word}{count}"), kind, layer });
    }
}

/// A shortcut has one convolution at most, and one batch norm behind it.
fn of_shortcut<'a>(layer: &'a Layer, block: &str) -> Option<NamedLayer<'a>> {
    let word = match layer {
        Layer::Conv { .. } => "shortcut",
        Layer::BatchNorm { .. } => "shortcut_bn",
        _ => return None,
    };
    Some(NamedLayer { name: format!("{block}{word}"), kind: WeightKind::Shortcut, layer })
}
