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

/// 1234567 as `1.2 MB`.
pub(super) fn bytes(n: u64) -> String {
    let mut size = n as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1000.0 {
            let digits = usize::from(size < 10.0 && unit != "B");
            return format!("{size:.digits$} {unit}");
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// 4000 seconds as `1 h 7 min`.
pub(super) fn duration(seconds: f64) -> String {
    let s = seconds.round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s.div_ceil(60)),
        3600..172_800 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} days", s.div_ceil(86_400)),
    }
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
        Outcome::Diverged { iteration } => {
            format!("diverged: its loss or a weight is no finite number at iteration {}", count(*iteration))
        }
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
        assert_eq!([bytes(12), bytes(1_234), bytes(1_234_567)], ["12 B", "1.2 kB", "1.2 MB"]);
        assert_eq!([duration(59.0), duration(61.0), duration(4000.0)], ["59 s", "2 min", "1 h 6 min"]);
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
    }
}
