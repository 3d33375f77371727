//! One training from the store to the store: what is wanted of it, prepare, audit, save.

use std::rc::Rc;

use anyhow::{Context as _, Result, anyhow, ensure};

use super::run::Runner;
use super::scheduler::Task;
use super::store::{Store, StoredTraining, TrainingOutputs};
use crate::artifacts::Timing;
use crate::base::mask::Mask;
use crate::base::outcome::Outcome;
use crate::base::rng::Purpose;
use crate::base::tensors::Snapshot;
use crate::data::Dataset;
use crate::engine::torch::TorchProbe;
use crate::lottery::{
    Dependency, PrepareContext, StartRule, TrainingSpec, audit_end, audit_start, prepare, weight_stats,
};
use crate::system::env;
use crate::system::files;
use crate::train::{self, BatchSampler, TrainedLane, TrainingEnd};

/// What a look at the store told of a task.
pub(super) enum StoreLookup<'t> {
    /// It is done.
    Found(StoredTraining),
    /// It is to be trained.
    Wanted(MissingOutputs<'t>),
}

/// What of a training is to be made.
pub(super) struct MissingOutputs<'t> {
    pub(super) task: &'t Task<'t>,
    /// Its final weights.
    last: bool,
    /// Its states after so many iterations.
    at: Vec<u64>,
    /// What is known of it: it is made again then, not judged.
    known: Option<StoredTraining>,
}

impl<'t> MissingOutputs<'t> {
    /// Looks at the store, with the lock in hand: another process may have finished it between the look of the board and
    /// the lock.
    pub(super) fn look(task: &'t Task<'t>, store: &Store) -> Result<StoreLookup<'t>> {
        let key = &task.training.key;
        if task.keeping.pinned {
            store.pin(key)?;
        }
        let known = store.load(task.training)?;
        let mut wish = Self { task, last: true, at: task.keeping.snapshots_at.clone(), known: None };
        if known.is_some() {
            wish.last = task.restore && task.keeping.final_weights && !store.has(key, Dependency::FinalWeights);
            wish.at.retain(|&iteration| !store.has(key, Dependency::Snapshot(iteration)));
        }
        match known {
            Some(finished) if !wish.last && wish.at.is_empty() => Ok(StoreLookup::Found(finished)),
            known => {
                files::remove_stale_temporaries(&store.runs.training_dir(key).0)?;
                Ok(StoreLookup::Wanted(Self { known, ..wish }))
            }
        }
    }
}

/// A training that is ready to be trained.
pub(super) struct TrainingJob<'a> {
    wish: MissingOutputs<'a>,
    lab: &'a Runner<'a>,
    store: &'a Store,
    mask: Mask,
    start: Snapshot,
    probe: Rc<TorchProbe>,
}

impl<'a> TrainingJob<'a> {
    pub(super) fn prepare(
        wish: MissingOutputs<'a>,
        lab: &'a Runner<'a>,
        store: &'a Store,
        probe: &Rc<TorchProbe>,
    ) -> Result<Self> {
        let context =
            PrepareContext { experiment: lab.experiment, setting: lab.setting, artifacts: store, probe: &**probe };
        let (mask, start) = prepare(wish.task.training, context).context("could not prepare the training")?;
        Ok(Self { wish, lab, store, mask, start, probe: Rc::clone(probe) })
    }

    /// Its place in its group.
    pub(super) fn place(&self) -> usize {
        self.wish.task.lane
    }

    /// The iteration to end at: only as far as the last state that is wanted.
    pub(super) fn end(&self) -> u64 {
        let last_state = if self.wish.last { None } else { self.wish.at.last().copied() };
        last_state.unwrap_or(self.lab.experiment.train.iterations)
    }

    /// What a session is to know of it in lane `n`: in another than its own it only trains along.
    pub(super) fn lane_input<'s>(&'s self, n: usize, dataset: &'s Dataset) -> train::LaneInput<'s> {
        let experiment = self.lab.experiment;
        let stream = |purpose| self.training().stream(experiment.seed, purpose);
        let (batch_size, drop_last) = (experiment.train.batch_size as usize, experiment.train.drop_last);
        train::LaneInput {
            order: BatchSampler::new(stream(Purpose::Order), &dataset.train, batch_size, drop_last),
            elementwise: stream(Purpose::Elementwise).counter_rng(),
            start: &self.start,
            mask: &self.mask,
            snapshots_at: if n == self.place() { &self.wish.at } else { &[] },
        }
    }

    /// Checks what the trainer really has at the beginning.
    pub(super) fn audit_start(&self, loaded: &Snapshot) -> Result<()> {
        audit_start(self.training(), self.context(), &self.mask, loaded)
    }

    /// Audits and saves what came of it, in a group of `width` lanes that took so many seconds.
    pub(super) fn finish(&self, end: TrainingEnd, seconds: f64, width: usize) -> Result<StoredTraining> {
        let (outcome, trained) = match end {
            TrainingEnd::AuditFailed(error) => return Err(error),
            TrainingEnd::Diverged(curve, iteration) => {
                let nothing = TrainedLane { curve, snapshots: Vec::new(), final_state: Snapshot::default() };
                (Outcome::Diverged { iteration }, nothing)
            }
            TrainingEnd::Trained(trained) => {
                audit_end(&self.mask, &trained.final_state)?;
                (Outcome::Done, trained)
            }
        };
        match &self.wish.known {
            Some(known) => self.restore(known, &outcome, &trained, width),
            None => self.save(outcome, trained, timing(seconds, width, self.end() - self.start.iteration)),
        }
    }

    fn save(&self, outcome: Outcome, trained: TrainedLane, timing: Timing) -> Result<StoredTraining> {
        let (training, is_done) = (self.training(), outcome == Outcome::Done);
        let profile = if is_done { weight_stats(training, self.context(), &self.mask)? } else { None };
        let network = trained.final_state.weights_and_buffers();
        let product = TrainingOutputs {
            outcome: outcome.clone(),
            mask: &self.mask,
            curve: &trained.curve,
            start: (training.start == StartRule::Initial).then_some(&self.start.weights),
            final_state: is_done.then_some(&network),
            snapshots: &trained.snapshots,
            profile: profile.as_ref(),
            keep_last: self.wish.task.keeping.final_weights,
            timing: timing.clone(),
        };
        self.store.save(training, &product)?;
        let weights_kept = self.mask.counts();
        Ok(StoredTraining { outcome, curve: trained.curve, weights_kept, profile, timing: Some(timing) })
    }

    /// Writes the weights that a training was run again for. On the CPU, and in as many lanes as the first time, it must have
    /// gone as it did then; else last digits may be others.
    fn restore(
        &self,
        known: &StoredTraining,
        outcome: &Outcome,
        trained: &TrainedLane,
        width: usize,
    ) -> Result<StoredTraining> {
        let (training, store) = (self.training(), self.store);
        let same_lanes = known.timing.as_ref().is_none_or(|timing| timing.lanes == width);
        let exact = same_lanes && self.lab.setting.device == "cpu";
        ensure!(*outcome == Outcome::Done, "the training diverged, which it did not the first time");
        ensure!(
            known.curve.0.starts_with(&trained.curve.0) || !exact,
            "the training was run again for its weights, and its evaluations are not what they were: another kind of \
             processor or another version"
        );
        for snapshot in &trained.snapshots {
            store.restore_snapshot(&training.key, snapshot, exact)?;
        }
        if self.wish.last {
            store.restore_final_weights(&training.key, &trained.final_state.weights_and_buffers(), exact)?;
        }
        store.load(training)?.ok_or_else(|| anyhow!("its entry is damaged"))
    }

    fn training(&self) -> &'a TrainingSpec {
        self.wish.task.training
    }

    fn context(&self) -> PrepareContext<'_> {
        PrepareContext {
            experiment: self.lab.experiment,
            setting: self.lab.setting,
            artifacts: self.store,
            probe: &*self.probe,
        }
    }
}

/// The share of one lane: seconds by the width of the group, and steps by it too.
fn timing(seconds: f64, width: usize, iterations: u64) -> Timing {
    let seconds = seconds / width as f64;
    Timing { seconds, iterations_per_second: iterations as f64 / seconds.max(1e-9), host: env::host(), lanes: width }
}
