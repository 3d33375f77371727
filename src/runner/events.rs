//! Events of a run in progress. The runner and its workers emit them; an [`EventSink`] shows them.

use std::fmt;
use std::path::Path;

use crate::base::curve::Evaluation;
use crate::base::outcome::Outcome;
use crate::base::units::Round;
use crate::lottery::TrainingSpec;

/// The training runs that an event is about: one by its place in the experiment, and the number of those in lockstep with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingId {
    /// The name of the arm.
    pub arm: String,
    /// From 1.
    pub replicate: u32,
    /// From 1.
    pub repeat: u32,
    /// Number of prunings.
    pub round: u32,
    /// The number of other training runs of the event, which train in lockstep with this one.
    pub other_lanes: usize,
}

/// The result of a training run.
#[derive(Clone, Debug)]
pub struct TrainingResult {
    /// How it ended.
    pub outcome: Outcome,
    /// Kept weights divided by all weights, 0 to 1.
    pub weights_remaining: f64,
    /// The evaluation after the last iteration.
    pub last: Option<Evaluation>,
    /// Duration in seconds; `None` if the result was in the store.
    pub seconds: Option<f64>,
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
        /// The estimated cost of these iterations, in an arbitrary unit that is the same for all events of the run.
        cost: f64,
        /// The number of worker threads, each with one training run or lockstep group at a time.
        workers: usize,
        /// Text for display: the engines, the number of lanes if there are several, and the device.
        engine: &'a str,
        /// The folder of the run.
        run_dir: &'a Path,
    },
    /// A worker starts a training run, or a lockstep group.
    Started {
        /// The number of the worker, from 0.
        worker: usize,
        /// The training run.
        label: &'a TrainingId,
        /// The number of iterations of each.
        iterations: u64,
        /// The estimated cost, in the unit of [`Event::RunStarted`].
        cost: f64,
    },
    /// Progress of a worker.
    Stepped {
        /// The number of the worker, from 0.
        worker: usize,
        /// The number of iterations done.
        iteration: u64,
    },
    /// A training run has ended, in this or in another process.
    Ended {
        /// The worker that trained it; `None` where another process did.
        worker: Option<usize>,
        /// The training run.
        label: &'a TrainingId,
        /// Its result.
        result: &'a TrainingResult,
        /// The cost that was estimated for it, in the unit of [`Event::RunStarted`].
        cost: f64,
        /// The number of training runs that have ended.
        ended: usize,
        /// The number of training runs of the plan.
        trainings: usize,
    },
    /// Every training run that is left is locked by another process.
    Waiting {
        /// That process, as text for display: its number and machine.
        holder: &'a str,
    },
    /// A note or warning for display.
    Message(&'a str),
    /// The run has ended.
    RunFinished,
}

/// A receiver of events.
pub trait EventSink: Sync {
    /// Receives an event, on the thread that emitted it. Must not panic and must return quickly, because training waits for it.
    fn on_event(&self, event: &Event<'_>);
}

impl TrainingId {
    /// Returns the id of a training run of a plan.
    pub(super) fn of(spec: &TrainingSpec) -> Self {
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
