//! The share of a run that is done, and an estimate of the remaining time by the rate of this process so far. Work is
//! measured by the estimated cost of iterations, which is smaller for sparse networks.

use crate::base::outcome::Outcome;
use crate::runner::Event;
use crate::system::clock::Stopwatch;

/// Seconds before the first estimate. An earlier one would measure how long the first training runs take to start.
const MIN_SECONDS: f64 = 3.0;

/// The work of a run, as its events report it. Costs are in the unit of [`Event::RunStarted`].
#[derive(Default)]
pub(super) struct Eta {
    /// Time since the first training run started: loading the data is not counted.
    watch: Option<Stopwatch>,
    /// Cost of all training runs that remain at the start of the run.
    total: f64,
    /// Cost of the training runs that have ended, with any outcome, as if each had run all its iterations.
    settled: f64,
    /// Cost of the iterations that the ended training runs took: less than `settled` if some failed early.
    done: f64,
    /// The training run of each worker, by index of the worker.
    running: Vec<Running>,
}

/// A training run in progress.
#[derive(Clone, Copy, Default)]
struct Running {
    /// Cost of an iteration.
    iteration_cost: f64,
    /// Iterations done.
    iterations: u64,
}

impl Running {
    /// Returns the cost of the iterations done.
    fn cost(self) -> f64 {
        self.iteration_cost * self.iterations as f64
    }
}

impl Eta {
    /// Updates the totals from an event.
    pub(super) fn update(&mut self, event: &Event<'_>) {
        match event {
            Event::RunStarted { cost, workers, .. } => {
                *self = Self { total: *cost, running: vec![Running::default(); *workers], ..Self::default() };
            }
            Event::Started { worker, iterations, cost, .. } => {
                self.watch.get_or_insert_with(Stopwatch::start);
                if let Some(running) = self.running.get_mut(*worker) {
                    *running = Running { iteration_cost: cost / (*iterations).max(1) as f64, iterations: 0 };
                }
            }
            Event::Stepped { worker, iteration } => {
                if let Some(running) = self.running.get_mut(*worker) {
                    running.iterations = *iteration;
                }
            }
            Event::Ended { worker, result, cost, .. } => {
                let running = worker.and_then(|worker| self.running.get_mut(worker)).map(std::mem::take);
                self.settled += cost;
                self.done += match (&result.outcome, running) {
                    (Outcome::Done, _) => *cost,
                    // In a lockstep group, the iterations of the worker are counted for the training run that ends
                    // first.
                    (_, running) => running.unwrap_or_default().cost().min(*cost),
                };
            }
            Event::Waiting { .. } | Event::Message(_) | Event::RunFinished => {}
        }
    }

    /// Returns the share of the work that is done, 0..=1.
    pub(super) fn share(&self) -> f64 {
        if self.total > 0.0 { ((self.settled + self.running_cost()) / self.total).min(1.0) } else { 1.0 }
    }

    /// Returns the estimated remaining seconds at the rate so far; `None` in the first seconds, before any work is
    /// done, and at the end.
    pub(super) fn seconds_left(&self) -> Option<f64> {
        self.seconds_left_after(self.watch?.seconds())
    }

    /// Like [`seconds_left`](Self::seconds_left), but after `seconds` of work.
    fn seconds_left_after(&self, seconds: f64) -> Option<f64> {
        let remaining = self.total - (self.settled + self.running_cost());
        let done = self.done + self.running_cost();
        // The tolerance allows for rounding in sums of many costs.
        let has_work_left = remaining > 1e-9 * self.total;
        let is_known = seconds >= MIN_SECONDS && done > 0.0 && has_work_left;
        // "0 s left" would be no information.
        is_known.then(|| seconds / done * remaining).filter(|seconds| seconds.round() > 0.0)
    }

    /// Returns the cost of the iterations done by training runs in progress.
    fn running_cost(&self) -> f64 {
        self.running.iter().map(|running| running.cost()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{TrainingId, TrainingResult};

    /// Returns the work of four training runs of 100 iterations, of which two workers have started two.
    fn started_eta() -> Eta {
        let mut eta = Eta::default();
        eta.update(&Event::RunStarted {
            experiment: "e",
            trainings: 4,
            stored: 0,
            iterations: 400,
            cost: 400.0,
            workers: 2,
            engine_text: "dense on cpu",
            run_dir: std::path::Path::new("runs/e"),
        });
        (0..2).for_each(|worker| started(&mut eta, worker, 100.0));
        eta
    }

    fn started(eta: &mut Eta, worker: usize, cost: f64) {
        let label = TrainingId { arm: "dense".into(), replicate: 1, repeat: 1, round: 0, other_lanes: 0 };
        eta.update(&Event::Started { worker, id: &label, iterations: 100, cost });
    }

    fn ended(eta: &mut Eta, worker: Option<usize>, outcome: Outcome) {
        let label = TrainingId { arm: "dense".into(), replicate: 1, repeat: 1, round: 0, other_lanes: 0 };
        let result = TrainingResult { outcome, weights_remaining: 1.0, last: None, seconds: None };
        eta.update(&Event::Ended {
            worker,
            id: &label,
            result: &result,
            cost: 100.0,
            ended: 1,
            trainings: 4,
            repeats: None,
        });
    }

    #[test]
    fn eta_extrapolates_rate_so_far() {
        let mut eta = started_eta();
        assert_eq!((eta.share(), eta.seconds_left_after(60.0)), (0.0, None), "nothing is done");
        eta.update(&Event::Stepped { worker: 0, iteration: 50 });
        eta.update(&Event::Stepped { worker: 1, iteration: 30 });
        assert_eq!((eta.share(), eta.seconds_left_after(2.9)), (0.2, None), "too early for an estimate");
        assert_eq!(eta.seconds_left_after(10.0), Some(40.0), "80 iterations in 10 s, 320 to go");
        ended(&mut eta, Some(0), Outcome::Done);
        ended(&mut eta, None, Outcome::Done);
        assert_eq!(eta.seconds_left_after(23.0), Some(17.0), "230 iterations in 23 s, 170 to go");
        ended(&mut eta, Some(1), Outcome::Done);
        ended(&mut eta, Some(0), Outcome::Done);
        assert_eq!((eta.share(), eta.seconds_left_after(40.0)), (1.0, None), "nothing is left");
    }

    #[test]
    fn eta_goes_by_cost() {
        let mut eta = started_eta();
        ended(&mut eta, Some(0), Outcome::Done);
        ended(&mut eta, Some(1), Outcome::Done);
        started(&mut eta, 0, 150.0);
        eta.update(&Event::Stepped { worker: 0, iteration: 100 });
        assert_eq!((eta.share(), eta.seconds_left_after(35.0)), (0.875, Some(5.0)), "350 of 400 in 35 s");
    }

    #[test]
    fn eta_does_not_count_failed_training_as_fast() {
        let mut eta = started_eta();
        eta.update(&Event::Stepped { worker: 0, iteration: 20 });
        ended(&mut eta, Some(0), Outcome::Failed { cause: "a reason".into() });
        assert_eq!(eta.seconds_left_after(10.0), Some(150.0), "20 iterations in 10 s, 300 to go");
        assert_eq!(eta.share(), 0.25);
    }
}
