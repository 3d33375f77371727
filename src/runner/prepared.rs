//! One training run from the store to the store: which outputs are missing, prepare, audit, save.

use std::rc::Rc;

use anyhow::{Context as _, Result, anyhow, ensure};

use super::context::RunContext;
use super::jobs::StoreIndex as _;
use super::retention::Retention;
use super::scheduler::Task;
use super::store::{Store, StoredTraining, TrainingOutputs};
use crate::artifacts::Timing;
use crate::base::mask::Mask;
use crate::base::outcome::Outcome;
use crate::base::rng::Purpose;
use crate::base::tensors::Snapshot;
use crate::base::units::Iteration;
use crate::data::Dataset;
use crate::engine::Probe;
use crate::lottery::{
    Dependency, PrepareContext, StartRule, TrainingSpec, audit_end, audit_start, prepare, weight_stats,
};
use crate::system::{files, machine};
use crate::train::{BatchSampler, LaneInput, TrainedLane, TrainingEnd};

/// Which outputs of a task are in the store.
pub(super) enum Lookup<'t> {
    /// All that the task asks for.
    Found(StoredTraining),
    /// Not all; these are missing.
    Missing(MissingOutputs<'t>),
}

/// The outputs of a training run that are missing in the store.
pub(super) struct MissingOutputs<'t> {
    pub(super) task: &'t Task<'t>,
    /// Whether the final weights are written to the store.
    keeps_final_weights: bool,
    /// Whether the training run must go to its last iteration.
    final_weights: bool,
    /// The iterations whose snapshots are missing, ascending.
    snapshots_at: Vec<Iteration>,
    /// The stored result of a training run that runs again for missing weights.
    stored: Option<StoredTraining>,
}

impl<'t> MissingOutputs<'t> {
    /// Looks a task up in the store. The lock of its training run is held: another process may have finished it since the job
    /// was planned.
    pub(super) fn look_up(task: &'t Task<'t>, retention: &Retention, store: &Store) -> Result<Lookup<'t>> {
        let key = &task.spec.key;
        if retention.is_pinned {
            store.pin(key)?;
        }
        let stored = store.load(task.spec)?;
        let mut outputs = Self {
            task,
            keeps_final_weights: retention.final_weights,
            final_weights: true,
            snapshots_at: retention.snapshots_at.clone(),
            stored: None,
        };
        if stored.is_some() {
            let is_asked_for = task.job.is_rerun && retention.final_weights;
            outputs.final_weights = is_asked_for && !store.has(key, Dependency::FinalWeights);
            outputs.snapshots_at.retain(|&iteration| !store.has(key, Dependency::Snapshot(iteration)));
        }
        match stored {
            Some(stored) if !outputs.final_weights && outputs.snapshots_at.is_empty() => Ok(Lookup::Found(stored)),
            stored => {
                files::remove_stale_temporaries(&store.runs.training_dir(key).0)?;
                Ok(Lookup::Missing(Self { stored, ..outputs }))
            }
        }
    }
}

/// A training run with its mask and the state it starts from.
pub(super) struct PreparedTraining<'a> {
    outputs: MissingOutputs<'a>,
    context: &'a RunContext<'a>,
    probe: Rc<dyn Probe>,
    mask: Mask,
    start: Snapshot,
}

impl<'a> PreparedTraining<'a> {
    /// Makes the mask and the starting state.
    pub(super) fn new(outputs: MissingOutputs<'a>, context: &'a RunContext<'a>, probe: &Rc<dyn Probe>) -> Result<Self> {
        let prepare_context = PrepareContext { study: context.study, artifacts: context.store, probe: &**probe };
        let (mask, start) = prepare(outputs.task.spec, prepare_context).context("could not prepare the training")?;
        Ok(Self { outputs, context, probe: Rc::clone(probe), mask, start })
    }

    /// Returns its lane in its group.
    pub(super) fn lane(&self) -> usize {
        self.outputs.task.lane
    }

    /// Returns the iteration to end at: the last one, or that of the last missing snapshot.
    pub(super) fn last_iteration(&self) -> Iteration {
        let last_snapshot = if self.outputs.final_weights { None } else { self.outputs.snapshots_at.last().copied() };
        last_snapshot.unwrap_or(self.context.study.last_iteration())
    }

    /// Returns the input of lane `lane`. In another lane than its own no snapshots are taken.
    pub(super) fn lane_input<'s>(&'s self, lane: usize, dataset: &'s Dataset) -> LaneInput<'s> {
        let experiment = &self.context.study.experiment;
        let stream = |purpose| self.spec().stream(experiment.seed, purpose);
        let batch_size = experiment.train.batch_size as usize;
        LaneInput {
            order: BatchSampler::new(stream(Purpose::Order), &dataset.train, batch_size, experiment.train.drop_last),
            elementwise: stream(Purpose::Elementwise).counter_rng(),
            start: &self.start,
            mask: &self.mask,
            snapshots_at: if lane == self.lane() { &self.outputs.snapshots_at } else { &[] },
        }
    }

    /// Audits the state that the trainer has before the first step.
    pub(super) fn audit_start(&self, loaded: &Snapshot) -> Result<()> {
        audit_start(self.spec(), self.prepare_context(), &self.mask, loaded)
    }

    /// Audits and saves the end of the training run, in a group of `width` lanes that took `seconds`.
    pub(super) fn finish(&self, end: TrainingEnd, seconds: f64, width: usize) -> Result<StoredTraining> {
        let (outcome, trained) = match end {
            TrainingEnd::AuditFailed(error) => return Err(error),
            TrainingEnd::Diverged(curve, Iteration(iteration)) => {
                let trained = TrainedLane { curve, snapshots: Vec::new(), final_state: Snapshot::default() };
                (Outcome::Diverged { iteration }, trained)
            }
            TrainingEnd::Trained(trained) => {
                audit_end(&self.mask, &trained.final_state)?;
                (Outcome::Done, trained)
            }
        };
        match &self.outputs.stored {
            Some(stored) => self.restore(stored, &outcome, &trained, width),
            None => self.save(outcome, trained, timing(seconds, width, self.last_iteration().0 - self.start.iteration)),
        }
    }

    fn save(&self, outcome: Outcome, trained: TrainedLane, timing: Timing) -> Result<StoredTraining> {
        let is_done = outcome == Outcome::Done;
        let profile = if is_done { weight_stats(self.spec(), self.prepare_context(), &self.mask)? } else { None };
        let final_state = trained.final_state.weights_and_buffers();
        let outputs = TrainingOutputs {
            outcome: outcome.clone(),
            mask: &self.mask,
            curve: &trained.curve,
            start: (self.spec().start == StartRule::Initial).then_some(&self.start.weights),
            final_state: is_done.then_some(&final_state),
            snapshots: &trained.snapshots,
            profile: profile.as_ref(),
            keep_last: self.outputs.keeps_final_weights,
            timing: timing.clone(),
        };
        self.context.store.save(self.spec(), &outputs)?;
        let weights_kept = self.mask.kept_counts();
        Ok(StoredTraining { outcome, curve: trained.curve, weights_kept, profile, timing: Some(timing) })
    }

    /// Saves the weights that a training run was run again for. On the CPU, and in as many lanes as the first time, they must be
    /// the bytes that they were; else last digits may differ.
    fn restore(
        &self,
        stored: &StoredTraining,
        outcome: &Outcome,
        trained: &TrainedLane,
        width: usize,
    ) -> Result<StoredTraining> {
        let store = self.context.store;
        let has_same_lanes = stored.timing.as_ref().is_none_or(|timing| timing.lanes == width);
        let is_exact = has_same_lanes && self.context.study.resolved.device == "cpu";
        ensure!(*outcome == Outcome::Done, "the training diverged, which it did not the first time");
        ensure!(
            stored.curve.0.starts_with(&trained.curve.0) || !is_exact,
            "the training was run again for its weights, and its evaluations are not what they were: another kind of \
             processor or another version"
        );
        for snapshot in &trained.snapshots {
            store.restore_snapshot(&self.spec().key, snapshot, is_exact)?;
        }
        if self.outputs.final_weights {
            store.restore_final_weights(&self.spec().key, &trained.final_state.weights_and_buffers(), is_exact)?;
        }
        store.load(self.spec())?.ok_or_else(|| anyhow!("its entry is damaged"))
    }

    fn spec(&self) -> &'a TrainingSpec {
        self.outputs.task.spec
    }

    fn prepare_context(&self) -> PrepareContext<'_> {
        PrepareContext { study: self.context.study, artifacts: self.context.store, probe: &*self.probe }
    }
}

/// Returns the timing of one lane: the seconds of its group divided by the number of lanes, and the steps of all lanes per
/// second.
fn timing(seconds: f64, width: usize, iterations: u64) -> Timing {
    let seconds = seconds / width as f64;
    Timing {
        seconds,
        iterations_per_second: iterations as f64 / seconds.max(1e-9),
        host: machine::host(),
        lanes: width,
    }
}
