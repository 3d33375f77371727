//! Jobs that run at the same time, on a system that may refuse threads.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Runs each job in a thread of its own, and returns their results in the order of the jobs. A job for which the system
/// allows no thread, as in a container with a limit on processes, runs in this thread.
///
/// # Panics
/// Panics if a job does.
pub fn run_in_parallel<T: Send, F: FnOnce() -> T + Send>(jobs: impl IntoIterator<Item = F>) -> Vec<T> {
    // A job stays here until a thread takes it, so that it is not lost with a thread that cannot be started.
    let jobs: Vec<Mutex<Option<F>>> = jobs.into_iter().map(|job| Mutex::new(Some(job))).collect();
    let take = |job: &Mutex<Option<F>>| job.lock().unwrap_or_else(PoisonError::into_inner).take();
    let run = |job: &Mutex<Option<F>>| take(job).map(|job| job());
    thread::scope(|scope| {
        let start = |job| thread::Builder::new().spawn_scoped(scope, move || run(job)).ok();
        let threads: Vec<_> = jobs.iter().map(start).collect();
        let result = |(thread, job): (Option<thread::ScopedJoinHandle<'_, Option<T>>>, &Mutex<Option<F>>)| match thread
        {
            Some(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            None => run(job),
        };
        threads.into_iter().zip(&jobs).filter_map(result).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_jobs() {
        let jobs = (0..20_u64).map(|n| {
            move || {
                thread::sleep(std::time::Duration::from_millis(20 - n));
                n * n
            }
        });
        assert_eq!(run_in_parallel(jobs), (0..20_u64).map(|n| n * n).collect::<Vec<_>>());
    }
}
