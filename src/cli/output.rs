//! The output of commands that train: progress and messages on standard error, the result on standard output.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgAction, Args};
use serde::Serialize;

use super::events::EventFile;
use super::folders;
use crate::runner::{Event, EventSink};
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct OutputArgs {
    /// Print only the result; with `-qq`, print only errors.
    #[arg(long, short, action = ArgAction::Count)]
    quiet: u8,
    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,
    /// Append a line of JSON to this file for each training run that ends.
    #[arg(long, value_name = "FILE", value_parser = folders::path_parser())]
    events: Option<PathBuf>,
}

/// The sink of a command's events.
pub(super) enum OutputSink {
    /// Only the display of progress.
    Display(Box<dyn EventSink>),
    /// The display of progress, and the file of `--events`.
    File(EventFile),
}

impl OutputArgs {
    /// Returns whether progress and notes are printed.
    pub(super) fn shows_progress(&self) -> bool {
        self.quiet == 0
    }

    /// Returns whether events are appended to a file.
    pub(super) fn has_event_file(&self) -> bool {
        self.events.is_some()
    }

    /// Prints the result, unless `-qq` is given: `json`, or the text that `text` returns.
    ///
    /// # Errors
    /// Fails if standard output cannot be written.
    pub(super) fn print<J: Serialize>(&self, json: &J, text: impl FnOnce() -> String) -> Result<()> {
        if self.quiet > 1 {
            return Ok(());
        }
        let line = if self.json { serde_json::to_string(json)? + "\n" } else { text() };
        Ok(ui::print_result(&line)?)
    }

    /// Prints JSON if `--json` is given: the result of a command that was stopped, of which no text is printed.
    ///
    /// # Errors
    /// Fails if standard output cannot be written.
    pub(super) fn print_json<J: Serialize>(&self, json: &J) -> Result<()> {
        if self.json { self.print(json, String::new) } else { Ok(()) }
    }

    /// Returns the sink of the events.
    ///
    /// # Errors
    /// Fails if the file of `--events` cannot be opened.
    pub(super) fn sink(&self) -> Result<OutputSink> {
        let display = ui::sink(!self.shows_progress());
        Ok(match &self.events {
            Some(path) => OutputSink::File(EventFile::open(path, display)?),
            None => OutputSink::Display(display),
        })
    }
}

impl OutputSink {
    /// Checks that every line of the file of `--events` was written.
    ///
    /// # Errors
    /// Fails with the first error of writing.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Display(_) => Ok(()),
            Self::File(file) => file.check(),
        }
    }
}

impl EventSink for OutputSink {
    fn on_event(&self, event: &Event<'_>) {
        match self {
            Self::Display(display) => display.on_event(event),
            Self::File(file) => file.on_event(event),
        }
    }
}
