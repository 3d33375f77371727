//! The terminal: messages and progress go to standard error, results to standard output.
//!
//! Progress is drawn by two modules. `progress` draws the bars of a run below permanent lines, such as those about
//! finished training runs; both must survive a resize of the window. `download_progress` draws a single bar with a
//! rate, by indicatif.

mod comparison;
mod config_differences;
mod data;
mod doctor;
mod download_progress;
mod estimate;
mod job_list;
mod landscape;
mod overview;
mod progress;
mod robustness;
mod stability;
mod table;
mod ticket;
mod verification;

use std::borrow::Cow;
use std::io::Write as _;

pub use comparison::comparison;
pub use data::{dataset_statuses, dataset_summary};
pub use doctor::{CUDA_HINT, CudaDiagnosis, Diagnosis, diagnosis};
pub use download_progress::download_progress;
pub use estimate::{estimate, sweep_estimate};
pub use job_list::job_list;
pub use landscape::landscape;
pub use overview::overviews;
pub use progress::sink;
pub use robustness::robustness;
pub use stability::stability;
pub use table::{printable, table};
pub use ticket::{inference_conclusions, inference_timings, ticket, ticket_sizes, ticket_verification};
pub use verification::verification;

use crate::system::env;

/// Prints a line on standard error, in which command lines begin with the name of the program as it was typed, and
/// control characters are replaced. Errors are ignored: a closed pipe (`lth run … 2>&1 | head`) must not stop the
/// program.
pub fn eprint_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", without_controls(&env::with_program_name(text)));
}

/// Error: standard output could not be written to, for example because of a full disk.
#[derive(Debug, thiserror::Error)]
#[error("could not write to standard output")]
pub struct PrintError(#[from] std::io::Error);

/// Prints a result on standard output, with control characters replaced. A reader that has closed its end of a pipe (`lth show … | head`) is not an
/// error.
///
/// # Errors
/// Fails if the text could not be written.
pub fn print_result(text: &str) -> Result<(), PrintError> {
    quiet_on_closed_pipe(write_out(without_controls(text).as_bytes()))
}

/// Returns `text` with the control characters replaced that may command a terminal: all but line ends and tabs. Names
/// in the files of others, and the names of files, may have them.
fn without_controls(text: &str) -> Cow<'_, str> {
    let is_command = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.contains(is_command) { text.replace(is_command, "\u{fffd}").into() } else { text.into() }
}

/// Writes to the file descriptor of standard output, and not to the handle of the standard library: the handle ignores
/// the error of a descriptor that is closed or not open for writing.
#[cfg(unix)]
fn write_out(bytes: &[u8]) -> std::io::Result<()> {
    use std::os::fd::AsFd;
    std::fs::File::from(std::io::stdout().as_fd().try_clone_to_owned()?).write_all(bytes)
}

/// Writes to standard output.
#[cfg(not(unix))]
fn write_out(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    out.write_all(bytes).and_then(|()| out.flush())
}

/// Prints a message of clap: help and version on standard output, mistakes in the command line on standard error.
///
/// # Errors
/// Fails if the message could not be written to standard output.
pub fn print_usage(message: &clap::Error) -> Result<(), PrintError> {
    let printed = message.print().and_then(|()| std::io::stdout().flush());
    if message.use_stderr() { Ok(()) } else { quiet_on_closed_pipe(printed) }
}

/// Converts the error of a closed pipe into success.
fn quiet_on_closed_pipe(written: std::io::Result<()>) -> Result<(), PrintError> {
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Asks a yes-or-no question on the terminal; an empty answer means no. Returns `None` if standard input or standard
/// error is not a terminal.
pub fn confirm(question: &str) -> Option<bool> {
    use std::io::IsTerminal;
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return None;
    }
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    Some(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
