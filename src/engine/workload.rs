//! The sizes of a network and its batches, from which an engine estimates the cost of a step.

use super::trainer::TrainerSpec;

/// The sizes that the cost of a step depends on, except for the number of weights that a mask keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Features of an image: channels · height · width.
    pub inputs: u64,
    /// The prunable layers, in the network's order.
    pub layers: Vec<LayerWork>,
    /// Images of a full batch.
    pub batch_size: u64,
}

/// The size of one prunable layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerWork {
    /// Weights of the layer, pruned ones included.
    pub weights: u64,
    /// Multiply-adds that each weight takes part in, per image: 1 in a linear layer, the number of output positions in
    /// a convolution.
    pub macs_per_weight: u64,
}

impl Workload {
    /// Returns the sizes of the network and the batches of `spec`.
    pub fn new(spec: &TrainerSpec) -> Self {
        let tensors = spec.network.weights();
        let sizes = spec.network.weight_counts();
        let layers = tensors.iter().zip(sizes.iter());
        let layers = layers.map(|(tensor, &weights)| LayerWork { weights, macs_per_weight: tensor.macs_per_weight });
        Self {
            inputs: spec.network.input.iter().product::<usize>() as u64,
            layers: layers.collect(),
            batch_size: spec.batch_size as u64,
        }
    }
}
