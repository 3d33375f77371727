//! A worker: takes a group's locks, trains what is wanted of it in lockstep, and tells what became of each training.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};

use super::job::{MissingOutputs, StoreLookup, TrainingJob};
use super::run::Runner;
use super::scheduler::{GroupAssignment, Task, TrainingFailure};
use super::store::{Store, StoredTraining};
use crate::base::tensors::Snapshot;
use crate::data::Dataset;
use crate::engine::torch::{TorchProbe, friendly_torch_error};
use crate::engine::{EngineKind, Trainer, TrainerSpec};
use crate::lottery::TrainingSpec;
use crate::system::clock::Stopwatch;
use crate::system::files::Lock;
use crate::train::{TrainingEnd, TrainingLoop};

/// What became of a training that a worker took up.
#[derive(Clone)]
pub(super) enum JobOutcome {
    /// It was in the store.
    Found(StoredTraining),
    /// It is in the store now.
    Ended(StoredTraining),
    /// It broke.
    Failed(TrainingFailure),
    /// Another process has it, or one that was to train in lockstep with it.
    HeldElsewhere,
    /// There was a wish to stop.
    Cancelled,
}

/// What a worker needs beside the trainings.
pub(super) struct WorkerCallbacks<'t> {
    /// Called when work begins, with the first of the trainings and how many there are.
    pub(super) began: &'t mut dyn FnMut(&TrainingSpec, usize),
    /// Called with the iterations that are behind it.
    pub(super) progress: &'t mut dyn FnMut(u64),
    /// How many threads it may use now.
    pub(super) threads: &'t dyn Fn() -> usize,
}

/// A worker: a thread, and the trainers it builds there, each when the first group comes that wants one of its kind and with
/// its lanes.
pub(super) struct Worker<'a> {
    lab: &'a Runner<'a>,
    store: &'a Store,
    dataset: Arc<Dataset>,
    trainers: BTreeMap<(EngineKind, usize), Box<dyn Trainer>>,
    spec: TrainerSpec,
    /// Computes gradients while jobs are prepared.
    probe: Rc<TorchProbe>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(lab: &'a Runner<'a>, store: &'a Store, dataset: Arc<Dataset>) -> Self {
        let spec = TrainerSpec::new(lab.setting.network.clone(), lab.experiment, lab.setting.gpu);
        let probe = Rc::new(TorchProbe::new(spec.clone(), Arc::clone(&dataset)));
        Self { lab, store, dataset, trainers: BTreeMap::new(), spec, probe }
    }

    /// Returns the outcome of a job that broke in an engine with `lanes` lanes.
    fn failed(&self, error: Error, lanes: usize) -> JobOutcome {
        JobOutcome::Failed(TrainingFailure::new(&friendly_torch_error(error, &self.spec, lanes)))
    }

    /// Does each task of `work`, unless it is done or another process is at one of them. What breaks on the way, a panic
    /// included, breaks what has not ended: one group never takes the others down.
    pub(super) fn run_group(&mut self, work: &GroupAssignment<'_>, help: &mut WorkerCallbacks<'_>) -> Vec<JobOutcome> {
        let mut ends: Vec<Option<JobOutcome>> = vec![None; work.tasks.len()];
        let outcome = catch_unwind(AssertUnwindSafe(|| self.try_run_group(work, help, &mut ends)));
        let rest = outcome.unwrap_or_else(|panic| {
            // Whatever state the trainer is in, it is not used again.
            self.trainers.remove(&kind(work));
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message");
            Err(anyhow!("a defect of this program: {text}"))
        });
        let rest = rest.unwrap_or_else(|error| self.failed(error, work.lanes.len()));
        ends.into_iter().map(|end| end.unwrap_or_else(|| rest.clone())).collect()
    }

    /// Tells what became of each task, by its number, as soon as that is known, and what became of all others.
    fn try_run_group(
        &mut self,
        work: &GroupAssignment<'_>,
        help: &mut WorkerCallbacks<'_>,
        ends: &mut [Option<JobOutcome>],
    ) -> Result<JobOutcome> {
        let Some(_locks) = self.lock(&work.tasks)? else { return Ok(JobOutcome::HeldElsewhere) };
        let mut wishes = Vec::new();
        for (task, end) in work.tasks.iter().zip(&mut *ends) {
            match MissingOutputs::look(task, self.store) {
                Ok(StoreLookup::Wanted(wish)) => wishes.push((wish, end)),
                Ok(StoreLookup::Found(finished)) => *end = Some(JobOutcome::Found(finished)),
                Err(error) => *end = Some(JobOutcome::Failed(TrainingFailure::new(&error))),
            }
        }
        let Some((first, _)) = wishes.first() else { return Ok(JobOutcome::Cancelled) };
        (help.began)(first.task.training, wishes.len());
        let mut lanes = Vec::new();
        for (wish, end) in wishes {
            match TrainingJob::prepare(wish, self.lab, self.store, &self.probe) {
                Ok(lane) => lanes.push((lane, end)),
                Err(error) => *end = Some(self.failed(error, 1)),
            }
        }
        if lanes.is_empty() { Ok(JobOutcome::Cancelled) } else { self.train(work, lanes, help) }
    }

    /// The locks of all of them, or none. In the order of their keys, so that of two processes that want the same one gets
    /// them.
    fn lock(&self, tasks: &[Task<'_>]) -> Result<Option<Vec<Lock>>> {
        let mut keys: Vec<_> = tasks.iter().map(|task| &task.training.key).collect();
        keys.sort_unstable();
        keys.into_iter().map(|key| Lock::try_exclusive(&self.store.runs.training_dir(key).lock_file())).collect()
    }

    /// Trains `lanes` in lockstep as far as is wanted of any. A group keeps the lanes that the plan gives it, since their
    /// number may change the last digits: where there is nothing to train, another network trains along for nothing.
    fn train(
        &mut self,
        work: &GroupAssignment<'_>,
        lanes: Vec<(TrainingJob<'_>, &mut Option<JobOutcome>)>,
        help: &mut WorkerCallbacks<'_>,
    ) -> Result<JobOutcome> {
        let (lanes, ends): (Vec<TrainingJob<'_>>, Vec<&mut Option<JobOutcome>>) = lanes.into_iter().unzip();
        let (lab, width) = (self.lab, work.lanes.len());
        if lab.setting.gpu.is_some() {
            // Its memory is for one trainer at a time.
            self.trainers.retain(|known, _| *known == kind(work));
        }
        let trainer = match self.trainers.entry(kind(work)) {
            Entry::Occupied(trainer) => trainer.into_mut(),
            Entry::Vacant(place) => place.insert((lab.trainer)(kind(work).0, width, &self.dataset)?),
        };
        let in_lane = |n: usize| lanes.iter().find(|lane| lane.place() == n).unwrap_or(&lanes[0]);
        let watch = Stopwatch::start();
        let mut loaded = |n: usize, loaded: &Snapshot| in_lane(n).audit_start(loaded);
        let session = TrainingLoop {
            train: &lab.experiment.train,
            lanes: (0..width).map(|n| in_lane(n).lane_input(n, &self.dataset)).collect(),
            end: lanes.iter().map(TrainingJob::end).max().unwrap_or(0),
            cancel: lab.cancel,
            threads: help.threads,
        };
        let Some(all) = session.run(trainer.as_mut(), &mut loaded, help.progress)? else {
            return Ok(JobOutcome::Cancelled);
        };
        let seconds = watch.seconds();
        let mut all: Vec<Option<TrainingEnd>> = all.into_iter().map(Some).collect();
        for (lane, became) in lanes.iter().zip(ends) {
            if let Some(end) = all[lane.place()].take() {
                let done = lane.finish(end, seconds, width);
                *became =
                    Some(done.map_or_else(|error| JobOutcome::Failed(TrainingFailure::new(&error)), JobOutcome::Ended));
            }
        }
        Ok(JobOutcome::Cancelled)
    }
}

/// What trains a group: the engine, and how many lanes it has.
fn kind(work: &GroupAssignment<'_>) -> (EngineKind, usize) {
    (work.lanes[0].engine, work.lanes.len())
}
