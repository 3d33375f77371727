//! The text of `lth compare`.

use std::fmt::Write as _;

use super::config_differences::config_differences;
use super::table::{cut_lines, fits, render, stdout_width};
use crate::artifacts::{EARLY_STOP_ITERATION, ITERATIONS_TO_EARLY_STOP, Metric, MetricUnit};
use crate::base::format::percent;
use crate::base::stats::SummaryStats;
use crate::report::{
    Cell, DifferenceRow, ResultRow, RunComparison, RunDifferences, Table, difference_text, published_table,
};

/// The amount of detail in the tables of results, by the width of the terminal.
#[derive(Clone, Copy, PartialEq)]
enum Detail {
    /// Every metric, with ranges or bounds.
    Full,
    /// Every metric, without ranges.
    Means,
    /// Only the metric at the end.
    Least,
}

impl Detail {
    const ALL: [Self; 3] = [Self::Full, Self::Means, Self::Least];

    /// Returns the metrics that have a column.
    fn metrics(self) -> Vec<&'static Metric> {
        let mut metrics: Vec<&Metric> = Metric::all_shown().into_iter().filter(|metric| metric.is_compared).collect();
        if self == Self::Least {
            metrics.drain(..metrics.len() - 1);
        }
        metrics
    }

    /// Returns the header of a table: `first` columns, round, weights remaining, metrics, n.
    fn header(self, first: &[&'static str]) -> Vec<&'static str> {
        let remaining = if self == Self::Full { "weights remaining" } else { "remaining" };
        let titles = self.metrics().into_iter().filter_map(|metric| metric.display);
        let titles =
            titles.map(|display| if self == Self::Full { display.terminal_title } else { display.short_title });
        first.iter().copied().chain(["arm", "round", remaining]).chain(titles).chain(["n"]).collect()
    }
}

/// Returns the configuration values that differ, the results, with a line for each arm and round of each run, and the
/// differences between two runs, made to fit the width of the terminal.
pub fn comparison(comparison: &RunComparison) -> String {
    comparison_within(comparison, stdout_width())
}

/// Like [`comparison`], but for a terminal of `width` characters.
fn comparison_within(comparison: &RunComparison, width: usize) -> String {
    let mut text = config_differences(&comparison.runs, &comparison.config, width);
    text.push('\n');
    text.push_str(&results_text(comparison, width));
    if let Some(differences) = &comparison.differences
        && !differences.rows.is_empty()
    {
        text.push('\n');
        text.push_str(&differences_text(comparison, differences, width));
    }
    if comparison.results.iter().any(|row| row.censored > 0) {
        text.push_str("≥: lower bound, because early stops lie on the last two evaluations\n");
    }
    for published in comparison.published.chunk_by(|a, b| a.run == b.run) {
        let run = &published[0].run;
        let _ = write!(text, "\npublished numbers beside those of {run}\n{}", render(&published_table(published)));
    }
    text.extend(comparison.test_notes.iter().map(|(run, note)| format!("{run}: {note}\n")));
    text
}

/// Returns the table of results, with a row for each arm and round of each run, and how to read it.
fn results_text(comparison: &RunComparison, width: usize) -> String {
    let text = |detail: Detail| {
        let mut table = Table::new(detail.header(&["run"]));
        table.rows = comparison.results.iter().map(|row| result_row(row, detail)).collect();
        let caption = match detail {
            Detail::Full => "mean (minimum–maximum) over n training runs\n",
            Detail::Means => "means over n training runs, accuracies in %; a wider window shows more\n",
            Detail::Least => "means over n training runs, accuracies in %\n",
        };
        render(&table) + caption
    };
    let starts_late = |row: &ResultRow| row.mean(&EARLY_STOP_ITERATION) != row.mean(&ITERATIONS_TO_EARLY_STOP);
    let note = if comparison.results.iter().any(starts_late) {
        "early stops are counted in iterations trained, from the start of each arm\n"
    } else {
        ""
    };
    fitting(text, width) + note
}

/// Returns the text with the most detail that fits `width`; if none does, the one with the least, with lines cut.
fn fitting(text: impl Fn(Detail) -> String, width: usize) -> String {
    let fitting = Detail::ALL.into_iter().map(&text).find(|text| fits(text, width));
    fitting.unwrap_or_else(|| cut_lines(&text(Detail::Least), width))
}

/// Returns the row of an arm at a round of a run.
fn result_row(row: &ResultRow, detail: Detail) -> Vec<Cell> {
    let missing = match (row.without_result, detail) {
        (0, _) => String::new(),
        (missing, Detail::Full) => format!(" of {} ({missing} without result)", row.n + missing),
        (missing, _) => format!(" of {}", row.n + missing),
    };
    let mut cells = vec![
        Cell::text(&row.label),
        Cell::text(&row.arm),
        Cell::number(row.round),
        Cell::number(percent(row.weights_remaining)),
    ];
    let is_lower_bound = |metric: &Metric| metric.unit == MetricUnit::Iterations && row.censored > 0;
    let metric_text = |metric: &Metric, stats: SummaryStats| {
        let mark = if is_lower_bound(metric) { "≥ " } else { "" };
        let show = |value| metric.format(value);
        if detail == Detail::Full && stats.n > 1 {
            format!("{mark}{} ({}–{})", show(stats.mean), show(stats.min), show(stats.max))
        } else {
            format!("{mark}{}", show(stats.mean))
        }
    };
    let metrics = detail.metrics().into_iter();
    cells.extend(metrics.map(|metric| Cell::optional(row.stats(metric).map(|stats| metric_text(metric, stats)))));
    cells.push(Cell::number(format!("{}{missing}", row.n)));
    cells
}

/// Returns the table of differences between two runs, with a row for each arm and round, and how to read it.
fn differences_text(comparison: &RunComparison, differences: &RunDifferences, width: usize) -> String {
    let text = |detail: Detail| {
        let mut table = Table::new(detail.header(&[]));
        table.rows = differences.rows.iter().map(|row| difference_row(row, detail)).collect();
        render(&table)
    };
    let heading = format!("difference: {} − {}\n", comparison.labels[1], comparison.labels[0]);
    let note = if differences.is_paired {
        "difference (one-sided 95% bounds), paired by replicate; n replicates;\naccuracies in points\n"
    } else {
        "differences of means, accuracies in points; without bounds, because the seeds\nof the runs differ\n"
    };
    cut_lines(&heading, width) + &fitting(text, width) + note
}

/// Returns the row of the differences of an arm at a round.
fn difference_row(row: &DifferenceRow, detail: Detail) -> Vec<Cell> {
    let mut cells = vec![Cell::text(&row.arm), Cell::number(row.round), Cell::number(percent(row.weights_remaining))];
    let metrics = detail.metrics();
    cells.extend(metrics.iter().map(|metric| {
        let difference = row.metrics.get(metric.name);
        Cell::optional(difference.map(|difference| difference_text(difference, metric)))
    }));
    let n = metrics.last().and_then(|metric| row.metrics.get(metric.name)).map(|difference| difference.n);
    cells.push(n.filter(|n| *n > 0).map_or(Cell::Missing, Cell::number));
    cells
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::artifacts::{ConfigDifference, EARLY_STOP_TEST_ACCURACY, FINAL_TEST_ACCURACY};
    use crate::report::MetricDifference;

    fn row(label: &str, arm: &str, accuracies: &[f64]) -> ResultRow {
        let n = accuracies.len();
        let row = ResultRow {
            run: format!("{label}-12345678"),
            label: label.into(),
            arm: arm.into(),
            round: 1,
            weights_remaining: 0.8,
            n,
            without_result: 3 - n,
            censored: n / 3,
            ..ResultRow::default()
        };
        row.with_values(&EARLY_STOP_ITERATION, &[1234.5])
            .with_values(&ITERATIONS_TO_EARLY_STOP, &[1234.5])
            .with_values(&EARLY_STOP_TEST_ACCURACY, accuracies)
            .with_values(&FINAL_TEST_ACCURACY, accuracies)
    }

    fn two_runs() -> RunComparison {
        let difference = |key: &str, values: [_; 2]| ConfigDifference { key: key.to_owned(), values: values.to_vec() };
        let metric = MetricDifference { mean: 0.0021, low: Some(-0.0005), high: Some(0.0047), n: 3 };
        let metrics = BTreeMap::from([(EARLY_STOP_TEST_ACCURACY.name, metric), (FINAL_TEST_ACCURACY.name, metric)]);
        let row_of_difference =
            DifferenceRow { arm: "winning_ticket".into(), round: 1, weights_remaining: 0.8, metrics };
        RunComparison {
            published: Vec::new(),
            runs: vec!["a-12345678".into(), "b-12345678".into()],
            labels: vec!["lr 1.2e-3".into(), "lr 0.1".into()],
            config: vec![
                difference("train.lr", [Some(json!(0.0012)), Some(json!(0.1))]),
                difference("train.betas", [Some(json!([0.9, 0.999])), None]),
            ],
            unknown: Vec::new(),
            test_notes: vec![("b-12345678".into(), "test accuracy on 1,000 of 10,000 test images".into())],
            results: vec![row("lr 1.2e-3", "winning_ticket", &[0.97, 0.98, 0.99]), row("lr 0.1", "t", &[])],
            differences: Some(RunDifferences { is_paired: true, rows: vec![row_of_difference] }),
        }
    }

    #[test]
    fn comparison_of_two_runs_fits_the_terminal() {
        let comparison = two_runs();
        for width in [120, 80, 50] {
            let text = comparison_within(&comparison, width);
            assert!(width < 80 || fits(&text, width), "{text}");
        }
        insta::assert_snapshot!([200, 80].map(|width| comparison_within(&comparison, width)).join("---\n"));
        let without = comparison_within(&RunComparison { config: Vec::new(), ..comparison }, 80);
        assert!(without.starts_with("no value of the configurations differs\n\nrun "), "{without}");
    }
}
