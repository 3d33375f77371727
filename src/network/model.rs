//! A network: its layers, and all of their tensors, listed once when it is built.

use std::collections::BTreeMap;

use serde::Serialize;

use super::layer::{Layer, LayerContents};
use super::tensor_spec::{LayerTensor, PrunableTensor, TensorRole, TensorSpec, WeightKind};
use crate::base::tensors::TensorMap;

/// A network: its layers and the tensors they have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Network {
    /// Shape of an image: channels, height, width.
    pub input: [usize; 3],
    /// Number of logits.
    pub classes: usize,
    /// The layers in the order they are applied.
    pub layers: Vec<Layer>,
    /// The tensors. Derived from `layers`; not serialized, so it is not part of the keys of training runs.
    #[serde(skip)]
    params: ParamTable,
}

impl Network {
    /// Returns the network of `layers` for images of shape `input` (channels, height, width) and lists its tensors.
    pub fn new(input: [usize; 3], classes: usize, layers: Vec<Layer>) -> Self {
        let params = ParamTable::new(&layers);
        Self { input, classes, layers, params }
    }

    /// Returns every conv and linear weight, in the order of the layers; of a residual block the body comes first.
    pub fn weights(&self) -> &[PrunableTensor] {
        &self.params.weights
    }

    /// Returns every trained tensor, in the order of the layers: of each layer the weight (or scale), then the bias.
    pub fn parameters(&self) -> &[TensorSpec] {
        &self.params.parameters
    }

    /// Returns every tensor that is not trained: of each batch norm the running mean, then the running variance.
    pub fn buffers(&self) -> &[TensorSpec] {
        &self.params.buffers
    }

    /// Returns the names of the layers that have tensors, in the order of the layers; of a residual block the body comes
    /// first.
    pub(super) fn layer_names(&self) -> Vec<String> {
        let layer = |tensor: &str| tensor.rsplit_once('.').map_or(tensor, |(layer, _)| layer).to_owned();
        let mut names: Vec<String> = self.parameters().iter().map(|tensor| layer(&tensor.name)).collect();
        names.dedup();
        names
    }

    /// Splits the tensors of a stored network into its parameters and, last in a file, its buffers.
    pub fn split_buffers(&self, stored: TensorMap) -> (TensorMap, TensorMap) {
        let mut weights = stored.0;
        let buffers = weights.split_off(weights.len().saturating_sub(self.buffers().len()));
        (TensorMap(weights), TensorMap(buffers))
    }

    /// Returns the number of weights of each conv and linear layer, in the order of [`Network::weights`].
    pub fn weight_counts(&self) -> &[u64] {
        &self.params.weight_counts
    }

    /// Returns the number of conv and linear weights.
    pub fn weights_total(&self) -> u64 {
        self.weight_counts().iter().copied().fold(0, u64::saturating_add)
    }

    /// Returns the multiply-adds for one image if layer i keeps `kept[i]` weights; biases are not counted.
    pub fn macs(&self, kept: &[u64]) -> u64 {
        self.weights().iter().zip(kept).map(|(weight, kept)| weight.macs_per_weight * kept).sum()
    }
}

/// All tensors of a network, trained ones and buffers, in the order of the layers; of a residual block the body comes
/// first.
#[derive(Clone, Debug, PartialEq)]
struct ParamTable {
    /// Every conv and linear weight.
    weights: Vec<PrunableTensor>,
    /// Every trained tensor.
    parameters: Vec<TensorSpec>,
    /// Every running statistic.
    buffers: Vec<TensorSpec>,
    /// The number of values of each entry of `weights`.
    weight_counts: Vec<u64>,
}

impl ParamTable {
    /// Lists the tensors of `layers`.
    fn new(layers: &[Layer]) -> Self {
        let mut named = Vec::new();
        collect_named(layers, "", &mut named);
        // The last linear layer computes the logits.
        if let Some(last) = named.iter_mut().rev().find(|layer| layer.kind == WeightKind::Linear) {
            "output".clone_into(&mut last.name);
            last.kind = WeightKind::Output;
        }
        let mut table = Self { weights: vec![], parameters: vec![], buffers: vec![], weight_counts: vec![] };
        for NamedLayer { name, kind, tensors } in named {
            for LayerTensor { suffix, shape, role, macs_per_weight } in tensors {
                let spec = TensorSpec { name: format!("{name}.{suffix}"), shape, role };
                match role {
                    TensorRole::Weight => {
                        table.weight_counts.push(spec.len() as u64);
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
    /// The name, such as `conv1` or `block2.shortcut`.
    name: String,
    kind: WeightKind,
    tensors: Vec<LayerTensor>,
}

/// Appends the layers that have tensors to `named`. The name of a layer is `prefix`, its base name, and its count among
/// the layers with this base name in `layers`, from 1.
fn collect_named(layers: &[Layer], prefix: &str, named: &mut Vec<NamedLayer>) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut next_count = |base_name: &'static str| {
        let count = counts.entry(base_name).or_default();
        *count += 1;
        *count
    };
    for layer in layers {
        match layer.contents() {
            LayerContents::Stateless => {}
            LayerContents::Tensors { base_name, kind, tensors } => {
                let name = format!("{prefix}{base_name}{}", next_count(base_name));
                named.push(NamedLayer { name, kind, tensors });
            }
            LayerContents::Block { body, shortcut } => {
                let block = format!("{prefix}block{}.", next_count("block"));
                collect_named(body, &block, named);
                collect_shortcut(shortcut, &block, named);
            }
        }
    }
}

/// Appends the layers of the shortcut of a block: the convolution is named `shortcut`, its batch norm `shortcut_bn`.
fn collect_shortcut(layers: &[Layer], block: &str, named: &mut Vec<NamedLayer>) {
    for layer in layers {
        if let LayerContents::Tensors { base_name, tensors, .. } = layer.contents() {
            let suffix = if base_name == "conv" { String::new() } else { format!("_{base_name}") };
            named.push(NamedLayer { name: format!("{block}shortcut{suffix}"), kind: WeightKind::Shortcut, tensors });
        }
    }
}
