//! `--events FILE`: a line of JSON for each training run that ends.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::Serialize;

use crate::base::outcome::Outcome;
use crate::runner::{Event, EventSink};
use crate::system::clock::UtcTime;

/// A line of the file of `--events`: a training run that has ended.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub(super) struct EventLine {
    /// Time at which the training run ended: ISO 8601, UTC, such as `2026-11-26T06:08:54Z`.
    time: UtcTime,
    /// The experiment's name.
    experiment: String,
    /// The arm's name.
    arm: String,
    /// The replicate, from 1.
    replicate: u32,
    /// The repeat of the arm within the replicate, from 1.
    repeat: u32,
    /// Index of the mask size, from 0 (dense).
    round: u32,
    /// Kept weights / all weights, 0..=1.
    weights_remaining: f64,
    /// How the training run ended: `done`, `diverged` or `failed`.
    outcome: &'static str,
    /// The cause of a failure; `null` without one.
    cause: Option<String>,
    /// Iteration of the last evaluation, counted from iteration 0 of the dense training run; `null` without a result.
    iteration: Option<u64>,
    /// Accuracy on training images after the last iteration, 0..=1; `null` without a result.
    final_train_accuracy: Option<f64>,
    /// Accuracy on validation images after the last iteration, 0..=1; `null` without a result.
    final_validation_accuracy: Option<f64>,
    /// Accuracy on test images after the last iteration, 0..=1; `null` without a result.
    final_test_accuracy: Option<f64>,
    /// Seconds of training; `null` if another process trained it.
    seconds: Option<f64>,
    /// Index of the worker that trained it, from 0; `null` if another process did.
    worker: Option<usize>,
    /// Whether it was stored, and was repeated for missing weights.
    is_repeat: bool,
    /// Number of training runs of the plan that have ended, with any outcome.
    ended: usize,
    /// Number of training runs of the plan.
    trainings: usize,
}

/// A sink that writes lines of JSON to a file, and passes every event on.
pub(super) struct EventFile {
    next: Box<dyn EventSink>,
    path: PathBuf,
    state: Mutex<FileState>,
}

/// The file, and what the lines need of earlier events.
struct FileState {
    file: File,
    experiment: String,
    /// The first error of writing; no line is written after it.
    error: Option<std::io::Error>,
}

impl EventFile {
    /// Opens the file at `path`, to which lines are appended. `next`: the sink that every event is passed to.
    ///
    /// # Errors
    /// Fails if the file cannot be opened for writing.
    pub(super) fn open(path: &Path, next: Box<dyn EventSink>) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("could not open `{}` for `--events`", path.display()))?;
        let state = FileState { file, experiment: String::new(), error: None };
        Ok(Self { next, path: path.to_owned(), state: Mutex::new(state) })
    }

    /// Checks that every line was written.
    ///
    /// # Errors
    /// Fails with the first error of writing.
    pub(super) fn check(&self) -> Result<()> {
        let error = self.state.lock().unwrap_or_else(PoisonError::into_inner).error.take();
        error.map_or(Ok(()), |error| Err(error).with_context(|| format!("could not write `{}`", self.path.display())))
    }
}

impl EventSink for EventFile {
    fn on_event(&self, event: &Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::RunStarted { experiment, .. } = event {
            (*experiment).clone_into(&mut state.experiment);
        }
        if let Some(line) = EventLine::of(event, &state.experiment).filter(|_| state.error.is_none()) {
            // One write for each line, so that a reader never sees a part of one.
            let written = serde_json::to_string(&line).map_err(std::io::Error::from);
            let written = written.and_then(|line| state.file.write_all((line + "\n").as_bytes()));
            state.error = written.err();
        }
        drop(state);
        self.next.on_event(event);
    }
}

impl EventLine {
    /// Returns the line for an event; `None` unless a training run has ended.
    fn of(event: &Event<'_>, experiment: &str) -> Option<Self> {
        let Event::Ended { worker, id, result, ended, trainings, repeats, .. } = event else { return None };
        let cause = match &result.outcome {
            Outcome::Failed { cause } => Some(cause.clone()),
            Outcome::Diverged { iteration } => Some(format!("non-finite loss or weight at iteration {iteration}")),
            Outcome::Done | Outcome::Blocked { .. } => None,
        };
        Some(Self {
            time: UtcTime::now(),
            experiment: experiment.to_owned(),
            arm: id.arm.clone(),
            replicate: id.replicate,
            repeat: id.repeat,
            round: id.round,
            weights_remaining: result.weights_remaining,
            outcome: result.outcome.as_str(),
            cause,
            iteration: result.last.map(|last| last.iteration),
            final_train_accuracy: result.last.map(|last| last.train.accuracy),
            final_validation_accuracy: result.last.map(|last| last.validation.accuracy),
            final_test_accuracy: result.last.map(|last| last.test.accuracy),
            seconds: result.seconds,
            worker: *worker,
            is_repeat: repeats.is_some(),
            ended: *ended,
            trainings: *trainings,
        })
    }
}
