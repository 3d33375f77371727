//! Learning-rate schedules, against those of `PyTorch` (tests/oracle/schedules.py makes the numbers), and the rates
//! that reach a trainer.

use std::path::Path;

use anyhow::{Result, bail};
use lth::base::curve::Score;
use lth::base::mask::Mask;
use lth::base::rng::{CounterRng, Purpose, Stream};
use lth::base::tensors::{NamedTensor, Snapshot, TensorMap};
use lth::base::units::Iteration;
use lth::config::{TrainConfig, read};
use lth::data::Split;
use lth::engine::{Batch, RunningStatistics, Trainer};
use lth::train::{BatchSampler, LaneInput, LrSchedule, TrainingEnd, TrainingLoop};
use serde_json::Value;

use crate::support::smoke_document;

/// Returns the settings of [`SMOKE`](crate::support::SMOKE), with 120 iterations, a learning rate of 0.1 and these
/// overrides.
fn train(sets: &[&str]) -> TrainConfig {
    let sets: Vec<String> = sets.iter().chain(&["lr=0.1"]).map(|set| format!("train.{set}")).collect();
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    read(&smoke_document(&sets)).unwrap().train
}

#[test]
fn lr_schedules_equal_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/schedules.json");
    let all: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(all.len(), 5);
    for entry in all {
        let sets: Vec<&str> = entry["train"].as_array().unwrap().iter().map(|set| set.as_str().unwrap()).collect();
        let schedule = LrSchedule::new(&train(&sets), 10);
        let expected = entry["lr"].as_array().unwrap();
        assert_eq!(expected.len(), 120);
        for (iteration, expected) in expected.iter().enumerate() {
            let ours = schedule.at(Iteration(iteration as u64));
            let theirs = expected.as_f64().unwrap();
            assert!((ours - theirs).abs() < 1e-13, "{sets:?} at {iteration}: {ours}, PyTorch {theirs}");
        }
    }
}

/// A trainer that records the learning rates that it is given, and trains nothing.
#[derive(Default)]
struct RateRecorder {
    state: Snapshot,
    /// The recorded (iteration, learning rate), in the order of the steps.
    rates: Vec<(u64, f64)>,
}

impl Trainer for RateRecorder {
    fn lanes(&self) -> usize {
        1
    }

    fn load(&mut self, _: usize, from: &Snapshot, _: &Mask) -> Result<()> {
        self.state = from.clone();
        Ok(())
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        self.rates.push((batches[0].iteration, lr[0]));
        self.state.iteration += 1;
        Ok(())
    }

    fn gradients(&mut self, _: &[Batch], _: RunningStatistics) -> Result<Vec<TensorMap>> {
        bail!("the fake has no gradients")
    }

    fn evaluate_unless(&mut self, _: Split, _: &dyn Fn() -> bool) -> Result<Option<Vec<Score>>> {
        Ok(Some(vec![Score { loss: 1.0, accuracy: 0.5 }]))
    }

    fn snapshot(&self, _: usize) -> Result<Snapshot> {
        Ok(self.state.clone())
    }

    fn recompute_batch_norm(&mut self, _: &[u32]) -> Result<()> {
        Ok(())
    }

    fn set_threads(&mut self, _: usize) {}
}

/// Returns the rates of a training run that starts at iteration `start`, each as (iteration, learning rate). An epoch
/// has 7 iterations.
fn recorded_rates(train: &TrainConfig, start: u64) -> Vec<(u64, f64)> {
    let images: Vec<u32> = (0..35).collect();
    let tensor = NamedTensor { name: "output".to_owned(), shape: vec![1], values: vec![0.0] };
    let start = Snapshot { iteration: start, ..Snapshot::initial(TensorMap(vec![tensor])) };
    let lane = LaneInput {
        order: BatchSampler::new(Stream::of_replicate(1, 1, Purpose::Order), &images, 5, true),
        elementwise: CounterRng::default(),
        start: &start,
        mask: &Mask(Vec::new()),
        updates: None,
        learns_mask: false,
        lr_factor: 1.0,
        snapshots_at: &[],
    };
    let mut recorder = RateRecorder::default();
    let mut training = TrainingLoop::start(&mut recorder, train, vec![lane], Iteration(train.iterations)).unwrap();
    while training.evaluate_and_snapshot(&|| false).unwrap() && !training.has_ended() {
        training.step().unwrap();
    }
    assert!(matches!(training.finish()[..], [TrainingEnd::Trained(_)]));
    recorder.rates
}

#[test]
fn rewind_to_k_continues_lr() {
    let sets = ["warmup=2ep", "schedule=multi_step", "milestones=[\"2ep\",\"50it\"]"];
    let whole = recorded_rates(&train(&sets), 0);
    assert_eq!(whole.len(), 120);
    let at = |iteration: usize| whole[iteration].1;
    assert_eq!([at(0), at(7), at(49)], [0.0, 0.05, 0.1 * 0.1]);
    assert!((at(13) - 0.1 * 13.0 / 14.0).abs() < 1e-15 && (at(50) - 0.001).abs() < 1e-15, "{} {}", at(13), at(50));
    // From an iteration in the warm-up, between the milestones, and after them.
    for k in [5, 14, 49, 50, 119] {
        assert_eq!(recorded_rates(&train(&sets), k as u64), whole[k..], "from {k}");
    }
}
