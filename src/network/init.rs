//! Initial weights: drawn on the host, the same on every device.

use std::collections::BTreeMap;

use super::model::Network;
use super::tensor_spec::{PrunableTensor, TensorSpec};
use crate::base::rng::Generator;
use crate::base::tensors::{NamedTensor, TensorMap};
use crate::config::WeightInit;

/// Draws θ₀: weights by `init` in the order of the layers; biases 0, and the scales of batch norm 1. `std` is the
/// standard deviation for [`WeightInit::Normal`]; it is ignored with other distributions.
pub fn init_weights(network: &Network, init: WeightInit, std: f64, generator: &mut Generator) -> TensorMap {
    let tensors = network.parameters().iter().map(|parameter| {
        let mut draw = |[fan_in, fan_out]: [f64; 2]| {
            let (deviation, uniform) = distribution(init, std, fan_in, fan_out);
            // A uniform number on ±a has standard deviation a/√3.
            let bound = deviation * 3_f64.sqrt();
            let mut draw_value = || {
                if uniform { (2.0 * generator.unit() - 1.0) * bound } else { generator.normal() * deviation }
            };
            (0..parameter.len()).map(|_| draw_value() as f32).collect()
        };
        let values = parameter.initial().map_or_else(|| draw(fans(parameter)), |value| vec![value; parameter.len()]);
        named_tensor(parameter, values)
    });
    TensorMap(tensors.collect())
}

/// Returns the buffers of a network before training: running means 0, running variances 1.
pub fn init_buffers(network: &Network) -> TensorMap {
    let tensor = |buffer: &TensorSpec| named_tensor(buffer, vec![buffer.initial().unwrap_or_default(); buffer.len()]);
    TensorMap(network.buffers().iter().map(tensor).collect())
}

/// Returns the standard deviation of the distribution that each weight tensor is drawn from, by the tensor's name.
/// `std` as in [`init_weights`].
pub fn init_stds(network: &Network, init: WeightInit, std: f64) -> BTreeMap<String, f64> {
    let deviation = |PrunableTensor { parameter, .. }: &PrunableTensor| {
        let [fan_in, fan_out] = fans(parameter);
        (parameter.name.clone(), distribution(init, std, fan_in, fan_out).0)
    };
    network.weights().iter().map(deviation).collect()
}

fn named_tensor(spec: &TensorSpec, values: Vec<f32>) -> NamedTensor {
    NamedTensor { name: spec.name.clone(), shape: spec.shape.clone(), values }
}

/// Returns fan-in and fan-out of a weight; a convolution counts every position of its kernel, as `PyTorch` and Keras
/// do.
fn fans(weight: &TensorSpec) -> [f64; 2] {
    let kernel: usize = weight.shape.iter().skip(2).product();
    [weight.shape[1], weight.shape[0]].map(|channels| (channels * kernel) as f64)
}

/// Returns the standard deviation of a distribution of initial weights, and whether it is uniform; else it is normal
/// (Glorot & Bengio 2010; He et al., arXiv 1502.01852).
fn distribution(init: WeightInit, std: f64, fan_in: f64, fan_out: f64) -> (f64, bool) {
    let glorot = (2.0 / (fan_in + fan_out)).sqrt();
    let kaiming = (2.0 / fan_in).sqrt();
    match init {
        WeightInit::GlorotNormal => (glorot, false),
        WeightInit::GlorotUniform => (glorot, true),
        WeightInit::KaimingNormal => (kaiming, false),
        WeightInit::KaimingUniform => (kaiming, true),
        WeightInit::Normal => (std, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::{Purpose, Stream};
    use crate::network::Layer;

    #[test]
    fn fans_of_convolutions_count_the_kernel_and_batch_norm_starts_as_identity() {
        let conv = Layer::Conv { inputs: 4, outputs: 64, kernel: 3, stride: 1, padding: 1, bias: false, size: [8, 8] };
        let layers = vec![conv, Layer::BatchNorm { channels: 64 }];
        let network = Network::new([4, 8, 8], 64, layers);
        let variance = init_stds(&network, WeightInit::KaimingNormal, 0.1)["conv1.weight"].powi(2);
        assert!((variance - 2.0 / 36.0).abs() < 1e-12);
        let glorot = init_stds(&network, WeightInit::GlorotNormal, 0.1)["conv1.weight"].powi(2);
        assert!((glorot - 2.0 / (36.0 + 576.0)).abs() < 1e-12);
        let state = init_weights(
            &network,
            WeightInit::KaimingNormal,
            0.1,
            &mut Stream::of_replicate(1, 1, Purpose::Init).generator(0),
        );
        let values = |name: &str| state.get(name).unwrap().values.clone();
        assert_eq!((values("bn1.weight"), values("bn1.bias")), (vec![1.0; 64], vec![0.0; 64]));
        let square: f64 = values("conv1.weight").iter().map(|w| f64::from(*w).powi(2)).sum::<f64>() / 2304.0;
        assert!((square / variance - 1.0).abs() < 0.1, "{square}");
        let buffers = init_buffers(&network);
        assert_eq!(buffers.get("bn1.running_var").unwrap().values, [1.0; 64]);
        assert_eq!(buffers.get("bn1.running_mean").unwrap().values, [0.0; 64]);
    }

    #[test]
    fn each_init_has_its_spread() {
        let linear = |inputs, outputs| Layer::Linear { inputs, outputs };
        let layers = vec![Layer::Flatten, linear(100, 400), Layer::Relu, linear(400, 10)];
        let network = Network::new([1, 10, 10], 10, layers);
        let cases = [
            (WeightInit::GlorotNormal, 2.0 / 500.0, None),
            (WeightInit::GlorotUniform, 2.0 / 500.0, Some((6.0_f64 / 500.0).sqrt())),
            (WeightInit::KaimingNormal, 2.0 / 100.0, None),
            (WeightInit::KaimingUniform, 2.0 / 100.0, Some((6.0_f64 / 100.0).sqrt())),
            (WeightInit::Normal, 0.25, None),
        ];
        for (init, variance, bound) in cases {
            let mut generator = Stream::of_replicate(1, 1, Purpose::Init).generator(0);
            let state = init_weights(&network, init, 0.5, &mut generator);
            let values = &state.get("linear1.weight").unwrap().values;
            let square = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64;
            assert!((square / variance - 1.0).abs() < 0.03, "{init:?}: {square} instead of {variance}");
            let largest = values.iter().fold(0.0_f64, |a, v| a.max(f64::from(v.abs())));
            assert!(bound.is_none_or(|bound| largest <= bound && largest > 0.99 * bound), "{init:?}: {largest}");
            assert!(state.get("linear1.bias").unwrap().values.iter().all(|&b| b == 0.0));
        }
    }
}
