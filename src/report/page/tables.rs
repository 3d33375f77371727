//! The results as a table: a row for each arm at each round.

use super::Block;
use crate::base::words::{accuracy, count, percent, range};
use crate::record::Group;
use crate::report::run::Run;

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

/// The table, and how to read it.
pub(super) fn results(run: &Run) -> Vec<Block> {
    let groups = Group::all(&run.rounds);
    if groups.is_empty() {
        return vec![Block::Text("No training has come to its end yet.".to_owned())];
    }
    let mut table = vec![HEADER.map(str::to_owned).to_vec()];
    table.extend(groups.iter().map(row));
    let is_missing = groups.iter().any(|group| group.done().count() < group.rows.len());
    let missing =
        if is_missing { " A training without a result diverged or failed; the means are without it." } else { "" };
    let how = format!(
        "Cells are mean (minimum–maximum) over n trainings: the replicates, times the repeats of the arm.{missing} Test \
         accuracy is reported only: nothing in the run was decided by it."
    );
    vec![Block::Text(how), Block::Table(table)]
}

fn row(group: &Group<'_>) -> Vec<String> {
    let n = group.done().count();
    let missing = group.rows.len() - n;
    let n = if missing > 0 { format!("{n} (+{missing} without a result)") } else { n.to_string() };
    let stops = group.values(|row| row.early_stop_iteration.map(|iteration| iteration as f64));
    vec![
        group.arm.to_owned(),
        group.round.to_string(),
        Some(group.weights_remaining()).filter(|share| share.is_finite()).map_or("–".to_owned(), percent),
        n,
        range(&stops, |x| count(x.round() as u64)),
        range(&group.values(|row| row.early_stop_test_accuracy), accuracy),
        range(&group.values(|row| row.early_stop_validation_accuracy), accuracy),
        range(&group.values(|row| row.early_stop_train_accuracy), accuracy),
        range(&group.values(|row| row.final_test_accuracy), accuracy),
        range(&group.values(|row| row.final_train_accuracy), accuracy),
    ]
}
