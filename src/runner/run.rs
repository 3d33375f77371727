//! Runs what of a plan is not in the store, and tells what happens.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use super::cost_model::CostModel;
use super::events::{Event, EventSink, TrainingId};
use super::run_files::{RowState, RunFiles};
use super::scheduler::{NextWork, RunProgress, Scheduler};
use super::store::Store;
use super::worker::Worker;
use crate::artifacts::RoundRow;
use crate::base::key::ContentHash;
use crate::base::outcome::Outcome;
use crate::config::Experiment;
use crate::data::Dataset;
use crate::engine::{EngineKind, Trainer};
use crate::lottery::{Plan, ResolvedExperiment, TrainingSpec};
use crate::system::cancel::CancelToken;
use crate::system::clock::Stopwatch;
use crate::system::files::Lock;
use crate::system::paths::TrainingDir;

/// How often a training that another process has is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The view is written again at most once in so many times as long as writing it took.
const VIEW_SHARE: f64 = 20.0;

/// Makes a trainer of a kind, with so many lanes, for a data set.
pub type TrainerFactory<'a> = dyn Fn(EngineKind, usize, &Arc<Dataset>) -> Result<Box<dyn Trainer>> + Sync + 'a;

/// Everything a run needs.
pub struct Runner<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// Its names, resolved.
    pub setting: &'a ResolvedExperiment,
    /// What is to be trained.
    pub plan: &'a Plan,
    /// The files of the run.
    pub view: &'a RunFiles<'a>,
    /// Trainings at a time, or groups of them, and threads at work: while there are fewer, sparse ones use those that are
    /// free, as long as there is a core for each.
    pub workers: usize,
    /// A wish to stop.
    pub cancel: &'a CancelToken,
    /// Who is told.
    pub sink: &'a dyn EventSink,
    /// Loads the data; called once, and only where something is to be trained.
    pub dataset: &'a (dyn Fn() -> Result<Dataset> + Sync),
    /// Builds a trainer in the calling thread.
    pub trainer: &'a TrainerFactory<'a>,
}

/// What a run came to.
#[derive(Default)]
pub struct RunOutcome {
    /// How many trainings ended how.
    pub summary: RunProgress,
    /// The rows of `rounds.csv`.
    pub rounds: Vec<RoundRow>,
    /// What failed, with its cause.
    pub failures: Vec<String>,
    /// What broke a promise, and which; the audit found it.
    pub broken: Vec<String>,
    /// What could not begin, with the training it needs.
    pub blocked: Vec<String>,
}

/// What the workers share.
pub(super) struct SharedState<'a> {
    pub(super) board: Mutex<Scheduler<'a>>,
    pub(super) changed: Condvar,
    view: Mutex<WriteThrottle>,
    /// Trainings at work, by engine.
    busy: BTreeMap<EngineKind, AtomicUsize>,
}

impl SharedState<'_> {
    /// How many threads a sparse training may use now, with so many for all.
    pub(super) fn threads(&self, hands: usize) -> usize {
        let [dense, sparse] =
            [EngineKind::Dense, EngineKind::Sparse].map(|kind| self.busy[&kind].load(Ordering::Relaxed));
        threads(hands, dense, sparse)
    }
}

/// How many threads a sparse training may use where so many are at work: what the dense ones, which use one each, leave of
/// `hands`, in equal parts.
fn threads(hands: usize, dense: usize, sparse: usize) -> usize {
    (hands.saturating_sub(dense) / sparse.max(1)).max(1)
}

/// When the view was last written, and how long that took.
struct WriteThrottle {
    last: Option<(Stopwatch, f64)>,
    broken: Option<String>,
}

impl Runner<'_> {
    /// Trains what is not in the store and writes the view.
    ///
    /// # Errors
    /// Where the store or the view cannot be written. What goes wrong with a single training is in the report.
    pub fn run(&self, store: &Store) -> Result<RunOutcome> {
        let load = |training: &TrainingSpec| {
            let finished = store.load(training)?;
            if finished.is_none() && store.runs.training_dir(&training.key).manifest_file().exists() {
                let name = training_id(training);
                self.sink
                    .on_event(&Event::Message(&format!("{name}: what is stored is damaged, and is trained again")));
            }
            Ok(finished)
        };
        let costs = self.costs();
        let whole = |training: &TrainingSpec| costs.nanoseconds(training, self.experiment.train.iterations);
        let keep = self.experiment.run.keep;
        let mut board =
            Scheduler::new(self.plan, self.setting.lanes, keep, whole, load, |key, need| store.has(key, need))?;
        let summary = board.summary();
        let last = self.experiment.train.iterations;
        let iterations = board.to_run(last).map(|(_, steps)| steps).sum();
        let (mut groups, mut cost) = (0, 0.0);
        for work in board.work(last) {
            groups += 1;
            cost += costs.group_cost(&work.lanes, work.steps);
        }
        let workers = self.workers.min(groups);
        let lanes = if self.setting.lanes > 1 { format!(" with {} lanes", self.setting.lanes) } else { String::new() };
        self.sink.on_event(&Event::RunStarted {
            experiment: &self.experiment.name,
            trainings: self.plan.trainings.len(),
            stored: summary.done + summary.diverged,
            iterations,
            cost,
            workers,
            engine: &format!("{}{lanes} on {}", self.plan.engines(), self.setting.device),
            view: &self.view.files.0,
        });
        let pace = Mutex::new(WriteThrottle { last: None, broken: None });
        for training in self.plan.trainings.iter().filter(|training| board.keeps(&training.key).pinned) {
            if board.finished(&training.key).is_some() {
                store.pin(&training.key)?;
            }
        }
        // What a process that was killed had not yet freed.
        self.free(&board.take_freeable(), store);
        let busy = EngineKind::ALL.into_iter().map(|kind| (kind, AtomicUsize::new(0))).collect();
        let shared = SharedState { board: Mutex::new(board), changed: Condvar::new(), view: pace, busy };
        self.write_view(&shared, store, false);
        if workers > 0 {
            let dataset = (self.dataset)().inspect_err(|_| self.sink.on_event(&Event::RunFinished))?;
            let dataset = Arc::new(dataset);
            std::thread::scope(|scope| {
                for n in 0..workers {
                    let (shared, dataset) = (&shared, Arc::clone(&dataset));
                    scope.spawn(move || self.work(n, shared, store, dataset));
                }
            });
        }
        self.sink.on_event(&Event::RunFinished);
        self.write_view(&shared, store, true);
        let broken = lock(&shared.view).broken.take();
        if let Some(broken) = broken {
            return Err(anyhow::anyhow!(broken)).context("could not write the files of the run");
        }
        Ok(self.report(&lock(&shared.board)))
    }

    /// One worker: takes what is ready until nothing is left.
    fn work<'p>(&'p self, n: usize, shared: &SharedState<'p>, store: &'p Store, dataset: Arc<Dataset>) {
        let mut worker = Worker::new(self, store, dataset);
        while !self.cancel.is_cancelled() {
            let mut board = lock(&shared.board);
            let work = match board.next() {
                NextWork::Finished => break,
                NextWork::Wait => {
                    // With the board in hand from the question to the wait, so that no change is missed. The limit is
                    // for the wish to stop.
                    drop(shared.changed.wait_timeout(board, POLL_INTERVAL).unwrap_or_else(PoisonError::into_inner));
                    continue;
                }
                NextWork::Poll(work) => {
                    drop(board);
                    let locks = work.tasks.iter().map(|task| store.runs.training_dir(&task.training.key).lock_file());
                    let held = locks.into_iter().find(|path| Lock::is_held(path));
                    self.sink.on_event(&Event::Waiting { holder: &Lock::holder(&held.unwrap_or_default()) });
                    std::thread::sleep(POLL_INTERVAL);
                    work
                }
                NextWork::Train(work) => {
                    drop(board);
                    work
                }
            };
            let busy = &shared.busy[&work.lanes[0].engine];
            busy.fetch_add(1, Ordering::Relaxed);
            self.run_group(n, &work, &mut worker, shared, store);
            busy.fetch_sub(1, Ordering::Relaxed);
            shared.changed.notify_all();
        }
        shared.changed.notify_all();
    }

    /// What trainings are estimated to cost.
    pub(super) fn costs(&self) -> CostModel<'_> {
        CostModel::new(self.experiment, self.setting)
    }

    /// Frees final weights that nobody needs any more, unless somebody is at work on their training or wants them kept.
    pub(super) fn free(&self, keys: &[ContentHash], store: &Store) {
        // Of a run that is taken up again most are freed already: these cost a look, and no lock.
        for key in keys {
            let entry = store.runs.training_dir(key);
            if !entry.file(TrainingDir::FINAL_WEIGHTS).exists() || entry.pin_marker().exists() {
                continue;
            }
            let freed = Lock::try_exclusive(&entry.lock_file()).and_then(|lock| match lock {
                Some(_held) => store.free_final_weights(key),
                None => Ok(()),
            });
            if let Err(cause) = freed {
                self.sink.on_event(&Event::Message(&format!("{cause:#}")));
            }
        }
    }

    /// Writes the view, unless that was done a moment ago. What other processes have finished is in it too.
    pub(super) fn write_view(&self, shared: &SharedState<'_>, store: &Store, now: bool) {
        let mut pace = lock(&shared.view);
        if !now && pace.last.is_some_and(|(since, took)| since.seconds() < took * VIEW_SHARE) {
            return;
        }
        let watch = Stopwatch::start();
        let known = |training: &TrainingSpec| {
            let board = lock(&shared.board);
            let finished = board.finished(&training.key);
            let failed = board.failure(&training.key).is_some();
            drop(board);
            // What cannot be read is left out of the view; the board says why where it matters.
            let finished = finished.or_else(|| store.load(training).ok().flatten().map(Arc::new));
            finished.map(RowState::Finished).or(failed.then_some(RowState::Failed))
        };
        let written = if now { self.view.write(known) } else { self.view.try_write(known) };
        pace.broken = written.err().map(|cause| format!("{cause:#}"));
        pace.last = Some((Stopwatch::start(), watch.seconds()));
    }

    fn report(&self, board: &Scheduler<'_>) -> RunOutcome {
        let row = |training: &TrainingSpec| {
            let finished = board.finished(&training.key);
            let has_row = finished.is_some() || board.failure(&training.key).is_some();
            has_row.then(|| self.view.round_row(training, finished.as_deref()))
        };
        let rounds = self.plan.trainings.iter().filter_map(row).collect();
        let mut report = RunOutcome { summary: board.summary(), rounds, ..RunOutcome::default() };
        for training in &self.plan.trainings {
            if let Some(failure) = board.failure(&training.key) {
                let all = if failure.by_audit { &mut report.broken } else { &mut report.failures };
                all.push(format!("{}: {}", training_id(training), failure.cause));
            }
            if let Some(Outcome::Blocked { by }) = board.outcome(&training.key) {
                let by =
                    self.plan.get(&by).map_or_else(|| by.to_string(), |training| training_id(training).to_string());
                report.blocked.push(format!("{} needs {by}", training_id(training)));
            }
        }
        report
    }
}

/// A lock that a panicking thread left is as good as any: what it guards is set in one piece.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn training_id(training: &TrainingSpec) -> TrainingId {
    let TrainingSpec { replicate, repeat, round, .. } = *training;
    TrainingId { arm: training.arm.clone(), replicate, repeat, round, other_lanes: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_hands_help_sparse_trainings() {
        assert_eq!([threads(2, 0, 1), threads(2, 0, 2), threads(2, 1, 1), threads(1, 0, 1)], [2, 1, 1, 1]);
        assert_eq!([threads(8, 0, 3), threads(8, 2, 3), threads(8, 8, 1), threads(8, 1, 0)], [2, 2, 1, 7]);
    }
}
