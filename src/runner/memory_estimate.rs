//! The estimated peak of the memory that a lockstep group needs.

use crate::config::Dtype;
use crate::data::ImageCounts;
use crate::engine::Optimizer;
use crate::lottery::Study;
use crate::network::Layer;

/// Bytes of a process before it holds data: libtorch with the CPU's libraries.
const PROCESS_BYTES: u64 = 200 << 20;
/// Bytes of a GPU that CUDA, cuDNN and cuBLAS take.
const GPU_BYTES: u64 = 600 << 20;
/// Copies of the weights in a lane beside the optimizer's moments: weights, gradients, mask, initial weights, and
/// temporary ones.
const WEIGHT_COPIES: u64 = 6;
/// Copies of the activations of a batch: the values and their gradients.
const ACTIVATION_COPIES: u64 = 2;
/// Images that evaluations on a GPU process at a time, in all lanes together.
const EVALUATED_IMAGES: u64 = 2000;
/// Copies of the largest activation in an evaluation on a GPU.
const EVALUATION_COPIES: u64 = 3;

/// Returns the estimated peak of the memory of a group with `lanes` lanes, in bytes: of the GPU on a GPU, else of a process
/// that trains only this group. A rough number, meant for the request to a cluster's scheduler: on a CPU 1.1 to 1.7 times
/// the measured peak of Lenet, Conv-2, Conv-6, ResNet-20 and VGG-19, on an H100 0.4 to 2 times that of Conv-2,
/// ResNet-20 and VGG-19.
pub(super) fn memory_bytes(study: &Study, lanes: usize) -> u64 {
    let network = &study.resolved.network;
    let train = &study.experiment.train;
    let value_bytes = if train.dtype == Dtype::Float64 { 8 } else { 4 };
    let moments = Optimizer::new(train).moment_count() as u64;
    let parameters: u64 = network.parameters().iter().map(|tensor| tensor.len() as u64).sum();
    let activations = Activations::of(&network.layers, network.input);
    let batch = u64::from(train.batch_size);
    let lane = parameters * (WEIGHT_COPIES + moments) + batch * activations.all * ACTIVATION_COPIES;
    let ImageCounts { train: in_training, validation, test, .. } = study.resolved.images;
    let images = u64::from(in_training + validation + test) * network.input.iter().product::<usize>() as u64;
    let fixed = match study.resolved.gpu {
        Some(_) => GPU_BYTES + EVALUATED_IMAGES * activations.largest * EVALUATION_COPIES * value_bytes,
        None => PROCESS_BYTES,
    };
    fixed + images + lanes as u64 * lane * value_bytes
}

/// Numbers of values that layers give for one image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Activations {
    /// Of all layers together.
    all: u64,
    /// Of the layer with the most.
    largest: u64,
}

impl Activations {
    /// Returns the numbers for layers whose input has the shape \[channels, height, width\].
    fn of(layers: &[Layer], input: [usize; 3]) -> Self {
        let mut counted = Self::default();
        counted.walk(layers, input);
        counted
    }

    /// Counts the values of these layers, and returns the shape of the last of them.
    fn walk(&mut self, layers: &[Layer], mut shape: [usize; 3]) -> [usize; 3] {
        for layer in layers {
            match layer {
                Layer::Flatten => shape = [shape.iter().product(), 1, 1],
                Layer::Linear { outputs, .. } => shape = [*outputs, 1, 1],
                Layer::Conv { outputs, size, .. } => shape = [*outputs, size[0], size[1]],
                Layer::BatchNorm { .. } | Layer::Relu | Layer::Dropout { .. } => {}
                Layer::MaxPool { size, stride } | Layer::AvgPool { size, stride } => {
                    let pooled = |length: usize| length.saturating_sub(*size) / stride + 1;
                    shape = [shape[0], pooled(shape[1]), pooled(shape[2])];
                }
                Layer::GlobalAvgPool => shape = [shape[0], 1, 1],
                Layer::Residual { body, shortcut } => {
                    self.walk(shortcut, shape);
                    shape = self.walk(body, shape);
                }
            }
            let values = shape.iter().product::<usize>() as u64;
            self.all += values;
            self.largest = self.largest.max(values);
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_by_hand() {
        let layers = [
            Layer::Conv { inputs: 1, outputs: 2, kernel: 3, stride: 1, padding: 1, bias: true, size: [4, 4] },
            Layer::Relu,
            Layer::MaxPool { size: 2, stride: 2 },
            Layer::Residual { body: vec![Layer::Relu], shortcut: vec![] },
            Layer::Flatten,
            Layer::Linear { inputs: 8, outputs: 3 },
        ];
        // 32 + 32 + 8 + (8 + 8) + 8 + 3.
        assert_eq!(Activations::of(&layers, [1, 4, 4]), Activations { all: 99, largest: 32 });
    }
}
