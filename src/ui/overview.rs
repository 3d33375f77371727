//! The text of `lth runs`.

use super::table::render;
use crate::base::format::{accuracy, bytes, percent, with_thousands};
use crate::report::{BestRound, Cell, RunOverview, Table};

/// Returns a table with a line for each run.
pub fn overviews(runs: &[RunOverview]) -> String {
    let mut table = Table::new(["run", "state", "trainings", "best round by validation", "size"]);
    for run in runs {
        let planned =
            run.trainings.map_or_else(String::new, |trainings| format!(" of {}", with_thousands(trainings as u64)));
        table.rows.push(vec![
            Cell::text(&run.name),
            Cell::text(run.state.as_str()),
            Cell::number(format!("{}{planned}", with_thousands(run.done as u64))),
            run.best.as_ref().map_or(Cell::Missing, |best| Cell::text(best_text(best))),
            Cell::number(bytes(run.bytes)),
        ]);
    }
    render(&table) + "size: the run's files and its trainings in the store, which other runs may share\n"
}

/// Formats the round with the best validation accuracy.
fn best_text(best: &BestRound) -> String {
    let remaining = percent(best.weights_remaining);
    format!("{} {} ({remaining} left): {} %, n = {}", best.arm, best.round, accuracy(best.validation_accuracy), best.n)
}
