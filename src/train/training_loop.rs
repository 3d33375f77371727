//! The loop of one training run, or of several in lockstep.

use anyhow::{Error, Result, bail, ensure};

use super::lr_schedule::LrSchedule;
use super::mask_updates::MaskUpdates;
use super::sampler::BatchSampler;
use crate::base::curve::{Curve, Evaluation};
use crate::base::mask::Mask;
use crate::base::rng::CounterRng;
use crate::base::tensors::{LaneState, Snapshot, TensorMap};
use crate::base::units::Iteration;
use crate::config::TrainConfig;
use crate::data::Split;
use crate::engine::{Batch, RunningStatistics, Trainer};

/// The input of one lane: a network, its mask and its data.
pub struct LaneInput<'a> {
    /// The order of the training images.
    pub order: BatchSampler<'a>,
    /// The generator of dropout and augmentation.
    pub elementwise: CounterRng,
    /// The state to start from. All lanes start at the same iteration.
    pub start: &'a Snapshot,
    /// The weights to keep, at first if there are updates.
    pub mask: &'a Mask,
    /// The updates of the mask during training.
    pub updates: Option<MaskUpdates<'a>>,
    /// Whether the trainer finds the mask by training.
    pub learns_mask: bool,
    /// Factor of the learning rate.
    pub lr_factor: f64,
    /// Iterations to return a snapshot of, in ascending order. The final state is returned in any case.
    pub snapshots_at: &'a [Iteration],
}

/// The result of one training run.
pub struct TrainedLane {
    /// The evaluations.
    pub curve: Curve,
    /// The snapshots at [`LaneInput::snapshots_at`], in its order.
    pub snapshots: Vec<Snapshot>,
    /// The state at the end.
    pub final_state: Snapshot,
    /// The masks that updates led to; `None` without updates.
    pub masks: Option<UpdatedMasks>,
}

/// The masks of a training run whose mask is updated.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdatedMasks {
    /// The mask now.
    pub current: Mask,
    /// The weights that some mask has kept since the start.
    pub ever_kept: Mask,
}

impl UpdatedMasks {
    /// Returns the masks before the first update of `mask`.
    pub fn new(mask: &Mask) -> Self {
        Self { current: mask.clone(), ever_kept: mask.clone() }
    }
}

impl TrainedLane {
    /// Returns the mask at the end of a training run that started with `start`.
    pub fn mask<'m>(&'m self, start: &'m Mask) -> &'m Mask {
        self.masks.as_ref().map_or(start, |masks| &masks.current)
    }
}

/// An update of a mask.
pub struct MaskUpdate {
    /// The lane.
    pub lane: usize,
    /// The iteration of the update: that of the step that it follows or replaces.
    pub iteration: Iteration,
    /// The mask before it.
    pub before: Mask,
    /// The mask after it.
    pub after: Mask,
}

/// The way a training run ended.
pub enum TrainingEnd {
    /// It reached the iteration that it was to end at.
    Trained(TrainedLane),
    /// The evaluation at this iteration found a loss or a weight that is not finite. The curve ends before it.
    Diverged(Curve, Iteration),
    /// The audit failed, on the state that the trainer had loaded or after an update of the mask.
    AuditFailed(Error),
}

/// A training run in progress after an iteration, before its evaluation there: all that is needed to go on with it as if
/// it had not been interrupted.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingProgress {
    /// The state of the network and the optimizer.
    pub state: LaneState,
    /// The evaluations until now.
    pub curve: Curve,
    /// The snapshots at [`LaneInput::snapshots_at`] that have been taken, in its order.
    pub snapshots: Vec<Snapshot>,
    /// The masks that updates led to; `None` without updates.
    pub masks: Option<UpdatedMasks>,
    /// The iteration at which the training run diverged, while others of its lockstep group go on; else `None`.
    pub diverged_at: Option<Iteration>,
}

/// The progress of one lane.
#[derive(Default)]
struct LaneOutputs {
    /// The evaluations until now.
    curve: Curve,
    /// The requested snapshots until now.
    snapshots: Vec<Snapshot>,
    /// The masks that updates led to; `None` without updates.
    masks: Option<UpdatedMasks>,
    /// The result, once the training run has ended. While other lanes go on, the trainer still steps this one, without
    /// effect.
    result: Option<TrainingEnd>,
}

/// Training runs in lockstep, one in each lane of a trainer. The caller drives the loop, so that it decides about
/// threads, cancellation and progress between two steps:
///
/// ```text
/// let mut training = TrainingLoop::start(…)?;            // and audit each lane by its loaded state
/// training.resume(…)?;                                   // if there is progress to go on from
/// loop {
///     training.evaluate_and_snapshot(…)?;                // what is due at this iteration
///     if training.has_ended() { break }
///     training.step()?;                                  // and audit `take_mask_updates`; here `progress` can be taken
/// }
/// training.finish()                                      // the result of each lane
/// ```
pub struct TrainingLoop<'a> {
    trainer: &'a mut dyn Trainer,
    config: &'a TrainConfig,
    inputs: Vec<LaneInput<'a>>,
    lanes: Vec<LaneOutputs>,
    /// The updates of masks since [`TrainingLoop::take_mask_updates`].
    mask_updates: Vec<MaskUpdate>,
    /// The batch of each lane; its memory is used again for every step.
    batches: Vec<Batch>,
    /// The learning rate of each lane.
    learning_rates: Vec<f64>,
    schedule: LrSchedule,
    /// The number of steps from the initial weights to this state; a training run that starts at θₖ begins at k.
    iteration: Iteration,
    /// The iteration at which the loop ends: see [`TrainingLoop::start`].
    stop_at: Iteration,
}

impl<'a> TrainingLoop<'a> {
    /// Loads every network into its lane. `stop_at` is the iteration to stop at: the last one, or an earlier one if
    /// only earlier snapshots are needed.
    ///
    /// # Errors
    /// Fails if the trainer fails or has another number of lanes, or if the lanes start at different iterations.
    pub fn start(
        trainer: &'a mut dyn Trainer,
        config: &'a TrainConfig,
        inputs: Vec<LaneInput<'a>>,
        stop_at: Iteration,
    ) -> Result<Self> {
        let count = inputs.len();
        let lanes = trainer.lanes();
        ensure!(count == lanes, "{count} training runs for a trainer of {lanes} lanes");
        let iteration = Iteration(inputs[0].start.iteration);
        let is_lockstep = inputs.iter().all(|input| Iteration(input.start.iteration) == iteration);
        ensure!(is_lockstep, "lockstep training runs that start at different iterations");
        for (lane, input) in inputs.iter().enumerate() {
            trainer.load(lane, input.start, input.mask)?;
        }
        let batch = |input: &LaneInput<'_>| Batch { elementwise: input.elementwise, ..Batch::default() };
        Ok(Self {
            // All lanes have the same data and the same training configuration.
            schedule: LrSchedule::new(config, inputs[0].order.batches_per_epoch()),
            lanes: inputs.iter().map(LaneOutputs::of).collect(),
            mask_updates: Vec::new(),
            batches: inputs.iter().map(batch).collect(),
            learning_rates: vec![0.0; count],
            trainer,
            config,
            inputs,
            iteration,
            stop_at,
        })
    }

    /// Returns the state that the trainer holds in a lane.
    ///
    /// # Errors
    /// Fails if the trainer fails.
    pub fn loaded(&self, lane: usize) -> Result<Snapshot> {
        self.trainer.snapshot(lane)
    }

    /// Ends a lane, because its loaded state or an update of its mask failed the audit.
    pub fn fail_audit(&mut self, lane: usize, error: Error) {
        self.lanes[lane].result = Some(TrainingEnd::AuditFailed(error));
    }

    /// Sets the number of threads that the trainer may use from now on.
    pub fn set_threads(&mut self, threads: usize) {
        self.trainer.set_threads(threads);
    }

    /// Returns the progress of a lane, to go on from with [`resume`](Self::resume). Meant to be called after a step.
    ///
    /// # Errors
    /// Fails if the trainer fails, or the lane has ended other than by divergence.
    pub fn progress(&self, lane: usize) -> Result<TrainingProgress> {
        let outputs = &self.lanes[lane];
        let (curve, diverged_at) = match &outputs.result {
            None => (&outputs.curve, None),
            Some(TrainingEnd::Diverged(curve, iteration)) => (curve, Some(*iteration)),
            Some(_) => bail!("a training run that has ended has no progress"),
        };
        Ok(TrainingProgress {
            state: self.trainer.state(lane)?,
            curve: curve.clone(),
            snapshots: outputs.snapshots.clone(),
            masks: outputs.masks.clone(),
            diverged_at,
        })
    }

    /// Goes on from the progress of every lane, in the order of lanes, instead of the start.
    ///
    /// # Errors
    /// Fails if the trainer fails, or the lanes are at different iterations or before their start.
    pub fn resume(&mut self, progress: Vec<TrainingProgress>) -> Result<()> {
        let iteration = progress.first().map_or(self.iteration, |progress| Iteration(progress.state.iteration()));
        ensure!(progress.len() == self.lanes.len() && iteration >= self.iteration, "progress of other training runs");
        for (lane, progress) in progress.into_iter().enumerate() {
            let TrainingProgress { state, curve, snapshots, masks, diverged_at } = progress;
            ensure!(state.iteration() == iteration.0, "lockstep training runs at different iterations");
            ensure!(masks.is_some() == self.lanes[lane].masks.is_some(), "progress with other updates of the mask");
            let mask = masks.as_ref().map_or(self.inputs[lane].mask, |masks| &masks.current);
            self.trainer.resume(lane, &state, mask)?;
            self.lanes[lane] = match diverged_at {
                None => LaneOutputs { curve, snapshots, masks, result: None },
                Some(at) => LaneOutputs {
                    result: Some(TrainingEnd::Diverged(curve, at)),
                    snapshots,
                    masks,
                    curve: Curve::default(),
                },
            };
        }
        self.iteration = iteration;
        Ok(())
    }

    /// Returns the number of steps that have been taken, counted from iteration 0 of the training run.
    pub fn iteration(&self) -> Iteration {
        self.iteration
    }

    /// Evaluates the networks and takes snapshots if these are due at this iteration, and ends the training runs if it
    /// is the iteration to stop at. Returns false, and changes nothing, if `should_stop` returns true during the
    /// evaluation.
    ///
    /// The networks are evaluated at their first iteration, at iterations divisible by `evaluate_every` (counted from
    /// 0), and at `train.iterations`; not at an earlier iteration to stop at.
    ///
    /// # Errors
    /// Fails if the trainer fails.
    pub fn evaluate_and_snapshot(&mut self, should_stop: &dyn Fn() -> bool) -> Result<bool> {
        if !self.has_ended() && self.is_evaluation_due() && !self.evaluate(should_stop)? {
            return Ok(false);
        }
        self.snapshot_and_finish()?;
        Ok(true)
    }

    /// Returns whether all training runs have ended.
    pub fn has_ended(&self) -> bool {
        !self.lanes.iter().any(LaneOutputs::is_running)
    }

    /// Takes one optimizer step in every lane, with the updates of masks that are due; returns the iteration after it.
    /// Lanes that have ended are stepped too, without effect.
    ///
    /// # Errors
    /// Fails if the trainer fails.
    pub fn step(&mut self) -> Result<Iteration> {
        for (input, batch) in self.inputs.iter_mut().zip(&mut self.batches) {
            batch.iteration = self.iteration.0;
            input.order.fill_batch(self.iteration, &mut batch.images);
        }
        let lr = self.schedule.at(self.iteration);
        self.learning_rates.iter_mut().zip(&self.inputs).for_each(|(rate, input)| *rate = lr * input.lr_factor);
        let replacing = self.updates_that_replace_the_step()?;
        self.trainer.step(&self.batches, &self.learning_rates)?;
        self.update_masks(replacing)?;
        self.follow_learned_masks();
        self.iteration.0 += 1;
        Ok(self.iteration)
    }

    /// Returns the updates of masks since the last call, in the order in which they were made.
    pub fn take_mask_updates(&mut self) -> Vec<MaskUpdate> {
        std::mem::take(&mut self.mask_updates)
    }

    /// Returns, for each lane whose mask is updated now instead of a step, its state and the gradients of all weights.
    fn updates_that_replace_the_step(&mut self) -> Result<Vec<Option<BeforeStep>>> {
        let iteration = self.iteration;
        let is_due = |(input, lane): (&LaneInput<'_>, &LaneOutputs)| {
            let updates = input.updates.as_ref().filter(|updates| lane.is_running() && updates.replaces_step());
            updates.is_some_and(|updates| updates.schedule.update_at(iteration).is_some())
        };
        let due: Vec<bool> = self.inputs.iter().zip(&self.lanes).map(is_due).collect();
        if !due.contains(&true) {
            return Ok(due.iter().map(|_| None).collect());
        }
        let gradients = self.trainer.gradients(&self.batches, RunningStatistics::Keep)?;
        let before = |(lane, gradients)| {
            Ok(if due[lane] { Some(BeforeStep { state: self.trainer.state(lane)?, gradients }) } else { None })
        };
        gradients.into_iter().enumerate().map(before).collect()
    }

    /// Takes over the masks that the trainer has found.
    fn follow_learned_masks(&mut self) {
        let trainer = &*self.trainer;
        for (lane, outputs) in self.lanes.iter_mut().enumerate().filter(|(_, outputs)| outputs.is_running()) {
            if let (Some(masks), Some(mask)) = (outputs.masks.as_mut(), trainer.mask(lane)) {
                masks.current.clone_from(mask);
                masks.ever_kept.extend(mask);
            }
        }
    }

    /// Updates the masks of the lanes for which it is time, after the step of this iteration. A lane in `replacing` goes
    /// on from its weights and moments before the step.
    fn update_masks(&mut self, replacing: Vec<Option<BeforeStep>>) -> Result<()> {
        for (lane, before_step) in replacing.into_iter().enumerate() {
            let Some(updates) = self.inputs[lane].updates.as_ref() else { continue };
            let Some(update) = updates.schedule.update_at(self.iteration) else { continue };
            let outputs = &mut self.lanes[lane];
            let Some(masks) = outputs.masks.as_mut().filter(|_| outputs.result.is_none()) else { continue };
            let (state, gradients) = match before_step {
                // The running statistics of batch norms have the batch: it has been seen.
                Some(BeforeStep { state, gradients }) => {
                    (state.with_buffers_of(self.trainer.state(lane)?), Some(gradients))
                }
                None => (self.trainer.state(lane)?, None),
            };
            let after = updates.updated(update, &masks.current, &state, gradients.as_ref());
            self.trainer.resume(lane, &state.at_iteration(self.iteration.0 + 1), &after)?;
            masks.ever_kept.extend(&after);
            let before = std::mem::replace(&mut masks.current, after.clone());
            self.mask_updates.push(MaskUpdate { lane, iteration: self.iteration, before, after });
        }
        Ok(())
    }

    /// Returns the result of each training run, in the order of lanes. Training runs that have not ended are left out.
    pub fn finish(self) -> Vec<TrainingEnd> {
        self.lanes.into_iter().filter_map(|lane| lane.result).collect()
    }

    fn is_evaluation_due(&self) -> bool {
        let Iteration(iteration) = self.iteration;
        let is_first = iteration == self.inputs[0].start.iteration;
        let is_last = iteration == self.config.iterations;
        is_first || is_last || iteration.is_multiple_of(self.config.evaluate_every)
    }

    /// Evaluates all lanes on every split. Those that have ended are evaluated too, but the result is not used. Returns
    /// whether the evaluation was completed.
    fn evaluate(&mut self, should_stop: &dyn Fn() -> bool) -> Result<bool> {
        let mut scores = Vec::new();
        for split in [Split::Train, Split::Validation, Split::Test] {
            let Some(score_by_lane) = self.trainer.evaluate_unless(split, should_stop)? else { return Ok(false) };
            scores.push(score_by_lane);
        }
        for (lane_index, lane) in self.lanes.iter_mut().enumerate().filter(|(_, lane)| lane.is_running()) {
            lane.add_evaluation(Evaluation {
                iteration: self.iteration.0,
                train: scores[0][lane_index],
                validation: scores[1][lane_index],
                test: scores[2][lane_index],
            });
        }
        Ok(true)
    }

    /// Takes the snapshots that are requested at this iteration, and ends the training runs if it is the iteration to
    /// stop at.
    fn snapshot_and_finish(&mut self) -> Result<()> {
        for (lane_index, lane) in self.lanes.iter_mut().enumerate().filter(|(_, lane)| lane.is_running()) {
            if self.inputs[lane_index].snapshots_at.contains(&self.iteration) {
                lane.snapshots.push(self.trainer.snapshot(lane_index)?);
            }
            if self.iteration >= self.stop_at {
                lane.finish(self.trainer.snapshot(lane_index)?, self.iteration);
            }
        }
        Ok(())
    }
}

/// A lane before the step that an update of its mask replaces.
struct BeforeStep {
    state: LaneState,
    /// The gradients of all weights on the batch of the step, also of those that the mask prunes.
    gradients: TensorMap,
}

impl LaneOutputs {
    /// Returns the outputs of a lane before its first step.
    fn of(input: &LaneInput<'_>) -> Self {
        let has_masks = input.updates.is_some() || input.learns_mask;
        Self { masks: has_masks.then(|| UpdatedMasks::new(input.mask)), ..Self::default() }
    }

    /// Returns whether the training run has not ended.
    fn is_running(&self) -> bool {
        self.result.is_none()
    }

    /// Adds an evaluation; ends the training run if a loss is not finite.
    fn add_evaluation(&mut self, evaluation: Evaluation) {
        let scores = [evaluation.train, evaluation.validation, evaluation.test];
        if scores.iter().all(|score| score.loss.is_finite()) {
            self.curve.0.push(evaluation);
        } else {
            let curve = std::mem::take(&mut self.curve);
            self.result = Some(TrainingEnd::Diverged(curve, Iteration(evaluation.iteration)));
        }
    }

    /// Ends the training run with its final state at this iteration.
    fn finish(&mut self, final_state: Snapshot, iteration: Iteration) {
        let Self { mut curve, snapshots, masks, .. } = std::mem::take(self);
        let is_finite = final_state.weights.is_finite() && final_state.buffers.is_finite();
        self.result = Some(if is_finite {
            TrainingEnd::Trained(TrainedLane { curve, snapshots, final_state, masks })
        } else {
            curve.0.retain(|evaluation| evaluation.iteration < iteration.0);
            TrainingEnd::Diverged(curve, iteration)
        });
    }
}
