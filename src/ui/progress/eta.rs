//! How far a run is, and how long the rest may take: the work of this process over the time it took. Work is counted by
//! what iterations are estimated to cost, which is less where few weights are left.

use crate::base::outcome::Outcome;
use crate::runner::Event;
use crate::system::clock::Stopwatch;

/// An estimate from less than this would be one of how long it takes to begin.
const MIN_SECONDS: f64 = 3.0;

/// Counts the work of a run as it is told of it.
#[derive(Default)]
pub(super) struct Eta {
    /// Since the first training began: the data is there then.
    watch: Option<Stopwatch>,
    /// The cost of all that is to be trained.
    total: f64,
    /// The cost that need not be waited for any more: of trainings that have ended, however they did.
    settled: f64,
    /// Of this, what was done since this run began. A training that fails early saves the rest of its time.
    done: f64,
    /// What each worker is at.
    running: Vec<Running>,
}

/// A training at work.
#[derive(Clone, Copy, Default)]
struct Running {
    /// The cost of an iteration.
    each: f64,
    /// Iterations behind it.
    behind: u64,
}

impl Running {
    fn cost(self) -> f64 {
        self.each * self.behind as f64
    }
}

impl Eta {
    /// Counts what happened.
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::RunStarted { cost, workers, .. } => {
                *self = Self { total: *cost, running: vec![Running::default(); *workers], ..Self::default() };
            }
            Event::Started { worker, iterations, cost, .. } => {
                self.watch.get_or_insert_with(Stopwatch::start);
                if let Some(running) = self.running.get_mut(*worker) {
                    *running = Running { each: cost / (*iterations).max(1) as f64, behind: 0 };
                }
            }
            Event::Stepped { worker, iteration } => {
                if let Some(running) = self.running.get_mut(*worker) {
                    running.behind = *iteration;
                }
            }
            Event::Ended { worker, result, cost, .. } => {
                let running = worker.and_then(|worker| self.running.get_mut(worker)).map(std::mem::take);
                self.settled += cost;
                self.done += match (&result.outcome, running) {
                    (Outcome::Done, _) => *cost,
                    // Of a group the first that ends has all that is known of its running.
                    (_, running) => running.unwrap_or_default().cost().min(*cost),
                };
            }
            Event::Waiting { .. } | Event::Message(_) | Event::RunFinished => {}
        }
    }

    /// The share of the work that is done: 0..=1.
    pub(super) fn share(&self) -> f64 {
        if self.total > 0.0 { ((self.settled + self.running()) / self.total).min(1.0) } else { 1.0 }
    }

    /// The seconds that the rest takes at the pace so far; `None` while there is little to go by, and at the end.
    pub(super) fn seconds_left(&self) -> Option<f64> {
        self.left_after(self.watch?.seconds())
    }

    fn left_after(&self, seconds: f64) -> Option<f64> {
        let left = self.total - (self.settled + self.running());
        let done = self.done + self.running();
        // Sums of many estimates are not exact to the last digit.
        let is_open = left > 1e-9 * self.total;
        (seconds >= MIN_SECONDS && done > 0.0 && is_open).then(|| seconds / done * left)
    }

    fn running(&self) -> f64 {
        self.running.iter().map(|running| running.cost()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{TrainingId, TrainingResult};

    /// Four trainings of 100 iterations on two workers.
    fn begun() -> Eta {
        let mut tally = Eta::default();
        tally.tell(&Event::RunStarted {
            experiment: "e",
            trainings: 4,
            stored: 0,
            iterations: 400,
            cost: 400.0,
            workers: 2,
            engine: "dense on cpu",
            view: std::path::Path::new("runs/e"),
        });
        (0..2).for_each(|worker| started(&mut tally, worker, 100.0));
        tally
    }

    fn started(tally: &mut Eta, worker: usize, cost: f64) {
        let label = TrainingId { arm: "dense".into(), replicate: 1, repeat: 1, round: 0, other_lanes: 0 };
        tally.tell(&Event::Started { worker, label: &label, iterations: 100, cost });
    }

    fn ended(tally: &mut Eta, worker: Option<usize>, outcome: Outcome) {
        let label = TrainingId { arm: "dense".into(), replicate: 1, repeat: 1, round: 0, other_lanes: 0 };
        let result = TrainingResult { outcome, weights_remaining: 1.0, last: None, seconds: None };
        tally.tell(&Event::Ended { worker, label: &label, result: &result, cost: 100.0, ended: 1, trainings: 4 });
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
    fn what_costs_less_takes_less_time() {
        let mut tally = begun();
        ended(&mut tally, Some(0), Outcome::Done);
        ended(&mut tally, Some(1), Outcome::Done);
        started(&mut tally, 0, 150.0);
        tally.tell(&Event::Stepped { worker: 0, iteration: 100 });
        assert_eq!((tally.share(), tally.left_after(35.0)), (0.875, Some(5.0)), "350 of 400 in 35 s");
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
