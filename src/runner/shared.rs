//! The state that the workers of a run share and change: the scheduler, the results, and the number of groups that are
//! training.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Error;

use super::events::Repeats;
use super::retention::Retention;
use super::scheduler::{GroupAssignment, NextWork, Scheduler, TrainingFailure};
use super::store::StoredTraining;
use crate::engine::EngineKind;

/// The time between two attempts to take a lock that another process holds, and the longest time before a waiting
/// worker checks for cancellation.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The part of the shared state that changes behind a lock: the scheduler, and the results of the training runs that are
/// stored.
pub(super) struct LockedState<'a> {
    pub(super) scheduler: Scheduler<'a>,
    /// The stored result of each node of the scheduler's graph.
    pub(super) results: Vec<Option<Arc<StoredTraining>>>,
    /// The stored training runs that are repeated for missing weights.
    pub(super) repeats: Repeats,
}

impl LockedState<'_> {
    /// Records that a node is in the store.
    pub(super) fn finish(&mut self, node: usize, stored: StoredTraining) {
        self.scheduler.finish(node, stored.outcome.clone());
        self.results[node] = Some(Arc::new(stored));
    }

    /// Records that the job of a node failed.
    pub(super) fn fail(&mut self, node: usize, failure: TrainingFailure) {
        self.scheduler.fail(node, failure);
    }
}

/// The state of a run behind a lock, with a signal for waiting workers.
pub(super) struct SharedState<'a> {
    state: Mutex<LockedState<'a>>,
    /// Signalled after every transition.
    changed: Condvar,
    /// The retention of each node.
    retentions: Vec<Retention>,
    /// The number of groups that are training, by engine.
    busy: BTreeMap<EngineKind, AtomicUsize>,
    /// The number of threads that all workers may use together.
    threads: usize,
    /// The largest number of lanes whose trainer fits into memory, as far as is known.
    lane_limit: AtomicUsize,
    /// The first I/O error, by which the run stops.
    stop_error: OnceLock<Error>,
}

impl<'a> SharedState<'a> {
    pub(super) fn new(state: LockedState<'a>, threads: usize) -> Self {
        let retentions = state.scheduler.retentions().to_vec();
        let busy = EngineKind::ALL.into_iter().map(|engine| (engine, AtomicUsize::new(0))).collect();
        let state = Mutex::new(state);
        Self {
            state,
            changed: Condvar::new(),
            retentions,
            busy,
            threads,
            lane_limit: AtomicUsize::new(usize::MAX),
            stop_error: OnceLock::new(),
        }
    }

    /// Locks the state, even if a thread panicked while it held the lock: nothing can panic between the first and the
    /// last change of a transition, so the state is consistent.
    pub(super) fn lock(&self) -> MutexGuard<'_, LockedState<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops the run after an I/O error: no worker begins another training run, and those in progress end
    /// after their current step.
    pub(super) fn stop(&self, error: Error) {
        let _ = self.stop_error.set(error);
    }

    /// Returns the largest number of lanes to train at a time.
    pub(super) fn lane_limit(&self) -> usize {
        self.lane_limit.load(Ordering::Relaxed)
    }

    /// Lowers the limit after a trainer with `lanes` lanes, at least 2, did not fit into memory: to half of them.
    /// Returns the limit.
    pub(super) fn lower_lane_limit(&self, lanes: usize) -> usize {
        let half = lanes / 2;
        self.lane_limit.fetch_min(half, Ordering::Relaxed).min(half)
    }

    /// Returns whether an I/O error has stopped the run.
    pub(super) fn has_stopped(&self) -> bool {
        self.stop_error.get().is_some()
    }

    /// Returns the I/O error by which the run stopped, if any.
    pub(super) fn into_stop_error(self) -> Option<Error> {
        self.stop_error.into_inner()
    }

    /// Wakes workers that wait for a transition.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Returns the next work. If that is [`NextWork::Wait`], first waits for a transition, at most [`POLL_INTERVAL`];
    /// the lock is held from the decision to the wait, so that no transition is missed.
    pub(super) fn next_or_wait(&self) -> NextWork<'a> {
        let mut state = self.lock();
        let next = state.scheduler.next();
        if let NextWork::Wait = next {
            drop(self.changed.wait_timeout(state, POLL_INTERVAL).unwrap_or_else(PoisonError::into_inner));
        }
        next
    }

    /// Records that a worker has the locks of a node's group and begins, so that another worker may poll.
    pub(super) fn end_poll(&self, node: usize) {
        self.lock().scheduler.end_poll(node);
        self.notify();
    }

    /// Returns the retention of a node.
    pub(super) fn retention(&self, node: usize) -> &Retention {
        &self.retentions[node]
    }

    /// Counts a group as training until the guard is dropped.
    pub(super) fn count_busy(&self, group: &GroupAssignment<'_>) -> BusyGuard<'_> {
        let count = &self.busy[&group.lanes[0].engine];
        count.fetch_add(1, Ordering::Relaxed);
        BusyGuard(count)
    }

    /// Returns the number of threads that a sparse trainer may use now.
    pub(super) fn sparse_threads(&self) -> usize {
        let busy = |engine| self.busy[&engine].load(Ordering::Relaxed);
        sparse_threads(self.threads, busy(EngineKind::Dense), busy(EngineKind::Sparse))
    }
}

/// The guard of a group that counts as training.
pub(super) struct BusyGuard<'a>(&'a AtomicUsize);

impl Drop for BusyGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the number of threads for each sparse trainer: dense trainers use one thread each, and the sparse ones share
/// the rest of `threads` equally.
fn sparse_threads(threads: usize, dense: usize, sparse: usize) -> usize {
    (threads.saturating_sub(dense) / sparse.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_trainers_share_the_threads_that_dense_ones_leave() {
        let threads = sparse_threads;
        assert_eq!([threads(2, 0, 1), threads(2, 0, 2), threads(2, 1, 1), threads(1, 0, 1)], [2, 1, 1, 1]);
        assert_eq!([threads(8, 0, 3), threads(8, 2, 3), threads(8, 8, 1), threads(8, 1, 0)], [2, 2, 1, 7]);
    }
}
