//! The contract on an NVIDIA GPU: `PyTorch`'s numbers, the CPU's numbers for every option, and equal bytes when a
//! training run is repeated. Ignored without a GPU (`build.rs` looks for one).

use std::sync::Arc;

use lth::base::mask::Mask;
use lth::base::rng::{Purpose, Stream};
use lth::base::tensors::Snapshot;
use lth::config::{Augment, Dtype, LayerSpec, NetworkConfig};
use lth::data::{Dataset, Split};
use lth::engine::optim::{Adam, Sgd};
use lth::engine::{Batch, Optimizer, Trainer, TrainerSpec, torch};
use lth::network::{Network, build};

use crate::trainer_contract::conv::{
    BATCH, CASES, SHAPE, check_continuation, check_lanes, dataset, follow_oracle, masked_parts, parts, start_from,
    teacher_force, vgg,
};
use crate::trainer_contract::oracle::{check_zeros, distance};
use crate::trainer_contract::{attack, conv, probe};

/// The index of the GPU of all tests.
const GPU: Option<usize> = Some(0);

#[test]
#[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
fn gpu_trainer_equals_pytorch() {
    let dataset = dataset();
    for case in CASES {
        let states = follow_oracle(case, &dataset, GPU);
        teacher_force(case, &dataset, &states, GPU);
    }
}

#[test]
#[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
fn gpu_probe_equals_pytorch() {
    probe::check_oracle(GPU);
}

#[test]
#[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
fn gpu_attack_equals_pytorch() {
    attack::check_oracle(GPU);
}

#[test]
#[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
fn gpu_lanes_are_independent_networks() {
    check_lanes(GPU);
}

#[test]
#[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
fn gpu_trainer_continues_from_a_snapshot() {
    for case in CASES {
        check_continuation(case, &dataset(), GPU);
    }
}

/// The networks of the comparison with the CPU: fully connected, and those of the oracle. The last has dropout.
fn networks() -> [(&'static str, Network); 4] {
    let linear = |out| LayerSpec::Linear { out };
    let mlp = NetworkConfig::from(vec![linear(30), LayerSpec::Relu, linear(20), LayerSpec::Relu, linear(10)]);
    [
        ("mlp", build(&mlp, SHAPE, 10).unwrap()),
        ("conv2", CASES[0].network()),
        ("resnet20", CASES[2].network()),
        ("vgg", build(&NetworkConfig::from(vgg_without_batch_norm_of_features()), SHAPE, 10).unwrap()),
    ]
}

/// The small VGG of the oracle without the batch norm after its linear layer: the bias before it has a gradient of 0 but
/// for rounding, which Adam makes a step of full size.
fn vgg_without_batch_norm_of_features() -> Vec<LayerSpec> {
    let mut layers = vgg();
    assert_eq!(layers.remove(9), LayerSpec::BatchNorm);
    layers
}

fn optimizers() -> [Optimizer; 6] {
    let adam =
        |weight_decay, decoupled| Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay, decoupled });
    let sgd = |momentum, nesterov| Optimizer::Sgd(Sgd { momentum, nesterov, weight_decay: 1e-3 });
    [adam(0.0, false), adam(1e-3, false), adam(1e-2, true), sgd(0.0, false), sgd(0.9, false), sgd(0.9, true)]
}

/// Returns the start of a lane: the second lane is dense, the others keep a third of their weights.
fn lane_start(network: &Network, lane: u64) -> (Snapshot, Mask) {
    start_from(network, if lane == 1 { "dense" } else { "third" }, lane << 32)
}

fn lane_batch(lane: u64, step: u64) -> Batch {
    let elementwise = Stream::of_replicate(1, 1 + lane as u32, Purpose::Elementwise).counter_rng();
    Batch { elementwise, iteration: step, ..conv::batch(3 * step + lane) }
}

/// Trains `lanes` networks for `steps` steps; the learning rate falls over the steps. Two lanes share it; otherwise it is
/// another one in each lane. Returns the trainer and the state of every lane.
fn train(spec: &TrainerSpec, dataset: &Arc<Dataset>, lanes: u64, steps: u64) -> (Box<dyn Trainer>, Vec<Snapshot>) {
    let mut trainer = torch::build(spec, dataset, lanes as usize).unwrap();
    let states = train_with(trainer.as_mut(), spec, lanes, steps);
    (trainer, states)
}

/// Like [`train`], with a trainer that may have been used before.
fn train_with(trainer: &mut dyn Trainer, spec: &TrainerSpec, lanes: u64, steps: u64) -> Vec<Snapshot> {
    for lane in 0..lanes {
        let (start, mask) = lane_start(&spec.network, lane);
        trainer.load(lane as usize, &start, &mask).unwrap();
    }
    let base = if spec.optimizer.moment_count() == 2 { 1e-3 } else { 0.01 };
    for step in 0..steps {
        let batches: Vec<Batch> = (0..lanes).map(|lane| lane_batch(lane, step)).collect();
        let lr: Vec<f64> =
            (0..lanes).map(|lane| base * (1 + if lanes == 2 { 0 } else { lane }) as f64 / (1 + step) as f64).collect();
        trainer.step(&batches, &lr).unwrap();
    }
    (0..lanes as usize).map(|lane| trainer.snapshot(lane).unwrap()).collect()
}

/// Returns the largest distance between the parts of two states.
fn difference(got: &Snapshot, want: &Snapshot) -> f64 {
    let distances = parts(got).into_iter().zip(parts(want)).map(|(got, want)| distance(got, want));
    distances.fold(0.0, |largest: f64, error| if error.is_nan() { f64::NAN } else { largest.max(error) })
}

#[test]
#[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
fn gpu_equals_the_cpu_with_every_option() {
    let dataset = dataset();
    for (name, network) in networks() {
        for (index, optimizer) in optimizers().into_iter().enumerate() {
            for lanes in [1, 2, 4] {
                let is_odd = index % 2 == 1;
                let spec = TrainerSpec {
                    dtype: Dtype::Float64,
                    augment: if is_odd { Augment { flip: true, crop: 2 } } else { Augment::default() },
                    label_smoothing: if is_odd { 0.1 } else { 0.0 },
                    clip_norm: (index >= 3).then_some(0.5),
                    ..TrainerSpec::plain(network.clone(), optimizer, BATCH)
                };
                let (mut cpu, want) = train(&spec, &dataset, lanes, 6);
                let (mut gpu, got) = train(&TrainerSpec { gpu: GPU, ..spec }, &dataset, lanes, 6);
                let case = format!("{name}, {optimizer:?}, {lanes} lanes");
                for (lane, (got, want)) in got.iter().zip(&want).enumerate() {
                    let error = difference(got, want);
                    assert!(error < 1e-6, "{case}, lane {lane}: off by {error:.1e}");
                    check_zeros(&case, 6, masked_parts(got), &lane_start(&network, lane as u64).1);
                }
                let image_indices: Vec<u32> = (0..48).collect();
                for trainer in [&mut cpu, &mut gpu] {
                    trainer.recompute_batch_norm(&image_indices).unwrap();
                }
                let scores = [cpu.evaluate(Split::Test).unwrap(), gpu.evaluate(Split::Test).unwrap()];
                for (want, got) in scores[0].iter().zip(&scores[1]) {
                    assert!((want.loss - got.loss).abs() < 1e-7, "{case}: {want:?} {got:?}");
                }
            }
        }
    }
}

/// Float32 rounds in another order on each device, so networks drift apart as they train, as float32 and float64 do.
/// Prints the drift.
#[test]
#[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
fn gpu_drifts_from_the_cpu_no_more_than_float32_from_float64() {
    let dataset = dataset();
    for (name, network) in networks() {
        let optimizer = optimizers()[if name == "mlp" || name == "conv2" { 0 } else { 4 }];
        let spec = TrainerSpec::plain(network, optimizer, BATCH);
        let drift = |steps| {
            let state = |spec: &TrainerSpec| train(spec, &dataset, 1, steps).1.remove(0);
            let cpu = state(&spec);
            let gpu = difference(&state(&TrainerSpec { gpu: GPU, ..spec.clone() }), &cpu);
            let float64 = difference(&state(&TrainerSpec { dtype: Dtype::Float64, ..spec.clone() }), &cpu);
            println!("{name}, {steps} steps: the GPU is off by {gpu:.1e}, float64 by {float64:.1e}");
            (gpu, float64)
        };
        for steps in [1, 100] {
            let (gpu, float64) = drift(steps);
            assert!(gpu < 20.0 * float64.max(1e-7), "{name}, {steps} steps: {gpu:.1e} against {float64:.1e}");
        }
    }
}

/// A recorded step must not outlive the mask that it was recorded with, and a batch of another size is not for it.
#[test]
#[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
fn gpu_trainer_takes_other_networks_and_batches_after_recording() {
    let dataset = dataset();
    for (name, network) in networks() {
        let optimizer = optimizers()[0];
        let spec = TrainerSpec { dtype: Dtype::Float64, ..TrainerSpec::plain(network.clone(), optimizer, BATCH) };
        let state = |gpu: Option<usize>| {
            let mut trainer = torch::build(&TrainerSpec { gpu, ..spec.clone() }, &dataset, 1).unwrap();
            for lane_seed in [1, 2] {
                let (start, mask) = lane_start(&network, lane_seed);
                trainer.load(0, &start, &mask).unwrap();
                for step in 0..8 {
                    let mut batch = lane_batch(0, step);
                    batch.images.truncate(if step == 5 { 7 } else { BATCH });
                    trainer.step(&[batch], &[1e-3 / (1 + step) as f64]).unwrap();
                }
            }
            trainer.snapshot(0).unwrap()
        };
        let error = difference(&state(GPU), &state(None));
        assert!(error < 1e-6, "{name}: off by {error:.1e}");
    }
}

/// Threads record, replay, load and free their steps at the same time on one GPU.
#[test]
#[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
fn gpu_trainers_of_several_threads_do_not_disturb_each_other() {
    let dataset = dataset();
    let spec = TrainerSpec { gpu: GPU, ..TrainerSpec::plain(networks()[1].1.clone(), optimizers()[0], BATCH) };
    let alone = train(&spec, &dataset, 2, 20).1;
    // More threads one after the other than libtorch has streams.
    for _ in 0..12 {
        std::thread::scope(|scope| {
            let work = || {
                let (mut trainer, first) = train(&spec, &dataset, 2, 20);
                trainer.evaluate(Split::Test).unwrap();
                [first, train_with(trainer.as_mut(), &spec, 2, 20)]
            };
            for thread in [(); 4].map(|()| scope.spawn(work)) {
                assert!(thread.join().unwrap().iter().all(|states| *states == alone));
            }
        });
    }
}

/// The second GPU, if there is one.
#[test]
#[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
fn second_gpu_trains_like_the_first() {
    if torch::cuda_devices().unwrap() < 2 {
        println!("skipped: there is one GPU");
        return;
    }
    let spec = |gpu| TrainerSpec { gpu, ..TrainerSpec::plain(networks()[1].1.clone(), optimizers()[0], BATCH) };
    let states = [GPU, Some(1)].map(|gpu| train(&spec(gpu), &dataset(), 2, 20).1);
    let errors = states[0].iter().zip(&states[1]).map(|(got, want)| difference(got, want));
    assert!(errors.into_iter().all(|error| error < 1e-3));
}

#[test]
#[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
fn gpu_repeats_a_training_to_the_byte() {
    let dataset = dataset();
    for (name, network) in networks() {
        for (optimizer, lanes) in [(optimizers()[0], 1), (optimizers()[4], 1), (optimizers()[0], 4)] {
            let augment = Augment { flip: true, crop: 2 };
            let spec = TrainerSpec { gpu: GPU, augment, ..TrainerSpec::plain(network.clone(), optimizer, BATCH) };
            let states = [(); 2].map(|()| train(&spec, &dataset, lanes, 50).1);
            assert!(states[0] == states[1], "{name}, {optimizer:?}, {lanes} lanes: not the same bytes");
        }
    }
}
