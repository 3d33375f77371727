//! Event sinks for output that is no terminal: one plain line per finished training run, without escape sequences; or
//! nothing.

use std::sync::{Mutex, PoisonError};

use super::super::eprint_line;
use super::eta::Eta;
use super::text;
use crate::base::format::duration;
use crate::runner::{Event, EventSink};
use crate::system::clock::{Stopwatch, UtcTime};

/// Share of the work between two estimates of the remaining time: a log has at most twenty estimates, however long the
/// run.
const SHARE_BETWEEN_ESTIMATES: f64 = 0.05;

/// A sink that prints nothing.
pub(super) struct SilentSink;

impl EventSink for SilentSink {
    fn on_event(&self, _: &Event<'_>) {}
}

/// Seconds between two lines about waiting for another process.
const SECONDS_BETWEEN_WAITING: f64 = 60.0;

/// A sink that prints lines, each after the clock time (ISO 8601, UTC) if `has_times`, as in a log file.
pub(super) struct LineSink {
    has_times: bool,
    state: Mutex<LineState>,
}

impl LineSink {
    /// Returns a sink of lines with or without clock times.
    pub(super) fn new(has_times: bool) -> Self {
        Self { has_times, state: Mutex::default() }
    }
}

/// The state of a [`LineSink`].
#[derive(Default)]
struct LineState {
    eta: Eta,
    /// Share of the work, 0..=1, at the last printed estimate; 0 before the first.
    last_estimate: f64,
    /// Time since the last line about waiting for another process; `None` before the first.
    waiting: Option<Stopwatch>,
}

impl EventSink for LineSink {
    fn on_event(&self, event: &Event<'_>) {
        // Printed while the state is locked, so that lines are in the order of events.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = state.line(event) {
            eprint_line(&if self.has_times { format!("{} {line}", UtcTime::now()) } else { line });
        }
    }
}

impl LineState {
    /// Returns the line for an event; `None` for an event without a line.
    fn line(&mut self, event: &Event<'_>) -> Option<String> {
        self.eta.update(event);
        match event {
            Event::RunStarted { .. } => text::header(event),
            Event::Ended { id, result, .. } => {
                let seconds_left = self.eta.seconds_left();
                Some(text::ended(&text::count(event), id, result) + &self.estimate(seconds_left))
            }
            Event::Waiting { holder, remaining } => {
                if self.waiting.is_some_and(|watch| watch.seconds() < SECONDS_BETWEEN_WAITING) {
                    return None;
                }
                self.waiting = Some(Stopwatch::start());
                Some(text::waiting(holder, *remaining))
            }
            Event::Message(text) => Some((*text).to_owned()),
            Event::Started { .. } | Event::Stepped { .. } | Event::RunFinished => None,
        }
    }

    /// Returns a text such as `; about 2 min left` if an estimate is due, else an empty text.
    fn estimate(&mut self, seconds_left: Option<f64>) -> String {
        match seconds_left {
            Some(seconds)
                if self.last_estimate == 0.0 || self.eta.share() >= self.last_estimate + SHARE_BETWEEN_ESTIMATES =>
            {
                self.last_estimate = self.eta.share();
                format!("; about {} left", duration(seconds))
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::outcome::Outcome;
    use crate::runner::{TrainingId, TrainingResult};

    #[test]
    fn estimates_are_printed_at_intervals() {
        let mut state = LineState::default();
        let started = Event::RunStarted {
            experiment: "e",
            trainings: 100,
            stored: 0,
            iterations: 1000,
            cost: 1000.0,
            workers: 1,
            engine_text: "dense on cpu",
            run_dir: std::path::Path::new("runs/e"),
        };
        assert!(state.line(&started).unwrap().starts_with("e: 100 training runs; 1,000 iterations to go"));
        let label = TrainingId { arm: "dense".into(), replicate: 1, repeat: 1, round: 0, other_lanes: 0 };
        let result = TrainingResult { outcome: Outcome::Done, weights_remaining: 1.0, last: None, seconds: None };
        let estimates: Vec<String> = (1..=100)
            .map(|ended| {
                let event = Event::Ended {
                    worker: Some(0),
                    id: &label,
                    result: &result,
                    cost: 10.0,
                    ended,
                    trainings: 100,
                    repeats: None,
                };
                assert!(state.line(&event).unwrap().starts_with('['));
                // The remaining time is unknown before the third training run has ended, and then a second for each
                // that remains.
                state.estimate((3..100).contains(&ended).then(|| (100 - ended) as f64))
            })
            .filter(|estimate| !estimate.is_empty())
            .collect();
        assert_eq!(estimates[..2], ["; about 2 min left"; 2], "at 3 % and at 8 %");
        assert!((15..=20).contains(&estimates.len()), "{estimates:?}");
    }

    #[test]
    fn waiting_is_printed_once() {
        let mut state = LineState::default();
        let waiting = Event::Waiting { holder: "process 7 on vm", remaining: 3 };
        assert_eq!(state.line(&waiting).unwrap(), "waiting for process 7 on vm; 3 training runs remain");
        assert_eq!(state.line(&waiting), None, "at most one line a minute");
    }
}
