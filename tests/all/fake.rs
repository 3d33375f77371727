//! A runner whose trainer trains nothing: any number of lanes, in microseconds, with every kind of failure.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Error, Result, bail};
use lth::base::curve::Score;
use lth::base::mask::Mask;
use lth::base::tensors::Snapshot;
use lth::config::ConfigDocument;
use lth::data::{Dataset, Normalization, Split};
use lth::engine::{Batch, EngineKind, GradientMap, Probe, ProbeOptions, Trainer};
use lth::lottery::Study;
use lth::runner::{Event, EventSink, RowBuilder, RunContext, RunFiles, RunOutcome, Runner, Store, TrainerFactory};
use lth::system::cancel::CancelToken;
use lth::system::paths::RunsDir;

use crate::support::study;

pub(crate) const CONFIG: &str = r#"
name = "fake"
rounds = 2
[data]
dataset = "strokes"
train_images = 100
test_images = 10
validation = 10
[network]
architecture = { mlp = { hidden = [4] } }
[train]
iterations = 3
batch_size = 5
optimizer = "adam"
lr = 0.1
[prune]
rate = { linear = 0.5 }
[arms.ticket]
mask = "iterative"
weights = "rewind"
[arms.reinit]
mask = { of = "ticket" }
weights = "reinit"
[arms.other]
mask = "dense"
weights = "reinit"
"#;

/// The failure of the mock trainer at a network with a given number of weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mishap {
    None,
    Error,
    Panic,
    Diverge,
    Revive,
    /// Does not return the weights that it was given.
    Mislay,
    /// Its numbers depend on its number of lanes.
    Width,
}

struct Fake {
    lanes: Vec<Network>,
    mishap: Mishap,
    /// Number of kept weights of the networks that the mishap affects.
    at: u64,
    threads: Arc<Mutex<Vec<usize>>>,
}

#[derive(Clone, Default)]
struct Network {
    state: Snapshot,
    kept: u64,
}

impl Fake {
    fn befalls(&self, mishap: Mishap) -> bool {
        self.mishap == mishap && self.lanes.iter().any(|lane| lane.kept == self.at)
    }
}

impl Trainer for Fake {
    fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        self.lanes[lane] = Network { state: from.clone(), kept: mask.kept_total() };
        Ok(())
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        assert_eq!((batches.len(), lr.len()), (self.lanes.len(), self.lanes.len()));
        let width = if self.mishap == Mishap::Width { self.lanes.len() } else { 0 };
        for (lane, batch) in self.lanes.iter_mut().zip(batches) {
            let state = &mut lane.state;
            assert_eq!(state.iteration, batch.iteration, "every lane is where its batch is");
            state.iteration += 1;
            state.optimizer_steps += 1;
            // Weights grow, each step a little and by what is shown, and the moments tell them: so every state on the
            // way is another, and no two lanes are alike.
            let shown = batch.images.iter().map(|&image| u64::from(image)).sum::<u64>() as usize % 1000 + width;
            let factor = 1.001 + shown as f32 * 1e-6;
            state.weights.0.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|w| *w *= factor);
            state.moments = vec![state.weights.clone()];
            if self.mishap == Mishap::Revive {
                state.weights.0[0].values.fill(1.0);
            }
        }
        if self.befalls(Mishap::Error) {
            bail!("the fake breaks");
        }
        assert!(!self.befalls(Mishap::Panic), "the fake panics");
        Ok(())
    }

    fn evaluate(&mut self, _: Split) -> Result<Vec<Score>> {
        let score = |Network { state, kept }: &Network| {
            let diverges = self.mishap == Mishap::Diverge && *kept == self.at && state.iteration > 0;
            let sum: f64 = state.weights.0[0].values.iter().map(|w| f64::from(w.abs())).sum();
            Score { loss: if diverges { f64::NAN } else { 1.0 + sum }, accuracy: 0.5 }
        };
        Ok(self.lanes.iter().map(score).collect())
    }

    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        let Network { state, kept } = &self.lanes[lane];
        let mut state = state.clone();
        if self.mishap == Mishap::Mislay && *kept == self.at && state.optimizer_steps == 0 {
            state.weights.0[0].values.fill(1.0);
        }
        Ok(state)
    }

    fn recompute_batch_norm(&mut self, _: &[u32]) -> Result<()> {
        Ok(())
    }

    fn set_threads(&mut self, threads: usize) {
        self.threads.lock().unwrap().push(threads);
    }
}

/// The recorded events of a run.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) ends: Mutex<Vec<String>>,
    /// Engine and number of lanes of each trainer that was built.
    pub(crate) builds: Mutex<Vec<(EngineKind, usize)>>,
    /// Number of threads that trainers were allowed, at each step.
    pub(crate) threads: Arc<Mutex<Vec<usize>>>,
    /// Label, worker and iterations of each training that was started.
    pub(crate) starts: Mutex<Vec<(String, usize, u64)>>,
}

impl EventSink for Told {
    fn on_event(&self, event: &Event<'_>) {
        match event {
            Event::Ended { label, result, .. } => {
                self.ends.lock().unwrap().push(format!("{label}: {}", result.outcome.as_str()));
            }
            Event::Started { worker, label, .. } => {
                self.starts.lock().unwrap().push((label.to_string(), *worker, 0));
            }
            Event::Stepped { worker, iteration } => {
                let mut starts = self.starts.lock().unwrap();
                starts.iter_mut().rfind(|(_, by, _)| by == worker).unwrap().2 = *iteration;
            }
            _ => {}
        }
    }
}

/// Returns as many images as the experiment has, all black.
fn dataset(train: u32, validation: u32, test: u32) -> Dataset {
    let all = train + validation + test;
    Dataset {
        shape: [1, 28, 28],
        classes: 10,
        images: vec![0; all as usize * 784],
        labels: vec![0; all as usize],
        train: (0..train).collect(),
        validation: (train..train + validation).collect(),
        test: (train + validation..all).collect(),
        normalization: Normalization::Affine { scale: 1.0, offset: 0.0 },
    }
}

/// The probe of fakes, which no arm uses.
struct NoProbe;

impl Probe for NoProbe {
    fn gradients(&self, _: &Snapshot, _: &Mask, _: &[Vec<u32>], _: &ProbeOptions) -> Result<GradientMap> {
        bail!("the fake has no gradients")
    }

    fn hessian_gradient_product(
        &self,
        _: &Snapshot,
        _: &Mask,
        _: &[Vec<u32>],
        _: &ProbeOptions,
    ) -> Result<GradientMap> {
        bail!("the fake has no gradients")
    }
}

/// Builds fakes, and black images.
struct FakeFactory<'a> {
    study: &'a Study,
    told: &'a Told,
    mishap: Mishap,
    at: u64,
}

impl TrainerFactory for FakeFactory<'_> {
    fn dataset(&self) -> Result<Dataset> {
        let (train, validation, test) = self.study.resolved.dataset.sizes(&self.study.experiment.data).unwrap();
        Ok(dataset(train, validation, test))
    }

    fn build(&self, engine: EngineKind, lanes: usize, _: &Arc<Dataset>) -> Result<Box<dyn Trainer>> {
        self.told.builds.lock().unwrap().push((engine, lanes));
        let threads = Arc::clone(&self.told.threads);
        Ok(Box::new(Fake { lanes: vec![Network::default(); lanes], mishap: self.mishap, at: self.at, threads }))
    }

    fn probe(&self, _: &Arc<Dataset>) -> Box<dyn Probe> {
        Box::new(NoProbe)
    }

    fn explain(&self, error: Error, _: usize) -> Error {
        error
    }
}

/// A run of an experiment with the fake.
pub(crate) fn run_experiment(folder: &Path, document: &ConfigDocument, mishap: Mishap, at: u64) -> (RunOutcome, Told) {
    let study = study(document);
    let runs = RunsDir(folder.to_owned());
    let dir = runs.run_dir(&study.experiment.name, &study.plan.id());
    let (told, cancel) = (Told::default(), CancelToken::default());
    let rows = RowBuilder { study: &study };
    let files = RunFiles { rows, plan: &study.plan, dir: &dir, writes_rows: true, cancel: &cancel };
    let trainers = FakeFactory { study: &study, told: &told, mishap, at };
    let store = Store { runs: runs.clone() };
    let context = RunContext { study: &study, store: &store, sink: &told, cancel: &cancel, trainers: &trainers };
    let keep = study.experiment.run.keep;
    let runner = Runner { context, plan: &study.plan, keep, files: &files, workers: 2 };
    let outcome = runner.run().unwrap();
    (outcome, told)
}
