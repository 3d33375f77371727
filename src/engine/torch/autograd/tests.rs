//! The operations for device memory, run on the CPU, compared with those for host memory; and parts of the autograd
//! trainer.

use super::*;
use crate::base::mask::LayerMask;
use crate::base::rng::{Purpose, Stream, mix};
use crate::config::{Augment, Dtype, MatmulPrecision};
use crate::data::Normalization;
use crate::engine::optim::{Adam, Optimizer, Sgd};
use crate::network::init_weights;

const SHAPE: [usize; 3] = [2, 8, 8];
const BATCH: usize = 6;

fn network() -> Network {
    let conv = |inputs, outputs, size| Layer::Conv {
        inputs,
        outputs,
        kernel: 3,
        stride: 8 / size,
        padding: 1,
        bias: false,
        size: [size, size],
    };
    let body = vec![conv(4, 4, 8), Layer::BatchNorm { channels: 4 }];
    let layers = vec![
        conv(2, 4, 8),
        Layer::BatchNorm { channels: 4 },
        Layer::Relu,
        Layer::Residual { body, shortcut: vec![] },
        Layer::Relu,
        Layer::MaxPool { size: 2, stride: 2 },
        Layer::Flatten,
        Layer::Dropout { rate: 0.3 },
        Layer::Linear { inputs: 64, outputs: 5 },
    ];
    Network::new(SHAPE, 5, layers)
}

fn dataset() -> Arc<Dataset> {
    let pixels = SHAPE.iter().product::<usize>() as u64;
    Arc::new(Dataset {
        shape: SHAPE,
        classes: 5,
        images: (0..40 * pixels).map(|i| mix(1, i) as u8).collect(),
        labels: (0..40).map(|i| (mix(2, i) % 5) as u8).collect(),
        train: (0..40).collect(),
        validation: (0..13).collect(),
        test: (0..40).collect(),
        normalization: Normalization::PerChannel(vec![(0.01, -1.0), (0.02, -2.0)]),
    })
}

fn start(network: &Network, lane: u32) -> (Snapshot, Mask) {
    let mut generator = Stream::of_replicate(1, lane + 1, Purpose::Init).generator(0);
    let weights = init_weights(network, crate::config::WeightInit::KaimingNormal, 0.1, &mut generator);
    let masked = |weight: &crate::network::PrunableTensor| LayerMask {
        kept: (0..weight.parameter.len() as u64).map(|i| lane == 0 || !mix(4, i).is_multiple_of(3)).collect(),
        name: weight.parameter.name.clone(),
        shape: weight.parameter.shape.clone(),
    };
    (Snapshot::initial(weights), Mask(network.weights().iter().map(masked).collect()))
}

/// Returns every value of a snapshot: weights, moments, buffers.
fn values(snapshot: &Snapshot) -> Vec<f32> {
    let states = std::iter::once(&snapshot.weights).chain(&snapshot.moments).chain([&snapshot.buffers]);
    states.flat_map(|state| state.0.iter().flat_map(|tensor| tensor.values.clone())).collect()
}

fn spec(optimizer: Optimizer, clip_norm: Option<f64>) -> TrainerSpec {
    TrainerSpec {
        dtype: Dtype::Float64,
        augment: Augment { flip: true, crop: 2 },
        label_smoothing: 0.1,
        clip_norm,
        ..TrainerSpec::plain(network(), optimizer, BATCH)
    }
}

#[test]
fn device_memory_gives_the_results_of_host_memory() {
    let dataset = dataset();
    let adam = Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01, decoupled: true });
    let sgd = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.01 });
    for (spec, lanes) in [(spec(adam, None), 3), (spec(sgd, Some(0.5)), 2), (spec(adam, None), 1)] {
        let run = |memory: Memory| {
            let mut net = AutogradTrainer::<f64>::with_memory(&spec, &dataset, Device::Cpu, lanes, memory).unwrap();
            for lane in 0..lanes {
                let (start, mask) = start(&spec.network, lane as u32);
                net.load(lane, &start, &mask).unwrap();
            }
            for iteration in 0..5_u64 {
                let batch = |lane: usize| Batch {
                    images: (0..BATCH as u64).map(|i| (mix(lane as u64, 100 * iteration + i) % 40) as u32).collect(),
                    iteration,
                    elementwise: Stream::of_replicate(1, lane as u32 + 1, Purpose::Elementwise).counter_rng(),
                };
                let batches: Vec<Batch> = (0..lanes).map(batch).collect();
                let lr: Vec<f64> = (0..lanes).map(|lane| 0.01 * (1 + lane) as f64).collect();
                net.step(&batches, &lr).unwrap();
            }
            let snapshots: Vec<Snapshot> = (0..lanes).map(|lane| net.snapshot(lane).unwrap()).collect();
            for (lane, snapshot) in snapshots.iter().enumerate() {
                let mask = start(&spec.network, lane as u32).1;
                let states = std::iter::once(&snapshot.weights).chain(&snapshot.moments);
                assert!(states.into_iter().all(|state| mask.is_respected_by(state)), "lane {lane}, {memory:?}");
            }
            (snapshots, net.evaluate(Split::Test).unwrap())
        };
        let (host, host_scores) = run(Memory::Host);
        let (device, device_scores) = run(Memory::Device);
        for (a, b) in host.iter().zip(&device) {
            assert_eq!((a.iteration, a.optimizer_steps), (b.iteration, b.optimizer_steps));
            let worst =
                values(a).iter().zip(values(b)).map(|(a, b)| (a - b).abs() / a.abs().max(1e-3)).fold(0.0, f32::max);
            assert!(worst < 1e-5, "{:?}: off by {worst:e}", spec.optimizer);
        }
        for (a, b) in host_scores.iter().zip(&device_scores) {
            assert!((a.loss - b.loss).abs() < 1e-9 && a.accuracy == b.accuracy, "{a:?} {b:?}");
        }
    }
}

#[test]
fn bf16_training_is_close_to_exact_training() {
    let dataset = dataset();
    let sgd = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
    let exact = TrainerSpec { dtype: Dtype::Float32, ..spec(sgd, None) };
    let rounded = TrainerSpec { matmul_precision: MatmulPrecision::Bf16, ..exact.clone() };
    let loss = |spec: &TrainerSpec| {
        let mut net = AutogradTrainer::<f32>::new(spec, &dataset, Device::Cpu, 1).unwrap();
        let (start, mask) = start(&spec.network, 0);
        net.load(0, &start, &mask).unwrap();
        let batch = Batch { images: (0..BATCH as u32).collect(), ..Batch::default() };
        net.step(&[batch], &[0.01]).unwrap();
        net.evaluate(Split::Test).unwrap()[0].loss
    };
    let (exact, rounded) = (loss(&exact), loss(&rounded));
    assert!(exact != rounded && (exact / rounded - 1.0).abs() < 0.03, "{exact} {rounded}");
}

#[test]
fn recompute_batch_norm_takes_means_over_whole_batches() {
    let dataset = dataset();
    let sgd = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
    let mut net = AutogradTrainer::<f64>::new(&spec(sgd, None), &dataset, Device::Cpu, 1).unwrap();
    let (start, mask) = start(&net.spec.network.clone(), 0);
    net.load(0, &start, &mask).unwrap();
    let statistics = |net: &mut AutogradTrainer<f64>, images: std::ops::Range<u32>| {
        net.recompute_batch_norm(&images.collect::<Vec<_>>()).unwrap();
        net.snapshot(0).unwrap().buffers
    };
    // Batches of six images: two batches, and one image after the last whole batch, which is ignored.
    let first = statistics(&mut net, 0..6);
    let second = statistics(&mut net, 6..12);
    let both = statistics(&mut net, 0..13);
    for ((a, b), mean) in first.0.iter().zip(&second.0).zip(&both.0) {
        for ((a, b), mean) in a.values.iter().zip(&b.values).zip(&mean.values) {
            assert!(((a + b) / 2.0 - mean).abs() < 1e-5 * mean.abs().max(1.0), "{a} {b} {mean}");
        }
    }
}
