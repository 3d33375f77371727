//! The table at the end: one row per arm and round, mean and range over its trainings.

use super::words::{accuracy, count, percent};

/// What is known of one arm and round.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The arm.
    pub arm: String,
    /// Number of prunings.
    pub round: u32,
    /// Kept / all weights.
    pub weights_remaining: f64,
    /// One per finished training: iteration of the early stop.
    pub early_stop: Vec<u64>,
    /// Test accuracy there, 0..=1.
    pub early_stop_test: Vec<f64>,
    /// Test accuracy after the last iteration, 0..=1.
    pub last_test: Vec<f64>,
    /// Trainings that diverged, failed or were blocked.
    pub missing: usize,
}

const HEADER: [&str; 7] = ["arm", "round", "weights left", "early stop", "test there %", "test at end %", "n"];

/// The table as text, columns aligned.
pub fn table(rows: &[Row]) -> String {
    let mut cells = vec![HEADER.map(str::to_owned).to_vec()];
    for row in rows {
        let missing = if row.missing > 0 { format!(" (+{} without result)", row.missing) } else { String::new() };
        cells.push(vec![
            row.arm.clone(),
            row.round.to_string(),
            percent(row.weights_remaining),
            range(&row.early_stop.iter().map(|&i| i as f64).collect::<Vec<_>>(), |x| count(x.round() as u64)),
            range(&row.early_stop_test, accuracy),
            range(&row.last_test, accuracy),
            format!("{}{missing}", row.last_test.len()),
        ]);
    }
    let mut text = align(&cells);
    text.push_str("mean (minimum–maximum) over n trainings\n");
    text
}

/// Rows of cells as text: names (a first column that begins with a letter) to the left, numbers to the right.
pub(super) fn align(cells: &[Vec<String>]) -> String {
    let columns = cells.first().map_or(0, Vec::len);
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let is_name = |column: usize| {
        let letters = |row: &Vec<String>| row[column].chars().next().is_some_and(char::is_alphabetic);
        column == 0 && cells.iter().all(letters)
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

fn range(values: &[f64], show: impl Fn(f64) -> String) -> String {
    match values {
        [] => "–".to_owned(),
        [one] => show(*one),
        _ => {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            format!("{} ({}–{})", show(mean), show(low), show(high))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table() {
        let dense = Row {
            arm: "dense".into(),
            round: 0,
            weights_remaining: 1.0,
            early_stop: vec![1000, 3000],
            early_stop_test: vec![0.97, 0.98],
            last_test: vec![0.97, 0.9766],
            missing: 0,
        };
        let ticket = Row {
            arm: "winning_ticket".into(),
            round: 12,
            weights_remaining: 0.0695,
            early_stop: vec![900],
            early_stop_test: vec![0.5],
            last_test: vec![0.6],
            missing: 1,
        };
        let none = Row { arm: "x".into(), missing: 2, ..Row::default() };
        insta::assert_snapshot!(table(&[dense, ticket, none]));
    }
}
