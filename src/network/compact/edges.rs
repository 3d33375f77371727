//! The units of a network that can be removed: those between two layers in line, from which nothing else reads.

use std::collections::VecDeque;

use super::super::layer::Layer;
use super::super::model::Network;

/// The units (features or channels) that one layer computes and only the next layer with weights reads.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edge {
    /// The name of the linear layer or convolution that computes the units.
    pub(super) producer: String,
    /// The name of the linear layer or convolution that reads them.
    pub(super) consumer: String,
    /// Number of units.
    pub(super) units: usize,
    /// The operations between the two, in the order they are applied.
    pub(super) operations: Vec<Operation>,
    /// Number of inputs of the consumer for each unit: the positions of a channel that is flattened, else 1.
    pub(super) positions: usize,
    /// Whether the consumer has a bias and reads each unit at every position, so that a unit that is constant can be
    /// added to its bias. A convolution that pads its input with zeros does not.
    pub(super) takes_constants: bool,
}

/// An operation on single units. Pooling is none: it leaves a constant unit as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// The batch norm of this name.
    BatchNorm(String),
    /// max(x, 0).
    Relu,
}

/// Returns the edges of a network in the order of its layers.
pub(super) fn edges(network: &Network) -> Vec<Edge> {
    let mut walk = Walk { names: network.layer_names().into(), edges: Vec::new() };
    let [_, height, width] = network.input;
    walk.layers(&network.layers, [height, width]);
    walk.edges
}

/// A walk over the layers of a network.
struct Walk {
    /// The names of the layers with tensors that come next.
    names: VecDeque<String>,
    edges: Vec<Edge>,
}

impl Walk {
    /// Collects the edges inside `layers`, whose input has this height and width; returns that of their output.
    fn layers(&mut self, layers: &[Layer], mut size: [usize; 2]) -> [usize; 2] {
        // The units of the last layer with weights, unless a residual block adds them to others.
        let mut open: Option<Edge> = None;
        for layer in layers {
            match *layer {
                Layer::Linear { outputs, .. } => open = Some(self.next(open, outputs, true)),
                Layer::Conv { outputs, padding, bias, size: output_size, .. } => {
                    open = Some(self.next(open, outputs, bias && padding == 0));
                    size = output_size;
                }
                Layer::BatchNorm { .. } => {
                    let name = self.names.pop_front().unwrap_or_default();
                    if let Some(edge) = &mut open {
                        edge.operations.push(Operation::BatchNorm(name));
                    }
                }
                Layer::Relu => {
                    if let Some(edge) = &mut open {
                        edge.operations.push(Operation::Relu);
                    }
                }
                Layer::Flatten => {
                    if let Some(edge) = &mut open {
                        edge.positions = size[0] * size[1];
                    }
                    size = [1, 1];
                }
                Layer::MaxPool { size: square, stride } | Layer::AvgPool { size: square, stride } => {
                    size = size.map(|length| (length - square) / stride + 1);
                }
                Layer::GlobalAvgPool => size = [1, 1],
                Layer::Dropout { .. } => {}
                Layer::Residual { ref body, ref shortcut } => {
                    let output_size = self.layers(body, size);
                    self.layers(shortcut, size);
                    (size, open) = (output_size, None);
                }
            }
        }
        size
    }

    /// Closes the open edge with the next layer as its consumer, and returns the edge that this layer opens with its
    /// `units`. `takes_constants`: see [`Edge`].
    fn next(&mut self, open: Option<Edge>, units: usize, takes_constants: bool) -> Edge {
        let name = self.names.pop_front().unwrap_or_default();
        self.edges.extend(open.map(|edge| Edge { consumer: name.clone(), takes_constants, ..edge }));
        let operations = Vec::new();
        Edge { producer: name, consumer: String::new(), units, operations, positions: 1, takes_constants: false }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::build;
    use super::*;
    use crate::config::{Architecture, NetworkConfig};

    fn described(architecture: Architecture, input: [usize; 3]) -> Vec<String> {
        let network = build(&NetworkConfig::from(architecture), input, 10).unwrap();
        let text = |edge: &Edge| {
            let Edge { producer, consumer, units, positions, takes_constants, .. } = edge;
            format!("{producer}-{consumer} {units}x{positions} {takes_constants}")
        };
        edges(&network).iter().map(text).collect()
    }

    #[test]
    fn edges_of_networks_by_hand() {
        assert_eq!(
            described(Architecture::Lenet300100, [1, 28, 28]),
            ["linear1-linear2 300x1 true", "linear2-output 100x1 true"]
        );
        assert_eq!(
            described(Architecture::Conv2, [3, 32, 32]),
            [
                "conv1-conv2 64x1 false",
                "conv2-linear1 64x256 true",
                "linear1-linear2 256x1 true",
                "linear2-output 256x1 true"
            ]
        );
        let resnet = described(Architecture::Resnet20, [3, 32, 32]);
        assert_eq!(resnet.len(), 9, "the channels within each block");
        assert_eq!(resnet[3], "block4.conv1-block4.conv2 32x1 false");
    }
}
