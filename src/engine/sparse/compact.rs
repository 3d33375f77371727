//! The part of a network that a mask keeps: the values that the trainer stores, and the active ones, which a step
//! computes with.
//!
//! The words *kept*, *active* and *idle* are defined in [`sparse`](super).

use std::ops::Range;

use anyhow::{Result, anyhow};

use super::super::linear_stack::{LinearShape, LinearStack};
use super::tiled_csr::TiledCsr;
use crate::base::mask::Mask;
use crate::engine::param_layout::{ParamLayout, match_mask};
use crate::network::TensorSpec;

/// The kept part of a linear layer.
///
/// Steps compute with active units and the weights between them only. Idle weights are stored too, after the active
/// ones, and so are the biases of idle units: their gradient is 0, but the optimizer updates them, since weight decay
/// changes them.
#[derive(Clone, Debug)]
pub(super) struct CompactLayer {
    /// The sizes of the dense layer, and the `ReLU` and dropout after it.
    pub(super) shape: LinearShape,
    /// The active units (outputs), as indices among all units of the layer, ascending.
    pub(super) units: Vec<u32>,
    /// The pattern of the active weights: a row for each of `units`, a column for each active unit of the previous
    /// layer (or active input).
    pub(super) forward: TiledCsr,
    /// Like `forward`, but transposed. Empty in the first layer, because the gradient of the images is not computed.
    pub(super) backward: TiledCsr,
    /// For each weight in the order of `backward` its position in the order of `forward`.
    pub(super) positions: Vec<u32>,
    /// Positions of the kept weights in the flat buffers: the active weights in the order of `forward`, then the idle
    /// ones.
    pub(super) weights: Range<usize>,
    /// Positions of all biases in the flat buffers: those of `units`, then those of idle units.
    pub(super) biases: Range<usize>,
}

impl CompactLayer {
    /// Returns the positions of the active weights in the flat buffers.
    pub(super) fn active_weights(&self) -> Range<usize> {
        self.weights.start..self.weights.start + self.forward.len()
    }

    /// Returns the positions of the biases of active units in the flat buffers.
    pub(super) fn active_biases(&self) -> Range<usize> {
        self.biases.start..self.biases.start + self.units.len()
    }
}

/// The kept part of a fully connected network.
#[derive(Clone, Debug, Default)]
pub(super) struct CompactNetwork {
    /// The layers in the order they are applied.
    pub(super) layers: Vec<CompactLayer>,
    /// The active inputs, as indices among all inputs, ascending.
    pub(super) inputs: Vec<u32>,
    /// The positions of the kept weights and of all biases in the flat buffers.
    pub(super) layout: ParamLayout,
}

impl CompactNetwork {
    /// Returns the part of a network that `mask` keeps. `parameters` are the weight and the bias of the first layer of
    /// `stack`, then those of the second, and so on.
    ///
    /// # Errors
    /// Fails if the mask does not cover exactly the weights of the network.
    pub(super) fn new(stack: &LinearStack, parameters: &[TensorSpec], mask: &Mask) -> Result<Self> {
        let mut kept = Vec::new();
        let weights = parameters.iter().step_by(2);
        for (weight, flags) in weights.clone().zip(match_mask(weights, mask)?) {
            kept.push(flags.ok_or_else(|| anyhow!("a mask without `{}`", weight.name))?);
        }
        let active = active_units(stack, &kept);
        let mut network = Self { inputs: indices(&active[0], true).collect(), ..Self::default() };
        for (index, (shape, kept)) in stack.layers.iter().zip(&kept).enumerate() {
            let is_first = index == 0;
            let tensors = [&parameters[2 * index], &parameters[2 * index + 1]];
            let layer = CompactLayer::new(
                *shape,
                kept,
                [&active[index], &active[index + 1]],
                is_first,
                tensors,
                &mut network.layout,
            );
            network.layers.push(layer);
        }
        Ok(network)
    }

    /// Returns the length of each flat buffer in values.
    pub(super) fn len(&self) -> usize {
        self.layout.len()
    }
}

/// Returns for each input of the network, then for each unit of each layer, whether it is active. `kept` has the flags
/// of each layer's weight [outputs, inputs].
fn active_units(stack: &LinearStack, kept: &[&[bool]]) -> Vec<Vec<bool>> {
    let mut outputs = vec![true; stack.layers.last().map_or(0, |last| last.outputs)];
    let mut active = Vec::new();
    for (shape, kept) in stack.layers.iter().zip(kept).rev() {
        let mut inputs = vec![false; shape.inputs];
        for (row, _) in kept.chunks_exact(shape.inputs).zip(&outputs).filter(|(_, is_active)| **is_active) {
            inputs.iter_mut().zip(row).for_each(|(input, &kept)| *input |= kept);
        }
        active.push(std::mem::replace(&mut outputs, inputs));
    }
    active.push(outputs);
    active.reverse();
    active
}

/// Returns the indices of the flags that equal `value`, ascending.
fn indices(flags: &[bool], value: bool) -> impl Iterator<Item = u32> {
    (0..flags.len() as u32).filter(move |&i| flags[i as usize] == value)
}

/// Returns for each unit the number of active units before it.
fn rank(active: &[bool]) -> Vec<u32> {
    let mut count = 0;
    let mut ranks = Vec::with_capacity(active.len());
    for &is_active in active {
        ranks.push(count);
        count += u32::from(is_active);
    }
    ranks
}

impl CompactLayer {
    /// Returns the kept part of a layer and appends its values to `layout`. `kept` has a flag for each weight
    /// [outputs, inputs]; `inputs` and `outputs` have a flag for each unit, true if the unit is active.
    fn new(
        shape: LinearShape,
        kept: &[bool],
        [inputs, outputs]: [&[bool]; 2],
        is_first: bool,
        [weight, bias]: [&TensorSpec; 2],
        layout: &mut ParamLayout,
    ) -> Self {
        let columns = rank(inputs);
        let rows = rank(outputs);
        // Active weights as (row, column) of the pattern, their positions in the tensor, and the positions of idle
        // weights. A kept weight whose output is active is active, and so is its input.
        let mut active = Vec::new();
        let mut active_positions = Vec::new();
        let mut idle_positions = Vec::new();
        for position in (0..kept.len()).filter(|&position| kept[position]) {
            let (output, input) = (position / shape.inputs, position % shape.inputs);
            if outputs[output] {
                active.push((rows[output], columns[input]));
                active_positions.push(position as u32);
            } else {
                idle_positions.push(position as u32);
            }
        }
        let units: Vec<u32> = indices(outputs, true).collect();
        let active_inputs = inputs.iter().filter(|&&is_active| is_active).count();
        let (forward, order) = TiledCsr::new(units.len(), active_inputs, &active);
        let mut backward = TiledCsr::default();
        let mut positions = Vec::new();
        if !is_first {
            let transposed: Vec<(u32, u32)> =
                order.iter().map(|&k| active[k as usize]).map(|(row, column)| (column, row)).collect();
            (backward, positions) = TiledCsr::new(active_inputs, units.len(), &transposed);
        }
        let weight_index = order.iter().map(|&k| active_positions[k as usize]).chain(idle_positions).collect();
        let bias_index = indices(outputs, true).chain(indices(outputs, false)).collect();
        let weights = layout.push_indexed(weight, weight_index);
        let biases = layout.push_indexed(bias, bias_index);
        Self { shape, units, forward, backward, positions, weights, biases }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mask::LayerMask;
    use crate::base::tensors::{NamedTensor, TensorMap};
    use crate::network::TensorRole;

    #[test]
    fn idle_weights_are_stored_after_active_ones() {
        let linear = |inputs, outputs| LinearShape { inputs, outputs, relu: false, dropout: None };
        let stack = LinearStack { dropout: None, layers: vec![linear(3, 2), linear(2, 2)] };
        let parameter = |name: &str, shape: &[usize]| TensorSpec {
            name: name.into(),
            shape: shape.to_vec(),
            role: TensorRole::Weight,
        };
        let parameters =
            [parameter("a", &[2, 3]), parameter("a.bias", &[2]), parameter("b", &[2, 2]), parameter("b.bias", &[2])];
        let layer = |name: &str, kept: &[bool]| LayerMask { name: name.into(), shape: vec![], kept: kept.to_vec() };
        // Hidden unit 0 leads nowhere; input 0 leads only to it; input 1 leads nowhere at all.
        let mask =
            Mask(vec![layer("a", &[true, false, true, false, false, true]), layer("b", &[false, true, false, false])]);
        let compact = CompactNetwork::new(&stack, &parameters, &mask).unwrap();
        assert_eq!(compact.inputs, [2]);
        let [a, b] = &compact.layers[..] else { panic!("two layers") };
        assert_eq!(a.units, [1]);
        let (a_weights, a_biases) = (a.weights.clone(), a.biases.clone());
        assert_eq!((a.active_weights(), a_weights, a.active_biases(), a_biases), (0..1, 0..3, 3..4, 3..5));
        assert_eq!(b.units, [0, 1]);
        assert_eq!((b.forward.rows, b.backward.rows, &b.positions[..]), (2, 1, &[0][..]));
        assert_eq!(compact.len(), 8);
        // Positions in the tensors, stored value by stored value.
        let positions = |n| (0..n).map(|i| i as f32).collect::<Vec<f32>>();
        let tensor = |spec: &TensorSpec| NamedTensor {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            values: positions(spec.len()),
        };
        let mut flat = vec![0.0_f32; 8];
        compact.layout.write(&TensorMap(parameters.iter().map(tensor).collect()), &mut flat).unwrap();
        assert_eq!(flat, [5.0, 0.0, 2.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
        assert!(CompactNetwork::new(&stack, &parameters, &Mask(mask.0[..1].to_vec())).is_err());
    }
}
