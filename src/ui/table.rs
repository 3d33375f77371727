//! The table at the end: one row per arm and round, mean and range over its trainings.

use std::fmt::Write as _;

use crate::artifacts::{RoundGroup, RoundRow, late_starts};
use crate::base::format::{accuracy, mean_and_range, percent, with_thousands};
use crate::base::stats::SummaryStats;

/// How much a table tells, by the room it has.
#[derive(Clone, Copy, PartialEq)]
enum TableDetail {
    /// Early stop and accuracies, with their ranges.
    Ranges,
    /// The same without ranges.
    Means,
    /// What matters most.
    Least,
}

impl TableDetail {
    fn header(self) -> &'static [&'static str] {
        match self {
            Self::Ranges => &["arm", "round", "weights left", "early stop", "test there %", "test at end %", "n"],
            Self::Means => &["arm", "round", "left", "early stop", "test there %", "test at end %", "n"],
            Self::Least => &["arm", "round", "left", "test %", "n"],
        }
    }

    fn caption(self) -> &'static str {
        match self {
            Self::Ranges => "mean (minimum–maximum) over n trainings\n",
            Self::Means => "means over n trainings; a wider window shows the ranges\n",
            Self::Least => "mean test accuracy at the end\n",
        }
    }

    fn row(self, group: &RoundGroup<'_>) -> Vec<String> {
        let n = group.done().count();
        let missing = match (group.rows.len() - n, self) {
            (0, _) => String::new(),
            (missing, Self::Ranges) => format!(" (+{missing} without result)"),
            _ => format!(" of {}", group.rows.len()),
        };
        let show = |values: Vec<f64>, number: fn(f64) -> String| match self {
            Self::Ranges => mean_and_range(&values, number),
            Self::Means | Self::Least => {
                SummaryStats::of(&values).map_or("–".to_owned(), |spread| number(spread.mean))
            }
        };
        let mut row = vec![group.arm.to_owned(), group.round.to_string(), percent(group.weights_remaining())];
        if self != Self::Least {
            let early = group.values(|row| row.early_stop_iteration.map(|i| i as f64));
            row.push(show(early, |x| with_thousands(x.round() as u64)));
            row.push(show(group.values(|row| row.early_stop_test_accuracy), accuracy));
        }
        row.push(show(group.values(|row| row.final_test_accuracy), accuracy));
        row.push(format!("{n}{missing}"));
        row
    }
}

/// The rows of `rounds.csv` as a table, columns aligned: one line per arm and round, and no wider than the terminal
/// that it is printed on, if it is printed on one. `last` is the last iteration of the run's training runs.
pub fn table(rows: &[RoundRow], last: u64) -> String {
    let terminal = terminal_size::terminal_size_of(std::io::stdout());
    table_within(rows, last, terminal.map_or(usize::MAX, |(width, _)| usize::from(width.0)))
}

fn table_within(rows: &[RoundRow], last: u64, width: usize) -> String {
    let starts = late_starts(rows, last);
    let groups = RoundGroup::all(rows);
    let text = |detail: TableDetail| {
        let header = detail.header().iter().map(|&name| name.to_owned()).collect();
        let cells: Vec<Vec<String>> = std::iter::once(header).chain(groups.iter().map(|g| detail.row(g))).collect();
        align(&cells) + detail.caption()
    };
    let fits = |text: &String| text.lines().all(|line| line.chars().count() <= width);
    let wide = [TableDetail::Ranges, TableDetail::Means].into_iter().map(text).find(fits);
    let mut text = wide.unwrap_or_else(|| text(TableDetail::Least));
    for (arm, start) in starts {
        let _ = writeln!(text, "{arm} starts at iteration {start}");
    }
    text
}

/// `text` with control characters, which would break a line or steer the terminal, escaped.
pub fn printable(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// Rows of cells as text: names (columns whose cells begin with letters) to the left, numbers to the right. Control
/// characters are escaped.
pub(super) fn align(cells: &[Vec<String>]) -> String {
    let cells: Vec<Vec<String>> = cells.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let columns = cells.first().map_or(0, Vec::len);
    // Words may follow the numbers of the last column, which must not push them to the right.
    let number = |cell: &str| cell.split(' ').next().unwrap_or_default().chars().count();
    let length = |column: usize, cell: &str| if column + 1 == columns { number(cell) } else { cell.chars().count() };
    let width = |column: usize| cells.iter().map(|row| length(column, &row[column])).max().unwrap_or(0);
    let is_name = |column: usize| {
        let mut below =
            cells.iter().skip(1).filter_map(|row| row[column].chars().next()).filter(|c| *c != '–').peekable();
        below.peek().is_some() && below.all(char::is_alphabetic)
    };
    let form: Vec<(usize, bool)> = (0..columns).map(|column| (width(column), is_name(column))).collect();
    let mut text = String::new();
    for row in &cells {
        for (column, (cell, &(width, is_name))) in row.iter().zip(&form).enumerate() {
            text.push_str(if column == 0 { "" } else { "  " });
            let blanks = " ".repeat(width.saturating_sub(length(column, cell)));
            let (left, right) = if is_name { (cell, &blanks) } else { (&blanks, cell) };
            text.push_str(left);
            text.push_str(right);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn align_escapes_control_characters() {
        let rows = [["class", "n"], ["a\nb", "1"], ["x\u{1b}[2Jü", "20"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(align(&rows), "class         n\na\\nb          1\nx\\u{1b}[2Jü  20\n");
    }

    #[test]
    fn a_table() {
        let row = |arm: &str, round, weights_remaining| RoundRow {
            arm: arm.into(),
            round,
            weights_remaining,
            outcome: "done".into(),
            ..RoundRow::default()
        };
        let done = |row: RoundRow, early, there, last| RoundRow {
            early_stop_iteration: Some(early),
            early_stop_test_accuracy: Some(there),
            final_test_accuracy: Some(last),
            ..row
        };
        let diverged = |row: RoundRow| RoundRow { outcome: "diverged".into(), ..row };
        let rows = [
            done(row("dense", 0, 1.0), 1000, 0.97, 0.97),
            done(row("winning_ticket", 12, 0.0695), 900, 0.5, 0.6),
            diverged(row("x", 0, 0.0)),
            done(row("dense", 0, 1.0), 3000, 0.98, 0.9766),
            diverged(row("winning_ticket", 12, 0.0695)),
            diverged(row("x", 0, 0.0)),
        ];
        insta::assert_snapshot!(table_within(&rows, 0, usize::MAX));
        insta::assert_snapshot!(table_within(&rows, 0, 80));
        insta::assert_snapshot!(table_within(&rows, 0, 40));
    }
}
