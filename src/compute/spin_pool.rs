//! Threads that do the parts of one step together. A step has about ten parts that take some microseconds each, so the
//! threads wait for the next part awake, and sleep only when none comes.
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

/// Members at most.
pub(crate) const MAX_THREADS: usize = 16;

/// Looks at the next job's number before a thread lets others run, and then before it sleeps.
const SPINS: u32 = 2000;
const YIELDS: u32 = 200;

type Job<'a> = dyn Fn(usize) + Sync + 'a;

#[derive(Default)]
struct PoolState {
    /// Number of the present job.
    number: AtomicU64,
    job: Mutex<Option<&'static Job<'static>>>,
    /// Threads that are not done with it.
    left: AtomicUsize,
    asleep: AtomicUsize,
    /// What a member panicked with.
    broken: Mutex<Option<Box<dyn Any + Send>>>,
    over: AtomicBool,
}

/// The calling thread and some more.
pub(crate) struct SpinPool {
    shared: Arc<PoolState>,
    threads: Vec<JoinHandle<()>>,
}

impl SpinPool {
    /// A team of `members`, the calling thread among them; fewer where the system gives no more threads.
    pub(crate) fn new(members: usize) -> Self {
        let shared = Arc::new(PoolState::default());
        let start = |member| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name("lth sparse".to_owned()).spawn(move || work(&shared, member)).ok()
        };
        let threads = (1..members.clamp(1, MAX_THREADS)).map_while(start).collect();
        Self { shared, threads }
    }

    /// The number of members.
    pub(crate) fn members(&self) -> usize {
        self.threads.len() + 1
    }

    /// Gives each of `works` to a member, at most one each, and returns when all are done.
    pub(crate) fn run_each<W: Send>(&mut self, mut works: impl Iterator<Item = W>, work: impl Fn(W) + Sync) {
        if self.threads.is_empty() {
            works.for_each(work);
            return;
        }
        let members = self.members();
        let places: [Mutex<Option<W>>; MAX_THREADS] =
            std::array::from_fn(|member| Mutex::new(if member < members { works.next() } else { None }));
        assert!(works.next().is_none(), "more works than members");
        self.run(&|member| {
            let mine = lock(&places[member]).take();
            mine.into_iter().for_each(&work);
        });
    }

    /// Calls `job` with the number of each member, in its thread.
    fn run(&mut self, job: &Job<'_>) {
        // SAFETY: only the lifetime changes. The reference is used by our threads alone, between `number` below and their
        // last use of `left`; `Taken` waits for that before this function is left, also by a panic of `job`.
        let lent = unsafe { std::mem::transmute::<&Job<'_>, &'static Job<'static>>(job) };
        *lock(&self.shared.job) = Some(lent);
        *lock(&self.shared.broken) = None;
        self.shared.left.store(self.threads.len(), Ordering::SeqCst);
        let taken = JobGuard(&self.shared);
        self.shared.number.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) > 0 {
            self.threads.iter().for_each(|thread| thread.thread().unpark());
        }
        job(0);
        drop(taken);
        let broken = lock(&self.shared.broken).take();
        if let Some(panic) = broken {
            resume_unwind(panic);
        }
    }
}

/// Waits until no thread has the job any more.
struct JobGuard<'a>(&'a PoolState);

impl Drop for JobGuard<'_> {
    fn drop(&mut self) {
        let mut looks = 0;
        while self.0.left.load(Ordering::SeqCst) > 0 {
            looks += 1;
            if looks < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        *lock(&self.0.job) = None;
    }
}

impl Drop for SpinPool {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A thread that panicked outside a job has nothing left to tell.
            let _ = thread.join();
        }
    }
}

/// One thread: does its part of each job.
fn work(shared: &PoolState, member: usize) {
    let mut done = 0;
    loop {
        let mut looks = 0;
        while shared.number.load(Ordering::SeqCst) == done {
            if shared.over.load(Ordering::SeqCst) {
                return;
            }
            looks += 1;
            if looks < SPINS {
                std::hint::spin_loop();
            } else if looks < SPINS + YIELDS {
                std::thread::yield_now();
            } else {
                shared.asleep.fetch_add(1, Ordering::SeqCst);
                if shared.number.load(Ordering::SeqCst) == done && !shared.over.load(Ordering::SeqCst) {
                    std::thread::park();
                }
                shared.asleep.fetch_sub(1, Ordering::SeqCst);
            }
        }
        done = shared.number.load(Ordering::SeqCst);
        let job = *lock(&shared.job);
        if let Some(job) = job {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(member))) {
                *lock(&shared.broken) = Some(panic);
            }
            shared.left.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Cuts `values` into the parts that `ranges` name, which follow each other without gaps from 0. Parts of nothing are empty.
pub(crate) fn parts<'a, T>(
    mut values: &'a mut [T],
    ranges: &'a [Range<usize>],
) -> impl Iterator<Item = (Range<usize>, &'a mut [T])> {
    ranges.iter().map(move |range| {
        let here = range.len().min(values.len());
        let (part, rest) = std::mem::take(&mut values).split_at_mut(here);
        values = rest;
        (range.clone(), part)
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_done_once_however_often() {
        for members in 1..=4 {
            let mut team = SpinPool::new(members);
            let mut values = vec![0_u64; 103];
            let ranges: Vec<_> = (0..members).map(|m| m * 103 / members..(m + 1) * 103 / members).collect();
            for round in 0..2000 {
                team.run_each(parts(&mut values, &ranges), |(range, part)| {
                    part.iter_mut().zip(range).for_each(|(value, i)| *value += i as u64);
                });
                if round % 500 == 0 {
                    // Long enough for the others to fall asleep.
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
            assert!(values.iter().enumerate().all(|(i, &value)| value == 2000 * i as u64), "{members} members");
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_goes_on() {
        let mut team = SpinPool::new(3);
        let broken = catch_unwind(AssertUnwindSafe(|| {
            team.run_each(0..3, |member| assert!(member != 2, "member {member}"));
        }));
        let panic = broken.unwrap_err();
        assert_eq!(panic.downcast_ref::<String>().map(String::as_str), Some("member 2"));
        let too_many = catch_unwind(AssertUnwindSafe(|| team.run_each(0..4, |_| ())));
        assert!(too_many.is_err(), "four works for three members");
        let sum = AtomicUsize::new(0);
        team.run_each(1..4, |n| {
            sum.fetch_add(n, Ordering::SeqCst);
        });
        assert_eq!(sum.into_inner(), 6);
    }
}
