//! What a mask leaves of a network: the weights that are stored, and those that a step has to look at.

use std::ops::Range;

use anyhow::{Result, anyhow, ensure};

use super::super::linear_stack::{LinearLayout, LinearStack};
use super::tiled_csr::TiledCsr;
use crate::base::mask::Mask;
use crate::network::TensorSpec;

/// A linear layer of which some weights survive.
///
/// A unit from which no surviving weights lead to the logits is not looked at, nor are the weights that lead to it. They
/// are stored all the same, at the end, for the optimizer: their gradient is 0, but weight decay moves them.
#[derive(Clone, Debug)]
pub(super) struct CompactLayer {
    /// The whole layer.
    pub(super) shape: LinearLayout,
    /// Of the outputs that are looked at, in order, the index among all.
    pub(super) units: Vec<u32>,
    /// Places of the weights that are looked at: a row for each of `units`, a column for each unit of the layer before.
    pub(super) forward: TiledCsr,
    /// The same from the other side, and where each weight is in `forward`. Empty in the first layer.
    pub(super) backward: TiledCsr,
    pub(super) positions: Vec<u32>,
    /// Of all weights that are stored, the index in the tensor; first those of `forward`.
    pub(super) weight_places: Vec<u32>,
    /// Of all biases, the index in the tensor; first those of `units`.
    pub(super) bias_places: Vec<u32>,
    /// Where they are in the flat buffers.
    pub(super) weights: Range<usize>,
    pub(super) biases: Range<usize>,
}

impl CompactLayer {
    /// The weights that are looked at, in the flat buffers.
    pub(super) fn trainable(&self) -> Range<usize> {
        self.weights.start..self.weights.start + self.forward.len()
    }

    /// The biases that are looked at, in the flat buffers.
    pub(super) fn trainable_biases(&self) -> Range<usize> {
        self.biases.start..self.biases.start + self.units.len()
    }
}

/// A network of which some weights survive.
#[derive(Clone, Debug, Default)]
pub(super) struct CompactNetwork {
    /// In order.
    pub(super) layers: Vec<CompactLayer>,
    /// The inputs that are looked at, in order.
    pub(super) inputs: Vec<u32>,
    /// Values of the flat buffers.
    pub(super) len: usize,
}

impl CompactNetwork {
    /// What `mask` leaves of a network. `parameters` are weight and bias of each layer in turn.
    pub(super) fn new(linears: &LinearStack, parameters: &[TensorSpec], mask: &Mask) -> Result<Self> {
        let mut kept = Vec::new();
        for (linear, parameter) in linears.layers.iter().zip(parameters.iter().step_by(2)) {
            let layer = mask.0.iter().find(|layer| layer.name == parameter.name);
            let layer = layer.ok_or_else(|| anyhow!("a mask without `{}`", parameter.name))?;
            ensure!(layer.kept.len() == linear.inputs * linear.outputs, "a mask of another size: `{}`", layer.name);
            kept.push(layer.kept.as_slice());
        }
        ensure!(kept.len() == mask.0.len(), "a mask for layers that there are not");
        // From the logits back: the outputs of each layer that are looked at.
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
        for (at, (linear, kept)) in linears.layers.iter().zip(&kept).enumerate() {
            let first = at == 0;
            let layer = sparse_layer(*linear, kept, [&used[at], &used[at + 1]], first, &mut survivors.len);
            survivors.layers.push(layer);
        }
        Ok(survivors)
    }
}

fn sparse_layer(
    shape: LinearLayout,
    kept: &[bool],
    [inputs, outputs]: [&[bool]; 2],
    first: bool,
    len: &mut usize,
) -> CompactLayer {
    let rank = |used: &[bool]| -> Vec<u32> {
        used.iter().scan(0, |n, &used| Some(std::mem::replace(n, *n + u32::from(used)))).collect()
    };
    let (columns, rows) = (rank(inputs), rank(outputs));
    let (mut active, mut idle, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for at in (0..kept.len()).filter(|&at| kept[at]) {
        let (output, input) = (at / shape.inputs, at % shape.inputs);
        if outputs[output] {
            active.push((rows[output], columns[input]));
            places.push(at as u32);
        } else {
            idle.push(at as u32);
        }
    }
    let split = |used: bool| (0..outputs.len() as u32).filter(move |&i| outputs[i as usize] == used);
    let units: Vec<u32> = split(true).collect();
    let looked_at = inputs.iter().filter(|&&used| used).count();
    let (forward, order) = TiledCsr::new(units.len(), looked_at, &active);
    let (mut backward, mut positions) = (TiledCsr::default(), Vec::new());
    if !first {
        let ordered: Vec<(u32, u32)> =
            order.iter().map(|&k| active[k as usize]).map(|(row, column)| (column, row)).collect();
        (backward, positions) = TiledCsr::new(looked_at, units.len(), &ordered);
    }
    let weight_places: Vec<u32> = order.iter().map(|&k| places[k as usize]).chain(idle).collect();
    let bias_places: Vec<u32> = split(true).chain(split(false)).collect();
    let weights = *len..*len + weight_places.len();
    let biases = weights.end..weights.end + bias_places.len();
    *len = biases.end;
    CompactLayer { shape, units, forward, backward, positions, weight_places, bias_places, weights, biases }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mask::LayerMask;
    use crate::network::TensorRole;

    #[test]
    fn what_leads_nowhere_is_stored_but_not_looked_at() {
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
