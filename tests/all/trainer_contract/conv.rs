//! The contract of the trainer for any network, against `PyTorch`'s numbers (tests/oracle/conv.py makes them):
//! convolutions, batch norm, residual blocks, pooling, dropout, augmentation; and several lanes against each network
//! alone.

use std::path::Path;
use std::sync::Arc;

use lth::base::mask::{LayerMask, Mask};
use lth::base::rng::{Purpose, Stream, mix};
use lth::base::tensors::{NamedTensor, Snapshot, TensorMap};
use lth::config::{self, Architecture, Augment, Dtype, LayerSpec};
use lth::data::{Dataset, Normalization, Split};
use lth::engine::optim::{Adam, Sgd};
use lth::engine::{Batch, Optimizer, RunningStatistics, Trainer, TrainerSpec, torch};
use lth::network::{Network, TensorRole, TensorSpec, build};
use serde_json::Value;

use crate::trainer_contract::oracle::{assert_error, check_zeros, compare, compare_score, distance, evaluates, unit};

const IMAGES: u32 = 120;
pub(crate) const BATCH: usize = 16;
pub(crate) const SHAPE: [usize; 3] = [3, 12, 12];

/// One row of the suite: a network by its name in the oracle, and the density of the mask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) network: &'static str,
    pub(crate) density: &'static str,
}

pub(crate) const CASES: [Case; 5] = [
    Case { network: "conv2", density: "dense" },
    Case { network: "conv2", density: "third" },
    Case { network: "resnet20", density: "dense" },
    Case { network: "resnet20", density: "third" },
    Case { network: "vgg", density: "third" },
];

impl Case {
    pub(crate) fn network(self) -> Network {
        let network = match self.network {
            "conv2" => config::NetworkConfig::from(Architecture::Conv2),
            "resnet20" => config::NetworkConfig::from(Architecture::Resnet20),
            "vgg" => config::NetworkConfig::from(vgg()),
            other => panic!("no network `{other}`"),
        };
        build(&network, SHAPE, 10).unwrap()
    }

    fn lr(self) -> f64 {
        if self.network == "conv2" { 1e-3 } else { 0.05 }
    }

    pub(crate) fn spec(self, dtype: Dtype) -> TrainerSpec {
        let update = match self.network {
            "conv2" => Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, decoupled: false }),
            other => Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: other == "vgg", weight_decay: 1e-3 }),
        };
        let augment = Augment { flip: self.network == "vgg", crop: if self.network == "vgg" { 2 } else { 0 } };
        TrainerSpec { dtype, augment, ..TrainerSpec::plain(self.network(), update, BATCH) }
    }

    fn oracle(self) -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/conv.json");
        let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        all[self.network][self.density].clone()
    }
}

pub(crate) fn vgg() -> Vec<LayerSpec> {
    let conv = |out, bias| LayerSpec::Conv { out, kernel: None, stride: None, padding: None, bias: Some(bias) };
    vec![
        conv(8, false),
        LayerSpec::BatchNorm,
        LayerSpec::Relu,
        LayerSpec::MaxPool { size: 2, stride: None },
        LayerSpec::Dropout { rate: 0.25 },
        conv(12, true),
        LayerSpec::Relu,
        LayerSpec::AvgPool { size: 2, stride: None },
        LayerSpec::Linear { out: 20 },
        LayerSpec::BatchNorm,
        LayerSpec::Relu,
        LayerSpec::Dropout { rate: 0.5 },
        LayerSpec::Linear { out: 10 },
    ]
}

pub(crate) fn dataset() -> Arc<Dataset> {
    let pixels = SHAPE.iter().product::<usize>() as u64;
    let images: Vec<u32> = (0..IMAGES).collect();
    Arc::new(Dataset {
        shape: SHAPE,
        classes: 10,
        images: (0..u64::from(IMAGES) * pixels).map(|i| (mix(1, i) & 255) as u8).collect(),
        labels: (0..u64::from(IMAGES)).map(|i| (mix(2, i) % 10) as u8).collect(),
        train: images.clone(),
        validation: images.clone(),
        test: images,
        normalization: Normalization::Affine { scale: 1.0 / (255.0 * 0.25), offset: -0.5 / 0.25 },
    })
}

/// Returns weights and a mask by the hashes of `first`, `first` + 1 and so on.
pub(crate) fn start_from(network: &Network, density: &str, first: u64) -> (Snapshot, Mask) {
    let mut tensors = Vec::new();
    let mut layers = Vec::new();
    let mut counter = first;
    for parameter in network.parameters() {
        let TensorSpec { name, shape, role } = parameter;
        let values = if *role == TensorRole::Weight {
            let kernel: usize = shape[2..].iter().product();
            let bound = (6.0 / ((shape[0] + shape[1]) * kernel) as f64).sqrt();
            let counters = counter..counter + parameter.len() as u64;
            counter = counters.end;
            let kept = counters.clone().map(|i| density == "dense" || mix(4, i).is_multiple_of(3)).collect();
            layers.push(LayerMask { name: name.clone(), shape: shape.clone(), kept });
            counters.map(|i| ((2.0 * unit(mix(3, i)) - 1.0) * bound) as f32).collect()
        } else {
            vec![parameter.initial().unwrap(); parameter.len()]
        };
        tensors.push(NamedTensor { name: name.clone(), shape: shape.clone(), values });
    }
    (Snapshot::initial(TensorMap(tensors)), Mask(layers))
}

fn start(case: Case) -> (Snapshot, Mask) {
    start_from(&case.network(), case.density, 0)
}

pub(crate) fn batch(step: u64) -> Batch {
    let first = step * BATCH as u64;
    let images = (first..first + BATCH as u64).map(|i| (i % u64::from(IMAGES)) as u32).collect();
    let elementwise = Stream::of_replicate(1, 1, Purpose::Elementwise).counter_rng();
    Batch { images, iteration: step, elementwise }
}

/// Returns the parts of a snapshot in the order of the oracle: the weights, each moment, and the running statistics if
/// there are any.
pub(crate) fn parts(snapshot: &Snapshot) -> Vec<&TensorMap> {
    let buffers = (!snapshot.buffers.0.is_empty()).then_some(&snapshot.buffers);
    std::iter::once(&snapshot.weights).chain(&snapshot.moments).chain(buffers).collect()
}

/// Returns the parts of a snapshot that a mask applies to: the weights and each moment.
pub(crate) fn masked_parts(snapshot: &Snapshot) -> impl Iterator<Item = &TensorMap> {
    std::iter::once(&snapshot.weights).chain(&snapshot.moments)
}

/// Follows the oracle in float64, on the CPU or a GPU, and returns the state before the first and after every step.
pub(crate) fn follow_oracle(case: Case, dataset: &Arc<Dataset>, gpu: Option<usize>) -> Vec<Snapshot> {
    let oracle = case.oracle();
    let names: Vec<String> = case.network().parameters().iter().map(|p| p.name.clone()).collect();
    assert_eq!(serde_json::to_value(names).unwrap(), oracle["parameters"], "{case:?}");
    let (start, mask) = start(case);
    let mut trainer = torch::build(&TrainerSpec { gpu, ..case.spec(Dtype::Float64) }, dataset, 1).unwrap();
    trainer.load(0, &start, &mask).unwrap();
    let mut states = vec![trainer.snapshot(0).unwrap()];
    for step in 0..oracle["projections"].as_array().unwrap().len() as u64 {
        trainer.step(&[batch(step)], &[case.lr()]).unwrap();
        let snapshot = trainer.snapshot(0).unwrap();
        assert_eq!((snapshot.iteration, snapshot.optimizer_steps), (step + 1, step + 1));
        // The tolerance allows for the float32 values of a snapshot, whose rounding alone is 6e-8. The norm of a bias
        // before a batch norm is compared absolutely: its gradient is 0 but for rounding.
        compare(&case, &oracle, step + 1, &parts(&snapshot), 2e-7, 1e-6);
        check_zeros(&case, step + 1, masked_parts(&snapshot), &mask);
        if evaluates(&oracle, step + 1) {
            let score = trainer.evaluate(Split::Validation).unwrap()[0];
            compare_score(&case, &oracle, step + 1, score, 1e-9);
        }
        states.push(snapshot);
    }
    states
}

/// The number of batches with each of which a float32 trainer takes one step from the same state.
const BATCHES_PER_STATE: u64 = 5;

/// Checks that one float32 step from a state that float64 reached ends where the float64 step ends: teacher forcing, as
/// in `teacher_force` of mlp.rs. Only the best batch must agree tightly here, because with most batches the input of
/// some `ReLU` has another sign in float32.
pub(crate) fn teacher_force(case: Case, dataset: &Arc<Dataset>, states: &[Snapshot], gpu: Option<usize>) {
    let mask = start(case).1;
    let mut trainer = torch::build(&TrainerSpec { gpu, ..case.spec(Dtype::Float32) }, dataset, 1).unwrap();
    let mut float64_trainer = torch::build(&case.spec(Dtype::Float64), dataset, 1).unwrap();
    let one_step = |trainer: &mut dyn Trainer, step: u64, batch: Batch| {
        trainer.load(0, &states[step as usize], &mask).unwrap();
        trainer.step(&[batch], &[case.lr()]).unwrap();
        trainer.snapshot(0).unwrap()
    };
    for step in [0, 5, 15] {
        let mut errors: Vec<f64> = Vec::new();
        for batch_index in step..step + BATCHES_PER_STATE {
            let batch = || Batch { images: batch(batch_index).images, ..batch(step) };
            let got = one_step(trainer.as_mut(), step, batch());
            let want = one_step(float64_trainer.as_mut(), step, batch());
            check_zeros(&case, step + 1, masked_parts(&got), &mask);
            let distances = parts(&got).into_iter().zip(parts(&want)).map(|(got, want)| distance(got, want));
            errors.push(distances.fold(0.0, f64::max));
        }
        errors.sort_by(f64::total_cmp);
        let (best, worst) = (errors[0], errors[BATCHES_PER_STATE as usize - 1]);
        println!("{case:?} step {step}: off by {best:.1e} of the norm, at worst {worst:.1e}");
        assert!(best < 1e-5 && worst < 5e-2, "{case:?} step {step}: {errors:?}");
    }
}

/// Checks that continuing from a snapshot gives the bits of an uninterrupted run, and that a run repeats to the bit.
pub(crate) fn check_continuation(case: Case, dataset: &Arc<Dataset>, gpu: Option<usize>) {
    let (start, mask) = start(case);
    let run = |from: &Snapshot, steps: std::ops::Range<u64>| {
        let mut trainer = torch::build(&TrainerSpec { gpu, ..case.spec(Dtype::Float32) }, dataset, 1).unwrap();
        trainer.load(0, from, &mask).unwrap();
        for step in steps {
            trainer.step(&[batch(step)], &[case.lr()]).unwrap();
            // An evaluation between steps changes nothing, running statistics included.
            if step.is_multiple_of(3) {
                trainer.evaluate(Split::Test).unwrap();
            }
        }
        trainer.snapshot(0).unwrap()
    };
    let whole = run(&start, 0..8);
    assert_eq!(whole, run(&run(&start, 0..5), 5..8), "{case:?}");
    assert_eq!(whole, run(&start, 0..8), "{case:?}: the same again");
}

#[test]
fn autograd_trainer_keeps_the_contract() {
    let dataset = dataset();
    for case in CASES {
        let states = follow_oracle(case, &dataset, None);
        teacher_force(case, &dataset, &states, None);
        check_continuation(case, &dataset, None);
    }
}

#[test]
fn lanes_are_independent_networks() {
    check_lanes(None);
}

/// Checks that every lane has its own weights, mask, batches, dropout, learning rate, running statistics and progress.
pub(crate) fn check_lanes(gpu: Option<usize>) {
    let dataset = dataset();
    let (conv2, resnet, vgg) = (CASES[0], CASES[2], CASES[4]);
    let mlp = {
        let layers = vec![LayerSpec::Linear { out: 30 }, LayerSpec::Relu, LayerSpec::Linear { out: 10 }];
        let network = config::NetworkConfig::from(layers);
        TrainerSpec { network: build(&network, SHAPE, 10).unwrap(), ..vgg.spec(Dtype::Float64) }
    };
    let specs = [conv2, resnet, vgg].map(|case| case.spec(Dtype::Float64)).into_iter();
    for spec in specs.chain([TrainerSpec { augment: Augment::default(), ..mlp }]) {
        let spec = TrainerSpec { gpu, ..spec };
        let lane_start = |lane: u64| {
            let (start, mask) = start_from(&spec.network, if lane == 1 { "dense" } else { "third" }, lane << 32);
            // One lane is ahead of the others, with fresh moments.
            (Snapshot { iteration: 3 * (lane % 2), ..start }, mask)
        };
        let batch = |lane: u64, step: u64| Batch {
            elementwise: Stream::of_replicate(1, 1 + lane as u32, Purpose::Elementwise).counter_rng(),
            iteration: step + 3 * (lane % 2),
            ..batch(2 * step + lane)
        };
        let lr = |lane: u64| 1e-3 * (1 + lane) as f64;
        let mut together = torch::build(&spec, &dataset, 3).unwrap();
        for lane in 0..3 {
            together.load(lane as usize, &lane_start(lane).0, &lane_start(lane).1).unwrap();
        }
        for step in 0..4 {
            together.step(&[0, 1, 2].map(|lane| batch(lane, step)), &[0, 1, 2].map(lr)).unwrap();
        }
        let scores = together.evaluate(Split::Test).unwrap();
        for lane in 0..3_u64 {
            let mut alone = torch::build(&spec, &dataset, 1).unwrap();
            alone.load(0, &lane_start(lane).0, &lane_start(lane).1).unwrap();
            (0..4).for_each(|step| alone.step(&[batch(lane, step)], &[lr(lane)]).unwrap());
            let (one, of_many) = (alone.snapshot(0).unwrap(), together.snapshot(lane as usize).unwrap());
            assert_eq!((one.iteration, one.optimizer_steps), (of_many.iteration, of_many.optimizer_steps));
            for (a, b) in parts(&one).into_iter().zip(parts(&of_many)) {
                let error = distance(b, a);
                assert!(error < 1e-7, "lane {lane}: off by {error:.1e}");
            }
            assert!(lane_start(lane).1.is_respected_by(&of_many.weights));
            let score = alone.evaluate(Split::Test).unwrap()[0];
            assert!((score.loss - scores[lane as usize].loss).abs() < 1e-9, "{score:?} {scores:?}");
        }
    }
}

#[test]
fn gradients_are_those_of_a_step_in_each_lane_and_change_nothing() {
    let dataset = dataset();
    let optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 });
    for case in CASES.into_iter().filter(|case| case.density == "third") {
        let (start, mask) = start(case);
        let mut masked = start.clone();
        mask.apply(&mut masked.weights);
        let all = start_from(&case.network(), "dense", 0).1;
        let spec = TrainerSpec { optimizer, ..case.spec(Dtype::Float64) };
        let batches = [batch(1), batch(2)];
        let mut lanes = torch::build(&spec, &dataset, 2).unwrap();
        (0..2).for_each(|lane| lanes.load(lane, &start, &mask).unwrap());
        let before: Vec<Snapshot> = (0..2).map(|lane| lanes.snapshot(lane).unwrap()).collect();
        let gradients = lanes.gradients(&batches, RunningStatistics::Keep).unwrap();
        for (lane, gradients) in gradients.iter().enumerate() {
            // Running statistics too.
            assert_eq!(lanes.snapshot(lane).unwrap(), before[lane], "{case:?}");
            // The first velocity without a mask is the gradient of all weights.
            let mut one = torch::build(&spec, &dataset, 1).unwrap();
            one.load(0, &masked, &all).unwrap();
            one.step(&[batches[lane].clone()], &[0.1]).unwrap();
            let velocity = one.snapshot(0).unwrap().moments.remove(0);
            let error = distance(gradients, &velocity);
            assert!(error < 1e-6, "{case:?} lane {lane}: off by {error:.1e} of the norm");
            assert!(!mask.is_respected_by(gradients), "{case:?}: gradients of pruned weights too");
        }
        let too_few = lanes.gradients(&batches[..1], RunningStatistics::Keep).map(drop);
        assert_error(case.network, too_few, "one batch and one learning rate per lane");
    }
}

#[test]
fn autograd_trainer_rejects_misuse() {
    let dataset = dataset();
    let case = CASES[3];
    let (start, mask) = start(case);
    let mut trainer = torch::build(&case.spec(Dtype::Float32), &dataset, 2).unwrap();
    assert_eq!(trainer.lanes(), 2);
    let name = "two lanes";
    assert_error(name, trainer.load(2, &start, &mask), "a lane that is not there");
    assert_error(name, trainer.load(0, &Snapshot::default(), &mask), "a state without `");
    let stranger = TensorMap(vec![NamedTensor { name: "bn9.running_mean".into(), shape: vec![1], values: vec![0.0] }]);
    let other_statistics = Snapshot { buffers: stranger, ..start.clone() };
    assert_error(name, trainer.load(0, &other_statistics, &mask), "a state without `");
    (0..2).for_each(|lane| trainer.load(lane, &start, &mask).unwrap());
    assert_error(name, trainer.step(&[batch(0)], &[0.1]), "one batch and one learning rate per lane");
    assert_error(name, trainer.step(&[Batch::default(), Batch::default()], &[0.1; 2]), "an empty batch");
    let short = Batch { images: vec![1, 2], ..batch(0) };
    assert_error(name, trainer.step(&[batch(0), short], &[0.1; 2]), "batches of different sizes");
    trainer.step(&[batch(0), batch(1)], &[0.1; 2]).unwrap();
}
