//! The worker: runs lockstep groups in one thread, with the trainers that it builds for them.
//!
//! Its steps for each training run of a group: lock, look up in the store, prepare, audit, resume, train, audit,
//! save. Updates of masks are audited as they are made.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Error, Result, anyhow};

use super::context::RunContext;
use super::events::{Event, TrainingId};
use super::prepared::{Lookup, MissingOutputs, PreparedTraining};
use super::progress::GroupProgress;
use super::scheduler::{GroupAssignment, Task, TrainingFailure};
use super::shared::SharedState;
use super::store::StoredTraining;
use crate::base::format::count_of;
use crate::base::units::Iteration;
use crate::config::{Supermask, TrainConfig};
use crate::data::Dataset;
use crate::engine::{EngineKind, Optimizer, Probe, ScoreTrainer, Trainer};
use crate::system::files::{ClaimLost, Lock};
use crate::system::retry::{io_error, with_retries};
use crate::train::{TrainingEnd, TrainingLoop};

/// The number of steps between two progress events: small enough for a display that changes a few times a second, and
/// large enough that the events cost no measurable time.
const PROGRESS_EVERY: u64 = 16;

/// The outcome of one task of a group.
#[derive(Clone, Debug)]
pub(super) enum TaskOutcome {
    /// The training run was in the store already.
    Found(StoredTraining),
    /// The training run has been trained and saved.
    Trained(StoredTraining),
    /// The task failed.
    Failed(TrainingFailure),
    /// Another process holds the lock of the training run, or that of another one of the group.
    HeldElsewhere,
    /// The run was cancelled before the task ended.
    Cancelled,
}

/// A worker of a run. It builds a trainer for each [`TrainerKey`] when the first group needs it.
pub(super) struct Worker<'a, 'p> {
    /// Its index, from 0.
    index: usize,
    context: &'a RunContext<'a>,
    shared: &'a SharedState<'p>,
    dataset: Arc<Dataset>,
    /// The trainers that it has built.
    trainers: BTreeMap<TrainerKey, Box<dyn Trainer>>,
    /// Computes gradients and activations for masks that are scored on images.
    probe: Rc<dyn Probe>,
}

impl<'a, 'p> Worker<'a, 'p> {
    pub(super) fn new(
        index: usize,
        context: &'a RunContext<'a>,
        shared: &'a SharedState<'p>,
        dataset: Arc<Dataset>,
    ) -> Self {
        let probe = Rc::from(context.trainers.probe(&dataset));
        Self { index, context, shared, dataset, trainers: BTreeMap::new(), probe }
    }

    /// Runs a group. Returns the outcome of each of its tasks, in their order. After an error or a panic, the tasks
    /// without an outcome have failed, and the run goes on with other groups. Returns `None` if the group has several lanes
    /// that do not fit into memory; [`SharedState::lane_limit`] is less then.
    pub(super) fn run_group(&mut self, group: &GroupAssignment<'_>) -> Option<Vec<TaskOutcome>> {
        if self.context.cancel.is_cancelled() || self.shared.has_stopped() {
            return Some(vec![TaskOutcome::Cancelled; group.tasks.len()]);
        }
        let lanes = group.lanes.len();
        let mut outcomes: Vec<Option<TaskOutcome>> = vec![None; group.tasks.len()];
        let caught = catch_unwind(AssertUnwindSafe(|| self.try_run_group(group, &mut outcomes)));
        let result = caught.unwrap_or_else(|panic| {
            // A panic may have left the trainer in any state, so it is not used again.
            self.trainers.remove(&trainer_key(group));
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message");
            let error = self.context.trainers.error_of_panic(text);
            Err(error.unwrap_or_else(|| anyhow!("a defect of this program: {text}")))
        });
        let rest = match result {
            Ok(()) => TaskOutcome::Cancelled,
            Err(error) if lanes > 1 && self.context.trainers.is_out_of_memory(&error) => {
                self.lower_lane_limit(lanes, error);
                return None;
            }
            Err(error) if error.is::<ClaimLost>() => {
                self.context.sink.on_event(&Event::Message(&format!("warning: {error:#}")));
                TaskOutcome::HeldElsewhere
            }
            Err(error) => self.failed(error, lanes),
        };
        Some(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| rest.clone())).collect())
    }

    /// Frees the memory of this worker's trainers, and halves the number of networks that all workers train at a time:
    /// `lanes` did not fit, with this `error`.
    fn lower_lane_limit(&mut self, lanes: usize, error: Error) {
        self.trainers.clear();
        let limit = self.shared.lower_lane_limit(lanes);
        let error = self.context.trainers.explain(error, lanes);
        let message = format!(
            "warning: {error:#}. These training runs start again, and from now on {limit} are trained at a time \
             (`--set run.lanes={limit}` begins so); the last digits of the results can differ"
        );
        self.context.sink.on_event(&Event::Message(&message));
    }

    /// Runs a group, and writes the outcome of each task to `outcomes` as soon as it is known. If it returns without an
    /// error, the tasks without an outcome were cancelled.
    fn try_run_group(&mut self, group: &GroupAssignment<'_>, outcomes: &mut [Option<TaskOutcome>]) -> Result<()> {
        let Some(locks) = with_retries(|| self.lock(&group.tasks))? else {
            outcomes.fill(Some(TaskOutcome::HeldElsewhere));
            return Ok(());
        };
        let mut missing = Vec::new();
        for (position, task) in group.tasks.iter().enumerate() {
            let retention = self.shared.retention(task.node);
            match with_retries(|| MissingOutputs::look_up(task, retention, self.context.store)) {
                Ok(Lookup::Found(stored)) => outcomes[position] = Some(TaskOutcome::Found(stored)),
                Ok(Lookup::Missing(outputs)) => missing.push((position, outputs)),
                Err(error) => outcomes[position] = Some(self.failed(error, 1)),
            }
        }
        let Some((_, first)) = missing.first() else { return Ok(()) };
        self.announce(group, first.task, missing.len());
        let mut prepared = Vec::new();
        for (position, outputs) in missing {
            match PreparedTraining::new(outputs, self.context, &self.probe) {
                Ok(training) => prepared.push((position, training)),
                Err(error) => outcomes[position] = Some(self.failed(error, 1)),
            }
        }
        if prepared.is_empty() { Ok(()) } else { self.train(group, &prepared, &locks, outcomes) }
    }

    /// Returns the outcome of a task that failed with `error`, in an engine with `lanes` lanes if an engine failed. An
    /// I/O error stops the run, because all other training runs would fail too, after they were trained.
    fn failed(&self, error: Error, lanes: usize) -> TaskOutcome {
        let error = self.context.trainers.explain(error, lanes);
        let failure = TrainingFailure::new(&error);
        if io_error(&error).is_some() {
            self.shared.stop(error);
        }
        TaskOutcome::Failed(failure)
    }

    /// Takes the locks of all tasks; returns `None`, and holds none, if another process holds one of them. Locks in key
    /// order, so that two processes cannot block each other.
    fn lock(&self, tasks: &[Task<'_>]) -> Result<Option<Vec<Lock>>> {
        let mut keys: Vec<_> = tasks.iter().map(|task| &task.spec.key).collect();
        keys.sort_unstable();
        keys.into_iter()
            .map(|key| Lock::try_exclusive(&self.context.store.runs.training_dir(key).lock_file()))
            .collect()
    }

    /// Emits [`Event::Started`]: `count` tasks of a group begin, the first of which is `task`.
    fn announce(&self, group: &GroupAssignment<'_>, task: &Task<'_>, count: usize) {
        self.shared.end_poll(task.node);
        let id = TrainingId { other_lanes: count - 1, ..TrainingId::of(task.spec) };
        let cost = self.context.cost_model().group_nanoseconds(&group.lanes, group.steps);
        self.context.sink.on_event(&Event::Started { worker: self.index, id: &id, iterations: group.steps, cost });
    }

    /// Trains the prepared training runs in lockstep, up to the last iteration that any of them needs. `prepared` has
    /// each with the position of its task. The trainer has as many lanes as the group has members, because that number
    /// may change the last digits of the weights: the lane of a member that need not be trained repeats another
    /// training run. `locks` are those of all tasks.
    fn train(
        &mut self,
        group: &GroupAssignment<'_>,
        prepared: &[(usize, PreparedTraining<'_>)],
        locks: &[Lock],
        outcomes: &mut [Option<TaskOutcome>],
    ) -> Result<()> {
        let Self { index, context, shared, dataset, trainers, .. } = &mut *self;
        let lane_count = group.lanes.len();
        if context.study.resolved.gpu.is_some() {
            // A GPU's memory holds one trainer at a time.
            trainers.retain(|key, _| *key == trainer_key(group));
        }
        let trainer = match trainers.entry(trainer_key(group)) {
            Entry::Occupied(trainer) => trainer.into_mut(),
            Entry::Vacant(vacant) => {
                let TrainerKey { engine, supermask, .. } = *vacant.key();
                let trainer = context.trainers.build(engine, lane_count, dataset)?;
                vacant.insert(match supermask {
                    None => trainer,
                    Some(supermask) => Box::new(score_trainer(trainer, supermask, &context.study.experiment.train)),
                })
            }
        };
        // A lane without a training run of its own repeats the first one.
        let position_of = |lane: usize| prepared.iter().position(|(_, training)| training.lane() == lane).unwrap_or(0);
        let in_lane = |lane: usize| &prepared[position_of(lane)].1;
        let end = prepared.iter().map(|(_, training)| training.last_iteration()).max().unwrap_or_default();
        let trainings = prepared.iter().map(|(_, training)| training).collect();
        let mut progress = GroupProgress::new(context, trainings, locks, lane_count, end);
        let inputs = (0..lane_count).map(|lane| in_lane(lane).lane_input(lane, dataset)).collect();
        // All members of a group have the same length.
        let train = context.study.train_config(group.lanes[0]);
        let mut training = TrainingLoop::start(trainer.as_mut(), &train, inputs, end)?;
        let mut has_passed = true;
        for lane in 0..lane_count {
            if let Err(error) = in_lane(lane).audit_start(&training.loaded(lane)?) {
                training.fail_audit(lane, error);
                has_passed = false;
            }
        }
        if has_passed {
            progress.resume(&mut training, position_of)?;
        }
        let should_stop = || context.cancel.is_cancelled() || shared.has_stopped() || locks.iter().any(Lock::is_lost);
        let Iteration(first_iteration) = training.iteration();
        loop {
            training.set_threads(shared.sparse_threads());
            if should_stop() || !training.evaluate_and_snapshot(&should_stop)? {
                let saved = if has_passed { progress.save(&training) } else { Ok(()) };
                let Err(error) = saved else { return Ok(()) };
                if !shared.has_stopped() {
                    return Err(error);
                }
                // The error by which the run stopped is the one that is reported; this one may be another.
                let count = count_of(prepared.len() as u64, "training run");
                let message =
                    format!("warning: the progress of {count} since the last progress snapshot is lost: {error:#}");
                context.sink.on_event(&Event::Message(&message));
                return Ok(());
            }
            if training.has_ended() {
                break;
            }
            let steps = training.step()?.0.saturating_sub(first_iteration);
            for update in training.take_mask_updates() {
                if let Err(error) = in_lane(update.lane).audit_update(&update, &training.loaded(update.lane)?) {
                    training.fail_audit(update.lane, error);
                    has_passed = false;
                }
            }
            if steps.is_multiple_of(PROGRESS_EVERY) || steps == group.steps {
                context.sink.on_event(&Event::Stepped { worker: *index, iteration: steps });
            }
            if has_passed && progress.is_due() {
                progress.save(&training)?;
            }
        }
        locks.iter().try_for_each(Lock::check)?;
        let seconds = progress.seconds();
        let ends = training.finish();
        let mut ends: Vec<Option<TrainingEnd>> = ends.into_iter().map(Some).collect();
        for (position, training) in prepared {
            if let Some(end) = ends[training.lane()].take() {
                let saved = training.finish(end, seconds, lane_count);
                outcomes[*position] = Some(saved.map_or_else(|error| self.failed(error, 1), TaskOutcome::Trained));
            }
        }
        Ok(())
    }
}

/// What distinguishes the trainers of a worker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TrainerKey {
    engine: EngineKind,
    lanes: usize,
    /// How scores determine the masks, if scores are trained instead of weights.
    supermask: Option<Supermask>,
}

/// Returns the key of the trainer that a group needs.
fn trainer_key(group: &GroupAssignment<'_>) -> TrainerKey {
    let first = group.lanes[0];
    TrainerKey { engine: first.engine, lanes: group.lanes.len(), supermask: first.supermask() }
}

/// Returns the trainer of the scores of the networks that `inner` holds.
fn score_trainer(inner: Box<dyn Trainer>, supermask: Supermask, train: &TrainConfig) -> ScoreTrainer {
    ScoreTrainer::new(inner, Optimizer::new(train), train.clip_norm, supermask)
}
