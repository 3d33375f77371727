//! Gradients of the probe against `PyTorch`'s numbers (tests/oracle/probe.py makes them).

use std::path::Path;

use lth::base::mask::Mask;
use lth::base::rng::mix;
use lth::base::tensors::{NamedTensor, Snapshot, TensorMap};
use lth::config::{self, Architecture, Dtype, LayerSpec, NetworkStructure};
use lth::engine::optim::Sgd;
use lth::engine::{
    GradientMap, NamedGradient, Optimizer, Probe, ProbeBatchNorm, ProbeObjective, ProbeOptions, TrainerSpec, torch,
};
use lth::network::{Network, TensorRole, build};
use serde_json::Value;

use super::conv::{SHAPE, dataset, start_from};
use super::oracle::unit;

const NETWORKS: [&str; 3] = ["lenet", "conv", "resnet20"];

pub(super) fn network(name: &str) -> Network {
    let conv = |out| LayerSpec::Conv { out, kernel: None, stride: None, padding: None, bias: None };
    let layers = vec![
        conv(8),
        LayerSpec::Relu,
        LayerSpec::MaxPool { size: 2, stride: None },
        conv(12),
        LayerSpec::Relu,
        LayerSpec::AvgPool { size: 2, stride: None },
        // Off in a probe.
        LayerSpec::Dropout { rate: 0.5 },
        LayerSpec::Linear { out: 20 },
        LayerSpec::Relu,
        LayerSpec::Linear { out: 10 },
    ];
    let network = match name {
        "lenet" => config::NetworkConfig::from(Architecture::Lenet300100),
        "conv" => config::NetworkConfig { structure: NetworkStructure::Layers(layers), ..Architecture::Conv2.into() },
        "resnet20" => config::NetworkConfig::from(Architecture::Resnet20),
        other => panic!("no network `{other}`"),
    };
    build(&network, SHAPE, 10).unwrap()
}

pub(super) fn probe(network: Network, gpu: Option<usize>) -> torch::TorchProbe {
    let optimizer = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
    torch::TorchProbe::new(TrainerSpec { gpu, ..TrainerSpec::plain(network, optimizer, 16) }, dataset())
}

/// Returns the weights of `start_from` in conv.rs, with running statistics such as after training.
pub(super) fn start(network: &Network, density: &str) -> (Snapshot, Mask) {
    let (snapshot, mask) = start_from(network, density, 0);
    let mut buffers = Vec::new();
    let mut channels = 0..0;
    for buffer in network.buffers() {
        let is_mean = buffer.role == TensorRole::Mean;
        if is_mean {
            channels = channels.end..channels.end + buffer.len() as u64;
        }
        let value = |i| if is_mean { unit(mix(7, i)) - 0.5 } else { unit(mix(8, i)) + 0.5 };
        let values = channels.clone().map(|i| value(i) as f32).collect();
        buffers.push(NamedTensor { name: buffer.name.clone(), shape: buffer.shape.clone(), values });
    }
    (Snapshot { buffers: TensorMap(buffers), ..snapshot }, mask)
}

/// Batches of unequal size: the mean is over images.
pub(super) fn batches() -> Vec<Vec<u32>> {
    vec![(0..16).collect(), (16..32).collect(), (32..40).collect()]
}

fn cross_entropy(temperature: f64, batch_norm: ProbeBatchNorm) -> ProbeOptions {
    ProbeOptions { batch_norm, dtype: Dtype::Float64, ..ProbeOptions::cross_entropy(temperature) }
}

fn values(gradients: &GradientMap) -> impl Iterator<Item = f64> {
    gradients.0.iter().flat_map(|gradient| gradient.values.iter().copied())
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

/// Compares gradients with the oracle's, to a `tolerance` relative to norms.
pub(super) fn compare(case: &str, gradients: &GradientMap, oracle: &Value, tolerance: f64) {
    let total = norm(values(gradients));
    let close = |what: &str, value: f64, expected: &Value, size: f64| {
        let expected = expected.as_f64().unwrap();
        let error = (value - expected).abs() / size;
        assert!(error < tolerance, "{case} {what}: {value:e} instead of {expected:e}, off by {error:.1e} of the norm");
    };
    close("norm", total, &oracle["norm"], total);
    let sign = |i: usize| if mix(5, i as u64).is_multiple_of(2) { 1.0 } else { -1.0 };
    let projection = values(gradients).enumerate().map(|(i, v)| v * sign(i)).sum();
    close("projection", projection, &oracle["projection"], total);
    let tensors = oracle["tensors"].as_array().unwrap();
    assert_eq!(gradients.0.len(), tensors.len(), "{case}");
    for (NamedGradient { name, values, .. }, expected) in gradients.0.iter().zip(tensors) {
        assert_eq!(expected["name"], name.as_str(), "{case}");
        let size = norm(values.iter().copied());
        close(name, size, &expected["norm"], size);
        for (i, pick) in expected["picks"].as_array().unwrap().iter().enumerate() {
            close(name, values[(mix(6, i as u64) % values.len() as u64) as usize], pick, size);
        }
    }
}

pub(crate) fn check_oracle(gpu: Option<usize>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/probe.json");
    let oracle: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for (name, density) in NETWORKS.into_iter().flat_map(|name| [(name, "dense"), (name, "third")]) {
        let network = network(name);
        let (snapshot, mask) = start(&network, density);
        let probe = probe(network, gpu);
        let oracle = &oracle[name][density];
        for (statistics, batch_norm) in [("batch", ProbeBatchNorm::Batch), ("running", ProbeBatchNorm::Running)] {
            let case = format!("{name} {density} {statistics}");
            let gradients = probe.gradients(&snapshot, &mask, &batches(), &cross_entropy(1.0, batch_norm)).unwrap();
            compare(&case, &gradients, &oracle["gradients"][statistics], 1e-10);
            let options = cross_entropy(200.0, batch_norm);
            let product = probe.hessian_gradient_product(&snapshot, &mask, &batches(), &options).unwrap();
            compare(&format!("{case} product"), &product, &oracle["product"][statistics], 1e-9);
        }
        let flow = probe.gradients(&snapshot, &mask, &[], &ProbeOptions::synaptic_flow()).unwrap();
        compare(&format!("{name} {density} synaptic flow"), &flow, &oracle["synaptic_flow"], 1e-10);
    }
}

#[test]
fn probe_equals_pytorch() {
    check_oracle(None);
}

#[test]
fn probe_in_float32_is_near_float64() {
    for name in ["lenet", "conv"] {
        let network = network(name);
        let (snapshot, mask) = start(&network, "third");
        let probe = probe(network, None);
        let single = ProbeOptions::cross_entropy(1.0);
        let double = ProbeOptions { dtype: Dtype::Float64, ..single };
        let pairs = [
            [single, double].map(|options| probe.gradients(&snapshot, &mask, &batches(), &options).unwrap()),
            [single, double]
                .map(|options| probe.hessian_gradient_product(&snapshot, &mask, &batches(), &options).unwrap()),
        ];
        for [single, double] in pairs {
            let error = norm(values(&single).zip(values(&double)).map(|(a, b)| a - b)) / norm(values(&double));
            assert!(error > 0.0 && error < 1e-3, "{name}: off by {error:.1e} of the norm");
        }
    }
}

#[test]
fn pruned_weights_have_gradients() {
    let network = network("lenet");
    let (snapshot, mask) = start(&network, "third");
    let options = cross_entropy(1.0, ProbeBatchNorm::Batch);
    let gradients = probe(network, None).gradients(&snapshot, &mask, &batches(), &options).unwrap();
    let pruned = mask.0[1].kept.iter().zip(&gradients.0[1].values).filter(|(kept, _)| !**kept);
    assert!(pruned.filter(|(_, gradient)| **gradient != 0.0).count() > 1000);
}

/// Synaptic flow is conserved: |θ|·∂R/∂|θ| summed over a layer is R for every layer of a network without biases and
/// shortcuts (Tanaka et al., arXiv 2006.05467, theorem 2).
#[test]
fn synaptic_flow_is_conserved() {
    let network = network("lenet");
    let (snapshot, mask) = start(&network, "third");
    let flow = probe(network, None).gradients(&snapshot, &mask, &[], &ProbeOptions::synaptic_flow()).unwrap();
    let layer_sum = |number: usize| {
        let gradient = &flow.0[number];
        let weights = &snapshot.weights.get(&gradient.name).unwrap().values;
        let terms = weights.iter().zip(&mask.0[number].kept).zip(&gradient.values);
        terms.map(|((w, kept), g)| if *kept { f64::from(w.abs()) * g } else { 0.0 }).sum::<f64>()
    };
    let sums = [0, 1, 2].map(layer_sum);
    assert!(sums.iter().all(|sum| (sum / sums[0] - 1.0).abs() < 1e-12), "{sums:?}");
}

#[test]
fn probe_changes_nothing_and_repeats_to_the_bit() {
    let network = network("resnet20");
    let (snapshot, mask) = start(&network, "third");
    let before = snapshot.clone();
    let probe = probe(network, None);
    let options = ProbeOptions::cross_entropy(1.0);
    let gradients = probe.gradients(&snapshot, &mask, &batches(), &options).unwrap();
    assert_eq!(probe.gradients(&snapshot, &mask, &batches(), &options).unwrap(), gradients);
    assert_eq!(snapshot, before);
}

#[test]
fn hessian_of_a_linear_function_is_0() {
    let layers = vec![LayerSpec::Linear { out: 10 }];
    let config = config::NetworkConfig { structure: NetworkStructure::Layers(layers), ..Architecture::Conv2.into() };
    let network = build(&config, SHAPE, 10).unwrap();
    let (snapshot, mask) = start(&network, "dense");
    let probe = probe(network, None);
    let product = probe.hessian_gradient_product(&snapshot, &mask, &[], &ProbeOptions::synaptic_flow()).unwrap();
    assert!(values(&product).all(|value| value == 0.0));
    let gradients = probe.gradients(&snapshot, &mask, &[], &ProbeOptions::synaptic_flow()).unwrap();
    assert!(values(&gradients).all(|value| value == 1.0), "the input is 1, and so is the factor of each logit");
}

#[test]
fn probe_rejects_what_does_not_fit() {
    let network = network("lenet");
    let (snapshot, mask) = start(&network, "dense");
    let probe = probe(network, None);
    let message = |snapshot: &Snapshot, mask: &Mask, batches: &[Vec<u32>], temperature: f64| {
        let options = ProbeOptions {
            objective: ProbeObjective::CrossEntropy { temperature },
            ..ProbeOptions::cross_entropy(1.0)
        };
        probe.gradients(snapshot, mask, batches, &options).unwrap_err().to_string()
    };
    assert_eq!(message(&snapshot, &mask, &[], 1.0), "no batch to take the gradient on");
    assert_eq!(message(&snapshot, &mask, &[vec![1], vec![]], 1.0), "an empty batch");
    assert_eq!(message(&snapshot, &mask, &batches(), 0.0), "a temperature that is not positive");
    assert_eq!(message(&Snapshot::default(), &mask, &batches(), 1.0), "a state without `linear1.weight`");
    let mut unknown = mask.clone();
    unknown.0[0].name = "conv1.weight".into();
    assert_eq!(message(&snapshot, &unknown, &batches(), 1.0), "a mask for `conv1.weight`, which there is not");
}
