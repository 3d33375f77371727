//! Output of `lth runs`.

use super::table::align;
use crate::base::format::{accuracy, bytes, percent, with_thousands};
use crate::report::{BestRound, RunOverview};

/// Returns a table with a line per run.
pub fn overviews(runs: &[RunOverview]) -> String {
    let header = ["run", "state", "trainings", "best round by validation", "size"].map(str::to_owned).to_vec();
    let line = |run: &RunOverview| {
        let total =
            run.trainings.map_or_else(String::new, |trainings| format!(" of {}", with_thousands(trainings as u64)));
        let done = format!("{}{total}", with_thousands(run.done as u64));
        let best = run.best.as_ref().map_or_else(|| "–".to_owned(), best);
        vec![run.name.clone(), run.state.as_str().to_owned(), done, best, bytes(run.bytes)]
    };
    let mut cells = vec![header];
    cells.extend(runs.iter().map(line));
    align(&cells) + "size: the run's files and its trainings in the store, which other runs may share\n"
}

/// Formats the round with the best validation accuracy.
fn best(best: &BestRound) -> String {
    let remaining = percent(best.weights_remaining);
    format!("{} {} ({remaining} left): {} %, n = {}", best.arm, best.round, accuracy(best.validation_accuracy), best.n)
}
