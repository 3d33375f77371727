//! How far a run is, and how long the rest may take: the work of this process over the time it took.

use crate::base::clock::Stopwatch;
use crate::base::outcome::Outcome;
use crate::record::Event;

/// An estimate from less than this would be one of how long it takes to begin.
const SECONDS_TO_GO_BY: f64 = 3.0;

/// Counts the iterations of a run as it is told of them.
#[derive(Default)]
pub(super) struct Tally {
    /// Since the first training began: the data is there then.
    watch: Option<Stopwatch>,
    /// Iterations of all that is to be trained, and of one training.
    total: u64,
    each: u64,
    /// Iterations that need not be waited for any more: those of trainings that have ended, however they did.
    settled: u64,
    /// Of these, the ones that were taken since this run began. A training that fails early saves the rest of its time.
    taken: u64,
    /// Iterations behind each worker in its training.
    running: Vec<u64>,
}

impl Tally {
    /// Counts what happened.
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::Begun { iterations, each, workers, .. } => {
                *self = Self { total: *iterations, each: *each, running: vec![0; *workers], ..Self::default() };
            }
            Event::Started { .. } => {
                self.watch.get_or_insert_with(Stopwatch::start);
            }
            Event::Stepped { worker, iteration } => {
                if let Some(running) = self.running.get_mut(*worker) {
                    *running = *iteration;
                }
            }
            Event::Ended { worker, result, .. } => {
                let running = worker.and_then(|worker| self.running.get_mut(worker)).map(std::mem::take);
                self.settled += self.each;
                self.taken += match (&result.outcome, running) {
                    (Outcome::Done, _) => self.each,
                    (_, running) => running.unwrap_or(0),
                };
            }
            Event::Waiting { .. } | Event::Note(_) | Event::Over => {}
        }
    }

    /// The share of the work that is done: 0..=1.
    pub(super) fn share(&self) -> f64 {
        let behind = self.settled + self.running.iter().sum::<u64>();
        if self.total == 0 { 1.0 } else { (behind as f64 / self.total as f64).min(1.0) }
    }

    /// The seconds that the rest takes at the pace so far; `None` while there is little to go by, and at the end.
    pub(super) fn seconds_left(&self) -> Option<f64> {
        self.left_after(self.watch?.seconds())
    }

    fn left_after(&self, seconds: f64) -> Option<f64> {
        let running = self.running.iter().sum::<u64>();
        let left = self.total.saturating_sub(self.settled + running);
        let taken = self.taken + running;
        (seconds >= SECONDS_TO_GO_BY && taken > 0 && left > 0).then(|| seconds / taken as f64 * left as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Label, Result};

    /// Four trainings of 100 iterations on two workers.
    fn begun() -> Tally {
        let mut tally = Tally::default();
        tally.tell(&Event::Begun {
            experiment: "e",
            trainings: 4,
            stored: 0,
            iterations: 400,
            each: 100,
            workers: 2,
            engine: "dense on cpu",
            view: std::path::Path::new("runs/e"),
        });
        tally
    }

    fn ended(tally: &mut Tally, worker: Option<usize>, outcome: Outcome) {
        let label = Label { arm: "dense".into(), replicate: 1, repeat: 1, round: 0 };
        let result = Result { outcome, weights_remaining: 1.0, last: None, seconds: None };
        tally.tell(&Event::Ended { worker, label: &label, result: &result, ended: 1, trainings: 4 });
    }

    #[test]
    fn the_rest_takes_as_long_as_what_is_done() {
        let mut tally = begun();
        assert_eq!((tally.share(), tally.left_after(60.0)), (0.0, None), "nothing is done");
        tally.tell(&Event::Stepped { worker: 0, iteration: 50 });
        tally.tell(&Event::Stepped { worker: 1, iteration: 30 });
        assert_eq!((tally.share(), tally.left_after(2.9)), (0.2, None), "too little to go by");
        assert_eq!(tally.left_after(10.0), Some(40.0), "80 iterations in 10 s, 320 to go");
        ended(&mut tally, Some(0), Outcome::Done);
        ended(&mut tally, None, Outcome::Done);
        assert_eq!(tally.left_after(23.0), Some(17.0), "230 iterations in 23 s, 170 to go");
        ended(&mut tally, Some(1), Outcome::Done);
        ended(&mut tally, Some(0), Outcome::Done);
        assert_eq!((tally.share(), tally.left_after(40.0)), (1.0, None), "nothing is left");
    }

    #[test]
    fn a_training_that_fails_was_not_fast() {
        let mut tally = begun();
        tally.tell(&Event::Stepped { worker: 0, iteration: 20 });
        ended(&mut tally, Some(0), Outcome::Failed { cause: "a reason".into() });
        assert_eq!(tally.left_after(10.0), Some(150.0), "20 iterations in 10 s, 300 to go");
        assert_eq!(tally.share(), 0.25);
    }
}
