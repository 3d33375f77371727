//! One turn of a worker: a group is taken up, and what became of each of its trainings is recorded and told.

use super::events::{Event, TrainingId};
use super::run::{Runner, SharedState, lock, training_id};
use super::scheduler::{GroupAssignment, Scheduler};
use super::store::Store;
use super::worker::{JobOutcome, Worker, WorkerCallbacks};
use crate::base::outcome::Outcome;
use crate::lottery::TrainingSpec;
use crate::system::machine;

/// Progress is told every so many steps: oftener than the eye sees, seldom enough to cost nothing.
const PROGRESS_EVERY: u64 = 16;

impl Runner<'_> {
    /// Attends to a group and records what became of it.
    pub(super) fn run_group<'p>(
        &'p self,
        n: usize,
        work: &GroupAssignment<'_>,
        worker: &mut Worker<'p>,
        shared: &SharedState<'p>,
        store: &'p Store,
    ) {
        let keys = || work.tasks.iter().map(|task| &task.training.key);
        let steps = lock(&shared.board).steps(keys(), self.experiment.train.iterations);
        let first = work.lanes[0].start.iteration();
        let cost = self.costs().group_cost(&work.lanes, steps);
        let mut began = |training: &TrainingSpec, trainings: usize| {
            lock(&shared.board).mark_running(&training.key);
            shared.changed.notify_all();
            let label = TrainingId { other_lanes: trainings - 1, ..training_id(training) };
            self.sink.on_event(&Event::Started { worker: n, label: &label, iterations: steps, cost });
        };
        let mut progress = |iteration: u64| {
            let behind = iteration - first;
            if behind.is_multiple_of(PROGRESS_EVERY) || behind == steps {
                self.sink.on_event(&Event::Stepped { worker: n, iteration: behind });
            }
        };
        let hands = self.workers.min(machine::cores());
        let threads = &|| shared.threads(hands);
        let all = worker.run_group(work, &mut WorkerCallbacks { began: &mut began, progress: &mut progress, threads });
        let (mut board, mut has_ended) = (lock(&shared.board), false);
        for (task, done) in work.tasks.iter().zip(all) {
            let key = &task.training.key;
            let by = if matches!(done, JobOutcome::Found(_)) { None } else { Some(n) };
            match done {
                JobOutcome::Found(finished) | JobOutcome::Ended(finished) => board.finish(key, finished),
                JobOutcome::Failed(failure) => board.fail(key, failure),
                JobOutcome::Cancelled => {
                    board.requeue(key);
                    continue;
                }
                JobOutcome::HeldElsewhere => {
                    board.mark_elsewhere(key);
                    continue;
                }
            }
            has_ended = true;
            self.tell_end(by, task.training, cost / work.tasks.len() as f64, &board);
        }
        if !has_ended {
            return;
        }
        let free = board.take_freeable();
        drop(board);
        self.free(&free, store);
        self.write_view(shared, store, false);
    }

    /// Tells of an ending; with the board in hand, so that the counts come in order.
    fn tell_end(&self, worker: Option<usize>, training: &TrainingSpec, cost: f64, board: &Scheduler<'_>) {
        let summary = board.summary();
        let ended = summary.done + summary.diverged + summary.failed;
        let finished = board.finished(&training.key);
        let outcome = match (board.failure(&training.key), &finished) {
            (Some(failure), _) => Outcome::Failed { cause: failure.cause.clone() },
            (None, Some(finished)) => finished.outcome.clone(),
            (None, None) => return,
        };
        let done = finished.as_ref().filter(|finished| finished.outcome == Outcome::Done);
        let timing = finished.as_ref().and_then(|finished| finished.timing.as_ref());
        let result = crate::runner::TrainingResult {
            weights_remaining: training.counts.kept as f64 / self.setting.network.weights_total() as f64,
            last: done.and_then(|finished| finished.curve.last().copied()),
            seconds: timing.filter(|_| worker.is_some()).map(|timing| timing.seconds),
            outcome,
        };
        let trainings = self.plan.trainings.len();
        let label = &training_id(training);
        self.sink.on_event(&Event::Ended { worker, label, result: &result, cost, ended, trainings });
    }
}
