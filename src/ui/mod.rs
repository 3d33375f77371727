//! What a person sees. Talk goes to stderr, results to stdout.

mod bars;
mod block;
mod comparison;
mod data;
mod doctor;
mod fetching;
mod forecast;
mod lines;
mod overview;
mod screen;
mod stability;
mod table;
mod tally;
mod words;

use crate::base::env;
use crate::record::Sink;

pub use comparison::comparison;
pub use data::{summary, survey};
pub use doctor::{CUDA_HINT, Cuda, Diagnosis, diagnosis};
pub use fetching::fetching;
pub use forecast::forecast;
pub use overview::overviews;
pub use stability::stability;
pub use table::table;

/// The sink that fits: none with `quiet`, bars on a terminal, else plain lines.
pub fn sink(quiet: bool) -> Box<dyn Sink> {
    use std::io::IsTerminal;
    if quiet {
        Box::new(lines::Silent)
    } else if std::io::stderr().is_terminal() && !env::is_dumb() {
        Box::new(bars::Bars::new(Box::new(screen::Stderr)))
    } else {
        Box::new(lines::Lines::default())
    }
}

/// Says something on stderr; whether anybody listens is not our concern (`lth run … 2>&1 | head`).
pub fn say(text: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a result on stdout; whether anybody reads it is not our concern (`lth run … | head`).
pub fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Asks a question that is answered with yes or no, and takes silence for no; `None` where nobody can be asked.
pub fn ask(question: &str) -> Option<bool> {
    use std::io::{IsTerminal, Write};
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    Some(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
