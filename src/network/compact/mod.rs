//! Makes a pruned network smaller without changing its outputs, by removing units that have no effect.
//!
//! A unit is a feature of a linear layer or a channel of a convolution. It has no effect if no kept weight reads it. If
//! no kept weight leads into it, it has the same value for every image: it is removed if that value is 0, or if it can be
//! added to the biases of the next layer. Removing units may leave others without effect; these are removed too. The
//! channels that a residual block adds to others stay.

mod edges;

use std::collections::{BTreeMap, VecDeque};

use self::edges::{Edge, Operation, edges};
use super::layer::Layer;
use super::model::Network;
use super::tensor_spec::TensorSpec;
use crate::base::mask::{LayerMask, Mask};
use crate::base::tensors::{NamedTensor, TensorMap};

/// The number that batch norms add to the variance, as in `torch.nn`.
const BATCH_NORM_EPSILON: f64 = 1e-5;

/// A network without the units that have no effect.
#[derive(Clone, Debug, PartialEq)]
pub struct CompactNetwork {
    /// The smaller network.
    pub network: Network,
    /// Its mask.
    pub mask: Mask,
    /// Its weights, then its buffers.
    pub tensors: TensorMap,
    /// The layers whose units can be removed, in the order of the network.
    pub units: Vec<LayerUnits>,
}

/// The units of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerUnits {
    /// The name of the layer.
    pub layer: String,
    /// Number of units of the layer.
    pub units: usize,
    /// Number of its units that have no effect.
    pub removed: usize,
}

/// Removes the units without effect from a network. `tensors` are its trained weights, 0 where `mask` prunes them, and
/// its buffers.
///
/// # Panics
/// If `mask` or `tensors` are not those of `network`.
pub fn compact(network: &Network, mask: &Mask, tensors: &TensorMap) -> CompactNetwork {
    let edges = edges(network);
    let mut state = State::new(mask, tensors);
    let kept = state.remove_units(&edges);

    let cut = Cut { edges: &edges, kept: &kept };
    let layers = cut.layers(&network.layers, &mut network.layer_names().into());
    let units = edges.iter().zip(&kept).map(|(edge, kept)| LayerUnits {
        layer: edge.producer.clone(),
        units: edge.units,
        removed: kept.iter().filter(|kept| !**kept).count(),
    });
    CompactNetwork {
        network: Network::new(network.input, network.classes, layers),
        mask: Mask(state.masks.into_iter().map(|layer| cut.mask(layer)).collect()),
        tensors: TensorMap(state.tensors.into_iter().map(|tensor| cut.tensor(tensor)).collect()),
        units: units.collect(),
    }
}

/// Returns the number of units that are dead by the mask alone: no kept weight leads into them, or none reads them. One
/// unit of each layer always stays.
///
/// # Panics
/// If `mask` is not that of `network`.
pub fn dead_units(network: &Network, mask: &Mask) -> usize {
    // With all biases and running means 0, a unit into which no weight leads is 0.
    let zeros = |spec: &TensorSpec| NamedTensor {
        name: spec.name.clone(),
        shape: spec.shape.clone(),
        values: vec![0.0; spec.len()],
    };
    let tensors = TensorMap(network.parameters().iter().chain(network.buffers()).map(zeros).collect());
    let kept = State::new(mask, &tensors).remove_units(&edges(network));
    kept.iter().flatten().filter(|kept| !**kept).count()
}

/// The network while units are removed: tensors in their original shapes, in which the weights of removed units are
/// pruned.
struct State {
    tensors: Vec<NamedTensor>,
    masks: Vec<LayerMask>,
    /// Indices into `tensors` by name.
    by_name: BTreeMap<String, usize>,
    /// Indices into `masks` by the name of the layer.
    mask_of_layer: BTreeMap<String, usize>,
}

impl State {
    fn new(mask: &Mask, tensors: &TensorMap) -> Self {
        let by_name = tensors.0.iter().zip(0..).map(|(tensor, index)| (tensor.name.clone(), index)).collect();
        let layer = |name: &str| name.strip_suffix(".weight").unwrap_or(name).to_owned();
        let mask_of_layer = mask.0.iter().zip(0..).map(|(mask, index)| (layer(&mask.name), index)).collect();
        Self { tensors: tensors.0.clone(), masks: mask.0.clone(), by_name, mask_of_layer }
    }

    /// Removes units without effect until there are none, and returns whether each unit of each edge is kept. One unit of
    /// each edge is.
    fn remove_units(&mut self, edges: &[Edge]) -> Vec<Vec<bool>> {
        let mut kept: Vec<Vec<bool>> = edges.iter().map(|edge| vec![true; edge.units]).collect();
        loop {
            let mut has_changed = false;
            for (edge, kept) in edges.iter().zip(&mut kept) {
                let mut count = kept.iter().filter(|kept| **kept).count();
                for (unit, kept) in kept.iter_mut().enumerate() {
                    if *kept && count > 1 && self.remove(edge, unit) {
                        *kept = false;
                        count -= 1;
                        has_changed = true;
                    }
                }
            }
            if !has_changed {
                return kept;
            }
        }
    }

    /// Removes a unit of an edge if it has no effect, and returns whether it has none.
    fn remove(&mut self, edge: &Edge, unit: usize) -> bool {
        let inputs = self.input_range(&edge.producer, unit);
        let outputs = self.output_indices(edge, unit);
        let producer = &self.masks[self.mask_of_layer[&edge.producer]].kept;
        let consumer = &self.masks[self.mask_of_layer[&edge.consumer]].kept;
        let is_read = outputs.iter().flatten().any(|&index| consumer[index]);
        let is_constant = !producer[inputs.clone()].iter().any(|&kept| kept);
        if is_read && is_constant {
            let value = self.constant(edge, unit);
            if value != 0.0 && !edge.takes_constants {
                return false;
            }
            self.add_constant(edge, &outputs, value);
        } else if is_read {
            return false;
        }
        self.prune(&edge.producer, inputs);
        self.prune(&edge.consumer, outputs.into_iter().flatten());
        true
    }

    /// Returns the indices of the weights that lead into a unit of a layer.
    fn input_range(&self, layer: &str, unit: usize) -> std::ops::Range<usize> {
        let shape = &self.masks[self.mask_of_layer[layer]].shape;
        let length: usize = shape[1..].iter().product();
        unit * length..(unit + 1) * length
    }

    /// Returns the indices of the weights that read a unit, for each output of the consumer.
    fn output_indices(&self, edge: &Edge, unit: usize) -> Vec<Vec<usize>> {
        let shape = &self.masks[self.mask_of_layer[&edge.consumer]].shape;
        let row: usize = shape[1..].iter().product();
        // A weight for each position of a flattened channel, or for each pixel of a kernel.
        let length = row / edge.units;
        (0..shape[0]).map(|output| (0..length).map(|i| output * row + unit * length + i).collect()).collect()
    }

    /// Returns the value of a unit into which no weight leads, as its consumer reads it.
    fn constant(&self, edge: &Edge, unit: usize) -> f64 {
        let value =
            |tensor: String| self.by_name.get(&tensor).map(|&index| f64::from(self.tensors[index].values[unit]));
        let bias = value(format!("{}.bias", edge.producer)).unwrap_or(0.0);
        edge.operations.iter().fold(bias, |x, operation| match operation {
            Operation::Relu => x.max(0.0),
            Operation::BatchNorm(name) => {
                let of = |part: &str| value(format!("{name}.{part}")).unwrap_or_default();
                let deviation = (of("running_var") + BATCH_NORM_EPSILON).sqrt();
                (x - of("running_mean")) / deviation * of("weight") + of("bias")
            }
        })
    }

    /// Adds a unit with a constant value to the biases of the layer that reads it.
    fn add_constant(&mut self, edge: &Edge, outputs: &[Vec<usize>], value: f64) {
        if value == 0.0 {
            return;
        }
        let weights = &self.tensors[self.by_name[&format!("{}.weight", edge.consumer)]].values;
        let sum = |indices: &Vec<usize>| indices.iter().map(|&index| f64::from(weights[index])).sum::<f64>();
        let sums: Vec<f64> = outputs.iter().map(sum).collect();
        let bias = &mut self.tensors[self.by_name[&format!("{}.bias", edge.consumer)]].values;
        bias.iter_mut().zip(sums).for_each(|(bias, sum)| *bias = (f64::from(*bias) + value * sum) as f32);
    }

    /// Prunes weights of a layer.
    fn prune(&mut self, layer: &str, indices: impl Iterator<Item = usize>) {
        let mask = &mut self.masks[self.mask_of_layer[layer]];
        let weights = &mut self.tensors[self.by_name[&mask.name]].values;
        for index in indices {
            mask.kept[index] = false;
            weights[index] = 0.0;
        }
    }
}

/// The units that are kept on each edge.
struct Cut<'a> {
    edges: &'a [Edge],
    kept: &'a [Vec<bool>],
}

impl Cut<'_> {
    /// Returns the kept units that a layer, or the batch norm of this name, computes; `None` if all are kept.
    fn outputs(&self, layer: &str) -> Option<&[bool]> {
        let norm = |edge: &Edge| {
            edge.operations.iter().any(|operation| matches!(operation, Operation::BatchNorm(name) if name == layer))
        };
        let position = self.edges.iter().position(|edge| edge.producer == layer || norm(edge))?;
        Some(&self.kept[position])
    }

    /// Returns the kept inputs of a layer, a flattened channel as several; `None` if all are kept.
    fn inputs(&self, layer: &str) -> Option<Vec<bool>> {
        let position = self.edges.iter().position(|edge| edge.consumer == layer)?;
        let positions = self.edges[position].positions;
        Some(self.kept[position].iter().flat_map(|&kept| std::iter::repeat_n(kept, positions)).collect())
    }

    /// Returns the layers with the numbers of units that are kept. `names`: those of the layers with tensors, in order.
    fn layers(&self, layers: &[Layer], names: &mut VecDeque<String>) -> Vec<Layer> {
        let count =
            |kept: Option<&[bool]>, all: usize| kept.map_or(all, |kept| kept.iter().filter(|kept| **kept).count());
        let mut next = Vec::new();
        for layer in layers {
            let mut name = || names.pop_front().unwrap_or_default();
            next.push(match layer.clone() {
                Layer::Linear { inputs, outputs } => {
                    let name = name();
                    Layer::Linear {
                        inputs: count(self.inputs(&name).as_deref(), inputs),
                        outputs: count(self.outputs(&name), outputs),
                    }
                }
                Layer::Conv { inputs, outputs, kernel, stride, padding, bias, size } => {
                    let name = name();
                    let inputs = count(self.inputs(&name).as_deref(), inputs);
                    let outputs = count(self.outputs(&name), outputs);
                    Layer::Conv { inputs, outputs, kernel, stride, padding, bias, size }
                }
                Layer::BatchNorm { channels } => Layer::BatchNorm { channels: count(self.outputs(&name()), channels) },
                Layer::Residual { body, shortcut } => {
                    let body = self.layers(&body, names);
                    Layer::Residual { body, shortcut: self.layers(&shortcut, names) }
                }
                other => other,
            });
        }
        next
    }

    /// Returns the kept part of a mask.
    fn mask(&self, mask: LayerMask) -> LayerMask {
        let (shape, kept) = self.part(&mask.name, &mask.shape, &mask.kept);
        LayerMask { shape, kept, ..mask }
    }

    /// Returns the kept part of a tensor.
    fn tensor(&self, tensor: NamedTensor) -> NamedTensor {
        let (shape, values) = self.part(&tensor.name, &tensor.shape, &tensor.values);
        NamedTensor { shape, values, ..tensor }
    }

    /// Returns shape and values of the kept part of a tensor [outputs, inputs, …] or [outputs].
    fn part<T: Copy>(&self, name: &str, shape: &[usize], values: &[T]) -> (Vec<usize>, Vec<T>) {
        let layer = name.rsplit_once('.').map_or(name, |(layer, _)| layer);
        let rows = self.outputs(layer).map_or_else(|| vec![true; shape[0]], <[bool]>::to_vec);
        let columns = match shape {
            [_, columns, ..] => self.inputs(layer).unwrap_or_else(|| vec![true; *columns]),
            _ => vec![true],
        };
        let length: usize = shape.iter().skip(2).product();
        let row_length = columns.len() * length;
        let mut kept_values = Vec::new();
        for (row, _) in rows.iter().enumerate().filter(|(_, kept)| **kept) {
            for (column, _) in columns.iter().enumerate().filter(|(_, kept)| **kept) {
                kept_values.extend_from_slice(&values[row * row_length + column * length..][..length]);
            }
        }
        let count = |kept: &[bool]| kept.iter().filter(|kept| **kept).count();
        let mut new_shape = shape.to_vec();
        new_shape[0] = count(&rows);
        if let Some(size) = new_shape.get_mut(1) {
            *size = count(&columns);
        }
        (new_shape, kept_values)
    }
}

#[cfg(test)]
mod tests;
