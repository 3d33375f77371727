//! The tables of results and of instabilities: a row for each arm at each round.

use super::super::analysis::RunAnalysis;
use super::{PageElement, test_note};
use crate::artifacts::{
    EARLY_STOP_ITERATION, EARLY_STOP_TEST_ACCURACY, EARLY_STOP_TRAIN_ACCURACY, EARLY_STOP_VALIDATION_ACCURACY,
    FINAL_TEST_ACCURACY, FINAL_TRAIN_ACCURACY, LastEvaluations, Metric, RoundGroup, start_note,
};
use crate::base::format::{accuracy, mean_and_range, percent};
use crate::report::checkpoints::Checkpoints;
use crate::report::stability::stability_table;
use crate::report::table::{Cell, Table};

/// The metrics of the table of results, in the order of its columns.
const RESULT_METRICS: [Metric; 6] = [
    EARLY_STOP_ITERATION,
    EARLY_STOP_TEST_ACCURACY,
    EARLY_STOP_VALIDATION_ACCURACY,
    EARLY_STOP_TRAIN_ACCURACY,
    FINAL_TEST_ACCURACY,
    FINAL_TRAIN_ACCURACY,
];

/// Returns the section on instability to the order of the data, under a heading of `level`; empty if it was not
/// measured.
pub(super) fn stability(analysis: &RunAnalysis, level: usize) -> Vec<PageElement> {
    if analysis.stability.is_empty() {
        return Vec::new();
    }
    let explanation = format!(
        "Two copies of a training run start from the same weights and see their images in different orders. \
         Instability is the highest error on the straight line between their final weights, minus the mean error of \
         both. An arm counts as stable at a round if its mean over n training runs is below 2 points on test images. \
         Batch norms have, at each point, the statistics of the training images that train errors are measured on.{}",
        test_note(analysis)
    );
    vec![
        PageElement::Heading(level, "Stability to the order of the data".to_owned()),
        PageElement::Text(explanation),
        PageElement::Table(stability_table(&analysis.stability)),
    ]
}

/// Returns a paragraph on how to read the table of results, and the table.
pub(super) fn results(analysis: &RunAnalysis) -> Vec<PageElement> {
    let groups = RoundGroup::by_arm_and_round(&analysis.run.rounds);
    if groups.is_empty() {
        return vec![PageElement::Text("No training run is complete.".to_owned())];
    }
    let checkpoints = &analysis.checkpoints;
    let titles =
        ["arm", "round", "weights remaining", "n"].into_iter().chain(RESULT_METRICS.map(|metric| metric.title));
    let checkpoint_titles = checkpoints.iterations().iter().copied().map(Checkpoints::title);
    let mut table = Table::new(titles.map(str::to_owned).chain(checkpoint_titles));
    let end = analysis.end();
    table.rows = groups.iter().map(|group| result_row(group, end, checkpoints)).collect();
    let is_incomplete = groups.iter().any(|group| group.done().count() < group.rows.len());
    let missing = if is_incomplete { " Training runs that diverged or failed are not in the means." } else { "" };
    let explanation = format!(
        "Mean (minimum–maximum) over n training runs: the replicates, times the repeats of the arm.{missing} Test \
         accuracy is reported only; it was not used for early stopping, pruning or model selection.{}{}",
        start_note(&analysis.run.rounds).map_or_else(String::new, |note| format!(" {note}")),
        test_note(analysis)
    );
    vec![PageElement::Text(explanation), PageElement::Table(table)]
}

/// Returns the row of an arm at a round. `end`: the end of the training runs of the run.
fn result_row(group: &RoundGroup<'_>, end: LastEvaluations, checkpoints: &Checkpoints) -> Vec<Cell> {
    let n = group.done().count();
    let without_result = group.rows.len() - n;
    let n = if without_result > 0 { format!("{n} (+{without_result} without result)") } else { n.to_string() };
    // A file edited by hand may contain `NaN`.
    let weights_remaining = Some(group.weights_remaining()).filter(|share| share.is_finite());
    let mut cells = vec![
        Cell::text(group.arm),
        Cell::number(group.round),
        Cell::optional(weights_remaining.map(percent)),
        Cell::number(n),
    ];
    cells.extend(RESULT_METRICS.iter().map(|metric| metric_cell(metric, group, end)));
    cells.extend(checkpoints.iterations().iter().map(|&iteration| {
        let values = group.values(|row| checkpoints.accuracy(row, iteration));
        range_cell("", &values, accuracy)
    }));
    cells
}

/// Returns a cell with the mean and the range of a metric. `end`: the end of the training runs of the run.
fn metric_cell(metric: &Metric, group: &RoundGroup<'_>, end: LastEvaluations) -> Cell {
    let values = group.metric(metric, end.last_iteration);
    range_cell(end.mark(metric, group), &values, |value| metric.format(value))
}

/// Returns a cell with the mean and the range of values after a mark; [`Cell::Missing`] if there are none.
fn range_cell(mark: &str, values: &[f64], format: impl Fn(f64) -> String) -> Cell {
    if values.is_empty() { Cell::Missing } else { Cell::number(format!("{mark}{}", mean_and_range(values, format))) }
}
