//! Measuring trained networks in several threads. Independent of what is measured.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Error, Result};

use super::events::{Event, EventSink};
use crate::system::parallel::run_in_parallel;

/// The result of measuring an item.
pub(super) enum Measurement {
    /// The item has been measured, and the result is kept.
    Stored,
    /// The run was cancelled before the item was measured.
    Cancelled,
}

/// Measures items, in the thread that built it.
pub(super) trait Measurer {
    /// What is measured at a time, such as a training run.
    type Item: Sync;

    /// Measures an item and keeps the result.
    ///
    /// # Errors
    /// Fails if the item cannot be read or measured, or the result cannot be stored.
    fn measure(&mut self, item: &Self::Item) -> Result<Measurement>;

    /// Returns the name of an item in messages.
    fn name(item: &Self::Item) -> String;
}

/// Measures each of `items` in up to `workers` threads, and reports each as an event; `measurer` builds the measurer of
/// a thread. Returns early if the run is cancelled.
///
/// # Errors
/// Fails with the error of a measurer. What was measured before stays stored.
pub(super) fn measure_in_parallel<M: Measurer>(
    items: &[M::Item],
    workers: usize,
    sink: &dyn EventSink,
    measurer: impl Fn() -> M + Sync,
) -> Result<()> {
    let queue =
        MeasureQueue { items, next: AtomicUsize::new(0), measured: AtomicUsize::new(0), error: Mutex::default() };
    run_in_parallel((0..workers.min(items.len())).map(|_| || queue.work(measurer(), sink)));
    let error = queue.error.into_inner().unwrap_or_else(PoisonError::into_inner);
    error.map_or(Ok(()), Err)
}

/// The items that the threads measure.
struct MeasureQueue<'a, T> {
    items: &'a [T],
    /// The index of the next item to be measured.
    next: AtomicUsize,
    /// The number of items that have been measured.
    measured: AtomicUsize,
    /// The error of a thread; all threads end with it.
    error: Mutex<Option<Error>>,
}

impl<T> MeasureQueue<'_, T> {
    /// Measures items until none is left, one fails, or the run is cancelled: the work of one thread.
    fn work<M: Measurer<Item = T>>(&self, mut measurer: M, sink: &dyn EventSink) {
        while let Some(item) = self.items.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            match measurer.measure(item) {
                Ok(Measurement::Stored) => {
                    let measured = self.measured.fetch_add(1, Ordering::Relaxed) + 1;
                    let text = format!("measured {measured} of {}: {}", self.items.len(), M::name(item));
                    sink.on_event(&Event::Message(&text));
                }
                Ok(Measurement::Cancelled) => return,
                Err(error) => {
                    // No thread takes another item.
                    self.next.store(self.items.len(), Ordering::Relaxed);
                    *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    return;
                }
            }
        }
    }
}
