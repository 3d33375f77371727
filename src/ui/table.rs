//! Tables in the terminal: rendering with aligned columns, and the table of results with a row for each arm and round.

use std::fmt::Write as _;

use crate::artifacts::{
    EARLY_STOP_ITERATION, EARLY_STOP_TEST_ACCURACY, FINAL_TEST_ACCURACY, LastEvaluations, Metric, RoundGroup, RoundRow,
    late_starts,
};
use crate::base::format::{mean_and_range, percent};
use crate::base::stats::SummaryStats;
use crate::report::{Cell, Table};

/// The amount of detail in the table of results, by the width of the terminal.
#[derive(Clone, Copy, PartialEq)]
enum TableDetail {
    /// Early stop and accuracies, with their ranges.
    Ranges,
    /// Like [`Ranges`](Self::Ranges), but without ranges.
    Means,
    /// Only the mean test accuracy at the end.
    Least,
}

impl TableDetail {
    /// Returns the titles of the columns.
    fn header(self) -> &'static [&'static str] {
        match self {
            Self::Ranges => {
                &["arm", "round", "weights remaining", "early stop", "test % @ early stop", "test % @ end", "n"]
            }
            Self::Means => &["arm", "round", "remaining", "early stop", "test @ stop", "test @ end", "n"],
            Self::Least => &["arm", "round", "remaining", "test %", "n"],
        }
    }

    /// Returns the metrics shown, each in a column.
    fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Ranges | Self::Means => &[EARLY_STOP_ITERATION, EARLY_STOP_TEST_ACCURACY, FINAL_TEST_ACCURACY],
            Self::Least => &[FINAL_TEST_ACCURACY],
        }
    }

    /// Returns the line below the table.
    fn caption(self) -> &'static str {
        match self {
            Self::Ranges => "mean (minimum–maximum) over n training runs\n",
            Self::Means => "means over n training runs, accuracies in %; a wider window shows the ranges\n",
            Self::Least => "mean test accuracy at the end\n",
        }
    }

    /// Returns the table with this detail. `end`: the end of the training runs of the run.
    fn table(self, groups: &[RoundGroup<'_>], end: LastEvaluations) -> Table {
        let mut table = Table::new(self.header().iter().copied());
        table.rows = groups.iter().map(|group| self.row(group, end)).collect();
        table
    }

    /// Returns the row of an arm at a round.
    fn row(self, group: &RoundGroup<'_>, end: LastEvaluations) -> Vec<Cell> {
        let n = group.done().count();
        let missing = match (group.rows.len() - n, self) {
            (0, _) => String::new(),
            (missing, Self::Ranges) => format!(" of {} ({missing} without result)", group.rows.len()),
            _ => format!(" of {}", group.rows.len()),
        };
        let mut row =
            vec![Cell::text(group.arm), Cell::number(group.round), Cell::number(percent(group.weights_remaining()))];
        row.extend(self.metrics().iter().map(|metric| self.metric_cell(metric, group, end)));
        row.push(Cell::number(format!("{n}{missing}")));
        row
    }

    /// Returns the cell of a metric over the training runs of a group; a mean of which a value is censored is marked.
    fn metric_cell(self, metric: &Metric, group: &RoundGroup<'_>, end: LastEvaluations) -> Cell {
        let values = group.metric(metric, end.last_iteration);
        let text = |stats: SummaryStats| match self {
            Self::Ranges => mean_and_range(&values, |value| metric.format(value)),
            Self::Means | Self::Least => metric.format(stats.mean),
        };
        let mark = end.mark(metric, group);
        Cell::optional(SummaryStats::of(&values).map(|stats| format!("{mark}{}", text(stats))))
    }
}

/// Returns the table of results: a row for each arm and round of the rows of `rounds.csv`. If standard output is a
/// terminal, the table is made to fit its width, by leaving out ranges and columns. `end`: the end of the training runs
/// of the run.
pub fn table(rows: &[RoundRow], end: LastEvaluations) -> String {
    table_within(rows, end, stdout_width())
}

/// Returns the width of the terminal on standard output in characters; no limit if it is not a terminal.
pub(super) fn stdout_width() -> usize {
    let terminal = terminal_size::terminal_size_of(std::io::stdout());
    terminal.map_or(usize::MAX, |(width, _)| usize::from(width.0))
}

/// Returns whether each line of a text has at most `width` characters.
pub(super) fn fits(text: &str, width: usize) -> bool {
    text.lines().all(|line| line.chars().count() <= width)
}

/// Returns a text whose lines are cut to `width` characters; a line that is cut ends with `…`.
pub(super) fn cut_lines(text: &str, width: usize) -> String {
    let cut = |line: &str| {
        if line.chars().count() <= width {
            return format!("{line}\n");
        }
        line.chars().take(width.saturating_sub(1)).chain(['…', '\n']).collect()
    };
    text.lines().map(cut).collect()
}

/// Like [`table`], but for a terminal of `width` characters.
fn table_within(rows: &[RoundRow], end: LastEvaluations, width: usize) -> String {
    let groups = RoundGroup::by_arm_and_round(rows);
    let text = |detail: TableDetail| render(&detail.table(&groups, end)) + detail.caption();
    let widest = [TableDetail::Ranges, TableDetail::Means].into_iter().map(text).find(|text| fits(text, width));
    let mut text = widest.unwrap_or_else(|| text(TableDetail::Least));
    for (arm, start) in late_starts(rows, end.last_iteration) {
        let _ = writeln!(text, "{arm} starts at iteration {start}");
    }
    text
}

/// Returns `text` with its control characters, which would break a line or control the terminal, escaped.
pub fn printable(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// The layout of a column.
struct Column {
    /// Width in characters.
    width: usize,
    is_left_aligned: bool,
}

/// Returns a table as text. A column of texts or decisions is aligned to the left, every other column to the right;
/// dashes for missing values do not count. Control characters are escaped.
pub(super) fn render(table: &Table) -> String {
    let mut lines: Vec<Vec<String>> = vec![table.header.iter().map(|title| printable(title)).collect()];
    lines.extend(table.rows.iter().map(|row| row.iter().map(|cell| printable(cell.as_str())).collect()));
    let count = table.header.len();
    let columns: Vec<Column> = (0..count)
        .map(|column| Column {
            width: lines.iter().map(|line| aligned_length(&line[column], column + 1 == count)).max().unwrap_or(0),
            is_left_aligned: is_left_aligned(table, column),
        })
        .collect();
    let mut text = String::new();
    for line in &lines {
        for (index, (cell, column)) in line.iter().zip(&columns).enumerate() {
            let blanks = " ".repeat(column.width.saturating_sub(aligned_length(cell, index + 1 == count)));
            text.push_str(if index == 0 { "" } else { "  " });
            let (first, second) = if column.is_left_aligned { (cell, &blanks) } else { (&blanks, cell) };
            text.push_str(first);
            text.push_str(second);
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// Returns the number of characters of a cell that count for the width of its column. In the last column only the first
/// word counts: a remark after the number must not shift the numbers.
fn aligned_length(cell: &str, is_last_column: bool) -> usize {
    let counted = if is_last_column { cell.split(' ').next().unwrap_or_default() } else { cell };
    counted.chars().count()
}

/// Returns whether a column is aligned to the left: it has values, and each of them is a text, a decision or a status.
fn is_left_aligned(table: &Table, column: usize) -> bool {
    let mut present = table.rows.iter().map(|row| &row[column]).filter(|cell| **cell != Cell::Missing).peekable();
    let is_text = |cell: &Cell| match cell {
        Cell::Text(_) | Cell::Decision(_) | Cell::Status(_) => true,
        Cell::Number(_) | Cell::Missing => false,
    };
    present.peek().is_some() && present.all(is_text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::outcome::OutcomeKind;

    #[test]
    fn render_escapes_control_characters() {
        let mut table = Table::new(["class", "n"]);
        table.rows =
            [("a\nb", 1), ("x\u{1b}[2Jü", 20)].map(|(name, n)| vec![Cell::text(name), Cell::number(n)]).to_vec();
        assert_eq!(render(&table), "class         n\na\\nb          1\nx\\u{1b}[2Jü  20\n");
    }

    #[test]
    fn lines_are_cut_to_the_width() {
        assert_eq!(cut_lines("abcd\nabc\n", 3), "ab…\nabc\n");
        assert!(fits("abc\n\näöü", 3) && !fits("a\nabcd", 3));
    }

    #[test]
    fn render_aligns_cells_by_their_types() {
        let mut table = Table::new(["arm", "n", "why"]);
        // regression: columns were aligned by the first characters of their cells.
        table.rows = vec![
            vec![Cell::text("9"), Cell::number("nan"), Cell::text("b")],
            vec![Cell::text("undecided"), Cell::number("1,000"), Cell::Missing],
        ];
        assert_eq!(render(&table), "arm            n  why\n9            nan  b\nundecided  1,000  –\n");
    }

    #[test]
    fn table_has_ranges_where_they_fit() {
        let row = |arm: &str, round, weights_remaining| RoundRow {
            arm: arm.into(),
            round,
            weights_remaining,
            outcome: OutcomeKind::Done.into(),
            iterations: 3000,
            ..RoundRow::default()
        };
        let done = |row: RoundRow, early_stop, accuracy, last| RoundRow {
            early_stop_iteration: Some(early_stop),
            early_stop_test_accuracy: Some(accuracy),
            final_test_accuracy: Some(last),
            ..row
        };
        let diverged = |row: RoundRow| RoundRow { outcome: OutcomeKind::Diverged.into(), ..row };
        let rows = [
            done(row("dense", 0, 1.0), 1000, 0.97, 0.97),
            done(row("winning_ticket", 12, 0.0695), 900, 0.5, 0.6),
            diverged(row("x", 0, 0.0)),
            done(row("dense", 0, 1.0), 3000, 0.98, 0.9766),
            diverged(row("winning_ticket", 12, 0.0695)),
            diverged(row("x", 0, 0.0)),
        ];
        let end = LastEvaluations::new(&rows, Some(100));
        insta::assert_snapshot!(table_within(&rows, end, usize::MAX));
        insta::assert_snapshot!(table_within(&rows, end, 80));
        insta::assert_snapshot!(table_within(&rows, end, 40));
    }
}
