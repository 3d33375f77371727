//! Numbers and names as a person reads them.

use crate::base::outcome::Outcome;
use crate::record::{Event, Label, Result};

/// 0.2107 as `21.1%`; more digits where there is less.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    let digits = if percent >= 10.0 || percent == 0.0 { 1 } else { 2 };
    format!("{percent:.digits$}%")
}

/// 0.97654 as `97.65`.
pub(super) fn accuracy(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// 50000 as `50,000`.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

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
        Outcome::Diverged { iteration } => format!("diverged: no finite loss at iteration {}", count(*iteration)),
        Outcome::Failed { cause } => format!("failed: {cause}"),
        Outcome::Blocked { by } => format!("blocked by {}", by.short()),
    };
    format!("[{ended:>width$}/{trainings}] {label}: {} left, {what}", percent(result.weights_remaining))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(
            [percent(1.0), percent(0.2107), percent(0.0358), percent(0.0)],
            ["100.0%", "21.1%", "3.58%", "0.0%"]
        );
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
    }
}
