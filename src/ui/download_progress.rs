//! The progress of a download: a bar on a terminal, else a line per event.
//!
//! The bar is drawn by indicatif, which measures the rate and estimates the remaining time. It is a single bar with no
//! permanent lines above it; the bars of a run, which has both, are drawn by [`progress`](super::progress).

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::eprint_line;
use crate::base::format::bytes;
use crate::data::FetchProgress;
use crate::system::env;

/// Returns the callback that shows the progress of a download on standard error; with `quiet`, one that shows nothing.
pub fn download_progress(quiet: bool) -> Box<dyn Fn(FetchProgress<'_>)> {
    if quiet {
        return Box::new(|_| {});
    }
    if !std::io::stderr().is_terminal() {
        return Box::new(|progress| print_event(&progress));
    }
    let bar: Mutex<Option<ProgressBar>> = Mutex::new(None);
    Box::new(move |progress| {
        let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            FetchProgress::Requested { .. } | FetchProgress::Failed { .. } | FetchProgress::Installed { .. } => {
                bar.take().iter().for_each(ProgressBar::finish_and_clear);
                print_event(&progress);
            }
            FetchProgress::Received { received, total } => {
                let bar = bar.get_or_insert_with(|| new_bar(total));
                bar.set_position(received);
            }
        }
    })
}

/// Prints a line for every event except received bytes.
fn print_event(progress: &FetchProgress<'_>) {
    eprint_line(&match progress {
        FetchProgress::Requested { file, mirror, received: 0 } => format!("{file} from {mirror}"),
        FetchProgress::Requested { file, mirror, received } => {
            format!("{file} from {mirror}, resumed after {}", bytes(*received))
        }
        FetchProgress::Failed { cause, .. } => format!("  {cause}"),
        FetchProgress::Installed { bytes: size, .. } => format!("  {}, verified", bytes(*size)),
        FetchProgress::Received { .. } => return,
    });
}

/// Returns a bar for a download of `total` bytes; without a total, the bar shows only the received bytes and the rate.
fn new_bar(total: Option<u64>) -> ProgressBar {
    let bar = if env::no_color() { "{bar:30}" } else { "{bar:30.cyan/dim}" };
    let template = match total {
        Some(_) => {
            format!("  {bar} {{decimal_bytes}} of {{decimal_total_bytes}}, {{decimal_bytes_per_sec}}, {{eta}} left")
        }
        None => "  {decimal_bytes}, {decimal_bytes_per_sec}".to_owned(),
    };
    // Fails only if a template above has a mistake; the default bar is shown then.
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let target = ProgressDrawTarget::stderr_with_hz(10);
    ProgressBar::with_draw_target(total, target).with_style(style.progress_chars("━╸─"))
}
