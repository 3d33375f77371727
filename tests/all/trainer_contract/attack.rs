//! Logits and gradients on pixels, and attacks, against `PyTorch`'s numbers (tests/oracle/attack.py makes them).

use std::path::Path;
use std::sync::Arc;

use lth::base::mask::Mask;
use lth::base::rng::mix;
use lth::base::tensors::Snapshot;
use lth::data::{Dataset, Normalization};
use lth::engine::optim::Sgd;
use lth::engine::{Optimizer, PixelBatch, PixelOutput, Probe, TrainerSpec, torch};
use lth::train::robustness::{Attack, AttackMethod, Norm};
use serde_json::Value;

use super::conv::dataset;
use super::oracle::unit;
use super::probe::{network, start};

const NETWORKS: [&str; 3] = ["lenet", "conv", "resnet20"];
const IMAGES: usize = 16;

/// A network with its probe, and the first images of the data set.
struct Fixture {
    probe: torch::TorchProbe,
    snapshot: Snapshot,
    mask: Mask,
    pixels: Vec<f32>,
    labels: Vec<u8>,
}

impl Fixture {
    fn new(name: &str, normalization: Normalization, gpu: Option<usize>) -> Self {
        let network = network(name);
        let (snapshot, mask) = start(&network, "third");
        let dataset = Dataset { normalization, ..(*dataset()).clone() };
        let pixels = dataset.images[..IMAGES * dataset.image_bytes()].iter().map(|&byte| f32::from(byte) / 255.0);
        let (pixels, labels) = (pixels.collect(), dataset.labels[..IMAGES].to_vec());
        let optimizer = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
        let spec = TrainerSpec { gpu, ..TrainerSpec::plain(network, optimizer, 16) };
        Self { probe: torch::TorchProbe::new(spec, Arc::new(dataset)), snapshot, mask, pixels, labels }
    }

    fn output(&self, pixels: &[f32], has_gradient: bool) -> PixelOutput {
        let batch = PixelBatch { pixels, labels: &self.labels };
        self.probe.on_pixels(&self.snapshot, &self.mask, batch, has_gradient).unwrap()
    }

    /// Returns the mean cross-entropy of images, from their logits.
    fn loss(&self, pixels: &[f32]) -> f64 {
        let logits = self.output(pixels, false).logits;
        let losses = logits.chunks(10).zip(&self.labels).map(|(logits, &label)| {
            let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
            sum.ln() - f64::from(logits[usize::from(label)])
        });
        losses.sum::<f64>() / IMAGES as f64
    }
}

/// The normalizations of the oracle.
fn normalizations() -> [(&'static str, Normalization); 3] {
    let channel = |std: f64, offset: f64| (1.0 / (255.0 * std), offset);
    [
        ("affine", Normalization::Affine { scale: 1.0 / (255.0 * 0.25), offset: -2.0 }),
        ("per_channel", Normalization::PerChannel(vec![channel(0.25, -2.0), channel(0.2, -1.5), channel(0.3, -1.0)])),
        // The scales of the images in the data set must not be used: an attacked image has another norm.
        ("per_image", Normalization::PerImage(vec![f64::NAN; 120])),
    ]
}

/// Compares norm, projection and picks of `values` with those of the oracle, relative to the norm.
fn compare(case: &str, values: &[f32], oracle: &Value, tolerance: f64) {
    let norm = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
    let close = |what: &str, value: f64, expected: &Value| {
        let error = (value - expected.as_f64().unwrap()).abs() / norm;
        assert!(error < tolerance, "{case} {what}: {value} instead of {expected}, off by {error:.1e} of the norm");
    };
    close("norm", norm, &oracle["norm"]);
    let sign = |i: usize| if mix(5, i as u64).is_multiple_of(2) { 1.0 } else { -1.0 };
    close("projection", values.iter().enumerate().map(|(i, &v)| f64::from(v) * sign(i)).sum(), &oracle["projection"]);
    for (i, pick) in oracle["picks"].as_array().unwrap().iter().enumerate() {
        close("pick", f64::from(values[(mix(6, i as u64) % values.len() as u64) as usize]), pick);
    }
}

/// Returns the changes that an attack of the oracle starts from.
fn start_of(attack: &Attack, count: usize) -> Vec<f32> {
    let uniform: Vec<f64> = (0..count).map(|i| 2.0 * unit(mix(9, i as u64)) - 1.0).collect();
    match (attack.method, attack.norm) {
        (AttackMethod::Fgsm, _) => vec![0.0; count],
        (AttackMethod::Pgd, Norm::Linf) => uniform.iter().map(|u| (0.1 * u) as f32).collect(),
        (AttackMethod::Pgd, Norm::L2) => {
            let image = |image: &[f64]| {
                let norm = image.iter().map(|u| u * u).sum::<f64>().sqrt();
                image.iter().map(|u| (0.5 * u / norm) as f32).collect::<Vec<_>>()
            };
            uniform.chunks(count / IMAGES).flat_map(image).collect()
        }
    }
}

pub(crate) fn check_oracle(gpu: Option<usize>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/attack.json");
    let oracle: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let attack = |method, norm, epsilon, steps| Attack { method, norm, epsilon, steps, seed: 0 };
    let attacks = [
        ("fgsm linf", attack(AttackMethod::Fgsm, Norm::Linf, 0.1, 1)),
        ("fgsm l2", attack(AttackMethod::Fgsm, Norm::L2, 1.0, 1)),
        ("pgd linf", attack(AttackMethod::Pgd, Norm::Linf, 0.1, 5)),
        ("pgd l2", attack(AttackMethod::Pgd, Norm::L2, 1.0, 5)),
    ];
    for (name, (key, normalization)) in NETWORKS.into_iter().flat_map(|name| normalizations().map(|n| (name, n))) {
        let fixture = Fixture::new(name, normalization, gpu);
        let oracle = &oracle[name][key];
        let output = fixture.output(&fixture.pixels, true);
        compare(&format!("{name} {key} logits"), &output.logits, &oracle["logits"], 1e-5);
        compare(&format!("{name} {key} gradient"), &output.gradient, &oracle["gradient"], 1e-4);
        assert_eq!(fixture.output(&fixture.pixels, false).logits, output.logits, "with and without gradient");
        for (case, attack) in &attacks {
            let start = start_of(attack, fixture.pixels.len());
            let gradient = |images: &[f32]| Ok(fixture.output(images, true).gradient);
            let pixels = fixture.pixels.len() / IMAGES;
            let images = attack.attacked(&fixture.pixels, &start, pixels, gradient).unwrap();
            let change: Vec<f32> = images.iter().zip(&fixture.pixels).map(|(a, b)| a - b).collect();
            // In float32 the gradient of a few pixels has another sign than in float64, and these move the other way.
            compare(&format!("{name} {key} {case}"), &change, &oracle["changes"][case], 0.05);
            let expected = oracle["losses"][case].as_f64().unwrap();
            let loss = fixture.loss(&images);
            assert!((loss / expected - 1.0).abs() < 2e-3, "{name} {key} {case}: loss {loss} instead of {expected}");
        }
    }
}

#[test]
fn attack_equals_pytorch() {
    check_oracle(None);
}

#[test]
fn pixels_of_bytes_give_the_accuracy_of_the_trainer() {
    // The data set as it is: the logits of its images decide as those of its trainer.
    let network = network("conv");
    let (snapshot, mask) = start(&network, "third");
    let optimizer = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
    let mut dataset = (*dataset()).clone();
    dataset.test = (0..120).collect();
    let dataset = Arc::new(dataset);
    let spec = TrainerSpec::plain(network, optimizer, 16);
    let mut trainer = lth::engine::EngineKind::Dense.engine().build(&spec, &dataset, 1).unwrap();
    trainer.load(0, &snapshot, &mask).unwrap();
    let expected = trainer.evaluate(lth::data::Split::Test).unwrap()[0];
    let probe = torch::TorchProbe::new(spec, Arc::clone(&dataset));
    let network = lth::train::robustness::EvaluatedNetwork { probe: &probe, snapshot: &snapshot, mask: &mask };
    let images = lth::train::robustness::TestImages::new(&dataset);
    let measured = network.measure_clean(&images, &|| false).unwrap().unwrap();
    assert_eq!(measured.accuracy(), expected.accuracy);
    assert!((measured.loss / expected.loss - 1.0).abs() < 1e-6, "{} and {}", measured.loss, expected.loss);
    assert_eq!(measured.classes.iter().map(|class| class.images).sum::<u64>(), 120);
    assert!(network.measure_clean(&images, &|| true).unwrap().is_none(), "stopped");
}

#[test]
fn pixels_that_do_not_fit_are_refused() {
    let fixture = Fixture::new("lenet", normalizations()[0].1.clone(), None);
    let message = |pixels: &[f32], labels: &[u8]| {
        let batch = PixelBatch { pixels, labels };
        fixture.probe.on_pixels(&fixture.snapshot, &fixture.mask, batch, true).unwrap_err().to_string()
    };
    assert_eq!(message(&[], &[]), "no image");
    assert_eq!(message(&fixture.pixels[1..], &fixture.labels), "images of another shape than the network's");
    assert_eq!(message(&fixture.pixels, &[10; IMAGES]), "a label that is no class");
}

#[test]
fn black_image_has_a_finite_gradient() {
    let fixture = Fixture::new("lenet", normalizations()[2].1.clone(), None);
    let output = fixture.output(&vec![0.0; fixture.pixels.len()], true);
    assert!(output.logits.iter().chain(&output.gradient).all(|value| value.is_finite()));
}
