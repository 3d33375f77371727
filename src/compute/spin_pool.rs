//! A pool of threads that share the parts of one short computation, such as an optimizer step.
//!
//! A step has about ten parts of some microseconds each, about as long as it takes to wake a sleeping thread. The threads
//! therefore wait for the next part in a loop (they spin), and sleep only if none comes. `benches/sparse_step.rs` measures the
//! gain: with two threads, a sparse step of LeNet-300-100 is faster by a third at 21 % of the weights, and no faster at 8 %.
#![expect(
    unsafe_code,
    reason = "a job that borrows is lent to threads that outlive the borrow; it is taken back before `run` returns"
)]

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The largest number of threads of a pool, the calling thread included.
pub(crate) const MAX_THREADS: usize = 16;

/// Checks for the next job before a waiting thread yields its core to other threads.
const SPINS: u32 = 2000;

/// Further checks, with a yield each, before a waiting thread sleeps.
const YIELDS: u32 = 200;

/// A function that every thread of the pool calls with its number, from 0 for the calling thread.
type Job<'a> = dyn Fn(usize) + Sync + 'a;

/// The state shared by the threads of a pool.
#[derive(Default)]
struct PoolState {
    /// The number of jobs started until now; waiting threads check it for changes.
    job_number: AtomicU64,
    /// The current job.
    job: Mutex<Option<&'static Job<'static>>>,
    /// The number of threads that have not finished the current job, without the calling thread.
    unfinished: AtomicUsize,
    /// The number of threads that sleep or are about to.
    sleeping: AtomicUsize,
    /// The payload of a panic in the current job.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    /// Set when the pool is dropped.
    is_shut_down: AtomicBool,
}

/// A pool of threads. The thread that owns the pool is one of them and takes part in every job.
pub(crate) struct SpinPool {
    shared: Arc<PoolState>,
    threads: Vec<JoinHandle<()>>,
}

impl SpinPool {
    /// Returns a pool of `members` threads, the calling thread included: at least 1 and at most [`MAX_THREADS`], and fewer if
    /// the operating system refuses more.
    pub(crate) fn new(members: usize) -> Self {
        let shared = Arc::new(PoolState::default());
        let start = |member| {
            let shared = Arc::clone(&shared);
            let builder = std::thread::Builder::new().name("lth spin pool".to_owned());
            builder.spawn(move || run_jobs(&shared, member)).ok()
        };
        let threads = (1..members.clamp(1, MAX_THREADS)).map_while(start).collect();
        Self { shared, threads }
    }

    /// Returns the number of threads, the calling thread included.
    pub(crate) fn members(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `work` with each of `items`, each in a thread of its own, and returns when all calls have returned. A panic of a
    /// call is passed on.
    ///
    /// # Panics
    /// If there are more items than threads.
    pub(crate) fn run_each<W: Send>(&mut self, mut items: impl Iterator<Item = W>, work: impl Fn(W) + Sync) {
        if self.threads.is_empty() {
            items.for_each(work);
            return;
        }
        let members = self.members();
        let slots: [Mutex<Option<W>>; MAX_THREADS] =
            std::array::from_fn(|member| Mutex::new(if member < members { items.next() } else { None }));
        assert!(items.next().is_none(), "more work items than threads");
        self.run(&|member| {
            let item = lock(&slots[member]).take();
            item.into_iter().for_each(&work);
        });
    }

    /// Calls `job` in each thread with the thread's number.
    fn run(&mut self, job: &Job<'_>) {
        // SAFETY: only the lifetime changes. The reference is used by the threads of this pool alone, between the increment of
        // `job_number` below and their last use of `unfinished`; `JobGuard` waits for that before this function returns, also
        // after a panic of `job`.
        let lent = unsafe { std::mem::transmute::<&Job<'_>, &'static Job<'static>>(job) };
        *lock(&self.shared.job) = Some(lent);
        *lock(&self.shared.panic) = None;
        self.shared.unfinished.store(self.threads.len(), Ordering::SeqCst);
        let guard = JobGuard(&self.shared);
        self.shared.job_number.fetch_add(1, Ordering::SeqCst);
        if self.shared.sleeping.load(Ordering::SeqCst) > 0 {
            self.threads.iter().for_each(|thread| thread.thread().unpark());
        }
        job(0);
        drop(guard);
        let panic = lock(&self.shared.panic).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

/// Waits on drop until every thread has finished the current job.
struct JobGuard<'a>(&'a PoolState);

impl Drop for JobGuard<'_> {
    fn drop(&mut self) {
        let mut checks = 0;
        while self.0.unfinished.load(Ordering::SeqCst) > 0 {
            checks += 1;
            if checks < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        *lock(&self.0.job) = None;
    }
}

impl Drop for SpinPool {
    fn drop(&mut self) {
        self.shared.is_shut_down.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // Panics of jobs have been passed on by `run`; a thread panics nowhere else.
            let _ = thread.join();
        }
    }
}

/// Runs every job until the pool is dropped: the body of thread number `member`.
fn run_jobs(shared: &PoolState, member: usize) {
    let mut finished_job = 0;
    loop {
        let mut checks = 0;
        while shared.job_number.load(Ordering::SeqCst) == finished_job {
            if shared.is_shut_down.load(Ordering::SeqCst) {
                return;
            }
            checks += 1;
            if checks < SPINS {
                std::hint::spin_loop();
            } else if checks < SPINS + YIELDS {
                std::thread::yield_now();
            } else {
                shared.sleeping.fetch_add(1, Ordering::SeqCst);
                let is_idle = shared.job_number.load(Ordering::SeqCst) == finished_job;
                if is_idle && !shared.is_shut_down.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                shared.sleeping.fetch_sub(1, Ordering::SeqCst);
            }
        }
        finished_job = shared.job_number.load(Ordering::SeqCst);
        let job = *lock(&shared.job);
        if let Some(job) = job {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(member))) {
                *lock(&shared.panic) = Some(panic);
            }
            shared.unfinished.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Splits `values` at `ranges`, which follow each other without gaps from 0; each part comes with its range. Parts behind the
/// end of `values` are empty.
pub(crate) fn parts<'a, T>(
    mut values: &'a mut [T],
    ranges: &'a [Range<usize>],
) -> impl Iterator<Item = (Range<usize>, &'a mut [T])> {
    ranges.iter().map(move |range| {
        let len = range.len().min(values.len());
        let (part, rest) = std::mem::take(&mut values).split_at_mut(len);
        values = rest;
        (range.clone(), part)
    })
}

/// Locks a mutex, also after a panic of the thread that held it: what it guards is replaced as a whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_each_processes_every_item_once() {
        for members in 1..=4 {
            let mut pool = SpinPool::new(members);
            let mut values = vec![0_u64; 103];
            let ranges: Vec<_> = (0..members).map(|m| m * 103 / members..(m + 1) * 103 / members).collect();
            for round in 0..2000 {
                pool.run_each(parts(&mut values, &ranges), |(range, part)| {
                    part.iter_mut().zip(range).for_each(|(value, i)| *value += i as u64);
                });
                if round % 500 == 0 {
                    // Long enough for the other threads to park.
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
            assert!(values.iter().enumerate().all(|(i, &value)| value == 2000 * i as u64), "{members} members");
        }
    }

    #[test]
    fn panic_reaches_the_caller_and_the_pool_stays_usable() {
        let mut pool = SpinPool::new(3);
        let broken = catch_unwind(AssertUnwindSafe(|| {
            pool.run_each(0..3, |member| assert!(member != 2, "member {member}"));
        }));
        let panic = broken.unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some("member 2"));
        let too_many = catch_unwind(AssertUnwindSafe(|| pool.run_each(0..4, |_| ())));
        assert!(too_many.is_err(), "four items for three threads");
        let sum = AtomicUsize::new(0);
        pool.run_each(1..4, |n| {
            sum.fetch_add(n, Ordering::SeqCst);
        });
        assert_eq!(sum.into_inner(), 6);
    }
}
