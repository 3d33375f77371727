//! The contract of every trainer, against `PyTorch`'s numbers (tests/oracle/lenet.py makes them).
//!
//! The float64 trainer must agree with these numbers over all steps. A float32 trainer cannot: its rounding errors grow
//! with every step. It is checked by teacher forcing: each float32 step starts from a state of the float64 run and is
//! compared with the float64 step from there; all steps must agree loosely, most of them tightly.

use std::path::Path;
use std::sync::Arc;

use lth::base::mask::{LayerMask, Mask};
use lth::base::rng::{Purpose, Stream, mix};
use lth::base::tensors::{NamedTensor, Snapshot, TensorMap};
use lth::config::{self, Architecture, Dtype, LayerSpec};
use lth::data::{Dataset, Normalization, Split};
use lth::engine::optim::{Adam, Sgd};
use lth::engine::{Batch, Optimizer, RunningStatistics, Trainer, TrainerSpec, sparse, torch};
use lth::network::{Network, build};
use serde_json::Value;

use crate::trainer_contract::oracle::{assert_error, check_zeros, compare, compare_score, distance, evaluates, unit};

const IMAGES: u32 = 600;
const BATCH: usize = 60;

/// One row of the suite: an optimizer by its name in the oracle, and the density of the mask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    optimizer: &'static str,
    pub(crate) density: &'static str,
}

pub(crate) const CASES: [Case; 12] = [
    Case { optimizer: "adam", density: "dense" },
    Case { optimizer: "adam", density: "tenth" },
    Case { optimizer: "sgd", density: "dense" },
    Case { optimizer: "sgd", density: "tenth" },
    Case { optimizer: "nesterov", density: "tenth" },
    Case { optimizer: "adam_decay", density: "tenth" },
    Case { optimizer: "adam_dropout", density: "tenth" },
    Case { optimizer: "adamw", density: "dense" },
    Case { optimizer: "adamw", density: "tenth" },
    Case { optimizer: "adam_smoothed", density: "tenth" },
    Case { optimizer: "sgd_clipped", density: "dense" },
    Case { optimizer: "sgd_clipped", density: "tenth" },
];

impl Case {
    fn update(self) -> Optimizer {
        let adam =
            |weight_decay| Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay, decoupled: false });
        let sgd = |nesterov| Optimizer::Sgd(Sgd { momentum: 0.9, nesterov, weight_decay: 1e-3 });
        match self.optimizer {
            "adam" | "adam_dropout" | "adam_smoothed" => adam(0.0),
            "adam_decay" => adam(1e-2),
            "adamw" => Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.1, decoupled: true }),
            "sgd" | "sgd_clipped" => sgd(false),
            "nesterov" => sgd(true),
            other => panic!("no optimizer `{other}`"),
        }
    }

    pub(crate) fn lr(self) -> f64 {
        if self.optimizer.starts_with("adam") { 1.2e-3 } else { 0.05 }
    }

    pub(crate) fn spec(self, dtype: Dtype) -> TrainerSpec {
        let label_smoothing = if self.optimizer == "adam_smoothed" { 0.1 } else { 0.0 };
        let clip_norm = (self.optimizer == "sgd_clipped").then_some(if self.density == "dense" { 1.0 } else { 0.15 });
        TrainerSpec { dtype, label_smoothing, clip_norm, ..TrainerSpec::plain(self.network(), self.update(), BATCH) }
    }

    /// LeNet-300-100; with dropout, layer by layer.
    fn network(self) -> Network {
        let (linear, dropout) = (|out| LayerSpec::Linear { out }, |rate| LayerSpec::Dropout { rate });
        let mut network = config::NetworkConfig::from(Architecture::Lenet300100);
        if self.optimizer == "adam_dropout" {
            let first = [dropout(0.2), linear(300), LayerSpec::Relu, dropout(0.5)];
            let layers: Vec<LayerSpec> = first.into_iter().chain([linear(100), dropout(0.25), linear(10)]).collect();
            network = config::NetworkConfig::from(layers);
        }
        build(&network, [1, 28, 28], 10).unwrap()
    }

    fn oracle(self) -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/lenet.json");
        let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        all[self.optimizer][self.density].clone()
    }
}

/// Every float32 trainer, by name: a new engine adds a line here.
pub(crate) type Build = fn(&TrainerSpec, &Arc<Dataset>) -> anyhow::Result<Box<dyn Trainer>>;
pub(crate) const FLOAT32_TRAINERS: [(&str, Build); 2] = [("dense", dense_build), ("sparse", sparse::build)];

pub(crate) fn dense_build(spec: &TrainerSpec, dataset: &Arc<Dataset>) -> anyhow::Result<Box<dyn Trainer>> {
    torch::build(spec, dataset, 1)
}

pub(crate) fn dataset() -> Arc<Dataset> {
    let byte = |i: u64| {
        let h = mix(1, i);
        if (h >> 8).is_multiple_of(4) { (h & 255) as u8 } else { 0 }
    };
    let images: Vec<u32> = (0..IMAGES).collect();
    Arc::new(Dataset {
        shape: [1, 28, 28],
        classes: 10,
        images: (0..u64::from(IMAGES) * 784).map(byte).collect(),
        labels: (0..u64::from(IMAGES)).map(|i| (mix(2, i) % 10) as u8).collect(),
        train: images.clone(),
        validation: images.clone(),
        test: images,
        normalization: Normalization::Affine { scale: 1.0 / (255.0 * 0.3081), offset: -0.1307 / 0.3081 },
    })
}

pub(crate) fn start(case: Case) -> (Snapshot, Mask) {
    let mut tensors = Vec::new();
    let mut layers = Vec::new();
    let mut counter = 0_u64;
    for parameter in case.network().parameters() {
        let values = if let [outputs, inputs] = parameter.shape[..] {
            let bound = (6.0 / (inputs + outputs) as f64).sqrt();
            let counters = counter..counter + parameter.len() as u64;
            counter = counters.end;
            let kept = counters.clone().map(|i| case.density == "dense" || mix(4, i).is_multiple_of(10)).collect();
            layers.push(LayerMask { name: parameter.name.clone(), shape: parameter.shape.clone(), kept });
            counters.map(|i| ((2.0 * unit(mix(3, i)) - 1.0) * bound) as f32).collect()
        } else {
            vec![0.0; parameter.len()]
        };
        tensors.push(NamedTensor { name: parameter.name.clone(), shape: parameter.shape.clone(), values });
    }
    (Snapshot::initial(TensorMap(tensors)), Mask(layers))
}

fn batch(step: u64) -> Batch {
    let first = step * BATCH as u64;
    let images = (first..first + BATCH as u64).map(|i| (i % u64::from(IMAGES)) as u32).collect();
    let elementwise = Stream::of_replicate(1, 1, Purpose::Elementwise).counter_rng();
    Batch { images, iteration: step, elementwise }
}

/// Returns the weights, then each moment.
fn parts(snapshot: &Snapshot) -> Vec<&TensorMap> {
    std::iter::once(&snapshot.weights).chain(&snapshot.moments).collect()
}

/// Follows the oracle in float64 and returns the state before the first and after every step.
fn follow_oracle(case: Case, dataset: &Arc<Dataset>) -> Vec<Snapshot> {
    let oracle = case.oracle();
    let (start, mask) = start(case);
    let mut trainer = dense_build(&case.spec(Dtype::Float64), dataset).unwrap();
    trainer.load(0, &start, &mask).unwrap();
    let mut states = vec![trainer.snapshot(0).unwrap()];
    for step in 0..oracle["projections"].as_array().unwrap().len() as u64 {
        trainer.step(&[batch(step)], &[case.lr()]).unwrap();
        let snapshot = trainer.snapshot(0).unwrap();
        assert_eq!((snapshot.iteration, snapshot.optimizer_steps), (step + 1, step + 1));
        // The tolerance allows for the float32 values of a snapshot, whose rounding alone is 6e-8.
        compare(&case, &oracle, step + 1, &parts(&snapshot), 2e-7, 1e-300);
        check_zeros(&case, step + 1, parts(&snapshot), &mask);
        if evaluates(&oracle, step + 1) {
            let score = trainer.evaluate(Split::Validation).unwrap()[0];
            compare_score(&case, &oracle, step + 1, score, 1e-10);
        }
        states.push(snapshot);
    }
    states
}

/// The number of batches with each of which a float32 trainer takes one step from the same state.
const BATCHES_PER_STATE: u64 = 5;

/// Checks that one float32 step from a state that float64 reached ends where the float64 step ends.
///
/// If the input of a `ReLU` is closer to zero than the rounding error of float32, its sign may differ between the
/// precisions, and then the gradient differs by much more than rounding. Where that happens depends on the order in
/// which the processor adds. Therefore one step is taken with each of several batches from each state: all must agree
/// loosely (5e-2 of the norm), and the median tightly (2e-6).
fn teacher_force(name: &str, build: Build, case: Case, dataset: &Arc<Dataset>, states: &[Snapshot]) {
    let mask = start(case).1;
    let mut trainer = build(&case.spec(Dtype::Float32), dataset).unwrap();
    let mut float64_trainer = dense_build(&case.spec(Dtype::Float64), dataset).unwrap();
    let one_step = |trainer: &mut dyn Trainer, step: u64, batch: Batch| {
        trainer.load(0, &states[step as usize], &mask).unwrap();
        trainer.step(&[batch], &[case.lr()]).unwrap();
        trainer.snapshot(0).unwrap()
    };
    for step in [0, 10, 50, 200].into_iter().filter(|step| *step as usize + 1 < states.len()) {
        let mut errors: Vec<f64> = Vec::new();
        for batch_index in step..step + BATCHES_PER_STATE {
            let batch = || Batch { images: batch(batch_index).images, ..batch(step) };
            let got = one_step(trainer.as_mut(), step, batch());
            let want = one_step(float64_trainer.as_mut(), step, batch());
            check_zeros(&case, step + 1, parts(&got), &mask);
            let distances = parts(&got).into_iter().zip(parts(&want)).map(|(got, want)| distance(got, want));
            errors.push(distances.fold(0.0, f64::max));
        }
        errors.sort_by(f64::total_cmp);
        let (median, worst) = (errors[BATCHES_PER_STATE as usize / 2], errors[BATCHES_PER_STATE as usize - 1]);
        println!("{name} {case:?} step {step}: off by {median:.1e} of the norm, at worst {worst:.1e}");
        assert!(median < 2e-6 && worst < 5e-2, "{name} {case:?} step {step}: {errors:?}");
    }
}

/// Checks that continuing from a snapshot gives the bits of an uninterrupted run.
fn check_continuation(name: &str, build: Build, case: Case, dtype: Dtype, dataset: &Arc<Dataset>) {
    let (start, mask) = start(case);
    let spec = case.spec(dtype);
    let run = |from: &Snapshot, steps: std::ops::Range<u64>| {
        let mut trainer = build(&spec, dataset).unwrap();
        trainer.load(0, from, &mask).unwrap();
        steps.for_each(|step| trainer.step(&[batch(step)], &[case.lr()]).unwrap());
        trainer.snapshot(0).unwrap()
    };
    let whole = run(&start, 0..40);
    assert_eq!(whole, run(&run(&start, 0..17), 17..40), "{name} {case:?}");
    assert_eq!(whole, run(&start, 0..40), "{name} {case:?}: the same again");
}

#[test]
fn trainers_keep_the_contract() {
    let dataset = dataset();
    for case in CASES {
        let states = follow_oracle(case, &dataset);
        for (name, build) in FLOAT32_TRAINERS {
            teacher_force(name, build, case, &dataset, &states);
            check_continuation(name, build, case, Dtype::Float32, &dataset);
        }
    }
}

#[test]
fn lanes_are_independent_networks() {
    let dataset = dataset();
    let lane_batch = |lane: u64, step: u64| Batch { iteration: step, ..batch(step + 3 * lane) };
    for case in CASES {
        let (start, mask) = start(case);
        let lr = [case.lr(), 0.7 * case.lr()];
        let spec = case.spec(Dtype::Float64);
        let mut both = torch::build(&spec, &dataset, 2).unwrap();
        (0..2).for_each(|lane| both.load(lane, &start, &mask).unwrap());
        (0..4).for_each(|step| both.step(&[lane_batch(0, step), lane_batch(1, step)], &lr).unwrap());
        for (lane, lr) in lr.into_iter().enumerate() {
            let mut one = torch::build(&spec, &dataset, 1).unwrap();
            one.load(0, &start, &mask).unwrap();
            (0..4).for_each(|step| one.step(&[lane_batch(lane as u64, step)], &[lr]).unwrap());
            let (got, want) = (both.snapshot(lane).unwrap(), one.snapshot(0).unwrap());
            for (got, want) in parts(&got).into_iter().zip(parts(&want)) {
                let error = distance(got, want);
                assert!(error < 1e-7, "{case:?} lane {lane}: off by {error:.1e} of the norm");
            }
            check_zeros(&case, 4, parts(&got), &mask);
        }
    }
}

#[test]
fn gradients_are_those_of_a_step_for_all_weights_and_change_nothing() {
    let dataset = dataset();
    let sgd = |momentum| Optimizer::Sgd(Sgd { momentum, nesterov: false, weight_decay: 0.0 });
    for case in CASES.into_iter().filter(|case| case.density == "tenth") {
        let (start, mask) = start(case);
        let mut masked = start.clone();
        mask.apply(&mut masked.weights);
        // The first velocity is the gradient, of kept weights only. Without a mask it is that of all weights.
        let all = Mask(
            mask.0.iter().map(|layer| LayerMask { kept: vec![true; layer.kept.len()], ..layer.clone() }).collect(),
        );
        let spec = |dtype| TrainerSpec { optimizer: sgd(0.9), clip_norm: None, ..case.spec(dtype) };
        let mut dense = dense_build(&spec(Dtype::Float64), &dataset).unwrap();
        dense.load(0, &masked, &all).unwrap();
        dense.step(&[batch(3)], &[0.1]).unwrap();
        let velocity = dense.snapshot(0).unwrap().moments.remove(0);
        let float64: Build = dense_build;
        let trainers = FLOAT32_TRAINERS.into_iter().map(|(name, build)| (name, build, Dtype::Float32));
        for (name, build, dtype) in trainers.chain([("float64", float64, Dtype::Float64)]) {
            // Clipping and moments do not matter to gradients.
            let mut trainer = build(&TrainerSpec { optimizer: sgd(0.9), ..case.spec(dtype) }, &dataset).unwrap();
            trainer.load(0, &start, &mask).unwrap();
            let before = trainer.snapshot(0).unwrap();
            let gradients = trainer.gradients(&[batch(3)], RunningStatistics::Keep).unwrap().remove(0);
            let error = distance(&gradients, &velocity);
            let bound = if dtype == Dtype::Float64 { 1e-7 } else { 1e-5 };
            assert!(error < bound, "{name} {case:?}: off by {error:.1e} of the norm");
            let is_pruned_weight_zero = mask.is_respected_by(&gradients);
            assert!(!is_pruned_weight_zero, "{name} {case:?}: gradients of pruned weights too");
            assert_eq!(trainer.snapshot(0).unwrap(), before, "{name} {case:?}");
            // The next step is the same as without.
            trainer.step(&[batch(3)], &[case.lr()]).unwrap();
            let mut other = build(&TrainerSpec { optimizer: sgd(0.9), ..case.spec(dtype) }, &dataset).unwrap();
            other.load(0, &start, &mask).unwrap();
            other.step(&[batch(3)], &[case.lr()]).unwrap();
            assert_eq!(trainer.snapshot(0).unwrap(), other.snapshot(0).unwrap(), "{name} {case:?}");
        }
    }
}

#[test]
fn load_resets_the_trainer() {
    let dataset = dataset();
    let (dense, tenth) = (CASES[0], CASES[1]);
    let run = |trainer: &mut dyn Trainer, case: Case| {
        let (start, mask) = start(case);
        trainer.load(0, &start, &mask).unwrap();
        (0..5).for_each(|step| trainer.step(&[batch(step)], &[case.lr()]).unwrap());
        trainer.snapshot(0).unwrap()
    };
    for (name, build) in FLOAT32_TRAINERS {
        let mut used = build(&dense.spec(Dtype::Float32), &dataset).unwrap();
        run(used.as_mut(), tenth);
        let again = run(used.as_mut(), dense);
        let mut new = build(&dense.spec(Dtype::Float32), &dataset).unwrap();
        assert_eq!(again, run(new.as_mut(), dense), "{name}: moments, steps and masks are fresh");
    }
}

#[test]
fn evaluations_and_smaller_batches_change_nothing_else() {
    let dataset = dataset();
    let case = CASES[1];
    let (start, mask) = start(case);
    for (name, build) in FLOAT32_TRAINERS {
        let run = |evaluate: bool| {
            let mut trainer = build(&case.spec(Dtype::Float32), &dataset).unwrap();
            trainer.load(0, &start, &mask).unwrap();
            for step in 0..6 {
                let mut batch = batch(step);
                batch.images.truncate(if step == 2 { 7 } else { BATCH });
                trainer.step(&[batch], &[case.lr()]).unwrap();
                if evaluate {
                    for split in Split::ALL {
                        trainer.evaluate(split).unwrap();
                    }
                }
            }
            trainer.snapshot(0).unwrap()
        };
        assert_eq!(run(false), run(true), "{name}");
    }
}

#[test]
fn sparse_step_allocates_nothing() {
    let dataset = dataset();
    for (case, threads) in CASES.into_iter().flat_map(|case| [(case, 1), (case, 2)]) {
        let (start, mask) = start(case);
        let mut trainer = sparse::build(&case.spec(Dtype::Float32), &dataset).unwrap();
        trainer.set_threads(threads);
        trainer.load(0, &start, &mask).unwrap();
        let mut batches: Vec<[Batch; 1]> = (0..5).map(|step| [batch(step)]).collect();
        // One of more than a block.
        batches[3][0].images.extend(0..30);
        trainer.evaluate(Split::Test).unwrap();
        let steps = allocation_counter::measure(|| {
            for batch in &batches {
                trainer.step(batch, &[case.lr()]).unwrap();
            }
        });
        assert_eq!(steps.count_total, 0, "{case:?}, {threads} threads: {steps:?}");
        // The scores that it returns.
        let evaluation = allocation_counter::measure(|| drop(trainer.evaluate(Split::Test).unwrap()));
        assert_eq!(evaluation.count_total, 1, "{case:?}, {threads} threads: {evaluation:?}");
    }
}

#[test]
fn trainers_reject_misuse() {
    let dataset = dataset();
    let case = CASES[0];
    let (start, mask) = start(case);
    for (name, build) in FLOAT32_TRAINERS {
        let mut trainer = build(&case.spec(Dtype::Float32), &dataset).unwrap();
        assert_error(name, trainer.load(1, &start, &mask), "lane");
        assert_error(name, trainer.load(0, &Snapshot::default(), &mask), "a state without `");
        let counted = Snapshot { optimizer_steps: 3, ..start.clone() };
        assert_error(name, trainer.load(0, &counted, &mask), "fresh moments that count steps");
        trainer.load(0, &start, &mask).unwrap();
        assert_error(name, trainer.step(&[Batch::default()], &[0.1]), "an empty batch");
        assert_error(name, trainer.step(&[], &[]), "one batch and one learning rate");
    }
}
