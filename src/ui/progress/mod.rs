//! The progress of a run: bars on a terminal, plain lines elsewhere.
//!
//! The bars are drawn by the painter of this module. Those of indicatif's `MultiProgress` left ghosts of old bars on
//! the screen when the window was resized (issues 474 and 729 of indicatif), and overwrote permanent lines.

mod bars;
mod eta;
mod layout;
mod lines;
mod painter;
mod text;

use std::io::IsTerminal as _;

use crate::runner::EventSink;
use crate::system::env;

/// Returns the event sink for this process: a silent one with `quiet`, bars on a terminal, else plain lines, in a
/// log file with clock times.
pub fn sink(quiet: bool) -> Box<dyn EventSink> {
    if quiet {
        Box::new(lines::SilentSink)
    } else if std::io::stderr().is_terminal() && !env::is_dumb_terminal() {
        Box::new(bars::Bars::new(Box::new(painter::Stderr::new())))
    } else {
        Box::new(lines::LineSink::new(!std::io::stderr().is_terminal()))
    }
}
