//! Layers, and the tensors of each.

use serde::Serialize;

use super::tensor_spec::{LayerTensor, TensorRole, WeightKind};

/// A layer. Activations are images \[batch, channels, height, width\] or features \[batch, features\].
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Images \[batch, channels, height, width\] to features \[batch, channels · height · width\].
    Flatten,
    /// Features to features: x·Wᵀ + b.
    Linear {
        /// Input features.
        inputs: usize,
        /// Output features.
        outputs: usize,
    },
    /// A convolution (computed as a cross-correlation, as in `PyTorch`) with a square kernel and zero padding.
    Conv {
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
        /// Height and width of the kernel.
        kernel: usize,
        /// Step between two positions.
        stride: usize,
        /// Rows and columns of zeros on each side.
        padding: usize,
        /// Whether each output channel has a bias.
        bias: bool,
        /// Height and width of the output.
        size: [usize; 2],
    },
    /// Normalises each channel (or feature) to mean 0 and variance 1 over the batch and all positions, then scales and
    /// shifts it by two trained numbers; evaluation uses running statistics (Ioffe & Szegedy, arXiv 1502.03167).
    BatchNorm {
        /// Channels of an image, or number of features.
        channels: usize,
    },
    /// max(x, 0).
    Relu,
    /// The maximum of each square; rows and columns left over at the bottom and right are dropped.
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
    /// The mean of each channel: images \[batch, channels, height, width\] to features \[batch, channels\].
    GlobalAvgPool,
    /// In training, each value becomes 0 with probability `rate`, else value / (1 − `rate`); the identity in evaluation
    /// (Srivastava et al. 2014, scaled in training).
    Dropout {
        /// Probability of dropping a value, in [0, 1).
        rate: f64,
    },
    /// body(x) + shortcut(x) (He et al., arXiv 1512.03385); the shapes of both are equal.
    Residual {
        /// The layers of the main branch.
        body: Vec<Layer>,
        /// The layers of the shortcut; empty for the identity.
        shortcut: Vec<Layer>,
    },
}

impl Layer {
    /// Returns the tensors of the layer and its base name, or the layers of a residual block. Every list of tensors of
    /// a network derives from this match.
    pub(super) fn contents(&self) -> LayerContents<'_> {
        let vector = |suffix, length, role| LayerTensor { suffix, shape: vec![length], role, macs_per_weight: 0 };
        let weight =
            |shape, macs_per_weight| LayerTensor { suffix: "weight", shape, role: TensorRole::Weight, macs_per_weight };
        match *self {
            Self::Linear { inputs, outputs } => LayerContents::Tensors {
                base_name: "linear",
                kind: WeightKind::Linear,
                tensors: vec![weight(vec![outputs, inputs], 1), vector("bias", outputs, TensorRole::Bias)],
            },
            Self::Conv { inputs, outputs, kernel, bias, size: [height, width], .. } => {
                let mut tensors = vec![weight(vec![outputs, inputs, kernel, kernel], (height * width) as u64)];
                if bias {
                    tensors.push(vector("bias", outputs, TensorRole::Bias));
                }
                LayerContents::Tensors { base_name: "conv", kind: WeightKind::Conv, tensors }
            }
            Self::BatchNorm { channels } => LayerContents::Tensors {
                base_name: "bn",
                kind: WeightKind::Conv,
                tensors: vec![
                    vector("weight", channels, TensorRole::Scale),
                    vector("bias", channels, TensorRole::Bias),
                    vector("running_mean", channels, TensorRole::Mean),
                    vector("running_var", channels, TensorRole::Variance),
                ],
            },
            Self::Residual { ref body, ref shortcut } => LayerContents::Block { body, shortcut },
            Self::Flatten
            | Self::Relu
            | Self::MaxPool { .. }
            | Self::AvgPool { .. }
            | Self::GlobalAvgPool
            | Self::Dropout { .. } => LayerContents::Stateless,
        }
    }
}

/// The tensors of a layer: see [`Layer::contents`].
pub(super) enum LayerContents<'a> {
    /// A layer without tensors.
    Stateless,
    /// The tensors of one layer.
    Tensors {
        /// The name of the layer without the count that makes it unique: `conv` of `conv1`.
        base_name: &'static str,
        /// The kind of its weight if the layer is not on a shortcut; ignored if it has no weight.
        kind: WeightKind,
        /// The tensors, in the order in which they are stored.
        tensors: Vec<LayerTensor>,
    },
    /// A residual block, whose layers have tensors of their own.
    Block {
        /// The layers of the main branch.
        body: &'a [Layer],
        /// The layers of the shortcut: at most a convolution and the batch norm after it.
        shortcut: &'a [Layer],
    },
}
