//! Off a terminal: one plain line per finished training, without escapes.

use super::{say, words};
use crate::record::{Event, Sink};

/// Says nothing.
pub(super) struct Silent;

impl Sink for Silent {
    fn tell(&self, _: &Event<'_>) {}
}

/// One line per event that matters.
pub(super) struct Lines;

impl Sink for Lines {
    fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Begun { .. } => say(&words::header(event).unwrap_or_default()),
            Event::Ended { label, result, ended, trainings, .. } => {
                say(&words::ended(label, result, *ended, *trainings));
            }
            Event::Note(text) => say(text),
            Event::Started { .. } | Event::Stepped { .. } | Event::Waiting { .. } | Event::Over => {}
        }
    }
}
