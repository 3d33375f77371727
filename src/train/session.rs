//! The loop of one training, or of several in lockstep.

use anyhow::{Error, Result, ensure};

use super::order::Order;
use super::schedule::Schedule;
use crate::base::curve::{Curve, Point};
use crate::base::mask::Mask;
use crate::base::random::Elementwise;
use crate::base::state::Snapshot;
use crate::base::stop::Stop;
use crate::config::Train;
use crate::data::Split;
use crate::engine::{Batch, Trainer};

/// One of the trainings of a session.
pub struct Lane<'a> {
    /// Which images when.
    pub order: Order<'a>,
    /// What is drawn for single values at each step.
    pub elementwise: Elementwise,
    /// What it starts from; all lanes of a session start at the same iteration.
    pub start: &'a Snapshot,
    /// The weights it keeps.
    pub mask: &'a Mask,
    /// Iterations whose states are wanted, in order; the last iteration's comes anyway.
    pub at: &'a [u64],
}

/// What trainings need beside their weights and their masks.
pub struct Session<'a> {
    /// Iterations, learning rate, evaluations.
    pub train: &'a Train,
    /// The trainings, one for each lane of the trainer.
    pub lanes: Vec<Lane<'a>>,
    /// The iteration to end at: the last one, or before it where only earlier states are wanted.
    pub end: u64,
    /// A wish to stop.
    pub stop: &'a Stop,
    /// How many threads the trainer may use; asked at every step, since others come and go.
    pub threads: &'a dyn Fn() -> usize,
}

/// What a training gave.
pub struct Trained {
    /// The evaluations.
    pub curve: Curve,
    /// The states that were wanted.
    pub at: Vec<Snapshot>,
    /// The state at the end.
    pub last: Snapshot,
}

/// How a training ended.
pub enum End {
    /// After the iteration it was to end at.
    Trained(Trained),
    /// At the evaluation that found a loss or a weight that is no finite number; the curve ends before it.
    Diverged(Curve, u64),
    /// Before the first step: the trainer does not have what it was to begin with.
    Refused(Error),
}

/// What of a lane there is so far.
#[derive(Default)]
struct Progress {
    curve: Curve,
    at: Vec<Snapshot>,
    /// Set where it has ended before the others: it goes on in the trainer, and nobody looks.
    end: Option<End>,
}

impl Session<'_> {
    /// Trains every lane from its start under its mask to the end; calls `loaded` with each lane and what the trainer
    /// really has there at the beginning, and `progress` with each iteration that is behind them, counted absolutely. Tells
    /// how each lane ended; nothing where somebody wished to stop.
    ///
    /// The networks are evaluated at their start, every `evaluate_every` iterations, and after the last.
    pub fn run(
        mut self,
        trainer: &mut dyn Trainer,
        loaded: &mut dyn FnMut(usize, &Snapshot) -> Result<()>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Option<Vec<End>>> {
        let (mut lanes, mut batches) = self.load(trainer, loaded)?;
        let first = self.lanes[0].start.iteration;
        // All lanes have the same data and the same recipe, and are at the same iteration.
        let schedule = Schedule::new(self.train, self.lanes[0].order.batches());
        let (mut iteration, mut lrs) = (first, vec![0.0; lanes.len()]);
        while lanes.iter().any(|lane| lane.end.is_none()) {
            trainer.set_threads((self.threads)());
            let is_edge = iteration == first || iteration == self.train.iterations;
            if is_edge || iteration.is_multiple_of(self.train.evaluate_every) {
                evaluate(trainer, iteration, &mut lanes)?;
            }
            for (n, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.end.is_none()) {
                if self.lanes[n].at.contains(&iteration) {
                    lane.at.push(trainer.snapshot(n)?);
                }
                if iteration >= self.end {
                    lane.finish(trainer.snapshot(n)?, iteration);
                }
            }
            if lanes.iter().all(|lane| lane.end.is_some()) {
                break;
            }
            if self.stop.wanted() {
                return Ok(None);
            }
            for (lane, batch) in self.lanes.iter_mut().zip(&mut batches) {
                batch.iteration = iteration;
                lane.order.fill(iteration, &mut batch.images);
            }
            lrs.fill(schedule.at(iteration));
            trainer.step(&batches, &lrs)?;
            iteration += 1;
            progress(iteration);
        }
        Ok(Some(lanes.into_iter().filter_map(|lane| lane.end).collect()))
    }

    /// Puts every network into its lane.
    fn load(
        &self,
        trainer: &mut dyn Trainer,
        loaded: &mut dyn FnMut(usize, &Snapshot) -> Result<()>,
    ) -> Result<(Vec<Progress>, Vec<Batch>)> {
        let (count, lanes) = (self.lanes.len(), trainer.lanes());
        ensure!(count == lanes, "{count} trainings for a trainer of {lanes} lanes");
        let first = self.lanes[0].start.iteration;
        let together = self.lanes.iter().all(|lane| lane.start.iteration == first);
        ensure!(together, "trainings in lockstep that start at different iterations");
        let (mut all, mut batches) = (Vec::new(), Vec::new());
        for (n, lane) in self.lanes.iter().enumerate() {
            trainer.load(n, lane.start, lane.mask)?;
            let refusal = loaded(n, &trainer.snapshot(n)?).err();
            all.push(Progress { end: refusal.map(End::Refused), ..Progress::default() });
            batches.push(Batch { elementwise: lane.elementwise, ..Batch::default() });
        }
        Ok((all, batches))
    }
}

impl Progress {
    /// Takes in what was measured; a loss that is no finite number ends the lane.
    fn measure(&mut self, point: Point) {
        if [point.train, point.validation, point.test].iter().all(|score| score.loss.is_finite()) {
            self.curve.0.push(point);
        } else {
            self.end = Some(End::Diverged(std::mem::take(&mut self.curve), point.iteration));
        }
    }

    /// Ends the lane with its state after the iteration it was to end at.
    fn finish(&mut self, last: Snapshot, iteration: u64) {
        let Self { curve, at, .. } = std::mem::take(self);
        let is_sound = last.weights.is_finite() && last.buffers.is_finite();
        self.end =
            Some(if is_sound { End::Trained(Trained { curve, at, last }) } else { End::Diverged(curve, iteration) });
    }
}

/// Measures all lanes at once, those included that have ended.
fn evaluate(trainer: &mut dyn Trainer, iteration: u64, lanes: &mut [Progress]) -> Result<()> {
    let mut scores = |split| trainer.evaluate(split);
    let (train, validation, test) = (scores(Split::Train)?, scores(Split::Validation)?, scores(Split::Test)?);
    for (n, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.end.is_none()) {
        lane.measure(Point { iteration, train: train[n], validation: validation[n], test: test[n] });
    }
    Ok(())
}
