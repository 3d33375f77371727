//! A run with a fake trainer: it takes microseconds for any number of lanes, and can fail in every way.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Error, Result, bail, ensure};
use lth::base::curve::Score;
use lth::base::mask::Mask;
use lth::base::tensors::{Snapshot, TensorMap};
use lth::config::ConfigDocument;
use lth::data::{Dataset, Normalization, Split};
use lth::engine::{Batch, EngineKind, NoProbe, Probe, RunningStatistics, Trainer};
use lth::lottery::Study;
use lth::runner::{
    Event, EventSink, MaskColumns, RowBuilder, RunContext, RunFiles, RunOutcome, Runner, Selection, Store,
    TrainerFactory,
};
use lth::system::cancel::CancelToken;
use lth::system::paths::RunsDir;

use crate::support::study;

/// The experiment of most tests with fake trainers: a dense network and two rounds of two arms, and a second dense
/// network.
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

/// The error of `Fault::TooManyLanes`.
const OUT_OF_MEMORY: &str = "the fake has too little memory";

/// What goes wrong in the fake trainer. But for `Revive`, `LaneDependent` and `TooManyLanes`, only networks with a given
/// number of kept weights are affected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// A step returns an error.
    Error,
    /// A step panics.
    Panic,
    /// The loss is NaN after the first step.
    Diverge,
    /// A step gives pruned weights a value other than 0.
    Revive,
    /// Before the first step the trainer has other weights than it was given.
    WrongStart,
    /// The numbers depend on the number of lanes.
    LaneDependent,
    /// A step finds too little memory if there are more than this many lanes.
    TooManyLanes(usize),
}

/// A trainer whose steps multiply the weights by numbers near 1.
struct FakeTrainer {
    lanes: Vec<FakeLane>,
    fault: Fault,
    /// The number of kept weights of the networks that the mishap affects.
    affected: u64,
    /// The numbers of threads that it was allowed, in the order of the calls.
    threads: Arc<Mutex<Vec<usize>>>,
}

/// The network in one lane of a [`FakeTrainer`].
#[derive(Clone, Default)]
struct FakeLane {
    state: Snapshot,
    kept: u64,
}

impl FakeTrainer {
    /// Returns whether this fault is on and a lane has an affected network.
    fn has_fault(&self, fault: Fault) -> bool {
        self.fault == fault && self.lanes.iter().any(|lane| lane.kept == self.affected)
    }
}

impl Trainer for FakeTrainer {
    fn lanes(&self) -> usize {
        self.lanes.len()
    }

    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        let mut state = from.clone();
        mask.apply(&mut state.weights);
        state.moments.iter_mut().for_each(|moment| mask.apply(moment));
        self.lanes[lane] = FakeLane { state, kept: mask.kept_total() };
        Ok(())
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        assert_eq!((batches.len(), lr.len()), (self.lanes.len(), self.lanes.len()));
        let lane_term = if self.fault == Fault::LaneDependent { self.lanes.len() } else { 0 };
        for (lane, batch) in self.lanes.iter_mut().zip(batches) {
            let state = &mut lane.state;
            assert_eq!(state.iteration, batch.iteration, "the batch is for the iteration of its lane");
            state.iteration += 1;
            state.optimizer_steps += 1;
            // The factor depends on the images of the batch, and the moments are the weights, so that the states of all
            // iterations and lanes differ.
            let image_term =
                batch.images.iter().map(|&image| u64::from(image)).sum::<u64>() as usize % 1000 + lane_term;
            let factor = 1.001 + image_term as f32 * 1e-6;
            state.weights.0.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|w| *w *= factor);
            state.moments = vec![state.weights.clone()];
            if self.fault == Fault::Revive {
                state.weights.0[0].values.fill(1.0);
            }
        }
        if let Fault::TooManyLanes(limit) = self.fault {
            ensure!(self.lanes.len() <= limit, OUT_OF_MEMORY);
        }
        if self.has_fault(Fault::Error) {
            bail!("the fake breaks");
        }
        assert!(!self.has_fault(Fault::Panic), "the fake panics");
        Ok(())
    }

    fn gradients(&mut self, _: &[Batch], _: RunningStatistics) -> Result<Vec<TensorMap>> {
        bail!("the fake has no gradients")
    }

    fn evaluate_unless(&mut self, _: Split, _: &dyn Fn() -> bool) -> Result<Option<Vec<Score>>> {
        let score = |FakeLane { state, kept }: &FakeLane| {
            let diverges = self.fault == Fault::Diverge && *kept == self.affected && state.iteration > 0;
            let sum: f64 = state.weights.0[0].values.iter().map(|w| f64::from(w.abs())).sum();
            Score { loss: if diverges { f64::NAN } else { 1.0 + sum }, accuracy: 0.5 }
        };
        Ok(Some(self.lanes.iter().map(score).collect()))
    }

    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        let FakeLane { state, kept } = &self.lanes[lane];
        let mut state = state.clone();
        if self.fault == Fault::WrongStart && *kept == self.affected && state.optimizer_steps == 0 {
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

/// The events of a run, as the tests need them.
#[derive(Default)]
pub(crate) struct RecordedEvents {
    /// Id and outcome of each training run that ended.
    pub(crate) ends: Mutex<Vec<String>>,
    /// Engine and number of lanes of each trainer that was built.
    pub(crate) builds: Mutex<Vec<(EngineKind, usize)>>,
    /// The numbers of threads that trainers were allowed, one for each step.
    pub(crate) threads: Arc<Mutex<Vec<usize>>>,
    /// Id, worker and iterations of each training run or group that was started.
    pub(crate) starts: Mutex<Vec<(String, usize, u64)>>,
    /// The messages.
    pub(crate) messages: Mutex<Vec<String>>,
}

impl EventSink for RecordedEvents {
    fn on_event(&self, event: &Event<'_>) {
        match event {
            Event::Ended { id, result, .. } => {
                self.ends.lock().unwrap().push(format!("{id}: {}", result.outcome.as_str()));
            }
            Event::Started { worker, id, .. } => {
                self.starts.lock().unwrap().push((id.to_string(), *worker, 0));
            }
            Event::Stepped { worker, iteration } => {
                let mut starts = self.starts.lock().unwrap();
                starts.iter_mut().rfind(|(_, by, _)| by == worker).unwrap().2 = *iteration;
            }
            Event::Message(text) => self.messages.lock().unwrap().push((*text).to_owned()),
            _ => {}
        }
    }
}

/// Returns a data set with these numbers of images, all of them black.
fn dataset(train: u32, validation: u32, test: u32) -> Dataset {
    let total = train + validation + test;
    Dataset {
        shape: [1, 28, 28],
        classes: 10,
        images: vec![0; total as usize * 784],
        labels: vec![0; total as usize],
        train: (0..train).collect(),
        validation: (train..train + validation).collect(),
        test: (train + validation..total).collect(),
        normalization: Normalization::Affine { scale: 1.0, offset: 0.0 },
    }
}

/// Builds fake trainers, and a data set of black images.
struct FakeFactory<'a> {
    study: &'a Study,
    events: &'a RecordedEvents,
    fault: Fault,
    affected: u64,
}

impl TrainerFactory for FakeFactory<'_> {
    fn dataset(&self) -> Result<Dataset> {
        let images = self.study.resolved.images;
        Ok(dataset(images.train, images.validation, images.test))
    }

    fn build(&self, engine: EngineKind, lanes: usize, _: &Arc<Dataset>) -> Result<Box<dyn Trainer>> {
        self.events.builds.lock().unwrap().push((engine, lanes));
        let threads = Arc::clone(&self.events.threads);
        Ok(Box::new(FakeTrainer {
            lanes: vec![FakeLane::default(); lanes],
            fault: self.fault,
            affected: self.affected,
            threads,
        }))
    }

    fn probe(&self, _: &Arc<Dataset>) -> Box<dyn Probe> {
        Box::new(NoProbe)
    }

    fn is_out_of_memory(&self, error: &Error) -> bool {
        error.to_string() == OUT_OF_MEMORY
    }

    fn error_of_panic(&self, _message: &str) -> Option<Error> {
        None
    }

    fn explain(&self, error: Error, _: usize) -> Error {
        error
    }
}

/// Runs an experiment with fake trainers in two workers. `affected` is the number of kept weights of the networks that
/// `fault` affects.
pub(crate) fn run_experiment(
    folder: &Path,
    document: &ConfigDocument,
    fault: Fault,
    affected: u64,
) -> (RunOutcome, RecordedEvents) {
    let study = study(document);
    let runs = RunsDir(folder.to_owned());
    let dir = runs.run_dir(&study.experiment.name, &study.plan.id());
    let events = RecordedEvents::default();
    let cancel = CancelToken::default();
    let store = Store { runs: runs.clone() };
    let masks = MaskColumns::new(&study, &store);
    let rows = Some(RowBuilder { study: &study, masks: &masks });
    let files = RunFiles { rows, plan: &study.plan, dir: &dir, cancel: &cancel };
    let trainers = FakeFactory { study: &study, events: &events, fault, affected };
    let context = RunContext { study: &study, store: &store, sink: &events, cancel: &cancel, trainers: &trainers };
    let keep = study.experiment.run.keep;
    let runner = Runner { context, plan: &study.plan, selection: &Selection::Whole, keep, files: &files, workers: 2 };
    let outcome = runner.run().unwrap();
    (outcome, events)
}
