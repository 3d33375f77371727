//! Events of a run in progress. The runner and its workers emit them; an [`EventSink`] shows them.

use std::fmt;
use std::path::Path;

use crate::base::curve::Evaluation;
use crate::base::outcome::Outcome;
use crate::base::units::Round;
use crate::lottery::TrainingSpec;

/// The training runs that an event is about: the arm, round, replicate and repeat of one of them, and the number of
/// others that train in lockstep with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingId {
    /// The name of its arm.
    pub arm: String,
    /// Its replicate, from 1.
    pub replicate: u32,
    /// Its repeat, from 1.
    pub repeat: u32,
    /// Its round, from 0.
    pub round: u32,
    /// The number of other training runs of the event, which train in lockstep with this one.
    pub other_lanes: usize,
}

/// The result of a training run.
#[derive(Clone, Debug)]
pub struct TrainingResult {
    /// Whether it trained to the end, diverged or failed.
    pub outcome: Outcome,
    /// Kept weights divided by all weights, 0 to 1.
    pub weights_remaining: f64,
    /// The evaluation after the last iteration; `None` if it did not train to the end.
    pub last: Option<Evaluation>,
    /// Duration in seconds; `None` if the result was in the store.
    pub seconds: Option<f64>,
}

/// Counts of stored training runs that are repeated for missing weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    /// The number of those that have ended.
    pub ended: usize,
    /// The number of all of them.
    pub all: usize,
}

/// An event of a run.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// The run starts.
    RunStarted {
        /// The experiment's name.
        experiment: &'a str,
        /// The number of training runs of the plan.
        trainings: usize,
        /// The number of these that are in the store already.
        stored: usize,
        /// The number of iterations still to do.
        iterations: u64,
        /// The estimated cost of these iterations, in a unit that all events of the run share.
        cost: f64,
        /// The number of worker threads, each with one training run or lockstep group at a time.
        workers: usize,
        /// Text for display: the engines, the number of lanes if there are several, and the device.
        engine_text: &'a str,
        /// The folder of the run.
        run_dir: &'a Path,
    },
    /// A worker starts a training run, or a lockstep group.
    Started {
        /// The index of the worker, from 0.
        worker: usize,
        /// The training run.
        id: &'a TrainingId,
        /// The number of iterations of each of its training runs; of the longest, if they differ.
        iterations: u64,
        /// The estimated cost, in the unit of [`Event::RunStarted`].
        cost: f64,
    },
    /// Progress of a worker.
    Stepped {
        /// The index of the worker, from 0.
        worker: usize,
        /// The number of iterations that it has done of the training run or group that it started last.
        iteration: u64,
    },
    /// A training run has ended, in this or in another process.
    Ended {
        /// The worker that trained it; `None` where another process did.
        worker: Option<usize>,
        /// The training run.
        id: &'a TrainingId,
        /// Its result.
        result: &'a TrainingResult,
        /// The cost that was estimated for it, in the unit of [`Event::RunStarted`].
        cost: f64,
        /// The number of training runs that have ended.
        ended: usize,
        /// The number of training runs of the plan.
        trainings: usize,
        /// The counts of repeated training runs, if this one was stored and was repeated for missing weights. It does
        /// not change `ended`.
        repeats: Option<Repeats>,
    },
    /// The worker waits: another process holds the locks of every training run that could begin.
    Waiting {
        /// The process that holds one of the locks, as text for display: its number and machine.
        holder: &'a str,
        /// The number of training runs of the plan that have not ended.
        remaining: usize,
    },
    /// A note or warning for display.
    Message(&'a str),
    /// The run has ended.
    RunFinished,
}

/// A receiver of the events of a run.
pub trait EventSink: Sync {
    /// Receives an event, on the thread that emitted it. Must not panic and must return quickly, because training waits
    /// for it.
    fn on_event(&self, event: &Event<'_>);
}

/// A closure is a sink: `&|event: &Event<'_>| …`.
impl<F: Fn(&Event<'_>) + Sync> EventSink for F {
    fn on_event(&self, event: &Event<'_>) {
        self(event);
    }
}

impl TrainingId {
    /// Returns the id of a training run of a plan.
    pub fn of(spec: &TrainingSpec) -> Self {
        let TrainingSpec { replicate, repeat, round: Round(round), .. } = *spec;
        Self { arm: spec.arm.clone(), replicate, repeat, round, other_lanes: 0 }
    }
}

impl fmt::Display for TrainingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} round {} replicate {}", self.arm, self.round, self.replicate)?;
        if self.repeat > 1 {
            write!(f, " repeat {}", self.repeat)?;
        }
        if self.other_lanes > 0 { write!(f, " and {} more", self.other_lanes) } else { Ok(()) }
    }
}
