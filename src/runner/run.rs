//! Runs the jobs of a plan in worker threads, writes the files of the run, and emits its events.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Error, Result};

use super::context::RunContext;
use super::events::{Event, Repeats, TrainingId, TrainingResult};
use super::jobs::{JobPlan, Selection, plan_jobs};
use super::run_files::{RowState, RunFiles};
use super::scheduler::{GroupAssignment, NextWork, RunProgress, Scheduler};
use super::shared::{LockedState, POLL_INTERVAL, SharedState};
use super::store::StoredTraining;
use super::training_graph::TrainingGraph;
use super::worker::{TaskOutcome, Worker};
use crate::artifacts::RoundRow;
use crate::base::outcome::Outcome;
use crate::config::KeepWeights;
use crate::data::Dataset;
use crate::lottery::{Plan, TrainingSpec};
use crate::system::clock::Stopwatch;
use crate::system::files::{self, Lock, LockHeld};
use crate::system::machine;
use crate::system::paths::TrainingDir;
use crate::system::retry::{io_error, may_pass, with_retries};

/// The pause between two writes of a run's files, in units of the time that the last write took: writing takes at most
/// 1 / 20 of the time of a run.
const WRITE_PAUSE_FACTOR: f64 = 20.0;

/// Runs a plan.
pub struct Runner<'a> {
    /// The study, the store, the receiver of events, cancellation and trainers.
    pub context: RunContext<'a>,
    /// The plan: that of the study, or the part of it, with copies, that an instability analysis needs.
    pub plan: &'a Plan,
    /// The part of the plan that is trained.
    pub selection: &'a Selection,
    /// Which final weights are kept.
    pub keep: KeepWeights,
    /// The files of the run.
    pub files: &'a RunFiles<'a>,
    /// The number of lockstep groups that train at a time. Sparse trainers share the threads of workers that have no
    /// work.
    pub workers: usize,
}

/// The outcome of a run.
#[derive(Debug, Default)]
pub struct RunOutcome {
    /// The counts of the plan's rows by state.
    pub progress: RunProgress,
    /// The rows of `rounds.csv`, in the order of the plan.
    pub rounds: Vec<RoundRow>,
    /// Training runs that failed, each with its cause; those of `audit_failures` are not among them.
    pub failures: Vec<String>,
    /// Training runs that the audit failed, each with the invariant that does not hold.
    pub audit_failures: Vec<String>,
    /// Training runs that could not begin, each with the one that it needs and that failed, diverged or is blocked
    /// itself.
    pub blocked: Vec<String>,
    /// The I/O error by which the run stopped, or that kept its files from being written.
    pub stop_error: Option<Error>,
}

/// The time and result of the last write of the run's files, by which the next one is delayed.
#[derive(Default)]
struct WriteThrottle {
    /// The time since the last write, and the seconds that it took.
    last: Option<(Stopwatch, f64)>,
    /// The error of the last write; `None` if it succeeded.
    error: Option<Error>,
}

/// When the files of the run are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WriteTime {
    /// Now, after waiting for another process that writes them.
    Now,
    /// Now if the pause is over ([`WRITE_PAUSE_FACTOR`]) and no other process writes them; else not.
    IfDue,
}

impl<'a> Runner<'a> {
    /// Trains what is missing in the store, and writes the files of the run.
    ///
    /// # Errors
    /// Fails if the store cannot be read or the files of the run cannot be written. Failures of single training runs
    /// are in the outcome.
    pub fn run(&'a self) -> Result<RunOutcome> {
        let (jobs, results) = with_retries(|| self.plan_jobs())?;
        self.remove_left_progress(&jobs)?;
        let steps_by_group: Vec<(usize, u64)> = jobs.groups_to_run().collect();
        let iterations = jobs.to_run().map(|(_, steps)| steps).sum();
        let costs = self.context.cost_model();
        let group_cost = |&(group, steps): &(usize, u64)| costs.group_nanoseconds(&jobs.graph.lanes(group), steps);
        let cost = steps_by_group.iter().map(group_cost).sum();
        let workers = self.workers.min(steps_by_group.len());
        let training_cost = |spec: &TrainingSpec| costs.nanoseconds(spec, spec.last_iteration.0);
        let repeats = Repeats { ended: 0, all: jobs.jobs.iter().flatten().filter(|job| job.is_rerun).count() };
        let scheduler = Scheduler::new(jobs, training_cost, self.keep == KeepWeights::Needed);
        self.announce(scheduler.progress(), iterations, cost, workers);
        let shared = SharedState::new(LockedState { scheduler, results, repeats }, self.workers.min(machine::cores()));
        self.pin(&shared)?;
        // An earlier process may have been killed before it freed weights.
        self.free(&shared);
        let throttle = Mutex::new(WriteThrottle::default());
        self.write_files(&shared, &throttle, WriteTime::IfDue);
        if workers > 0 {
            let emit_finished = |_: &_| self.context.sink.on_event(&Event::RunFinished);
            let dataset = Arc::new(self.context.trainers.dataset().inspect_err(emit_finished)?);
            self.start_workers(workers, &dataset, &shared, &throttle);
        }
        self.context.sink.on_event(&Event::RunFinished);
        self.write_files(&shared, &throttle, WriteTime::Now);
        if let Some(error) = throttle.into_inner().unwrap_or_else(PoisonError::into_inner).error {
            shared.stop(error.context("could not write the files of the run"));
        }
        let outcome = self.outcome(&shared.lock());
        Ok(RunOutcome { stop_error: shared.into_stop_error(), ..outcome })
    }

    /// Starts the workers and waits for their ends. Where the system allows fewer threads, there are fewer workers; the
    /// last of them, with index 0, works in this thread.
    fn start_workers(
        &self,
        workers: usize,
        dataset: &Arc<Dataset>,
        shared: &SharedState<'_>,
        throttle: &Mutex<WriteThrottle>,
    ) {
        std::thread::scope(|scope| {
            for worker in 1..workers {
                let dataset = Arc::clone(dataset);
                let work = move || self.work(worker, dataset, shared, throttle);
                if let Err(error) = std::thread::Builder::new().spawn_scoped(scope, work) {
                    let message = format!("note: {worker} of {workers} workers: the system allows no more ({error})");
                    self.context.sink.on_event(&Event::Message(&message));
                    break;
                }
            }
            self.work(0, Arc::clone(dataset), shared, throttle);
        });
    }

    /// Plans the jobs. Also returns the stored result of each node of the graph.
    fn plan_jobs(&self) -> Result<(JobPlan<'a>, Vec<Option<Arc<StoredTraining>>>)> {
        let graph = TrainingGraph::new(self.plan, self.context.study.resolved.lanes);
        let results: Vec<Option<StoredTraining>> =
            graph.nodes.iter().map(|node| self.load(node.spec)).collect::<Result<_>>()?;
        let stored = results.iter().map(|result| result.as_ref().map(|result| result.outcome.clone())).collect();
        let jobs = plan_jobs(graph, self.keep, stored, self.context.store);
        let jobs = jobs.select(self.selection);
        Ok((jobs, results.into_iter().map(|result| result.map(Arc::new)).collect()))
    }

    /// Returns the stored result of a training run. Emits a message if it is damaged.
    fn load(&self, spec: &TrainingSpec) -> Result<Option<StoredTraining>> {
        let store = self.context.store;
        let stored = store.load(spec)?;
        if stored.is_none() && store.runs.training_dir(&spec.key).manifest_file().exists() {
            let id = TrainingId::of(spec);
            let message = format!("{id}: what is stored is damaged, and is trained again");
            self.context.sink.on_event(&Event::Message(&message));
        }
        Ok(stored)
    }

    /// Emits [`Event::RunStarted`].
    fn announce(&self, progress: RunProgress, iterations: u64, cost: f64, workers: usize) {
        let study = self.context.study;
        let lanes = study.resolved.lanes;
        let lanes_text = if lanes > 1 { format!(" with {lanes} lanes") } else { String::new() };
        self.context.sink.on_event(&Event::RunStarted {
            experiment: &study.experiment.name,
            trainings: self.plan.trainings.len() - progress.left_out,
            stored: progress.done + progress.diverged,
            iterations,
            cost,
            workers,
            engine_text: &format!("{}{lanes_text} on {}", self.plan.engines(), study.resolved.device),
            run_dir: &self.files.dir.0,
        });
    }

    /// Pins the stored weights that this run keeps, against garbage collection by other runs.
    fn pin(&self, shared: &SharedState<'_>) -> Result<()> {
        let state = shared.lock();
        let scheduler = &state.scheduler;
        let nodes = scheduler.graph().nodes.iter().zip(scheduler.retentions());
        for ((node, retention), result) in nodes.zip(&state.results) {
            if retention.is_pinned && result.is_some() {
                self.context.store.pin(&node.spec.key)?;
            }
        }
        Ok(())
    }

    /// Removes the progress snapshots of stored training runs that need no job: an earlier process may have been killed
    /// before it removed them.
    fn remove_left_progress(&self, jobs: &JobPlan<'_>) -> Result<()> {
        let nodes = jobs.graph.nodes.iter().zip(jobs.jobs.iter().zip(&jobs.stored));
        let mut ended = nodes.filter(|(_, (job, stored))| job.is_none() && stored.is_some());
        ended.try_for_each(|(node, _)| with_retries(|| self.context.store.remove_left_progress(&node.spec.key)))
    }

    /// Runs groups until none is left or the run is cancelled: the work of the thread with index `worker`.
    fn work(&self, worker: usize, dataset: Arc<Dataset>, shared: &SharedState<'_>, throttle: &Mutex<WriteThrottle>) {
        // Built here, because trainers stay in the thread that builds them.
        let mut group_worker = Worker::new(worker, &self.context, shared, dataset);
        while !self.context.cancel.is_cancelled() && !shared.has_stopped() {
            let group = match shared.next_or_wait() {
                NextWork::Finished => break,
                NextWork::Wait => continue,
                NextWork::Train(group) => group,
                NextWork::Poll(group) => {
                    self.wait_for_other_process(&group, shared);
                    group
                }
            };
            // The group, or the parts of it that fit into memory; the next one is the last of the list.
            let mut parts = vec![group];
            while let Some(part) = parts.pop() {
                if part.lanes.len() > shared.lane_limit() {
                    parts.extend(part.parts(shared.lane_limit()).into_iter().rev());
                    continue;
                }
                let busy = shared.count_busy(&part);
                match group_worker.run_group(&part) {
                    Some(outcomes) => {
                        if self.record(worker, &part, outcomes, shared) {
                            self.free(shared);
                            self.write_files(shared, throttle, WriteTime::IfDue);
                        }
                    }
                    None => parts.push(part),
                }
                drop(busy);
                shared.notify();
            }
        }
        shared.notify();
    }

    /// Emits an event with the process that holds a lock of the group, and sleeps for [`POLL_INTERVAL`].
    fn wait_for_other_process(&self, group: &GroupAssignment<'_>, shared: &SharedState<'_>) {
        let store = self.context.store;
        let mut locks = group.tasks.iter().map(|task| store.runs.training_dir(&task.spec.key).lock_file());
        let held = locks.find(|path| Lock::is_held(path)).unwrap_or_default();
        self.context.sink.on_event(&Event::Waiting {
            holder: &Lock::holder(&held),
            remaining: shared.lock().scheduler.progress().open,
        });
        std::thread::sleep(POLL_INTERVAL);
    }

    /// Records the outcomes of a group's tasks, and emits an event for each training run that ended. Returns whether
    /// any ended.
    fn record(
        &self,
        worker: usize,
        group: &GroupAssignment<'_>,
        outcomes: Vec<TaskOutcome>,
        shared: &SharedState<'_>,
    ) -> bool {
        let cost = self.context.cost_model().group_nanoseconds(&group.lanes, group.steps) / group.tasks.len() as f64;
        // One lock for the whole group, so that the counts of the events come in order.
        let mut state = shared.lock();
        let mut has_ended = false;
        for (task, outcome) in group.tasks.iter().zip(outcomes) {
            let is_repeat = state.results[task.node].is_some();
            let trained_by = if matches!(outcome, TaskOutcome::Found(_)) { None } else { Some(worker) };
            match outcome {
                TaskOutcome::Found(stored) | TaskOutcome::Trained(stored) => state.finish(task.node, stored),
                TaskOutcome::Failed(failure) => state.fail(task.node, failure),
                TaskOutcome::Cancelled => {
                    state.scheduler.requeue(task.node);
                    continue;
                }
                TaskOutcome::HeldElsewhere => {
                    state.scheduler.mark_held_elsewhere(task.node);
                    continue;
                }
            }
            has_ended = true;
            if is_repeat {
                state.repeats.ended += 1;
            }
            let repeats = is_repeat.then_some(state.repeats);
            self.report_end((trained_by, repeats), task.node, task.spec, cost, &state);
        }
        has_ended
    }

    /// Emits [`Event::Ended`] for a training run that `worker` trained; `None` if another process did. `repeats`: the
    /// counts of repeated training runs, if it is one.
    fn report_end(
        &self,
        (worker, repeats): (Option<usize>, Option<Repeats>),
        node: usize,
        spec: &TrainingSpec,
        cost: f64,
        state: &LockedState<'_>,
    ) {
        let result = state.results[node].as_ref();
        let outcome = match (state.scheduler.failure(node), result) {
            (Some(failure), _) => Outcome::Failed { cause: failure.cause.clone() },
            (None, Some(result)) => result.outcome.clone(),
            (None, None) => return,
        };
        let done = result.filter(|result| result.outcome == Outcome::Done);
        let timing = result.and_then(|result| result.timing.as_ref()).filter(|_| worker.is_some());
        let kept = done.map_or(spec.counts.kept, |result| result.weights_kept.iter().sum());
        let result = TrainingResult {
            weights_remaining: kept as f64 / self.context.study.resolved.network.weights_total() as f64,
            last: done.and_then(|result| result.curve.last().copied()),
            seconds: timing.map(|timing| timing.seconds),
            outcome,
        };
        let progress = state.scheduler.progress();
        self.context.sink.on_event(&Event::Ended {
            worker,
            id: &TrainingId::of(spec),
            result: &result,
            cost,
            ended: progress.done + progress.diverged + progress.failed,
            trainings: self.plan.trainings.len() - progress.left_out,
            repeats,
        });
    }

    /// Removes final weights that are no longer needed, unless another process holds their lock or a run pinned them.
    fn free(&self, shared: &SharedState<'_>) {
        let freeable: Vec<TrainingDir> = {
            let mut state = shared.lock();
            let freeable = state.scheduler.take_freeable();
            let nodes = &state.scheduler.graph().nodes;
            freeable.into_iter().map(|node| self.context.store.runs.training_dir(&nodes[node].spec.key)).collect()
        };
        for dir in freeable {
            // In a resumed run most are freed already; skip them without taking the lock.
            if !dir.file(TrainingDir::FINAL_WEIGHTS).exists() || dir.pin_marker().exists() {
                continue;
            }
            let freed = Lock::try_exclusive(&dir.lock_file()).and_then(|lock| match lock {
                Some(_held) => files::remove(&dir.file(TrainingDir::FINAL_WEIGHTS)),
                None => Ok(()),
            });
            if let Err(cause) = freed {
                self.context.sink.on_event(&Event::Message(&format!("{cause:#}")));
            }
        }
    }

    /// Writes the files of the run, with the training runs that other processes have finished.
    fn write_files(&self, shared: &SharedState<'_>, throttle: &Mutex<WriteThrottle>, when: WriteTime) {
        let mut throttle = throttle.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |(since, took): (Stopwatch, f64)| since.seconds() >= took * WRITE_PAUSE_FACTOR;
        // A process that trains a part of the plan reads the rest from the store, so it writes only at its end.
        if when == WriteTime::IfDue && (self.selection.is_part() || !throttle.last.is_none_or(is_due)) {
            return;
        }
        let watch = Stopwatch::start();
        let row_state = |spec: &TrainingSpec| self.row_state(spec, shared);
        let written = match when {
            WriteTime::Now => with_retries(|| self.files.write_csv(row_state)),
            WriteTime::IfDue => self.files.try_write_csv(row_state),
        };
        throttle.error = None;
        match written {
            // A disk that is full would stop every training run at its end, after it was trained.
            Err(error) if io_error(&error).is_some_and(|cause| !may_pass(cause)) => shared.stop(error),
            // The process that holds the lock writes them.
            Err(error) if self.context.cancel.is_cancelled() && error.is::<LockHeld>() => {}
            Err(error) => throttle.error = Some(error),
            Ok(()) => {}
        }
        throttle.last = Some((Stopwatch::start(), watch.seconds()));
    }

    /// Returns what the rows of a training run are made from; `None` if it has none yet.
    fn row_state(&self, spec: &TrainingSpec, shared: &SharedState<'_>) -> Option<RowState> {
        let (result, has_failed) = {
            let state = shared.lock();
            let node = state.scheduler.graph().node_index(&spec.key)?;
            (state.results[node].clone(), state.scheduler.failure(node).is_some())
        };
        // Another process may have trained it. An entry that cannot be read has no rows; if this run needs the entry,
        // the task fails with the cause.
        let result = result.or_else(|| self.context.store.load(spec).ok().flatten().map(Arc::new));
        result.map(RowState::Stored).or(has_failed.then_some(RowState::Failed))
    }

    fn outcome(&self, state: &LockedState<'_>) -> RunOutcome {
        let scheduler = &state.scheduler;
        let mut outcome = RunOutcome { progress: scheduler.progress(), ..RunOutcome::default() };
        for (spec, &node) in self.plan.trainings.iter().zip(&scheduler.graph().node_of_row) {
            let failure = scheduler.failure(node);
            let result = state.results[node].as_deref();
            if let Some(builder) = self.files.rows.filter(|_| result.is_some() || failure.is_some()) {
                let stored = |other: &TrainingSpec| state.results[scheduler.graph().node_index(&other.key)?].clone();
                // These rows are printed; one whose masks cannot be read just now lacks their columns.
                let masks = result.and_then(|result| builder.masks.of(spec, result, &stored).ok()).unwrap_or_default();
                outcome.rounds.push(builder.round_row(spec, result, masks));
            }
            if let Some(failure) = failure {
                let list = if failure.by_audit { &mut outcome.audit_failures } else { &mut outcome.failures };
                list.push(format!("{}: {}", TrainingId::of(spec), failure.cause));
            }
            if let Some(blocker) = scheduler.blocked_by(node) {
                let blocker = TrainingId::of(scheduler.graph().nodes[blocker].spec);
                outcome.blocked.push(format!("{} needs {blocker}", TrainingId::of(spec)));
            }
        }
        outcome
    }
}
