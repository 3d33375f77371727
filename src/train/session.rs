//! The loop of one training.

use anyhow::Result;

use super::order::Order;
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
    /// A wish to stop.
    pub stop: &'a Stop,
}

/// How a training ended.
pub enum End {
    /// After its last iteration.
    Trained(Curve, Snapshot),
    /// At the evaluation that found a loss or a weight that is no finite number; the curve ends before it.
    Diverged(Curve, u64),
    /// Because somebody wished so.
    Stopped,
}

impl Session<'_> {
    /// Trains from `start` under `mask` to the last iteration; calls `loaded` with what the trainer really has at the
    /// beginning, and `progress` with each iteration that is behind it.
    ///
    /// The network is evaluated at its start (iteration 0 where it has not been trained), every `evaluate_every`
    /// iterations, and after the last.
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
        let mut curve = Curve::default();
        let mut batch = [Batch { elementwise: self.elementwise, ..Batch::default() }];
        for iteration in start.iteration..=self.train.iterations {
            let is_last = iteration == self.train.iterations;
            if iteration % self.train.evaluate_every == 0 || is_last {
                let point = evaluate(trainer, iteration)?;
                if ![point.train, point.validation, point.test].iter().all(|score| score.loss.is_finite()) {
                    return Ok(End::Diverged(curve, iteration));
                }
                curve.0.push(point);
            }
            if is_last {
                break;
            }
            if self.stop.wanted() {
                return Ok(End::Stopped);
            }
            batch[0].iteration = iteration;
            self.order.fill(iteration, &mut batch[0].images);
            trainer.step(&batch, &[self.train.lr])?;
            progress(iteration + 1);
        }
        let last = trainer.snapshot(0)?;
        if !last.weights.is_finite() {
            return Ok(End::Diverged(curve, self.train.iterations));
        }
        Ok(End::Trained(curve, last))
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
