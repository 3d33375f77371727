//! What happens, as it happens. Whoever works emits; sinks show or ignore it.

use std::fmt;
use std::path::Path;

use crate::base::curve::Evaluation;
use crate::base::outcome::Outcome;
use crate::base::units::Round;
use crate::lottery::TrainingSpec;

/// Which training is spoken of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingId {
    /// Its arm.
    pub arm: String,
    /// From 1.
    pub replicate: u32,
    /// From 1.
    pub repeat: u32,
    /// Number of prunings.
    pub round: u32,
    /// How many others are spoken of with it, which train in lockstep with it.
    pub other_lanes: usize,
}

/// What came of a training.
#[derive(Clone, Debug)]
pub struct TrainingResult {
    /// How it ended.
    pub outcome: Outcome,
    /// Kept / all weights.
    pub weights_remaining: f64,
    /// After the last iteration.
    pub last: Option<Evaluation>,
    /// How long it took, where it was trained now.
    pub seconds: Option<f64>,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Work begins.
    RunStarted {
        /// The experiment's name.
        experiment: &'a str,
        /// Trainings of the plan.
        trainings: usize,
        /// Of these, in the store already.
        stored: usize,
        /// Iterations that are to be taken.
        iterations: u64,
        /// What these are estimated to cost, in the unit of [`Event::Started`].
        cost: f64,
        /// Trainings at a time, or groups in lockstep.
        workers: usize,
        /// Engines, lanes where there is more than one, and device.
        engine: &'a str,
        /// Where the files are.
        view: &'a Path,
    },
    /// A worker takes up a training, or several in lockstep.
    Started {
        /// From 0.
        worker: usize,
        /// Which.
        label: &'a TrainingId,
        /// Iterations each takes.
        iterations: u64,
        /// What these are estimated to cost; a unit means the same for every training of the run.
        cost: f64,
    },
    /// A worker is so far.
    Stepped {
        /// From 0.
        worker: usize,
        /// Iterations behind it.
        iteration: u64,
    },
    /// A training has ended, here or in another process.
    Ended {
        /// The worker that trained it; `None` where another process did.
        worker: Option<usize>,
        /// Which.
        label: &'a TrainingId,
        /// What came of it.
        result: &'a TrainingResult,
        /// What work on it was estimated to cost.
        cost: f64,
        /// Trainings ended so far.
        ended: usize,
        /// Trainings of the plan.
        trainings: usize,
    },
    /// All that is left is being trained by another process.
    Waiting {
        /// Who that is.
        holder: &'a str,
    },
    /// A thing to know.
    Message(&'a str),
    /// Work is over.
    RunFinished,
}

/// Somebody who is told.
pub trait EventSink: Sync {
    /// Takes note of an event; must not fail and must not take long.
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
