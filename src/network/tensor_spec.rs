//! Names, shapes, roles and costs of tensors.

/// The kind of layer that a weight belongs to; pruning rates are given per kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightKind {
    /// A convolution outside shortcuts.
    Conv,
    /// A linear layer that is not the last one.
    Linear,
    /// The last linear layer, which computes the logits.
    Output,
    /// A convolution on the shortcut of a residual block.
    Shortcut,
}

impl WeightKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Conv, Self::Linear, Self::Output, Self::Shortcut];

    /// Returns the name in configurations and CSV files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conv => "conv",
            Self::Linear => "linear",
            Self::Output => "output",
            Self::Shortcut => "shortcut",
        }
    }
}

/// The role of a tensor in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorRole {
    /// A conv or linear weight: drawn at random, pruned.
    Weight,
    /// An additive vector, initially 0.
    Bias,
    /// The scale of a batch norm, initially 1.
    Scale,
    /// The running mean of a batch norm, initially 0.
    Mean,
    /// The running variance of a batch norm, initially 1.
    Variance,
}

/// Name, shape and role of a tensor of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name, such as `linear1.weight`; unique within the network.
    pub name: String,
    /// Sizes, outermost first: a linear weight is [out, in], a convolution's [out, in, height, width], a vector
    /// \[length\].
    pub shape: Vec<usize>,
    /// The use of the tensor in the network.
    pub role: TensorRole,
}

impl TensorSpec {
    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Returns whether the tensor has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the value that all entries have before training; `None` for weights, which are drawn at random.
    pub fn initial(&self) -> Option<f32> {
        match self.role {
            TensorRole::Weight => None,
            TensorRole::Bias | TensorRole::Mean => Some(0.0),
            TensorRole::Scale | TensorRole::Variance => Some(1.0),
        }
    }
}

/// A conv or linear weight tensor: the tensors that masks cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunableTensor {
    /// The layer's name, such as `linear1`, `block1.conv2` or `output`.
    pub layer: String,
    /// The kind of its layer.
    pub kind: WeightKind,
    /// Name and shape of the tensor.
    pub parameter: TensorSpec,
    /// Multiply-adds of each weight, per image: the number of output positions of a convolution, 1 for a linear layer.
    pub macs_per_weight: u64,
}

/// A tensor of one layer, before the layer has its name in the network.
pub(super) struct LayerTensor {
    /// The last part of its name, such as `weight`.
    pub(super) suffix: &'static str,
    /// Sizes, as in [`TensorSpec::shape`].
    pub(super) shape: Vec<usize>,
    /// The use of the tensor in the layer.
    pub(super) role: TensorRole,
    /// Like [`PrunableTensor::macs_per_weight`], but 0 for tensors that are not conv or linear weights.
    pub(super) macs_per_weight: u64,
}
