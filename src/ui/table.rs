//! The table at the end: one row per arm and round, mean and range over its trainings.

use crate::base::words::{accuracy, count, percent, range};
use crate::record::{Group, RoundRow};

const HEADER: [&str; 7] = ["arm", "round", "weights left", "early stop", "test there %", "test at end %", "n"];

/// The rows of `rounds.csv` as a table, columns aligned: one line per arm and round.
pub fn table<'a>(rows: impl IntoIterator<Item = &'a RoundRow>) -> String {
    let mut cells = vec![HEADER.map(str::to_owned).to_vec()];
    for group in Group::all(rows) {
        let n = group.done().count();
        let missing = group.rows.len() - n;
        let missing = if missing > 0 { format!(" (+{missing} without result)") } else { String::new() };
        cells.push(vec![
            group.arm.to_owned(),
            group.round.to_string(),
            percent(group.weights_remaining()),
            range(&group.values(|row| row.early_stop_iteration.map(|i| i as f64)), |x| count(x.round() as u64)),
            range(&group.values(|row| row.early_stop_test_accuracy), accuracy),
            range(&group.values(|row| row.final_test_accuracy), accuracy),
            format!("{n}{missing}"),
        ]);
    }
    let mut text = align(&cells);
    text.push_str("mean (minimum–maximum) over n trainings\n");
    text
}

/// Rows of cells as text: names (columns whose cells begin with letters) to the left, numbers to the right.
pub(super) fn align(cells: &[Vec<String>]) -> String {
    let columns = cells.first().map_or(0, Vec::len);
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let is_name = |column: usize| {
        let mut below =
            cells.iter().skip(1).filter_map(|row| row[column].chars().next()).filter(|c| *c != '–').peekable();
        below.peek().is_some() && below.all(char::is_alphabetic)
    };
    let form: Vec<(usize, bool)> = (0..columns).map(|column| (width(column), is_name(column))).collect();
    let mut text = String::new();
    for row in cells {
        for (column, (cell, &(width, is_name))) in row.iter().zip(&form).enumerate() {
            text.push_str(if column == 0 { "" } else { "  " });
            // Words may follow the numbers of the last column, which must not push them to the right.
            let aligned = match cell.split_once(' ') {
                _ if is_name => format!("{cell:<width$}"),
                Some(_) if column + 1 == columns => cell.clone(),
                _ => format!("{cell:>width$}"),
            };
            text.push_str(&aligned);
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
        insta::assert_snapshot!(table(&rows));
    }
}
