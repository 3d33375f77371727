//! One training from the store to the store: prepare, train, audit, save.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};

use super::board::Keeping;
use super::run::Lab;
use super::store::{Finished, Product, Store};
use crate::base::clock::Stopwatch;
use crate::base::env;
use crate::base::files::{self, Lock};
use crate::base::outcome::Outcome;
use crate::base::random::{Purpose, Stream};
use crate::base::state::Snapshot;
use crate::data::Dataset;
use crate::engine::{Kind, Trainer};
use crate::lottery::{Context, Need, StartRule, Training, audit_end, audit_start, prepare, profile};
use crate::record::Timing;
use crate::train::{End, Order, Session, Trained};

/// What became of a training that a worker took up.
pub(super) enum Done {
    /// It is in the store now.
    Ended(Finished),
    /// Another process has it.
    Elsewhere,
    /// There was a wish to stop.
    Stopped,
}

/// A training to be done.
pub(super) struct Task<'t> {
    pub(super) training: &'t Training,
    /// Whether it is done already and only weights that were not kept are wanted.
    pub(super) restore: bool,
    /// What of it is to be kept.
    pub(super) keeping: Keeping,
    /// Called when work begins.
    pub(super) began: &'t mut dyn FnMut(),
    /// Called with the iterations that are behind it.
    pub(super) progress: &'t mut dyn FnMut(u64),
    /// How many threads it may use now.
    pub(super) threads: &'t dyn Fn() -> usize,
}

/// A worker: a thread, and the trainers it builds there, each when the first training comes that wants one of its kind.
pub(super) struct Worker<'a> {
    lab: &'a Lab<'a>,
    store: &'a Store,
    dataset: Arc<Dataset>,
    trainers: BTreeMap<Kind, Box<dyn Trainer>>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(lab: &'a Lab<'a>, store: &'a Store, dataset: Arc<Dataset>) -> Self {
        Self { lab, store, dataset, trainers: BTreeMap::new() }
    }

    /// Does `task`, unless it is done or another process is at it. What breaks on the way, a panic included, becomes an
    /// error: one training never takes the others down.
    pub(super) fn attend(&mut self, task: &mut Task<'_>) -> Result<Done> {
        catch_unwind(AssertUnwindSafe(|| self.try_attend(task))).unwrap_or_else(|panic| {
            // Whatever state the trainer is in, it is not used again.
            self.trainers.remove(&task.training.engine);
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message");
            Err(anyhow!("a defect of this program: {text}"))
        })
    }

    fn try_attend(&mut self, task: &mut Task<'_>) -> Result<Done> {
        let (training, keeping) = (task.training, &task.keeping);
        let entry = self.store.runs.entry(&training.key);
        let Some(_lock) = Lock::attempt(&entry.lock())? else { return Ok(Done::Elsewhere) };
        if keeping.for_good {
            self.store.mark_kept(&training.key)?;
        }
        let has = |need| self.store.has(&training.key, need);
        // Another process may have finished it between our look at the store and the lock.
        let known = self.store.load(training)?;
        let mut wanted = Wanted { last: true, at: keeping.at.clone() };
        if known.is_some() {
            wanted.last = task.restore && keeping.last && !has(Need::Last);
            wanted.at.retain(|&iteration| !has(Need::At(iteration)));
        }
        match known {
            Some(finished) if !wanted.last && wanted.at.is_empty() => Ok(Done::Ended(finished)),
            known => {
                files::sweep(&entry.0)?;
                (task.began)();
                self.train(task, &wanted, known)
            }
        }
    }

    /// Prepares the training and runs it as far as is wanted. What is `known` of it already is made again, not judged.
    fn train(&mut self, task: &mut Task<'_>, wanted: &Wanted, known: Option<Finished>) -> Result<Done> {
        let (lab, training) = (self.lab, task.training);
        let context = Context { experiment: lab.experiment, setting: lab.setting, parents: self.store };
        let (mask, start) = prepare(training, context).context("could not prepare the training")?;
        let trainer = match self.trainers.entry(training.engine) {
            Entry::Occupied(trainer) => trainer.into_mut(),
            Entry::Vacant(place) => place.insert((lab.trainer)(training.engine, &self.dataset)?),
        };
        let recipe = &lab.experiment.train;
        let stream = |purpose| Stream::of_replicate(lab.experiment.seed, training.replicate, purpose);
        let order =
            Order::new(stream(Purpose::Order), &self.dataset.train, recipe.batch_size as usize, recipe.drop_last);
        let watch = Stopwatch::start();
        let mut loaded = |loaded: &Snapshot| audit_start(training, context, &mask, loaded);
        let elementwise = stream(Purpose::Elementwise).elementwise();
        // Only as far as the last state that is wanted.
        let end = if wanted.last { None } else { wanted.at.last().copied() }.unwrap_or(recipe.iterations);
        let session =
            Session { train: recipe, order, elementwise, at: &wanted.at, end, stop: lab.stop, threads: task.threads };
        let end = session.run(trainer.as_mut(), &start, &mask, &mut loaded, task.progress)?;
        let timing = timing(watch.seconds(), recipe.iterations - start.iteration);
        let (outcome, trained) = match end {
            End::Stopped => return Ok(Done::Stopped),
            End::Diverged(curve, iteration) => {
                let nothing = Trained { curve, at: Vec::new(), last: Snapshot::default() };
                (Outcome::Diverged { iteration }, nothing)
            }
            End::Trained(trained) => {
                audit_end(&mask, &trained.last)?;
                (Outcome::Done, trained)
            }
        };
        if let Some(known) = known {
            return self.restore(training, wanted, &known, &outcome, &trained);
        }
        let profile = if outcome == Outcome::Done { profile(training, context, &mask)? } else { None };
        let network = trained.last.network();
        let product = Product {
            outcome: outcome.clone(),
            mask: &mask,
            curve: &trained.curve,
            start: (training.start == StartRule::Initial).then_some(&start.weights),
            last: (outcome == Outcome::Done).then_some(&network),
            at: &trained.at,
            profile: profile.as_ref(),
            keep_last: task.keeping.last,
            timing: timing.clone(),
        };
        self.store.save(training, &product)?;
        let weights_kept = mask.counts();
        Ok(Done::Ended(Finished { outcome, curve: trained.curve, weights_kept, profile, timing: Some(timing) }))
    }

    /// Writes the weights that a training was run again for; on the CPU it must have gone as it did the first time.
    fn restore(
        &self,
        training: &Training,
        wanted: &Wanted,
        known: &Finished,
        outcome: &Outcome,
        trained: &Trained,
    ) -> Result<Done> {
        ensure!(*outcome == Outcome::Done, "the training diverged, which it did not the first time");
        let same = known.curve.0.starts_with(&trained.curve.0);
        ensure!(
            same || self.lab.setting.device != "cpu",
            "the training was run again for its weights, and its evaluations are not what they were: another kind of \
             processor or another version"
        );
        for snapshot in &trained.at {
            self.store.restore_at(&training.key, snapshot)?;
        }
        if wanted.last {
            self.store.restore_last(&training.key, &trained.last.network())?;
        }
        Ok(Done::Ended(self.store.load(training)?.ok_or_else(|| anyhow!("its entry is damaged"))?))
    }
}

/// What of a training is to be made.
struct Wanted {
    /// Its final weights.
    last: bool,
    /// Its states after so many iterations.
    at: Vec<u64>,
}

fn timing(seconds: f64, iterations: u64) -> Timing {
    Timing { seconds, iterations_per_second: iterations as f64 / seconds.max(1e-9), host: env::host() }
}
