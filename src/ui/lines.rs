//! Off a terminal: one plain line per finished training, without escapes.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{say, words};
use crate::record::{Event, Sink};

/// Says nothing.
pub(super) struct Silent;

impl Sink for Silent {
    fn tell(&self, _: &Event<'_>) {}
}

/// One line per event that matters.
#[derive(Default)]
pub(super) struct Lines {
    /// Whether it has been said that another process is waited for.
    waits: AtomicBool,
}

impl Sink for Lines {
    fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Begun { .. } => say(&words::header(event).unwrap_or_default()),
            Event::Ended { label, result, ended, trainings, .. } => {
                self.waits.store(false, Ordering::Relaxed);
                say(&words::ended(label, result, *ended, *trainings));
            }
            Event::Waiting { holder } if !self.waits.swap(true, Ordering::Relaxed) => {
                say(&format!("waiting for {holder}, which trains what is left"));
            }
            Event::Note(text) => say(text),
            Event::Waiting { .. } | Event::Started { .. } | Event::Stepped { .. } | Event::Over => {}
        }
    }
}
