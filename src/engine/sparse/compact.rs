//! The network that a mask leaves: the weights that are stored, and those that a step computes with.

use std::ops::Range;

use anyhow::{Result, anyhow, ensure};

use super::super::linear_stack::{LinearLayout, LinearStack};
use super::tiled_csr::TiledCsr;
use crate::base::mask::Mask;
use crate::network::TensorSpec;

/// The remaining weights of a linear layer.
///
/// A unit is used if remaining weights lead from it to the logits, and a weight is used if the unit that it leads to is. A
/// step computes with used units and weights only. The other remaining weights are stored too, behind the used ones, for
/// the optimizer: their gradient is 0, but weight decay changes them.
#[derive(Clone, Debug)]
pub(super) struct CompactLayer {
    /// The whole layer.
    pub(super) shape: LinearLayout,
    /// Indices of the used outputs among all, ascending.
    pub(super) units: Vec<u32>,
    /// Positions of the used weights: a row for each of `units`, a column for each used unit of the layer before.
    pub(super) forward: TiledCsr,
    /// The transpose of `forward`, for the gradient of the inputs. Empty in the first layer.
    pub(super) backward: TiledCsr,
    /// For each weight of `backward`, its index in `forward`.
    pub(super) positions: Vec<u32>,
    /// Index in the weight tensor of each stored weight: first the used ones, in the order of `forward`.
    pub(super) weight_places: Vec<u32>,
    /// Index in the bias tensor of each bias: first those of `units`.
    pub(super) bias_places: Vec<u32>,
    /// The stored weights in the flat buffers.
    pub(super) weights: Range<usize>,
    /// The biases in the flat buffers.
    pub(super) biases: Range<usize>,
}

impl CompactLayer {
    /// Returns the used weights in the flat buffers.
    pub(super) fn trainable(&self) -> Range<usize> {
        self.weights.start..self.weights.start + self.forward.len()
    }

    /// Returns the biases of used units in the flat buffers.
    pub(super) fn trainable_biases(&self) -> Range<usize> {
        self.biases.start..self.biases.start + self.units.len()
    }
}

/// The remaining weights of a network. The flat buffers of weights, gradients and moments hold, layer by layer, the stored
/// weights and then the biases.
#[derive(Clone, Debug, Default)]
pub(super) struct CompactNetwork {
    /// The layers, from the inputs to the logits.
    pub(super) layers: Vec<CompactLayer>,
    /// Indices of the used inputs among all, ascending.
    pub(super) inputs: Vec<u32>,
    /// The length of a flat buffer.
    pub(super) len: usize,
}

impl CompactNetwork {
    /// Returns the network that `mask` leaves. `parameters`: weight and bias of each layer in turn.
    ///
    /// # Errors
    /// If the mask lacks a layer, has a layer of another size, or one that the network does not have.
    pub(super) fn new(linears: &LinearStack, parameters: &[TensorSpec], mask: &Mask) -> Result<Self> {
        let mut kept = Vec::new();
        for (linear, parameter) in linears.layers.iter().zip(parameters.iter().step_by(2)) {
            let layer = mask.0.iter().find(|layer| layer.name == parameter.name);
            let layer = layer.ok_or_else(|| anyhow!("a mask without `{}`", parameter.name))?;
            ensure!(layer.kept.len() == linear.inputs * linear.outputs, "a mask of another size: `{}`", layer.name);
            kept.push(layer.kept.as_slice());
        }
        ensure!(kept.len() == mask.0.len(), "a mask for layers that there are not");
        // From the logits back: whether each output of a layer is used.
        let mut used = vec![vec![true; linears.layers.last().map_or(0, |last| last.outputs)]];
        for (linear, kept) in linears.layers.iter().zip(&kept).rev() {
            let mut inputs = vec![false; linear.inputs];
            for (row, _) in kept.chunks_exact(linear.inputs).zip(&used[used.len() - 1]).filter(|(_, used)| **used) {
                inputs.iter_mut().zip(row).for_each(|(input, &kept)| *input |= kept);
            }
            used.push(inputs);
        }
        used.reverse();
        let indices = |used: &[bool]| (0..used.len() as u32).filter(|&i| used[i as usize]).collect::<Vec<u32>>();
        let mut survivors = Self { inputs: indices(&used[0]), ..Self::default() };
        for (number, (linear, kept)) in linears.layers.iter().zip(&kept).enumerate() {
            let is_first = number == 0;
            let used = [used[number].as_slice(), used[number + 1].as_slice()];
            survivors.layers.push(compact_layer(*linear, kept, used, is_first, &mut survivors.len));
        }
        Ok(survivors)
    }
}

/// Returns the remaining weights of a layer and adds their number and that of its biases to `len`, the length of the flat
/// buffers. `kept`: the mask [outputs, inputs]; `inputs` and `outputs`: whether each unit is used.
fn compact_layer(
    shape: LinearLayout,
    kept: &[bool],
    [inputs, outputs]: [&[bool]; 2],
    is_first: bool,
    len: &mut usize,
) -> CompactLayer {
    let columns = ranks(inputs);
    let rows = ranks(outputs);
    // Row and column of each used weight, its index in the tensor, and the indices of the other remaining weights.
    let mut used = Vec::new();
    let mut used_places = Vec::new();
    let mut unused_places = Vec::new();
    for index in (0..kept.len()).filter(|&index| kept[index]) {
        let output = index / shape.inputs;
        let input = index % shape.inputs;
        if outputs[output] {
            used.push((rows[output], columns[input]));
            used_places.push(index as u32);
        } else {
            unused_places.push(index as u32);
        }
    }
    let outputs_if = |is_used: bool| (0..outputs.len() as u32).filter(move |&i| outputs[i as usize] == is_used);
    let units: Vec<u32> = outputs_if(true).collect();
    let used_inputs = inputs.iter().filter(|&&used| used).count();
    let (forward, order) = TiledCsr::new(units.len(), used_inputs, &used);
    let (backward, positions) = if is_first {
        (TiledCsr::default(), Vec::new())
    } else {
        let transposed = order.iter().map(|&k| used[k as usize]).map(|(row, column)| (column, row));
        TiledCsr::new(used_inputs, units.len(), &transposed.collect::<Vec<(u32, u32)>>())
    };
    let weight_places: Vec<u32> = order.iter().map(|&k| used_places[k as usize]).chain(unused_places).collect();
    let bias_places: Vec<u32> = outputs_if(true).chain(outputs_if(false)).collect();
    let weights = *len..*len + weight_places.len();
    let biases = weights.end..weights.end + bias_places.len();
    *len = biases.end;
    CompactLayer { shape, units, forward, backward, positions, weight_places, bias_places, weights, biases }
}

/// Returns for each unit the number of used units before it.
fn ranks(used: &[bool]) -> Vec<u32> {
    used.iter().scan(0, |rank, &used| Some(std::mem::replace(rank, *rank + u32::from(used)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mask::LayerMask;
    use crate::network::TensorRole;

    #[test]
    fn compact_network_stores_unused_weights_behind_used_ones() {
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
        assert_eq!((&a.units[..], &a.weight_places[..], &a.bias_places[..]), (&[1][..], &[5, 0, 2][..], &[1, 0][..]));
        assert_eq!(
            (a.trainable(), a.weights.clone(), a.trainable_biases(), a.biases.clone()),
            (0..1, 0..3, 3..4, 3..5)
        );
        assert_eq!((&b.units[..], &b.weight_places[..]), (&[0, 1][..], &[1][..]));
        assert_eq!((b.forward.rows, b.backward.rows, &b.positions[..]), (2, 1, &[0][..]));
        assert_eq!(survivors.len, 8);
        assert!(CompactNetwork::new(&linears, &parameters, &Mask(mask.0[..1].to_vec())).is_err());
    }
}
