//! The loop of one training run, or of several in lockstep.

use anyhow::{Error, Result, ensure};

use super::lr_schedule::LrSchedule;
use super::sampler::BatchSampler;
use crate::base::curve::{Curve, Evaluation};
use crate::base::mask::Mask;
use crate::base::rng::CounterRng;
use crate::base::tensors::Snapshot;
use crate::base::units::Iteration;
use crate::config::TrainConfig;
use crate::data::Split;
use crate::engine::{Batch, Trainer};
use crate::system::cancel::CancelToken;

/// The input of one lane: a network, its mask and its data.
pub struct LaneInput<'a> {
    /// The order of the training images.
    pub order: BatchSampler<'a>,
    /// The generator of dropout and augmentation.
    pub elementwise: CounterRng,
    /// The state to start from. All lanes start at the same iteration.
    pub start: &'a Snapshot,
    /// The weights to keep.
    pub mask: &'a Mask,
    /// Iterations to return a snapshot of, in ascending order. The final state is returned in any case.
    pub snapshots_at: &'a [Iteration],
}

/// Training runs in lockstep, one for each lane of a trainer.
pub struct TrainingLoop<'a> {
    /// Iterations, learning rate and the interval of evaluations.
    pub train: &'a TrainConfig,
    /// One input per lane, in the order of lanes.
    pub lanes: Vec<LaneInput<'a>>,
    /// The iteration to stop at: the last one, or an earlier one if only earlier snapshots are needed.
    pub end: Iteration,
    /// Cancels training before the next step.
    pub cancel: &'a CancelToken,
    /// Returns the number of threads that the trainer may use. Called before every step, because the number changes when
    /// other workers start or finish.
    pub threads: &'a dyn Fn() -> usize,
}

/// The result of one training run.
pub struct TrainedLane {
    /// The evaluations.
    pub curve: Curve,
    /// The snapshots at [`LaneInput::snapshots_at`], in its order.
    pub snapshots: Vec<Snapshot>,
    /// The state at the end.
    pub final_state: Snapshot,
}

/// The way a training run ended.
pub enum TrainingEnd {
    /// It reached [`TrainingLoop::end`].
    Trained(TrainedLane),
    /// The evaluation at this iteration found a loss or a weight that is not finite. The curve ends before it.
    Diverged(Curve, Iteration),
    /// It took no step: the network in the trainer differs from the one that was to be loaded.
    AuditFailed(Error),
}

/// The progress of one lane.
#[derive(Default)]
struct LaneState {
    /// The evaluations until now.
    curve: Curve,
    /// The requested snapshots until now.
    snapshots: Vec<Snapshot>,
    /// Set when the training run has ended. If other lanes have not, the trainer still steps this one, without effect.
    end: Option<TrainingEnd>,
}

impl TrainingLoop<'_> {
    /// Trains every lane from its start, under its mask, to the end. Returns one [`TrainingEnd`] per lane in the order of
    /// lanes, or `None` if training was cancelled.
    ///
    /// Calls `loaded` once for each lane with its number and the state that the trainer holds before the first step; an error
    /// of `loaded` ends the lane with [`TrainingEnd::AuditFailed`]. Calls `progress` after every step with the number of
    /// iterations since the initial weights.
    ///
    /// The networks are evaluated at their start, every `evaluate_every` iterations, and after the last.
    ///
    /// # Errors
    /// If the trainer fails, has another number of lanes, or if the lanes start at different iterations.
    pub fn run(
        mut self,
        trainer: &mut dyn Trainer,
        loaded: &mut dyn FnMut(usize, &Snapshot) -> Result<()>,
        progress: &mut dyn FnMut(Iteration),
    ) -> Result<Option<Vec<TrainingEnd>>> {
        let (mut lanes, mut batches) = self.load(trainer, loaded)?;
        let mut rates = vec![0.0; lanes.len()];
        // All lanes have the same data and the same training configuration, and are at the same iteration.
        let schedule = LrSchedule::new(self.train, self.lanes[0].order.batches_per_epoch());
        let mut iteration = Iteration(self.lanes[0].start.iteration);
        while lanes.iter().any(LaneState::is_running) {
            trainer.set_threads((self.threads)());
            if self.is_evaluated(iteration) {
                evaluate(trainer, iteration, &mut lanes)?;
            }
            self.take_snapshots(trainer, iteration, &mut lanes)?;
            if !lanes.iter().any(LaneState::is_running) {
                break;
            }
            if self.cancel.is_cancelled() {
                return Ok(None);
            }
            for (lane, batch) in self.lanes.iter_mut().zip(&mut batches) {
                batch.iteration = iteration.0;
                lane.order.fill_batch(iteration, &mut batch.images);
            }
            rates.fill(schedule.at(iteration));
            trainer.step(&batches, &rates)?;
            iteration.0 += 1;
            progress(iteration);
        }
        Ok(Some(lanes.into_iter().filter_map(|lane| lane.end).collect()))
    }

    /// Loads every network into its lane, and returns the initial progress and an empty batch of each lane.
    fn load(
        &self,
        trainer: &mut dyn Trainer,
        loaded: &mut dyn FnMut(usize, &Snapshot) -> Result<()>,
    ) -> Result<(Vec<LaneState>, Vec<Batch>)> {
        let count = self.lanes.len();
        let lanes = trainer.lanes();
        ensure!(count == lanes, "{count} trainings for a trainer of {lanes} lanes");
        let first = self.lanes[0].start.iteration;
        let is_lockstep = self.lanes.iter().all(|lane| lane.start.iteration == first);
        ensure!(is_lockstep, "trainings in lockstep that start at different iterations");
        let mut states = Vec::new();
        let mut batches = Vec::new();
        for (number, lane) in self.lanes.iter().enumerate() {
            trainer.load(number, lane.start, lane.mask)?;
            let refusal = loaded(number, &trainer.snapshot(number)?).err();
            states.push(LaneState { end: refusal.map(TrainingEnd::AuditFailed), ..LaneState::default() });
            batches.push(Batch { elementwise: lane.elementwise, ..Batch::default() });
        }
        Ok((states, batches))
    }

    /// Returns whether the networks are evaluated at this iteration.
    fn is_evaluated(&self, iteration: Iteration) -> bool {
        let is_first = iteration.0 == self.lanes[0].start.iteration;
        let is_last = iteration.0 == self.train.iterations;
        is_first || is_last || iteration.0.is_multiple_of(self.train.evaluate_every)
    }

    /// Takes the snapshots of the running lanes at this iteration, and ends the lanes at [`TrainingLoop::end`].
    fn take_snapshots(&self, trainer: &dyn Trainer, iteration: Iteration, lanes: &mut [LaneState]) -> Result<()> {
        for (number, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.is_running()) {
            if self.lanes[number].snapshots_at.contains(&iteration) {
                lane.snapshots.push(trainer.snapshot(number)?);
            }
            if iteration >= self.end {
                lane.finish(trainer.snapshot(number)?, iteration);
            }
        }
        Ok(())
    }
}

impl LaneState {
    /// Returns whether the training run has not ended.
    fn is_running(&self) -> bool {
        self.end.is_none()
    }

    /// Adds an evaluation; ends the training run if a loss is not finite.
    fn add_evaluation(&mut self, evaluation: Evaluation) {
        let scores = [evaluation.train, evaluation.validation, evaluation.test];
        if scores.iter().all(|score| score.loss.is_finite()) {
            self.curve.0.push(evaluation);
        } else {
            let curve = std::mem::take(&mut self.curve);
            self.end = Some(TrainingEnd::Diverged(curve, Iteration(evaluation.iteration)));
        }
    }

    /// Ends the training run with its final state at this iteration.
    fn finish(&mut self, final_state: Snapshot, iteration: Iteration) {
        let Self { curve, snapshots, .. } = std::mem::take(self);
        let is_finite = final_state.weights.is_finite() && final_state.buffers.is_finite();
        self.end = Some(if is_finite {
            TrainingEnd::Trained(TrainedLane { curve, snapshots, final_state })
        } else {
            TrainingEnd::Diverged(curve, iteration)
        });
    }
}

/// Evaluates all lanes on every split; those that have ended are evaluated too, without effect.
fn evaluate(trainer: &mut dyn Trainer, iteration: Iteration, lanes: &mut [LaneState]) -> Result<()> {
    let train = trainer.evaluate(Split::Train)?;
    let validation = trainer.evaluate(Split::Validation)?;
    let test = trainer.evaluate(Split::Test)?;
    for (number, lane) in lanes.iter_mut().enumerate().filter(|(_, lane)| lane.is_running()) {
        lane.add_evaluation(Evaluation {
            iteration: iteration.0,
            train: train[number],
            validation: validation[number],
            test: test[number],
        });
    }
    Ok(())
}
