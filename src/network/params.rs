//! The tensors of a network: names, shapes, roles and costs, listed once when the network is built.

use std::collections::BTreeMap;

use super::layer::Layer;

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

    /// The name in configurations and CSV files.
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
    /// Such as `linear1.weight`; unique within the network.
    pub name: String,
    /// Sizes, outermost first: a linear weight is [out, in], a convolution's [out, in, height, width], a vector
    /// \[length\].
    pub shape: Vec<usize>,
    /// What the network uses it for.
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

/// The state of a layer, from [`Layer::contents`].
pub(super) enum LayerContents<'a> {
    /// No tensors.
    Stateless,
    /// The tensors of one layer.
    Tensors {
        /// The name of the layer without its number, such as `conv`.
        word: &'static str,
        /// The kind of its weight outside shortcuts; unused without a weight.
        kind: WeightKind,
        /// In the order in which they are stored.
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

/// A tensor of one layer.
pub(super) struct LayerTensor {
    /// The last part of its name, such as `weight`.
    pub(super) suffix: &'static str,
    /// Sizes, as in [`TensorSpec::shape`].
    pub(super) shape: Vec<usize>,
    /// What the layer uses it for.
    pub(super) role: TensorRole,
    /// As [`PrunableTensor::macs_per_weight`]; 0 for other roles.
    pub(super) macs_per_weight: u64,
}

/// All tensors of a network, in the order of the layers; of a residual block the body comes first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ParamTable {
    /// Every conv and linear weight.
    pub(super) weights: Vec<PrunableTensor>,
    /// Every trained tensor.
    pub(super) parameters: Vec<TensorSpec>,
    /// Every running statistic.
    pub(super) buffers: Vec<TensorSpec>,
    /// The number of values of each entry of `weights`.
    pub(super) sizes: Vec<u64>,
}

impl ParamTable {
    /// Lists the tensors of `layers`.
    pub(super) fn new(layers: &[Layer]) -> Self {
        let mut named = Vec::new();
        collect_named(layers, "", &mut named);
        // The last linear layer computes the logits.
        if let Some(last) = named.iter_mut().rev().find(|layer| layer.kind == WeightKind::Linear) {
            "output".clone_into(&mut last.name);
            last.kind = WeightKind::Output;
        }
        let mut table = Self { weights: vec![], parameters: vec![], buffers: vec![], sizes: vec![] };
        for NamedLayer { name, kind, tensors } in named {
            for LayerTensor { suffix, shape, role, macs_per_weight } in tensors {
                let spec = TensorSpec { name: format!("{name}.{suffix}"), shape, role };
                match role {
                    TensorRole::Weight => {
                        table.sizes.push(spec.len() as u64);
                        table.parameters.push(spec.clone());
                        table.weights.push(PrunableTensor {
                            layer: name.clone(),
                            kind,
                            parameter: spec,
                            macs_per_weight,
                        });
                    }
                    TensorRole::Bias | TensorRole::Scale => table.parameters.push(spec),
                    TensorRole::Mean | TensorRole::Variance => table.buffers.push(spec),
                }
            }
        }
        table
    }
}

/// A layer with tensors, and its name in the network.
struct NamedLayer {
    /// Such as `conv1` or `block2.shortcut`.
    name: String,
    kind: WeightKind,
    tensors: Vec<LayerTensor>,
}

/// Appends the layers that have tensors to `named`. A layer is named by its word and its number among the layers with
/// the same word in the same list; `prefix` stands before it.
fn collect_named(layers: &[Layer], prefix: &str, named: &mut Vec<NamedLayer>) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut number = |word: &'static str| {
        let count = counts.entry(word).or_default();
        *count += 1;
        *count
    };
    for layer in layers {
        match layer.contents() {
            LayerContents::Stateless => {}
            LayerContents::Tensors { word, kind, tensors } => {
                named.push(NamedLayer { name: format!("{prefix}{word}{}", number(word)), kind, tensors });
            }
            LayerContents::Block { body, shortcut } => {
                let block = format!("{prefix}block{}.", number("block"));
                collect_named(body, &block, named);
                collect_shortcut(shortcut, &block, named);
            }
        }
    }
}

/// Appends the layers of the shortcut of a block: the convolution is named `shortcut`, its batch norm `shortcut_bn`.
fn collect_shortcut(layers: &[Layer], block: &str, named: &mut Vec<NamedLayer>) {
    for layer in layers {
        if let LayerContents::Tensors { word, tensors, .. } = layer.contents() {
            let word = if word == "conv" { String::new() } else { format!("_{word}") };
            named.push(NamedLayer { name: format!("{block}shortcut{word}"), kind: WeightKind::Shortcut, tensors });
        }
    }
}
