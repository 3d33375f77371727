//! One turn of a worker: a group is taken up, and what became of each of its trainings is recorded and told.

use super::board::{Assignment, Board};
use super::run::{Lab, Shared, label, lock};
use super::store::Store;
use super::worker::{Done, Help, Worker};
use crate::base::env;
use crate::base::outcome::Outcome;
use crate::lottery::Training;
use crate::record::{self, Event, Label};

/// Progress is told every so many steps: oftener than the eye sees, seldom enough to cost nothing.
const TELL_EVERY: u64 = 16;

impl Lab<'_> {
    /// Attends to a group and records what became of it.
    pub(super) fn take_up<'p>(
        &'p self,
        n: usize,
        work: &Assignment<'_>,
        worker: &mut Worker<'p>,
        shared: &Shared<'p>,
        store: &'p Store,
    ) {
        let keys = || work.tasks.iter().map(|task| &task.training.key);
        let steps = lock(&shared.board).steps(keys(), self.experiment.train.iterations);
        let first = work.lanes[0].start.iteration();
        let cost = self.costs().together(&work.lanes, steps);
        let mut began = |training: &Training, trainings: usize| {
            lock(&shared.board).began(&training.key);
            shared.changed.notify_all();
            let label = Label { others: trainings - 1, ..label(training) };
            self.sink.tell(&Event::Started { worker: n, label: &label, iterations: steps, cost });
        };
        let mut progress = |iteration: u64| {
            let behind = iteration - first;
            if behind.is_multiple_of(TELL_EVERY) || behind == steps {
                self.sink.tell(&Event::Stepped { worker: n, iteration: behind });
            }
        };
        let hands = self.workers.min(env::cores());
        let threads = &|| shared.threads(hands);
        let all = worker.attend(work, &mut Help { began: &mut began, progress: &mut progress, threads });
        let (mut board, mut has_ended) = (lock(&shared.board), false);
        for (task, done) in work.tasks.iter().zip(all) {
            let key = &task.training.key;
            let by = if matches!(done, Done::Found(_)) { None } else { Some(n) };
            match done {
                Done::Found(finished) | Done::Ended(finished) => board.end(key, finished),
                Done::Failed(failure) => board.fail(key, failure),
                Done::Stopped => {
                    board.put_back(key);
                    continue;
                }
                Done::Elsewhere => {
                    board.leave(key);
                    continue;
                }
            }
            has_ended = true;
            self.tell_end(by, task.training, cost / work.tasks.len() as f64, &board);
        }
        if !has_ended {
            return;
        }
        let free = board.take_needless();
        drop(board);
        self.free(&free, store);
        self.write_view(shared, store, false);
    }

    /// Tells of an ending; with the board in hand, so that the counts come in order.
    fn tell_end(&self, worker: Option<usize>, training: &Training, cost: f64, board: &Board<'_>) {
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
        let result = record::Result {
            weights_remaining: training.counts.kept as f64 / self.setting.network.weights_total() as f64,
            last: done.and_then(|finished| finished.curve.last().copied()),
            seconds: timing.filter(|_| worker.is_some()).map(|timing| timing.seconds),
            outcome,
        };
        let trainings = self.plan.trainings.len();
        let label = &label(training);
        self.sink.tell(&Event::Ended { worker, label, result: &result, cost, ended, trainings });
    }
}
