//! The loop of one training, or of several in lockstep.

use anyhow::{Error, Result, ensure};

use super::lr_schedule::LrSchedule;
use super::sampler::BatchSampler;
use crate::base::curve::{Curve, Evaluation};
use crate::base::mask::Mask;
use crate::base::rng::CounterRng;
use crate::base::tensors::Snapshot;
use crate::config::TrainConfig;
use crate::data::Split;
use crate::engine::{Batch, Trainer};
use crate::system::cancel::CancelToken;

/// One of the trainings of a session.
pub struct LaneInput<'a> {
    /// Which images when.
    pub order: BatchSampler<'a>,
    /// What is drawn for single values at each step.
    pub elementwise: CounterRng,
    /// What it starts from; all lanes of a session start at the same iteration.
    pub start: &'a Snapshot,
    /// The weights it keeps.
    pub mask: &'a Mask,
    /// Iterations whose states are wanted, in order; the last iteration's comes anyway.
    pub snapshots_at: &'a [u64],
}

/// What trainings need beside their weights and their masks.
pub struct TrainingLoop<'a> {
    /// Iterations, learning rate, evaluations.
    pub train: &'a TrainConfig,
    /// The trainings, one for each lane of the trainer.
    pub lanes: Vec<LaneInput<'a>>,
    /// The iteration to end at: the last one, or before it where only earlier states are wanted.
    pub end: u64,
    /// A wish to stop.
    pub cancel: &'a CancelToken,
    /// How many threads the trainer may use; asked at every step, since others come and go.
    pub threads: &'a dyn Fn() -> usize,
}

/// What a training gave.
pub struct TrainedLane {
    /// The evaluations.
    pub curve: Curve,
    /// The states that were wanted.
    pub snapshots: Vec<Snapshot>,
    /// The state at the end.
    pub final_state: Snapshot,
}

/// How a training ended.
pub enum TrainingEnd {
    /// After the iteration it was to end at.
    Trained(TrainedLane),
    /// At the evaluation that found a loss or a weight that is no finite number; the curve ends before it.
    Diverged(Curve, u64),
    /// Before the first step: the trainer does not have what it was to begin with.
    AuditFailed(Error),
}

/// What of a lane there is so far.
#[derive(Default)]
struct LaneState {
    curve: Curve,
    at: Vec<Snapshot>,
    /// Set where it has ended before the others: it goes on in the trainer, and nobody looks.
    end: Option<TrainingEnd>,
}

impl TrainingLoop<'_> {
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
    ) -> Result<Option<Vec<TrainingEnd>>> {
        let (mut lanes, mut batches) = self.load(trainer, loaded)?;
        let first = self.lanes[0].start.iteration;
        // All lanes have the same data and the same recipe, and are at the same iteration.
        let schedule = LrSchedule::new(self.train, self.lanes[0].order.batches_per_epoch());
        let (mut iteration, mut lrs) = (first, vec![0.0; lanes.len()]);
        while lanes.iter().any(|lane| lane.end.is_none()) {
            trainer.set_threads((self.threads)());
            let is_edge = iteration == first || iteration == self.train.iterations;
            if is_edge || iteration.is_multiple_of(self.train.evaluate_every) {
                evaluate(trainer, iteration, &mut lanes)?;
            }
            for (n, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.end.is_none()) {
                if self.lanes[n].snapshots_at.contains(&iteration) {
                    lane.at.push(trainer.snapshot(n)?);
                }
                if iteration >= self.end {
                    lane.finish(trainer.snapshot(n)?, iteration);
                }
            }
            if lanes.iter().all(|lane| lane.end.is_some()) {
                break;
            }
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            for (lane, batch) in self.lanes.iter_mut().zip(&mut batches) {
                batch.iteration = iteration;
                lane.order.fill_batch(iteration, &mut batch.images);
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
    ) -> Result<(Vec<LaneState>, Vec<Batch>)> {
        let (count, lanes) = (self.lanes.len(), trainer.lanes());
        ensure!(count == lanes, "{count} trainings for a trainer of {lanes} lanes");
        let first = self.lanes[0].start.iteration;
        let together = self.lanes.iter().all(|lane| lane.start.iteration == first);
        ensure!(together, "trainings in lockstep that start at different iterations");
        let (mut all, mut batches) = (Vec::new(), Vec::new());
        for (n, lane) in self.lanes.iter().enumerate() {
            trainer.load(n, lane.start, lane.mask)?;
            let refusal = loaded(n, &trainer.snapshot(n)?).err();
            all.push(LaneState { end: refusal.map(TrainingEnd::AuditFailed), ..LaneState::default() });
            batches.push(Batch { elementwise: lane.elementwise, ..Batch::default() });
        }
        Ok((all, batches))
    }
}

impl LaneState {
    /// Takes in what was measured; a loss that is no finite number ends the lane.
    fn measure(&mut self, point: Evaluation) {
        if [point.train, point.validation, point.test].iter().all(|score| score.loss.is_finite()) {
            self.curve.0.push(point);
        } else {
            self.end = Some(TrainingEnd::Diverged(std::mem::take(&mut self.curve), point.iteration));
        }
    }

    /// Ends the lane with its state after the iteration it was to end at.
    fn finish(&mut self, last: Snapshot, iteration: u64) {
        let Self { curve, at, .. } = std::mem::take(self);
        let is_sound = last.weights.is_finite() && last.buffers.is_finite();
        self.end = Some(if is_sound {
            TrainingEnd::Trained(TrainedLane { curve, snapshots: at, final_state: last })
        } else {
            TrainingEnd::Diverged(curve, iteration)
        });
    }
}

/// Measures all lanes at once, those included that have ended.
fn evaluate(trainer: &mut dyn Trainer, iteration: u64, lanes: &mut [LaneState]) -> Result<()> {
    let mut scores = |split| trainer.evaluate(split);
    let (train, validation, test) = (scores(Split::Train)?, scores(Split::Validation)?, scores(Split::Test)?);
    for (n, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.end.is_none()) {
        lane.measure(Evaluation { iteration, train: train[n], validation: validation[n], test: test[n] });
    }
    Ok(())
}
