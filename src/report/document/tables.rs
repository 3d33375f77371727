//! The results as a table: a row for each arm at each round.

use super::super::analysis::RunAnalysis;
use super::{PageElement, test_note};
use crate::artifacts::{RoundGroup, start_note};
use crate::base::format::{accuracy, mean_and_range, percent, with_thousands};
use crate::report::checkpoints::Checkpoints;
use crate::report::stability::stability_table;

/// What stands over the columns.
const HEADER: [&str; 10] = [
    "arm",
    "round",
    "weights remaining",
    "n",
    "early-stop iteration",
    "test accuracy at early stop (%)",
    "validation accuracy at early stop (%)",
    "train accuracy at early stop (%)",
    "test accuracy at the end (%)",
    "train accuracy at the end (%)",
];

/// How stable the trainings are to the order of their data, where that was measured.
pub(super) fn stability(finding: &RunAnalysis, level: usize) -> Vec<PageElement> {
    if finding.stability.is_empty() {
        return Vec::new();
    }
    let how = format!(
        "Two copies of a training begin alike and see their images in other orders. Instability is the greatest error on \
         the straight line between their final weights less the mean error of both; below 2 points on test images, on \
         average over n trainings, they count as stable. Batch norms have at each point the statistics of the training \
         images that train errors are measured on.{}",
        test_note(finding)
    );
    let heading = PageElement::Heading(level, "Stability to the order of the data".to_owned());
    vec![heading, PageElement::Text(how), PageElement::Table(stability_table(&finding.stability))]
}

/// The table, and how to read it.
pub(super) fn results(finding: &RunAnalysis) -> Vec<PageElement> {
    let groups = RoundGroup::all(&finding.run.rounds);
    if groups.is_empty() {
        return vec![PageElement::Text("No training has come to its end yet.".to_owned())];
    }
    let checkpoints = &finding.checkpoints;
    let mut header = HEADER.map(str::to_owned).to_vec();
    header.extend(checkpoints.iterations().iter().copied().map(Checkpoints::title));
    let rows = groups.iter().map(|group| row(group, checkpoints));
    let table = std::iter::once(header).chain(rows).collect();
    let is_missing = groups.iter().any(|group| group.done().count() < group.rows.len());
    let missing =
        if is_missing { " A training without a result diverged or failed; the means are without it." } else { "" };
    let how = format!(
        "Cells are mean (minimum–maximum) over n trainings: the replicates, times the repeats of the arm.{missing} Test \
         accuracy is reported only: nothing in the run was decided by it.{}{}",
        start_note(&finding.run.rounds).map_or_else(String::new, |note| format!(" {note}")),
        test_note(finding)
    );
    vec![PageElement::Text(how), PageElement::Table(table)]
}

fn row(group: &RoundGroup<'_>, checkpoints: &Checkpoints) -> Vec<String> {
    let n = group.done().count();
    let missing = group.rows.len() - n;
    let n = if missing > 0 { format!("{n} (+{missing} without a result)") } else { n.to_string() };
    let stops = group.values(|row| row.early_stop_iteration.map(|iteration| iteration as f64));
    let mut cells = vec![
        group.arm.to_owned(),
        group.round.to_string(),
        Some(group.weights_remaining()).filter(|share| share.is_finite()).map_or("–".to_owned(), percent),
        n,
        mean_and_range(&stops, |x| with_thousands(x.round() as u64)),
        mean_and_range(&group.values(|row| row.early_stop_test_accuracy), accuracy),
        mean_and_range(&group.values(|row| row.early_stop_validation_accuracy), accuracy),
        mean_and_range(&group.values(|row| row.early_stop_train_accuracy), accuracy),
        mean_and_range(&group.values(|row| row.final_test_accuracy), accuracy),
        mean_and_range(&group.values(|row| row.final_train_accuracy), accuracy),
    ];
    let at = |&iteration: &u64| mean_and_range(&group.values(|row| checkpoints.accuracy(row, iteration)), accuracy);
    cells.extend(checkpoints.iterations().iter().map(at));
    cells
}
