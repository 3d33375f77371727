//! What happens, in words.

use crate::base::outcome::Outcome;
use crate::base::words::{accuracy, count, percent};
use crate::record::{Event, Label, Result};

/// The header of a run.
pub(super) fn header(event: &Event<'_>) -> Option<String> {
    let Event::Begun { experiment, trainings, stored, iterations, workers, engine, view, .. } = event else {
        return None;
    };
    let to_do = if *iterations == 0 {
        "nothing to train".to_owned()
    } else {
        format!("{} iterations to go, {engine}, {workers} at a time", count(*iterations))
    };
    let stored = if *stored > 0 { format!(", {stored} of them in the store") } else { String::new() };
    Some(format!("{experiment}: {trainings} trainings{stored}; {to_do}\n  into {}", view.display()))
}

/// One line about a training that has ended.
pub(super) fn ended(label: &Label, result: &Result, ended: usize, trainings: usize) -> String {
    let width = trainings.to_string().len();
    let what = match &result.outcome {
        Outcome::Done => {
            let test =
                result.last.map_or_else(String::new, |point| format!("test {} %", accuracy(point.test.accuracy)));
            let seconds = result.seconds.map_or_else(String::new, |s| format!(" ({s:.1} s)"));
            format!("{test}{seconds}")
        }
        Outcome::Diverged { iteration } => {
            format!("diverged: its loss or a weight is no finite number at iteration {}", count(*iteration))
        }
        Outcome::Failed { cause } => format!("failed: {cause}"),
        Outcome::Blocked { by } => format!("blocked by {}", by.short()),
    };
    format!("[{ended:>width$}/{trainings}] {label}: {} left, {what}", percent(result.weights_remaining))
}
