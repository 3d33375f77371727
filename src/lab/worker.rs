//! One training from the store to the store: prepare, train, audit, save.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};

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
use crate::engine::Trainer;
use crate::lottery::{Context, Need, StartRule, Training, audit_end, audit_start, prepare};
use crate::record::Timing;
use crate::train::{End, Order, Session};

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
    /// Whether it is done already and only its final weights are wanted.
    pub(super) restore: bool,
    /// What of it is to be kept.
    pub(super) keeping: Keeping,
    /// Called when work begins.
    pub(super) began: &'t mut dyn FnMut(),
    /// Called with the iterations that are behind it.
    pub(super) progress: &'t mut dyn FnMut(u64),
}

/// A worker: a thread, and the trainer it builds there when the first training comes.
pub(super) struct Worker<'a> {
    lab: &'a Lab<'a>,
    store: &'a Store,
    dataset: Arc<Dataset>,
    trainer: Option<Box<dyn Trainer>>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(lab: &'a Lab<'a>, store: &'a Store, dataset: Arc<Dataset>) -> Self {
        Self { lab, store, dataset, trainer: None }
    }

    /// Does `task`, unless it is done or another process is at it. What breaks on the way, a panic included, becomes an
    /// error: one training never takes the others down.
    pub(super) fn attend(&mut self, task: &mut Task<'_>) -> Result<Done> {
        catch_unwind(AssertUnwindSafe(|| self.try_attend(task))).unwrap_or_else(|panic| {
            // Whatever state the trainer is in, it is not used again.
            self.trainer = None;
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message");
            Err(anyhow!("a defect of this program: {text}"))
        })
    }

    fn try_attend(&mut self, task: &mut Task<'_>) -> Result<Done> {
        let training = task.training;
        let entry = self.store.runs.entry(&training.key);
        let Some(_lock) = Lock::attempt(&entry.lock())? else { return Ok(Done::Elsewhere) };
        if task.keeping.for_good {
            self.store.mark_kept(&training.key)?;
        }
        // Another process may have finished it between our look at the store and the lock.
        if let Some(finished) = self.store.load(training)?
            && (!task.restore || self.store.has(&training.key, Need::Last))
        {
            return Ok(Done::Ended(finished));
        }
        files::sweep(&entry.0)?;
        (task.began)();
        self.train(task)
    }

    /// Prepares the training and runs it to its end.
    fn train(&mut self, task: &mut Task<'_>) -> Result<Done> {
        let (lab, training) = (self.lab, task.training);
        let context = Context { experiment: lab.experiment, setting: lab.setting, parents: self.store };
        let (mask, start) = prepare(training, context).context("could not prepare the training")?;
        let trainer = match &mut self.trainer {
            Some(trainer) => trainer,
            None => self.trainer.insert((lab.trainer)(&self.dataset)?),
        };
        let recipe = &lab.experiment.train;
        let stream = |purpose| Stream::of_replicate(lab.experiment.seed, training.replicate, purpose);
        let order =
            Order::new(stream(Purpose::Order), &self.dataset.train, recipe.batch_size as usize, recipe.drop_last);
        let watch = Stopwatch::start();
        let mut loaded = |loaded: &Snapshot| audit_start(training, context, &mask, loaded);
        let elementwise = stream(Purpose::Elementwise).elementwise();
        let session = Session { train: recipe, order, elementwise, stop: lab.stop };
        let end = session.run(trainer.as_mut(), &start, &mask, &mut loaded, task.progress)?;
        let timing = timing(watch.seconds(), recipe.iterations);
        let (outcome, curve, last) = match end {
            End::Stopped => return Ok(Done::Stopped),
            End::Diverged(curve, iteration) => (Outcome::Diverged { iteration }, curve, None),
            End::Trained(curve, last) => {
                audit_end(&mask, &last)?;
                (Outcome::Done, curve, Some(last.weights))
            }
        };
        let start = (training.start == StartRule::Initial).then_some(&start.weights);
        let last = last.as_ref();
        self.keep(
            task,
            &Product { outcome, mask: &mask, curve: &curve, start, last, keep_last: task.keeping.last, timing },
        )
    }

    /// Writes what a training gave, or just the final weights where these were wanted.
    fn keep(&self, task: &Task<'_>, product: &Product<'_>) -> Result<Done> {
        let (store, training) = (self.store, task.training);
        if task.restore {
            let last = product.last.ok_or_else(|| anyhow!("the training diverged, which it did not the first time"))?;
            store.restore_last(&training.key, last)?;
            return Ok(Done::Ended(store.load(training)?.ok_or_else(|| anyhow!("its entry is damaged"))?));
        }
        store.save(training, product)?;
        Ok(Done::Ended(Finished {
            outcome: product.outcome.clone(),
            curve: product.curve.clone(),
            weights_kept: product.mask.counts(),
            timing: Some(product.timing.clone()),
        }))
    }
}

fn timing(seconds: f64, iterations: u64) -> Timing {
    Timing { seconds, iterations_per_second: iterations as f64 / seconds.max(1e-9), host: env::host() }
}
