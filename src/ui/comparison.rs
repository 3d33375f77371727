//! The text of `lth compare`.

use super::table::render;
use crate::artifacts::{EARLY_STOP_ITERATION, ITERATIONS_TO_EARLY_STOP, Metric, MetricUnit};
use crate::base::format::percent;
use crate::report::{Cell, ResultRow, RunComparison, Table};

/// Returns the configuration values that differ, with a column for each run, and the results, with a line for each arm
/// and round of each run.
pub fn comparison(comparison: &RunComparison) -> String {
    let mut text = if comparison.config.is_empty() {
        "no value of the configurations differs\n".to_owned()
    } else {
        render(&config_table(comparison))
    };
    text.push('\n');
    text.push_str(&render(&result_table(comparison)));
    text.push_str("means over n trainings\n");
    let starts_late = |row: &ResultRow| row.mean(&EARLY_STOP_ITERATION) != row.mean(&ITERATIONS_TO_EARLY_STOP);
    if comparison.results.iter().any(starts_late) {
        text.push_str("early stops are iterations trained, from where each arm starts\n");
    }
    if comparison.results.iter().any(|row| row.censored > 0) {
        text.push_str("≥: some early stops lie on the last two evaluations, so that longer training may stop later\n");
    }
    text.extend(comparison.test_notes.iter().map(|(run, note)| format!("{run}: {note}\n")));
    text
}

/// Returns the table of the configuration values that differ, with a column for each run.
fn config_table(comparison: &RunComparison) -> Table {
    let mut table = Table::new(std::iter::once("differs").chain(comparison.runs.iter().map(String::as_str)));
    for difference in &comparison.config {
        table.rows.push(std::iter::once(Cell::text(&difference.key)).chain(difference.cells()).collect());
    }
    table
}

/// Returns the table of results, with a row for each arm and round of each run.
fn result_table(comparison: &RunComparison) -> Table {
    let metrics: Vec<&Metric> = Metric::all_shown().into_iter().filter(|metric| metric.is_compared).collect();
    let titles = metrics.iter().filter_map(|metric| metric.display.map(|display| display.terminal_title));
    let mut table = Table::new(["run", "arm", "round", "weights left"].into_iter().chain(titles).chain(["n"]));
    table.rows = comparison.results.iter().map(|row| result_row(row, &metrics)).collect();
    table
}

/// Returns the row of an arm at a round of a run.
fn result_row(row: &ResultRow, metrics: &[&Metric]) -> Vec<Cell> {
    let missing =
        if row.without_result > 0 { format!(" (+{} without result)", row.without_result) } else { String::new() };
    let mut cells = vec![
        Cell::text(&row.run),
        Cell::text(&row.arm),
        Cell::number(row.round),
        Cell::number(percent(row.weights_remaining)),
    ];
    cells.extend(metrics.iter().map(|metric| metric_cell(row, metric)));
    cells.push(Cell::number(format!("{}{missing}", row.n)));
    cells
}

/// Returns the cell of the mean of a metric; a mean of early stops of which one is censored is a lower bound.
fn metric_cell(row: &ResultRow, metric: &Metric) -> Cell {
    let is_lower_bound = metric.unit == MetricUnit::Iterations && row.censored > 0;
    let mark = if is_lower_bound { "≥ " } else { "" };
    Cell::optional(row.mean(metric).map(|mean| format!("{mark}{}", metric.format(mean))))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::artifacts::EARLY_STOP_TEST_ACCURACY;
    use crate::report::ConfigDifference;

    #[test]
    fn comparison_of_two_runs() {
        let difference =
            |key: &str, values: [Option<Value>; 2]| ConfigDifference { key: key.into(), values: values.into() };
        let row = |run: &str, arm: &str, accuracy, n| {
            let row = ResultRow {
                run: run.into(),
                arm: arm.into(),
                round: 1,
                weights_remaining: 0.8,
                n,
                without_result: 3 - n,
                censored: n / 3,
                ..ResultRow::default()
            };
            row.with_mean(&EARLY_STOP_ITERATION, Some(1234.5))
                .with_mean(&ITERATIONS_TO_EARLY_STOP, Some(1234.5))
                .with_mean(&EARLY_STOP_TEST_ACCURACY, accuracy)
        };
        let of_two_runs = RunComparison {
            runs: vec!["a-12345678".into(), "b-12345678".into()],
            config: vec![
                difference("train.lr", [Some(0.0012.into()), Some(0.1.into())]),
                difference("train.optimizer", [Some("adam".into()), Some("sgd".into())]),
                difference("train.betas", [Some(serde_json::json!([0.9, 0.999])), None]),
            ],
            unknown: Vec::new(),
            test_notes: vec![("b-12345678".into(), "test accuracy on 1,000 of 10,000 test images".into())],
            results: vec![row("a-12345678", "winning_ticket", Some(0.98), 3), row("b-12345678", "t", None, 1)],
        };
        insta::assert_snapshot!(comparison(&of_two_runs));
        let without_differences = comparison(&RunComparison { config: Vec::new(), ..of_two_runs });
        assert!(
            without_differences.starts_with("no value of the configurations differs\n\nrun "),
            "{without_differences}"
        );
    }
}
