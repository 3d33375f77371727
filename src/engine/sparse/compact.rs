//! The part of a network that a mask keeps: the stored values, and those that a step computes with.

use std::ops::Range;

use anyhow::{Result, anyhow};

use super::super::linear_stack::{LinearLayout, LinearStack};
use super::tiled_csr::TiledCsr;
use crate::base::mask::Mask;
use crate::engine::param_layout::{ParamLayout, match_mask};
use crate::network::TensorSpec;

/// The surviving part of a linear layer.
///
/// A unit is active if surviving weights lead from it to the logits. Steps compute with active units and the weights
/// between them only. The other surviving weights are stored too, at the end: their gradient is 0, but weight decay
/// moves them.
#[derive(Clone, Debug)]
pub(super) struct CompactLayer {
    /// The complete layer.
    pub(super) shape: LinearLayout,
    /// Indices of the active outputs, ascending.
    pub(super) units: Vec<u32>,
    /// The weights between active units: a row for each of `units`, a column for each active unit of the previous
    /// layer.
    pub(super) forward: TiledCsr,
    /// Like `forward`, but transposed. Empty in the first layer, whose inputs need no gradient.
    pub(super) backward: TiledCsr,
    /// For each weight of `backward` its position in `forward`.
    pub(super) positions: Vec<u32>,
    /// Positions of all surviving weights in the flat buffers; first those of `forward`.
    pub(super) weights: Range<usize>,
    /// Positions of all biases in the flat buffers; first those of `units`.
    pub(super) biases: Range<usize>,
}

impl CompactLayer {
    /// Positions of the weights between active units in the flat buffers.
    pub(super) fn trainable(&self) -> Range<usize> {
        self.weights.start..self.weights.start + self.forward.len()
    }

    /// Positions of the biases of active units in the flat buffers.
    pub(super) fn trainable_biases(&self) -> Range<usize> {
        self.biases.start..self.biases.start + self.units.len()
    }
}

/// The surviving part of a fully connected network.
#[derive(Clone, Debug, Default)]
pub(super) struct CompactNetwork {
    /// The layers in the order they are applied.
    pub(super) layers: Vec<CompactLayer>,
    /// Indices of the active inputs, ascending.
    pub(super) inputs: Vec<u32>,
    /// The places of the surviving weights and of all biases in the flat buffers.
    pub(super) layout: ParamLayout,
}

impl CompactNetwork {
    /// Returns the part of a network that `mask` keeps. `parameters` are weight and bias of each layer of `linears` in
    /// turn.
    ///
    /// # Errors
    /// If the mask does not cover exactly the weights of the network.
    pub(super) fn new(linears: &LinearStack, parameters: &[TensorSpec], mask: &Mask) -> Result<Self> {
        let mut kept = Vec::new();
        let weights = parameters.iter().step_by(2);
        for (weight, flags) in weights.clone().zip(match_mask(weights, mask)?) {
            kept.push(flags.ok_or_else(|| anyhow!("a mask without `{}`", weight.name))?);
        }
        let active = active_units(linears, &kept);
        let mut network = Self { inputs: indices(&active[0], true).collect(), ..Self::default() };
        for (number, (linear, kept)) in linears.layers.iter().zip(&kept).enumerate() {
            let is_first = number == 0;
            let tensors = [&parameters[2 * number], &parameters[2 * number + 1]];
            let layer = CompactLayer::new(
                *linear,
                kept,
                [&active[number], &active[number + 1]],
                is_first,
                tensors,
                &mut network.layout,
            );
            network.layers.push(layer);
        }
        Ok(network)
    }

    /// Values of each flat buffer.
    pub(super) fn len(&self) -> usize {
        self.layout.len()
    }
}

/// Returns which inputs of the network, then which outputs of each layer are active: surviving weights lead from them
/// to the logits. `kept` has the flags of each layer's weight [outputs, inputs].
fn active_units(linears: &LinearStack, kept: &[&[bool]]) -> Vec<Vec<bool>> {
    let mut outputs = vec![true; linears.layers.last().map_or(0, |last| last.outputs)];
    let mut active = Vec::new();
    for (linear, kept) in linears.layers.iter().zip(kept).rev() {
        let mut inputs = vec![false; linear.inputs];
        for (row, _) in kept.chunks_exact(linear.inputs).zip(&outputs).filter(|(_, is_active)| **is_active) {
            inputs.iter_mut().zip(row).for_each(|(input, &kept)| *input |= kept);
        }
        active.push(std::mem::replace(&mut outputs, inputs));
    }
    active.push(outputs);
    active.reverse();
    active
}

/// Returns the indices of the flags that are `value`, ascending.
fn indices(flags: &[bool], value: bool) -> impl Iterator<Item = u32> {
    (0..flags.len() as u32).filter(move |&i| flags[i as usize] == value)
}

/// Returns for each unit the number of active units before it.
fn rank(active: &[bool]) -> Vec<u32> {
    let count = |n: &mut u32, &is_active: &bool| Some(std::mem::replace(n, *n + u32::from(is_active)));
    active.iter().scan(0, count).collect()
}

impl CompactLayer {
    /// Returns the surviving part of a layer and appends its values to `layout`. `kept` has a flag for each weight
    /// [outputs, inputs]; `inputs` and `outputs` have a flag for each unit, true if it is active.
    fn new(
        shape: LinearLayout,
        kept: &[bool],
        [inputs, outputs]: [&[bool]; 2],
        is_first: bool,
        [weight, bias]: [&TensorSpec; 2],
        layout: &mut ParamLayout,
    ) -> Self {
        let columns = rank(inputs);
        let rows = rank(outputs);
        // Weights between active units as (row, column), their positions in the tensor, and those of all others.
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
        let (mut backward, mut positions) = (TiledCsr::default(), Vec::new());
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
    fn weights_that_lead_nowhere_are_stored_but_not_computed_with() {
        let linear = |inputs, outputs| LinearLayout { inputs, outputs, relu: false, dropout: None };
        let linears = LinearStack { dropout: None, layers: vec![linear(3, 2), linear(2, 2)] };
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
        let survivors = CompactNetwork::new(&linears, &parameters, &mask).unwrap();
        assert_eq!(survivors.inputs, [2]);
        let [a, b] = &survivors.layers[..] else { panic!("two layers") };
        assert_eq!(a.units, [1]);
        let (a_weights, a_biases) = (a.weights.clone(), a.biases.clone());
        assert_eq!((a.trainable(), a_weights, a.trainable_biases(), a_biases), (0..1, 0..3, 3..4, 3..5));
        assert_eq!(b.units, [0, 1]);
        assert_eq!((b.forward.rows, b.backward.rows, &b.positions[..]), (2, 1, &[0][..]));
        assert_eq!(survivors.len(), 8);
        // Positions in the tensors, stored value by stored value.
        let positions = |n| (0..n).map(|i| i as f32).collect::<Vec<f32>>();
        let tensor = |spec: &TensorSpec| NamedTensor {
            name: spec.name.clone(),
            shape: spec.shape.clone(),
            values: positions(spec.len()),
        };
        let mut flat = vec![0.0_f32; 8];
        survivors.layout.write(&TensorMap(parameters.iter().map(tensor).collect()), &mut flat).unwrap();
        assert_eq!(flat, [5.0, 0.0, 2.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
        assert!(CompactNetwork::new(&linears, &parameters, &Mask(mask.0[..1].to_vec())).is_err());
    }
}
