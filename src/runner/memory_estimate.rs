//! The estimated peak of the memory that a lockstep group needs.

use crate::config::Dtype;
use crate::data::ImageCounts;
use crate::engine::Optimizer;
use crate::lottery::Study;
use crate::network::Layer;

/// Bytes of a process before it holds data: libtorch with the CPU's libraries.
const PROCESS_BYTES: u64 = 300 << 20;
/// Bytes of a GPU that CUDA, cuDNN and cuBLAS take.
const GPU_BYTES: u64 = 1000 << 20;
/// Copies of the weights in a lane beside the optimizer's moments: weights, gradients, mask, the initial weights, the
/// averages, and temporary ones.
const WEIGHT_COPIES: u64 = 6;
/// Copies of the activations of a batch: the values, their gradients, and those in other memory formats.
const ACTIVATION_COPIES: u64 = 3;

/// Returns the estimated peak of the memory of a group with `lanes` lanes, in bytes: of the GPU on a GPU, else of a process
/// that trains only this group. A rough number, meant for the request to a cluster's scheduler.
pub(super) fn memory_bytes(study: &Study, lanes: usize) -> u64 {
    let network = &study.resolved.network;
    let train = &study.experiment.train;
    let value_bytes = if train.dtype == Dtype::Float64 { 8 } else { 4 };
    let moments = Optimizer::new(train).moment_count() as u64;
    let parameters: u64 = network.parameters().iter().map(|tensor| tensor.len() as u64).sum();
    let activations = activations(&network.layers, network.input);
    let batch = u64::from(train.batch_size);
    let lane = parameters * (WEIGHT_COPIES + moments) + batch * activations * ACTIVATION_COPIES;
    let ImageCounts { train: in_training, validation, test, .. } = study.resolved.images;
    let images = u64::from(in_training + validation + test) * network.input.iter().product::<usize>() as u64;
    let fixed = if study.resolved.gpu.is_some() { GPU_BYTES } else { PROCESS_BYTES };
    fixed + images + lanes as u64 * lane * value_bytes
}

/// Returns the number of values that the layers give for one image of the shape \[channels, height, width\].
fn activations(layers: &[Layer], input: [usize; 3]) -> u64 {
    walk(layers, input).0
}

/// Returns the number of values that the layers give for one image, and the shape of the last of them.
fn walk(layers: &[Layer], mut shape: [usize; 3]) -> (u64, [usize; 3]) {
    let mut values = 0;
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
                let (in_body, after) = walk(body, shape);
                values += in_body + walk(shortcut, shape).0;
                shape = after;
            }
        }
        values += shape.iter().product::<usize>() as u64;
    }
    (values, shape)
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
        assert_eq!(activations(&layers, [1, 4, 4]), 99);
    }
}
