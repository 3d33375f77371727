//! The contract of the trainer of scores, against `PyTorch`'s numbers (tests/oracle/supermask.py makes them).

use std::path::Path;

use lth::base::mask::{LayerMask, Mask};
use lth::base::rng::mix;
use lth::base::tensors::{LaneState, NamedTensor, Snapshot, TensorMap};
use lth::config::{self, Dtype, LayerSpec, Supermask};
use lth::data::Split;
use lth::engine::optim::{Adam, Sgd};
use lth::engine::{Batch, Optimizer, RunningStatistics, ScoreTrainer, Trainer, TrainerSpec, torch};
use lth::network::{Network, build};
use serde_json::Value;

use crate::trainer_contract::conv::{BATCH, SHAPE, batch, dataset, start_from};
use crate::trainer_contract::oracle::{assert_error, unit};

/// One row of the suite: how scores determine the mask, and an optimizer by its name in the oracle.
#[derive(Clone, Copy, Debug)]
struct Case {
    supermask: Supermask,
    optimizer: &'static str,
}

const CASES: [Case; 4] = [
    Case { supermask: Supermask::EdgePopup, optimizer: "sgd" },
    Case { supermask: Supermask::EdgePopup, optimizer: "adam" },
    Case { supermask: Supermask::Bernoulli, optimizer: "sgd" },
    Case { supermask: Supermask::Bernoulli, optimizer: "adam" },
];

impl Case {
    fn oracle(self) -> Vec<Value> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/supermask.json");
        let all: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let name = if self.supermask == Supermask::EdgePopup { "edge_popup" } else { "bernoulli" };
        all[name][self.optimizer].as_array().unwrap().clone()
    }

    fn lr(self) -> f64 {
        match (self.optimizer, self.supermask) {
            ("adam", _) => 0.01,
            (_, Supermask::EdgePopup) => 0.1,
            (_, Supermask::Bernoulli) => 20.0,
        }
    }

    fn trainer(self, dtype: Dtype, lanes: usize) -> Box<dyn Trainer> {
        let optimizer = match self.optimizer {
            "adam" => Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, decoupled: false }),
            _ => Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 }),
        };
        let spec = TrainerSpec { dtype, ..TrainerSpec::plain(network(), optimizer, BATCH) };
        let inner = torch::build(&spec, &dataset(), lanes).unwrap();
        Box::new(ScoreTrainer::new(inner, optimizer, None, self.supermask))
    }

    /// Returns the weights with the scores of the oracle, and a mask with the numbers of weights to keep.
    fn start(self) -> (Snapshot, Mask) {
        let (start, mask) = start_from(&network(), "third", 0);
        let bound = if self.supermask == Supermask::EdgePopup { 0.1 } else { 2.0 };
        let mut counters = 0_u64..;
        let scores = |layer: &LayerMask| NamedTensor {
            name: layer.name.clone(),
            shape: layer.shape.clone(),
            values: layer
                .kept
                .iter()
                .zip(&mut counters)
                .map(|(_, i)| ((2.0 * unit(mix(7, i)) - 1.0) * bound) as f32)
                .collect(),
        };
        let scores = TensorMap(mask.0.iter().map(scores).collect());
        (Snapshot { scores, ..start }, mask)
    }
}

/// A convolution, batch norm, and a linear layer.
fn network() -> Network {
    let layers = vec![
        LayerSpec::Conv { out: 6, kernel: None, stride: None, padding: None, bias: Some(false) },
        LayerSpec::BatchNorm,
        LayerSpec::Relu,
        LayerSpec::MaxPool { size: 2, stride: None },
        LayerSpec::Linear { out: 10 },
    ];
    build(&config::NetworkConfig::from(layers), SHAPE, 10).unwrap()
}

fn state(trainer: &dyn Trainer, lane: usize) -> Snapshot {
    match trainer.state(lane).unwrap() {
        LaneState::Float32(state) => state,
        LaneState::Float64(_) => panic!("scores are in float32"),
    }
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

fn projection(values: impl Iterator<Item = f64>) -> f64 {
    values.zip(0..).map(|(v, i)| if mix(5, i).is_multiple_of(2) { v } else { -v }).sum()
}

/// Compares a lane with the record of the oracle after a step.
fn compare(case: Case, step: usize, trainer: &mut dyn Trainer, lane: usize, record: &Value, tolerance: f64) {
    let state = state(trainer, lane);
    let number = |value: &Value| value.as_f64().unwrap();
    for (index, layer) in state.scores.0.iter().enumerate() {
        let size = norm(&layer.values);
        let expected = [number(&record["scores"][index][0]), number(&record["scores"][index][1])];
        let got = [size, projection(layer.values.iter().map(|&v| f64::from(v)))];
        for (got, expected) in got.into_iter().zip(expected) {
            let error = (got - expected).abs() / size;
            assert!(error < tolerance, "{case:?} step {step} {}: off by {error:.1e}", layer.name);
        }
    }
    let mask = trainer.mask(lane).unwrap();
    for (layer, expected) in mask.0.iter().zip(record["masks"].as_array().unwrap()) {
        let got = projection(layer.kept.iter().map(|&kept| f64::from(u8::from(kept))));
        assert!((got - number(expected)).abs() < 1e-9, "{case:?} step {step} {}: another mask", layer.name);
    }
    for (tensor, expected) in state.buffers.0.iter().zip(record["statistics"].as_array().unwrap()) {
        let error = (norm(&tensor.values) / number(expected) - 1.0).abs();
        assert!(error < 1e-5, "{case:?} step {step} {}: off by {error:.1e}", tensor.name);
    }
    let score = trainer.evaluate(Split::Test).unwrap()[lane];
    assert!((score.loss / number(&record["loss"]) - 1.0).abs() < tolerance, "{case:?} step {step}: {score:?}");
    assert!((score.accuracy - number(&record["accuracy"])).abs() < 1e-9, "{case:?} step {step}: {score:?}");
}

#[test]
fn scores_are_trained_as_by_pytorch_and_weights_stay() {
    for case in CASES {
        let (start, mask) = case.start();
        // The second lane trains the same network on other images.
        for lanes in [1, 2] {
            let mut trainer = case.trainer(Dtype::Float64, lanes);
            (0..lanes).for_each(|lane| trainer.load(lane, &start, &mask).unwrap());
            for (step, record) in case.oracle().iter().enumerate() {
                let other = |lane: usize| Batch { iteration: step as u64, ..batch((step + 3 * lane) as u64) };
                let batches: Vec<Batch> = (0..lanes).map(other).collect();
                trainer.step(&batches, &vec![case.lr(); lanes]).unwrap();
                compare(case, step + 1, trainer.as_mut(), 0, record, 1e-5);
                let now = trainer.mask(0).unwrap().clone();
                let is_edge_popup = case.supermask == Supermask::EdgePopup;
                assert_eq!(now.kept_counts() == mask.kept_counts(), is_edge_popup, "{case:?}");
                let snapshot = trainer.snapshot(0).unwrap();
                assert_eq!((snapshot.iteration, snapshot.moments.len()), (step as u64 + 1, 0));
                let mut expected = start.weights.clone();
                now.apply(&mut expected);
                assert_eq!(snapshot.weights, expected, "{case:?}: the weights that the mask keeps, and no others");
                assert_eq!(state(trainer.as_ref(), 0).weights, start.weights, "{case:?}: all weights");
            }
        }
        // In float32 by a step each, because rounding may choose other masks later.
        let mut trainer = case.trainer(Dtype::Float32, 1);
        trainer.load(0, &start, &mask).unwrap();
        trainer.step(&[batch(0)], &[case.lr()]).unwrap();
        compare(case, 1, trainer.as_mut(), 0, &case.oracle()[0], 1e-4);
    }
}

#[test]
fn training_of_scores_goes_on_from_its_state_bit_for_bit() {
    for case in CASES {
        let (start, mask) = case.start();
        let run = |from: &LaneState, steps: std::ops::Range<u64>| {
            let mut trainer = case.trainer(Dtype::Float32, 1);
            trainer.resume(0, from, &mask).unwrap();
            for step in steps {
                trainer.step(&[batch(step)], &[case.lr()]).unwrap();
                // Evaluations and snapshots change nothing.
                trainer.evaluate(Split::Validation).unwrap();
                trainer.snapshot(0).unwrap();
            }
            trainer.state(0).unwrap()
        };
        let start = LaneState::Float32(start);
        assert_eq!(run(&run(&start, 0..5), 5..12), run(&start, 0..12), "{case:?}");
    }
}

#[test]
fn gradients_of_scores_are_clipped_by_their_norm() {
    // A step of plain descent is as long as the clipped gradient.
    let optimizer = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
    let case = CASES[0];
    let (start, mask) = case.start();
    let moved = |clip_norm| {
        let spec = TrainerSpec::plain(network(), optimizer, BATCH);
        let inner = torch::build(&spec, &dataset(), 1).unwrap();
        let mut trainer = ScoreTrainer::new(inner, optimizer, clip_norm, case.supermask);
        trainer.load(0, &start, &mask).unwrap();
        trainer.step(&[batch(0)], &[1.0]).unwrap();
        let after = state(&trainer, 0).scores;
        let pairs = after.0.iter().zip(&start.scores.0).flat_map(|(a, b)| a.values.iter().zip(&b.values));
        norm(&pairs.map(|(a, b)| a - b).collect::<Vec<f32>>())
    };
    let free = moved(None);
    assert!((moved(Some(free / 4.0)) / (free / 4.0) - 1.0).abs() < 1e-3 && (moved(Some(1e6)) - free).abs() < 1e-9);
}

#[test]
fn trainer_of_scores_rejects_misuse() {
    let case = CASES[0];
    let (start, mask) = case.start();
    let mut trainer = case.trainer(Dtype::Float32, 1);
    let without = Snapshot { scores: TensorMap::default(), ..start.clone() };
    assert_error("load", trainer.load(0, &without, &mask), "no scores of `conv1.weight`");
    assert_error("load", trainer.load(1, &start, &mask), "a lane that is not there");
    trainer.load(0, &start, &mask).unwrap();
    assert_error("step", trainer.step(&[], &[]), "one batch and one learning rate per lane");
    let gradients = trainer.gradients(&[batch(0)], RunningStatistics::Keep).map(drop);
    assert_error("gradients", gradients, "no gradients of weights");
    let float64 = LaneState::Float64(Snapshot::default());
    assert_error("resume", trainer.resume(0, &float64, &mask), "a state in float64 for scores in float32");
}
