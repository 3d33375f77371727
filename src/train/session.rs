//! The loop of one training.

use anyhow::Result;

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

/// What a training needs beside its weights and its mask.
pub struct Session<'a> {
    /// Iterations, learning rate, evaluations.
    pub train: &'a Train,
    /// Which images when.
    pub order: Order<'a>,
    /// What is drawn for single values at each step.
    pub elementwise: Elementwise,
    /// Iterations whose states are wanted, in order; the last iteration's comes anyway.
    pub at: &'a [u64],
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
    /// Because somebody wished so.
    Stopped,
}

impl Session<'_> {
    /// Trains from `start` under `mask` to its end; calls `loaded` with what the trainer really has at the beginning,
    /// and `progress` with each iteration that is behind it, counted absolutely.
    ///
    /// The network is evaluated at its start, every `evaluate_every` iterations, and after the last.
    pub fn run(
        mut self,
        trainer: &mut dyn Trainer,
        start: &Snapshot,
        mask: &Mask,
        loaded: &mut dyn FnMut(&Snapshot) -> Result<()>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<End> {
        trainer.load(0, start, mask)?;
        loaded(&trainer.snapshot(0)?)?;
        let (mut curve, mut at) = (Curve::default(), Vec::new());
        let schedule = Schedule::new(self.train, self.order.batches());
        let mut batch = [Batch { elementwise: self.elementwise, ..Batch::default() }];
        for iteration in start.iteration..=self.end {
            trainer.set_threads((self.threads)());
            let is_edge = iteration == start.iteration || iteration == self.train.iterations;
            if is_edge || iteration % self.train.evaluate_every == 0 {
                let point = evaluate(trainer, iteration)?;
                if ![point.train, point.validation, point.test].iter().all(|score| score.loss.is_finite()) {
                    return Ok(End::Diverged(curve, iteration));
                }
                curve.0.push(point);
            }
            if self.at.contains(&iteration) {
                at.push(trainer.snapshot(0)?);
            }
            if iteration == self.end {
                break;
            }
            if self.stop.wanted() {
                return Ok(End::Stopped);
            }
            batch[0].iteration = iteration;
            self.order.fill(iteration, &mut batch[0].images);
            trainer.step(&batch, &[schedule.at(iteration)])?;
            progress(iteration + 1);
        }
        let last = trainer.snapshot(0)?;
        if !last.weights.is_finite() {
            return Ok(End::Diverged(curve, self.end));
        }
        Ok(End::Trained(Trained { curve, at, last }))
    }
}

fn evaluate(trainer: &mut dyn Trainer, iteration: u64) -> Result<Point> {
    let mut score = |split| Ok::<_, anyhow::Error>(trainer.evaluate(split)?[0]);
    Ok(Point {
        iteration,
        train: score(Split::Train)?,
        validation: score(Split::Validation)?,
        test: score(Split::Test)?,
    })
}
