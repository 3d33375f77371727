//! Share of a run that is done, and an estimate of the time left by the rate of this process so far. Work is measured
//! in the estimated cost of iterations, which is smaller for sparse networks.

use crate::base::outcome::Outcome;
use crate::runner::Event;
use crate::system::clock::Stopwatch;

/// Time before the first estimate: an earlier one would measure the start of the trainings.
const MIN_SECONDS: f64 = 3.0;

/// The work of a run that is done, by its events. Costs are in the unit of [`Event::RunStarted`].
#[derive(Default)]
pub(super) struct Eta {
    /// Time since the first training started: loading the data is not counted.
    watch: Option<Stopwatch>,
    /// Cost of all trainings to run.
    total: f64,
    /// Cost of the trainings that have ended, with whatever outcome.
    settled: f64,
    /// Cost of the iterations that these trainings ran: less than `settled` for those that failed early.
    done: f64,
    /// The training of each worker.
    running: Vec<Running>,
}

/// A running training.
#[derive(Clone, Copy, Default)]
struct Running {
    /// Cost of an iteration.
    iteration_cost: f64,
    /// Iterations done.
    iterations: u64,
}

impl Running {
    fn cost(self) -> f64 {
        self.iteration_cost * self.iterations as f64
    }
}

impl Eta {
    /// Updates the work by an event.
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
                    // In a group of lanes the first training that ends takes the iterations of the worker.
                    (_, running) => running.unwrap_or_default().cost().min(*cost),
                };
            }
            Event::Waiting { .. } | Event::Message(_) | Event::RunFinished => {}
        }
    }

    /// Returns the share of the work that is done, 0..=1.
    pub(super) fn share(&self) -> f64 {
        if self.total > 0.0 { ((self.settled + self.running()) / self.total).min(1.0) } else { 1.0 }
    }

    /// Returns the estimated seconds left at the rate so far; `None` in the first seconds, before any work is done, and
    /// at the end.
    pub(super) fn seconds_left(&self) -> Option<f64> {
        self.seconds_left_after(self.watch?.seconds())
    }

    /// Like [`seconds_left`](Self::seconds_left), after `seconds` of work.
    fn seconds_left_after(&self, seconds: f64) -> Option<f64> {
        let remaining = self.total - (self.settled + self.running());
        let done = self.done + self.running();
        // The tolerance is for rounding in sums of many costs.
        let is_open = remaining > 1e-9 * self.total;
        (seconds >= MIN_SECONDS && done > 0.0 && is_open).then(|| seconds / done * remaining)
    }

    /// Returns the cost of the iterations done by running trainings.
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
        eta.update(&Event::Ended { worker, id: &label, result: &result, cost: 100.0, ended: 1, trainings: 4 });
    }

    #[test]
    fn eta_extrapolates_rate_so_far() {
        let mut eta = begun();
        assert_eq!((eta.share(), eta.seconds_left_after(60.0)), (0.0, None), "nothing is done");
        eta.update(&Event::Stepped { worker: 0, iteration: 50 });
        eta.update(&Event::Stepped { worker: 1, iteration: 30 });
        assert_eq!((eta.share(), eta.seconds_left_after(2.9)), (0.2, None), "too little to go by");
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
        let mut eta = begun();
        ended(&mut eta, Some(0), Outcome::Done);
        ended(&mut eta, Some(1), Outcome::Done);
        started(&mut eta, 0, 150.0);
        eta.update(&Event::Stepped { worker: 0, iteration: 100 });
        assert_eq!((eta.share(), eta.seconds_left_after(35.0)), (0.875, Some(5.0)), "350 of 400 in 35 s");
    }

    #[test]
    fn eta_does_not_count_failed_training_as_fast() {
        let mut eta = begun();
        eta.update(&Event::Stepped { worker: 0, iteration: 20 });
        ended(&mut eta, Some(0), Outcome::Failed { cause: "a reason".into() });
        assert_eq!(eta.seconds_left_after(10.0), Some(150.0), "20 iterations in 10 s, 300 to go");
        assert_eq!(eta.share(), 0.25);
    }
}
