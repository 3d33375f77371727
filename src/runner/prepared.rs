//! The steps before and after one training run is trained: look up what the store lacks, prepare mask and weights,
//! audit, save.

use std::rc::Rc;

use anyhow::{Context as _, Result, anyhow, ensure};

use super::context::RunContext;
use super::events::{Event, TrainingId};
use super::jobs::StoreIndex as _;
use super::retention::Retention;
use super::scheduler::Task;
use super::store::{Store, StoredTraining, TrainingOutputs, UpdatedMaskFiles};
use crate::artifacts::Timing;
use crate::base::key::ContentHash;
use crate::base::mask::Mask;
use crate::base::outcome::Outcome;
use crate::base::rng::Purpose;
use crate::base::tensors::Snapshot;
use crate::base::units::Iteration;
use crate::data::Dataset;
use crate::engine::Probe;
use crate::lottery::{
    Dependency, PrepareContext, Prepared, StartRule, TrainingSpec, UpdateKind, audit_end, audit_learned_weights,
    audit_start, audit_update, audit_updated_masks, empty_layers, prepare, prepare_updates, update_stream,
    weight_stats,
};
use crate::system::retry::with_retries;
use crate::system::{files, machine};
use crate::train::{
    BatchSampler, LaneInput, MaskUpdate, MaskUpdates, TrainedLane, TrainingEnd, TrainingProgress, UpdateRule,
    UpdatedMasks,
};

/// The result of looking a task up in the store.
pub(super) enum Lookup<'t> {
    /// Everything that the task has to make is stored already.
    Found(StoredTraining),
    /// These outputs are missing.
    Missing(MissingOutputs<'t>),
}

/// The outputs of a training run that are missing in the store.
pub(super) struct MissingOutputs<'t> {
    pub(super) task: &'t Task<'t>,
    /// Whether the final weights are written to the store if the training run reaches its end.
    keeps_final_weights: bool,
    /// Whether the training run must reach its last iteration: for the first time, or because its final weights are
    /// missing.
    must_reach_end: bool,
    /// The iterations whose snapshots are missing, in ascending order.
    snapshots_at: Vec<Iteration>,
    /// The stored result, if the training run runs again for missing weights.
    stored: Option<StoredTraining>,
}

impl<'t> MissingOutputs<'t> {
    /// Looks up in the store which outputs of a task are missing. Called with the lock of the training run held,
    /// because another process may have made them since the job was planned.
    pub(super) fn look_up(task: &'t Task<'t>, retention: &Retention, store: &Store) -> Result<Lookup<'t>> {
        let key = &task.spec.key;
        if retention.is_pinned {
            store.pin(key)?;
        }
        let stored = store.load(task.spec)?;
        let mut outputs = Self {
            task,
            keeps_final_weights: retention.final_weights,
            must_reach_end: true,
            snapshots_at: retention.snapshots_at.clone(),
            stored: None,
        };
        if stored.is_some() {
            let needs_final_weights = task.job.is_rerun && retention.final_weights;
            outputs.must_reach_end = needs_final_weights && !store.has(key, Dependency::FinalWeights);
            outputs.snapshots_at.retain(|&iteration| !store.has(key, Dependency::Snapshot(iteration)));
        }
        match stored {
            Some(stored) if !outputs.must_reach_end && outputs.snapshots_at.is_empty() => Ok(Lookup::Found(stored)),
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
    /// Shared with the worker, which is borrowed mutably while it trains.
    probe: Rc<dyn Probe>,
    /// The mask at the start of training.
    mask: Mask,
    /// The iteration of the dense network at which it was drawn, if it is an early-bird mask.
    drawn_at: Option<u64>,
    /// The rule by which it changes.
    update_rule: Option<UpdateRule>,
    start: Snapshot,
}

impl<'a> PreparedTraining<'a> {
    /// Makes the mask and the starting state of a training run.
    pub(super) fn new(outputs: MissingOutputs<'a>, context: &'a RunContext<'a>, probe: &Rc<dyn Probe>) -> Result<Self> {
        let prepare_context = PrepareContext { study: context.study, artifacts: context.store, probe: &**probe };
        let prepared = with_retries(|| {
            let prepared = prepare(outputs.task.spec, prepare_context)?;
            let update_rule = prepare_updates(outputs.task.spec, prepare_context, &prepared.mask)?;
            Ok((prepared, update_rule))
        });
        let (Prepared { mask, start, drawn_at }, update_rule) =
            prepared.context("could not prepare the training run")?;
        let empty = empty_layers(&mask);
        if let Some(method) = outputs.task.spec.mask.pruning_method().filter(|_| !empty.is_empty()) {
            let id = TrainingId::of(outputs.task.spec);
            let layers = empty.join(", ");
            let message = format!("warning: {id}: {method} leaves no weight in {layers}; it is trained all the same");
            context.sink.on_event(&Event::Message(&message));
        }
        let drawn_at = drawn_at.map(|iteration| iteration.0);
        Ok(Self { outputs, context, probe: Rc::clone(probe), mask, drawn_at, update_rule, start })
    }

    /// Returns the key of the training run.
    pub(super) fn key(&self) -> &'a ContentHash {
        &self.spec().key
    }

    /// Returns the key of the training run that this one is a copy of; `None` if it is no copy.
    pub(super) fn copy_of(&self) -> Option<String> {
        Some(self.spec().content.value().get("copy_of")?.as_str()?.to_owned())
    }

    /// Returns the id of the training run.
    pub(super) fn id(&self) -> TrainingId {
        TrainingId::of(self.spec())
    }

    /// Returns the iteration that the training run starts at.
    pub(super) fn start_iteration(&self) -> u64 {
        self.start.iteration
    }

    /// Returns progress of this training run with the snapshots that are missing in the store, and without others.
    ///
    /// # Errors
    /// Fails if a snapshot that is missing in the store was not taken, or a pruned weight is not 0.
    pub(super) fn resumable(&self, progress: TrainingProgress) -> Result<TrainingProgress> {
        let now = Iteration(progress.state.iteration());
        let taken = |at: &Iteration| progress.snapshots.iter().find(|snapshot| Iteration(snapshot.iteration) == *at);
        // A network that diverged has no snapshots after it, and its weights may be of any kind.
        let end = progress.diverged_at.unwrap_or(now);
        let due = self.outputs.snapshots_at.iter().filter(|at| **at < end);
        let snapshots: Option<Vec<Snapshot>> = due.map(|at| taken(at).cloned()).collect();
        let snapshots = snapshots.context("it has no snapshot at a rewind point")?;
        // Progress of scores has all weights.
        if progress.diverged_at.is_none() && self.spec().supermask().is_none() {
            let mask = progress.masks.as_ref().map_or(&self.mask, |masks| &masks.current);
            audit_end(mask, &progress.state.without_moments())?;
        }
        Ok(TrainingProgress { snapshots, ..progress })
    }

    /// Returns the lane of the training run in its group.
    pub(super) fn lane(&self) -> usize {
        self.outputs.task.lane
    }

    /// Returns the iteration to end at: the last one, or that of the last missing snapshot.
    pub(super) fn last_iteration(&self) -> Iteration {
        let last_snapshot = if self.outputs.must_reach_end { None } else { self.outputs.snapshots_at.last().copied() };
        last_snapshot.unwrap_or(self.spec().last_iteration)
    }

    /// Returns the input with which lane `lane` trains this training run. In another lane than its own, where it only
    /// fills the group up, no snapshots are taken.
    pub(super) fn lane_input<'s>(&'s self, lane: usize, dataset: &'s Dataset) -> LaneInput<'s> {
        let experiment = &self.context.study.experiment;
        let stream = |purpose| self.spec().stream(experiment.seed, purpose);
        let batch_size = experiment.train.batch_size as usize;
        LaneInput {
            order: BatchSampler::new(stream(Purpose::Order), &dataset.train, batch_size, experiment.train.drop_last),
            elementwise: stream(Purpose::Elementwise).counter_rng(),
            start: &self.start,
            mask: &self.mask,
            updates: self.updates(),
            learns_mask: self.spec().supermask().is_some(),
            lr_factor: self.lr_factor(),
            snapshots_at: if lane == self.lane() { &self.outputs.snapshots_at } else { &[] },
        }
    }

    /// Returns the factor of the learning rate: scores may have another than weights.
    fn lr_factor(&self) -> f64 {
        match self.spec().updates.as_ref().map(|updates| &updates.kind) {
            Some(UpdateKind::Learn { lr: Some(lr), .. }) => lr / self.context.study.experiment.train.lr,
            _ => 1.0,
        }
    }

    /// Returns the updates of the mask that the training loop makes.
    fn updates(&self) -> Option<MaskUpdates<'_>> {
        let rule = self.spec().updates.as_ref()?;
        Some(MaskUpdates {
            rule: self.update_rule.as_ref()?,
            schedule: rule.schedule,
            start: &self.mask,
            pruning: &self.context.study.resolved.pruning,
            stream: update_stream(self.spec(), self.prepare_context()),
        })
    }

    /// Audits an update of the mask; `loaded` is the state that the trainer has after it.
    pub(super) fn audit_update(&self, update: &MaskUpdate, loaded: &Snapshot) -> Result<()> {
        audit_update(self.spec(), update, loaded)
    }

    /// Audits the state that the trainer has before the first step.
    pub(super) fn audit_start(&self, loaded: &Snapshot) -> Result<()> {
        audit_start(self.spec(), self.prepare_context(), &self.mask, loaded)
    }

    /// Audits and saves the end of the training run. `seconds` is the duration of its group of `lane_count` lanes.
    pub(super) fn finish(&self, end: TrainingEnd, seconds: f64, lane_count: usize) -> Result<StoredTraining> {
        let (outcome, trained) = match end {
            TrainingEnd::AuditFailed(error) => return Err(error),
            TrainingEnd::Diverged(curve, Iteration(iteration)) => {
                let (snapshots, final_state) = (Vec::new(), Snapshot::default());
                // Its mask is the one that it starts with: it has no result with another.
                let masks = self.spec().updates.as_ref().map(|_| UpdatedMasks::new(&self.mask));
                let trained = TrainedLane { curve, snapshots, final_state, masks };
                (Outcome::Diverged { iteration }, trained)
            }
            TrainingEnd::Trained(trained) => {
                if let Some(masks) = trained.masks.as_ref().filter(|_| self.outputs.must_reach_end) {
                    audit_updated_masks(self.spec(), self.prepare_context(), &self.mask, masks)?;
                }
                audit_end(trained.mask(&self.mask), &trained.final_state)?;
                if self.spec().supermask().is_some() {
                    let masks = [&self.mask, trained.mask(&self.mask)];
                    audit_learned_weights(self.spec(), self.prepare_context(), masks, &trained.final_state.weights)?;
                }
                (Outcome::Done, trained)
            }
        };
        let finished = match &self.outputs.stored {
            Some(stored) => self.restore(stored, &outcome, &trained, lane_count),
            None => {
                self.save(outcome, trained, timing(seconds, lane_count, self.last_iteration().0 - self.start.iteration))
            }
        }?;
        with_retries(|| self.context.store.remove_progress(self.key()))?;
        Ok(finished)
    }

    fn save(&self, outcome: Outcome, trained: TrainedLane, timing: Timing) -> Result<StoredTraining> {
        let is_done = outcome == Outcome::Done;
        let profile = if is_done { weight_stats(self.spec(), self.prepare_context(), &self.mask)? } else { None };
        let final_state = trained.final_state.weights_and_buffers();
        let outputs = TrainingOutputs {
            outcome: outcome.clone(),
            mask: trained.mask(&self.mask),
            updated: trained
                .masks
                .as_ref()
                .map(|masks| UpdatedMaskFiles { start: &self.mask, ever_kept: &masks.ever_kept }),
            curve: &trained.curve,
            start: (self.spec().start == StartRule::Initial).then_some(&self.start.weights),
            final_state: is_done.then_some(&final_state),
            snapshots: &trained.snapshots,
            drawn_at: self.drawn_at,
            profile: profile.as_ref(),
            keeps_final_weights: self.outputs.keeps_final_weights,
            timing: timing.clone(),
        };
        with_retries(|| self.context.store.save(self.spec(), &outputs))?;
        let weights_kept = trained.mask(&self.mask).kept_counts();
        let drawn_at = self.drawn_at;
        Ok(StoredTraining { outcome, curve: trained.curve, weights_kept, drawn_at, profile, timing: Some(timing) })
    }

    /// Saves the weights that a training run was run again for. On the CPU, and with the number of lanes of the first
    /// time, they must be equal to the first ones byte for byte; else their last digits may differ.
    fn restore(
        &self,
        stored: &StoredTraining,
        outcome: &Outcome,
        trained: &TrainedLane,
        lane_count: usize,
    ) -> Result<StoredTraining> {
        let store = self.context.store;
        let has_same_lanes = stored.timing.as_ref().is_none_or(|timing| timing.lanes == lane_count);
        let is_exact = has_same_lanes && self.context.study.resolved.device == "cpu";
        ensure!(
            *outcome == Outcome::Done,
            "it diverged in its rerun for missing weights, and not the first time: another kind of processor or version"
        );
        ensure!(
            stored.curve.0.starts_with(&trained.curve.0) || !is_exact,
            "the training was run again for its weights, and its evaluations are not what they were: another kind of \
             processor or another version"
        );
        for snapshot in &trained.snapshots {
            with_retries(|| store.restore_snapshot(self.key(), snapshot, is_exact))?;
        }
        if self.outputs.must_reach_end {
            let final_weights = trained.final_state.weights_and_buffers();
            with_retries(|| store.restore_final_weights(self.key(), &final_weights, is_exact))?;
        }
        store.load(self.spec())?.ok_or_else(|| anyhow!("its entry is damaged"))
    }

    pub(super) fn spec(&self) -> &'a TrainingSpec {
        self.outputs.task.spec
    }

    fn prepare_context(&self) -> PrepareContext<'_> {
        PrepareContext { study: self.context.study, artifacts: self.context.store, probe: &*self.probe }
    }
}

/// Returns the timing of one lane: the seconds of its group divided by the number of lanes, and the steps of all lanes
/// per second.
fn timing(seconds: f64, lane_count: usize, iterations: u64) -> Timing {
    let seconds = seconds / lane_count as f64;
    Timing {
        seconds,
        iterations_per_second: iterations as f64 / seconds.max(1e-9),
        host: machine::host(),
        lanes: lane_count,
    }
}
