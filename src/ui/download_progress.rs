//! A download as a person sees it: a bar on a terminal, else a line for each thing that happens.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::eprint_line;
use crate::base::format::bytes;
use crate::data::FetchProgress;
use crate::system::env;

/// Who is told of a download.
pub fn fetching(quiet: bool) -> Box<dyn Fn(FetchProgress<'_>)> {
    if quiet {
        return Box::new(|_| {});
    }
    if !std::io::stderr().is_terminal() {
        return Box::new(|progress| tell_line(&progress));
    }
    let bar: Mutex<Option<ProgressBar>> = Mutex::new(None);
    Box::new(move |progress| {
        let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            FetchProgress::Asked { .. } | FetchProgress::Failed { .. } | FetchProgress::Installed { .. } => {
                bar.take().iter().for_each(ProgressBar::finish_and_clear);
                tell_line(&progress);
            }
            FetchProgress::Came { here, total } => {
                let bar = bar.get_or_insert_with(|| new_bar(total));
                bar.set_position(here);
            }
        }
    })
}

fn tell_line(progress: &FetchProgress<'_>) {
    eprint_line(&match progress {
        FetchProgress::Asked { file, mirror, here: 0 } => format!("{file} from {mirror}"),
        FetchProgress::Asked { file, mirror, here } => format!("{file} from {mirror}, going on after {}", bytes(*here)),
        FetchProgress::Failed { cause, .. } => format!("  {cause}"),
        FetchProgress::Installed { bytes: size, .. } => format!("  {}, verified", bytes(*size)),
        FetchProgress::Came { .. } => return,
    });
}

fn new_bar(total: Option<u64>) -> ProgressBar {
    let bar = if env::no_color() { "{bar:30}" } else { "{bar:30.cyan/dim}" };
    let template = match total {
        Some(_) => {
            format!("  {bar} {{decimal_bytes}} of {{decimal_total_bytes}}, {{decimal_bytes_per_sec}}, {{eta}} left")
        }
        None => "  {decimal_bytes}, {decimal_bytes_per_sec}".to_owned(),
    };
    // Cannot fail but by a slip in the templates above; a plain bar is no disaster then.
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let target = ProgressDrawTarget::stderr_with_hz(10);
    ProgressBar::with_draw_target(total, target).with_style(style.progress_chars("━╸─"))
}
