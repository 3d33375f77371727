//! Training with masks that change: sequences computed by hand on a network of six weights, and properties on
//! LeNet-300-100, for every trainer.

use std::sync::Arc;

use lth::base::mask::{LayerMask, Mask};
use lth::base::rng::{Purpose, Stream};
use lth::base::tensors::{LaneState, NamedTensor, Snapshot, TensorMap};
use lth::base::units::Iteration;
use lth::config::{self, DropDecay, Dtype, Growth, LayerSpec, PruneConfig, TrainConfig};
use lth::data::{Dataset, Normalization};
use lth::engine::optim::Sgd;
use lth::engine::{Optimizer, TrainerSpec, torch};
use lth::network::{Network, build};
use lth::prune::{PruningRates, RemainingCounts};
use lth::train::{
    BatchSampler, DropAndGrow, LaneInput, MaskUpdate, MaskUpdates, TrainingLoop, UpdateRule, UpdateSchedule,
};

use crate::support;
use crate::trainer_contract::mlp::{Build, CASES, Case, FLOAT32_TRAINERS, dataset, dense_build, start};

/// Every trainer of fully connected networks, by name, with its type.
fn trainers() -> impl Iterator<Item = (&'static str, Build, Dtype)> {
    let float64: Build = dense_build;
    let float32 = FLOAT32_TRAINERS.into_iter().map(|(name, build)| (name, build, Dtype::Float32));
    float32.chain([("float64", float64, Dtype::Float64)])
}

fn train_config(iterations: u64, lr: f64) -> TrainConfig {
    let sets = ["train.optimizer=sgd", "train.momentum=0.9", &format!("train.lr={lr}")];
    let mut train = config::read(&support::smoke_document(&sets)).unwrap().train;
    train.iterations = iterations;
    train
}

fn pruning(network: &Network) -> PruningRates {
    PruningRates::new(&PruneConfig::default(), network).unwrap()
}

fn stream() -> Stream {
    Stream::of_replicate(1, 1, Purpose::MaskUpdates)
}

fn regrow(growth: Growth, drop: f64, span: u64) -> UpdateRule {
    UpdateRule::Regrow(DropAndGrow { growth, drop, decay: DropDecay::Cosine, span })
}

/// The network of the sequences by hand: one linear layer of three inputs and two classes, and one image of class 0 with
/// the pixels 1, 2 and 4.
struct Toy {
    network: Network,
    dataset: Arc<Dataset>,
    start: Snapshot,
    mask: Mask,
}

impl Toy {
    /// `weights`: those of class 0, then those of class 1; 0 stands for a pruned one.
    fn new(weights: [f32; 6]) -> Self {
        let network = build(&config::NetworkConfig::from(vec![LayerSpec::Linear { out: 2 }]), [1, 1, 3], 2).unwrap();
        let name = network.weights()[0].parameter.name.clone();
        let kept = weights.iter().map(|&w| w != 0.0).collect();
        let tensors = network.parameters().iter().map(|parameter| NamedTensor {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            values: if parameter.name == name { weights.to_vec() } else { vec![0.0; parameter.len()] },
        });
        let dataset = Dataset {
            shape: [1, 1, 3],
            classes: 2,
            images: vec![1, 2, 4],
            labels: vec![0],
            train: vec![0],
            validation: vec![0],
            test: vec![0],
            normalization: Normalization::Affine { scale: 1.0, offset: 0.0 },
        };
        Self {
            start: Snapshot::initial(TensorMap(tensors.collect())),
            mask: Mask(vec![LayerMask { name, shape: vec![2, 3], kept }]),
            dataset: Arc::new(dataset),
            network,
        }
    }

    fn input<'a>(&'a self, rule: &'a UpdateRule, schedule: UpdateSchedule, pruning: &'a PruningRates) -> LaneInput<'a> {
        let updates = MaskUpdates { rule, schedule, start: &self.mask, pruning, stream: stream() };
        LaneInput {
            order: BatchSampler::new(Stream::of_replicate(1, 1, Purpose::Order), &self.dataset.train, 1, true),
            elementwise: Stream::of_replicate(1, 1, Purpose::Elementwise).counter_rng(),
            start: &self.start,
            mask: &self.mask,
            updates: Some(updates),
            learns_mask: false,
            lr_factor: 1.0,
            snapshots_at: &[],
        }
    }
}

/// The weights, their velocities (0 before the first step), the mask, the iteration and the optimizer steps of a lane.
#[derive(Debug)]
struct ToyState {
    weights: [f64; 6],
    velocities: [f64; 6],
    kept: [bool; 6],
    steps: [u64; 2],
}

fn toy_state(training: &TrainingLoop<'_>) -> ToyState {
    let progress = training.progress(0).unwrap();
    let loaded = training.loaded(0).unwrap();
    let values = |tensors: &TensorMap| -> [f64; 6] {
        let tensor = tensors.0.iter().find(|tensor| tensor.values.len() == 6).unwrap();
        tensor.values.iter().map(|&w| f64::from(w)).collect::<Vec<_>>().try_into().unwrap()
    };
    ToyState {
        weights: values(&loaded.weights),
        velocities: loaded.moments.first().map_or([0.0; 6], values),
        kept: progress.masks.unwrap().current.0[0].kept.clone().try_into().unwrap(),
        steps: [loaded.iteration, loaded.optimizer_steps],
    }
}

fn assert_close(name: &str, got: [f64; 6], want: [f64; 6]) {
    let is_close = got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-6);
    assert!(is_close, "{name}: {got:?}, expected {want:?}");
}

#[test]
fn rigl_takes_the_steps_that_were_computed_by_hand() {
    // The logits are 0.3·1 − 0.15·2 = 0 and 0.2·1 − 0.05·4 = 0.
    let toy = Toy::new([0.3, -0.15, 0.0, 0.2, 0.0, -0.05]);
    let rule = regrow(Growth::Gradient, 0.5, 4);
    let schedule = UpdateSchedule::before(Iteration(0), 2, Iteration(4));
    let (train, pruning) = (train_config(6, 0.1), pruning(&toy.network));
    for (name, build, dtype) in trainers() {
        let optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 });
        let spec = TrainerSpec { dtype, ..TrainerSpec::plain(toy.network.clone(), optimizer, 1) };
        let mut trainer = build(&spec, &toy.dataset).unwrap();
        let input = toy.input(&rule, schedule, &pruning);
        let mut training = TrainingLoop::start(trainer.as_mut(), &train, vec![input], Iteration(6)).unwrap();

        // Iteration 0, an update instead of a step. Half of four weights are dropped: −0.05 and −0.15. The logits are 0
        // and 0, so both probabilities are 1/2 and the gradients are −1/2 and 1/2 times the pixels: of the weights that
        // are not kept, the third and the last have the largest. The last has just been dropped and keeps its value.
        training.step().unwrap();
        let state = toy_state(&training);
        assert_eq!(state.kept, [true, false, true, true, false, true], "{name}");
        assert_close(name, state.weights, [0.3, 0.0, 0.0, 0.2, 0.0, -0.05]);
        assert_eq!(state.steps, [1, 0], "{name}: no optimizer step");

        // Iteration 1, a step. The logits are 0.3 and 0.2·1 − 0.05·4 = 0, so the gradients are ∓q times the pixels, where
        // q = 1 − 1/(1 + e^−0.3) is the probability of class 1.
        training.step().unwrap();
        let q = 1.0 - 1.0 / (1.0 + (-0.3_f64).exp());
        let first = [0.3 + 0.1 * q, 0.0, 0.4 * q, 0.2 - 0.1 * q, 0.0, -0.05 - 0.4 * q];
        let state = toy_state(&training);
        assert_close(name, state.weights, first);
        assert_close(name, state.velocities, [-q, 0.0, -4.0 * q, q, 0.0, 4.0 * q]);

        // Iteration 2, an update: 0.5 · ½(1 + cos(π/2)) = 1/4 of four weights, one. The smallest is the fourth, about
        // 0.157; the third is about 0.170. The second and the fifth have twice the gradient of the fourth, and the fifth,
        // of class 1, as large a one as the second: the tie is broken at random, and a weight that grows begins at 0
        // without a velocity.
        training.step().unwrap();
        let state = toy_state(&training);
        assert_eq!(state.kept.iter().filter(|kept| **kept).count(), 4, "{name}");
        assert!(state.kept[0] && state.kept[2] && !state.kept[3] && state.kept[5], "{name}: {state:?}");
        assert_close(name, state.weights, [first[0], 0.0, first[2], 0.0, 0.0, first[5]]);
        assert_close(name, state.velocities, [-q, 0.0, -4.0 * q, 0.0, 0.0, 4.0 * q]);
        assert_eq!(state.steps, [3, 1], "{name}");

        // Iterations 3 and 4 are steps, because the updates have ended: the mask stays.
        let kept = state.kept;
        training.step().unwrap();
        training.step().unwrap();
        let state = toy_state(&training);
        assert_eq!((state.kept, state.steps), (kept, [5, 3]), "{name}");
        let updates: Vec<Iteration> = training.take_mask_updates().iter().map(|update| update.iteration).collect();
        assert_eq!(updates, [Iteration(0), Iteration(2)], "{name}");
    }
}

#[test]
fn set_takes_the_steps_that_were_computed_by_hand() {
    // The logits are 0.4·1 − 0.2·2 = 0 and 0.2·1 − 0.2·2 + 0.05·4 = 0.
    let toy = Toy::new([0.4, -0.2, 0.0, 0.2, -0.2, 0.05]);
    let rule = regrow(Growth::Random, 0.2, 4);
    let schedule = UpdateSchedule::before(Iteration(0), 4, Iteration(4));
    let (train, pruning) = (train_config(6, 0.1), pruning(&toy.network));
    for (name, build, dtype) in trainers() {
        let optimizer = Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.0 });
        let spec = TrainerSpec { dtype, ..TrainerSpec::plain(toy.network.clone(), optimizer, 1) };
        let mut trainer = build(&spec, &toy.dataset).unwrap();
        let input = toy.input(&rule, schedule, &pruning);
        let mut training = TrainingLoop::start(trainer.as_mut(), &train, vec![input], Iteration(6)).unwrap();

        // Iteration 0, a step and then an update. Both logits are 0, so the gradients are ∓½ times the pixels: the step of
        // 0.1 moves the weights of class 0 by 0.05 and 0.1, those of class 1 by −0.05, −0.1 and −0.2.
        // Before the step the smallest weight is the last one, 0.05; after it, it is the second, −0.1.
        training.step().unwrap();
        let state = toy_state(&training);
        assert_eq!(state.steps, [1, 1], "{name}: an optimizer step too");
        // A fifth of five weights is dropped: the second. It or the third grows.
        assert!(state.kept[1] != state.kept[2], "{name}: {state:?}");
        let regrown = state.kept[1];
        let (weight, velocity) = if regrown { (-0.1, -1.0) } else { (0.0, 0.0) };
        assert_close(name, state.weights, [0.45, weight, 0.0, 0.15, -0.3, -0.15]);
        assert_close(name, state.velocities, [-0.5, velocity, 0.0, 0.5, 1.0, 2.0]);
    }
}

/// A lane of LeNet-300-100 with a tenth of its weights.
struct Lane {
    case: Case,
    start: Snapshot,
    mask: Mask,
    dataset: Arc<Dataset>,
    pruning: PruningRates,
}

impl Lane {
    fn new() -> Self {
        let case = CASES[1];
        let (start, mask) = start(case);
        let pruning = pruning(&case.spec(Dtype::Float32).network);
        Self { case, start, mask, dataset: dataset(), pruning }
    }

    /// Returns the rules that are tried: growth at random and by gradients, and pruning by layer and in one ranking.
    fn rules(&self) -> Vec<UpdateRule> {
        let half: Vec<u64> = self.mask.kept_counts().iter().map(|kept| kept / 2).collect();
        let kept = half.iter().sum();
        vec![
            regrow(Growth::Random, 0.3, 12),
            regrow(Growth::Gradient, 0.3, 12),
            UpdateRule::Prune { target: RemainingCounts { kept, layers: Some(half) } },
            UpdateRule::Prune { target: RemainingCounts { kept, layers: None } },
        ]
    }

    fn input<'a>(&'a self, rule: Option<&'a UpdateRule>) -> LaneInput<'a> {
        let schedule = UpdateSchedule { first: Iteration(0), every: 3, count: 4 };
        let updates = rule.map(|rule| MaskUpdates {
            rule,
            schedule,
            start: &self.mask,
            pruning: &self.pruning,
            stream: stream(),
        });
        LaneInput {
            order: BatchSampler::new(Stream::of_replicate(1, 1, Purpose::Order), &self.dataset.train, 60, true),
            elementwise: Stream::of_replicate(1, 1, Purpose::Elementwise).counter_rng(),
            start: &self.start,
            mask: &self.mask,
            updates,
            learns_mask: false,
            lr_factor: 1.0,
            snapshots_at: &[],
        }
    }
}

/// Checks an update of a mask of LeNet-300-100 by `rule`.
fn check_update(name: &str, rule: &UpdateRule, update: &MaskUpdate) {
    let MaskUpdate { before, after, .. } = update;
    match rule {
        UpdateRule::Regrow(_) => assert_eq!(after.kept_counts(), before.kept_counts(), "{name}"),
        UpdateRule::Prune { .. } => assert!(after.is_subset_of(before), "{name}"),
    }
}

#[test]
fn masks_change_by_their_rule_and_pruned_weights_stay_0() {
    let lane = Lane::new();
    let train = train_config(20, lane.case.lr());
    for (name, build, dtype) in trainers() {
        for rule in &lane.rules() {
            let mut trainer = build(&lane.case.spec(dtype), &lane.dataset).unwrap();
            let inputs = vec![lane.input(Some(rule))];
            let mut training = TrainingLoop::start(trainer.as_mut(), &train, inputs, Iteration(20)).unwrap();
            let mut iterations = Vec::new();
            for _ in 0..15 {
                training.step().unwrap();
                let masks = training.progress(0).unwrap().masks.unwrap();
                assert!(masks.current.is_respected_by(&training.loaded(0).unwrap().weights), "{name} {rule:?}");
                for update in training.take_mask_updates() {
                    check_update(name, rule, &update);
                    assert!(update.after.is_subset_of(&masks.ever_kept) && update.after == masks.current);
                    iterations.push(update.iteration.0);
                }
            }
            assert_eq!(iterations, [0, 3, 6, 9], "{name} {rule:?}");
            let masks = training.progress(0).unwrap().masks.unwrap();
            let ever = masks.ever_kept.kept_total();
            match rule {
                UpdateRule::Regrow(_) => {
                    assert_eq!(masks.current.kept_counts(), lane.mask.kept_counts(), "{name} {rule:?}");
                    assert!(ever > lane.mask.kept_total() * 11 / 10, "{name} {rule:?}: {ever} weights ever kept");
                }
                UpdateRule::Prune { target } => {
                    assert_eq!(masks.current.kept_total(), target.kept, "{name} {rule:?}");
                    let counts = Some(masks.current.kept_counts());
                    assert!(target.layers.is_none() || target.layers == counts, "{name} {rule:?}: {counts:?}");
                    assert_eq!(ever, lane.mask.kept_total(), "{name} {rule:?}");
                }
            }
        }
    }
}

#[test]
fn training_with_changing_masks_goes_on_from_progress_bit_for_bit() {
    let lane = Lane::new();
    let train = train_config(20, lane.case.lr());
    for (name, build, dtype) in trainers() {
        for rule in &lane.rules() {
            let run = |until: u64, from: Option<lth::train::TrainingProgress>| {
                let mut trainer = build(&lane.case.spec(dtype), &lane.dataset).unwrap();
                let inputs = vec![lane.input(Some(rule))];
                let mut training = TrainingLoop::start(trainer.as_mut(), &train, inputs, Iteration(20)).unwrap();
                if let Some(progress) = from {
                    training.resume(vec![progress]).unwrap();
                }
                while training.iteration().0 < until {
                    training.step().unwrap();
                }
                training.progress(0).unwrap()
            };
            // Between two updates, right before one and right after one.
            for stop in [5, 6, 7] {
                let resumed = run(13, Some(run(stop, None)));
                assert_eq!(resumed, run(13, None), "{name} {rule:?}, stopped at {stop}");
            }
        }
    }
}

#[test]
fn lanes_with_other_updates_are_independent_networks() {
    let lane = Lane::new();
    let rules = lane.rules();
    let train = train_config(20, lane.case.lr());
    let spec = lane.case.spec(Dtype::Float64);
    // Growth by gradients replaces the step of its own lane only.
    let of_lanes = [Some(&rules[1]), None, Some(&rules[0]), Some(&rules[2])];
    let run = |rules: &[Option<&UpdateRule>]| {
        let mut trainer = torch::build(&spec, &lane.dataset, rules.len()).unwrap();
        let inputs = rules.iter().map(|rule| lane.input(*rule)).collect();
        let mut training = TrainingLoop::start(trainer.as_mut(), &train, inputs, Iteration(20)).unwrap();
        for _ in 0..11 {
            training.step().unwrap();
        }
        (0..rules.len()).map(|lane| training.progress(lane).unwrap()).collect::<Vec<_>>()
    };
    for (together, rule) in run(&of_lanes).into_iter().zip(of_lanes) {
        let alone = run(&[rule]).remove(0);
        assert_eq!(together.masks, alone.masks, "{rule:?}");
        let (LaneState::Float64(together), LaneState::Float64(alone)) = (together.state, alone.state) else { panic!() };
        assert_eq!((together.iteration, together.optimizer_steps), (alone.iteration, alone.optimizer_steps));
        let pairs = together.weights.0.iter().zip(&alone.weights.0);
        let pairs = pairs.flat_map(|(a, b)| a.values.iter().zip(&b.values));
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-9, "{rule:?}: off by {worst:.1e}");
    }
}
