//! The progress of a run: bars on a terminal, plain lines elsewhere.

mod bars;
mod eta;
mod layout;
mod lines;
mod painter;
mod text;

use std::io::IsTerminal as _;

use crate::runner::EventSink;
use crate::system::env;

/// Returns the sink for this process: none with `quiet`, bars on a terminal, else plain lines.
pub fn sink(quiet: bool) -> Box<dyn EventSink> {
    if quiet {
        Box::new(lines::SilentSink)
    } else if std::io::stderr().is_terminal() && !env::is_dumb() {
        Box::new(bars::Bars::new(Box::new(painter::Stderr)))
    } else {
        Box::new(lines::LineSink::default())
    }
}
