//! On a terminal: one bar per worker, one for all, and a permanent line per finished training above them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::words;
use crate::base::env;
use crate::record::{Event, Sink};

/// More bars than this would not fit a small terminal; the total shows the rest.
const MOST_BARS: usize = 20;

/// What the bar of all trainings says while it is not waiting for somebody.
const ALL: &str = "all";

/// Bars on stderr.
pub(super) struct Bars {
    all: MultiProgress,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total: Option<ProgressBar>,
    workers: Vec<ProgressBar>,
    /// Iterations of finished trainings, and of the running ones by worker.
    behind: u64,
    running: Vec<u64>,
    /// Iterations of one training.
    each: u64,
}

impl Bars {
    /// Bars that are not shown before work begins.
    pub(super) fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        Self { all, state: Mutex::new(State::default()) }
    }

    fn begin(&self, state: &mut State, iterations: u64, workers: usize) {
        if iterations == 0 {
            return;
        }
        let bar = if env::no_color() { "{bar:20}" } else { "{bar:20.cyan/dim}" };
        let style = |template: &str| {
            // Cannot fail but by a slip in the templates below; a plain bar is no disaster then.
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("━╸─")
        };
        // The message takes what is left of the line and is cut where it does not fit.
        for _ in 0..workers.min(MOST_BARS) {
            let bar_of_worker = self.all.add(ProgressBar::new(1));
            bar_of_worker.set_style(style(&format!("  {{wide_msg}} {bar} {{percent:>3}}%")));
            state.workers.push(bar_of_worker);
        }
        state.running = vec![0; workers];
        let bar_of_all = self.all.add(ProgressBar::new(iterations));
        bar_of_all.set_style(style(&format!("  {{wide_msg}} {bar} {{percent:>3}}% {{eta}} left")));
        bar_of_all.set_message(ALL);
        bar_of_all.enable_steady_tick(Duration::from_millis(500));
        state.total = Some(bar_of_all);
    }

    fn line(&self, text: &str) {
        // Through the bars, so that they are drawn below it again.
        let _ = self.all.println(text);
    }
}

impl State {
    fn show_total(&self) {
        if let Some(total) = &self.total {
            total.set_position(self.behind + self.running.iter().sum::<u64>());
        }
    }
}

impl Sink for Bars {
    fn tell(&self, event: &Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Begun { iterations, each, workers, .. } => {
                self.line(&words::header(event).unwrap_or_default());
                state.each = *each;
                self.begin(&mut state, *iterations, *workers);
            }
            Event::Started { worker, label, iterations } => {
                if let Some(bar) = state.workers.get(*worker) {
                    bar.set_length(*iterations);
                    bar.set_position(0);
                    bar.set_message(label.to_string());
                }
            }
            Event::Stepped { worker, iteration } => {
                if let Some(bar) = state.workers.get(*worker) {
                    bar.set_position(*iteration);
                }
                if let Some(running) = state.running.get_mut(*worker) {
                    *running = *iteration;
                }
                state.show_total();
            }
            Event::Ended { worker, label, result, ended, trainings } => {
                if let Some(running) = worker.and_then(|worker| state.running.get_mut(worker)) {
                    *running = 0;
                }
                state.behind += state.each;
                state.show_total();
                if let Some(total) = &state.total {
                    total.set_message(ALL);
                }
                self.line(&words::ended(label, result, *ended, *trainings));
            }
            Event::Waiting { holder } => {
                if let Some(total) = &state.total {
                    total.set_message(format!("waiting for {holder}"));
                }
            }
            Event::Note(text) => self.line(text),
            Event::Over => {
                state.workers.iter().chain(&state.total).for_each(ProgressBar::finish_and_clear);
            }
        }
    }
}
