//! The iterations that training runs start and end at. They start at 0, at that of the rewind point, or at that of
//! `lr_from`. Early stops of arms that start at different iterations are compared by the number of iterations trained until
//! then.

use super::first_seen::first_seen;
use super::rows::RoundRow;

/// Returns the last iteration of the longest training runs of a run, counted from iteration 0.
///
/// `rounds.csv` has the number of iterations that each training run took from its start. That of the dense training
/// runs, which start at iteration 0, equals the last iteration, unless an arm has a `length` of its own.
pub fn last_iteration<'a>(rows: impl IntoIterator<Item = &'a RoundRow>) -> u64 {
    rows.into_iter().map(|row| row.iterations).max().unwrap_or_default()
}

impl RoundRow {
    /// Returns the iteration that the training run started at. `last_iteration` as in [`last_iteration`]; needed for files
    /// of earlier versions only, in which all training runs end at that iteration.
    pub fn start_iteration(&self, last_iteration: u64) -> u64 {
        self.start_iteration.unwrap_or_else(|| last_iteration.saturating_sub(self.iterations))
    }

    /// Returns the iteration that the training run ended at. `last_iteration` as in [`Self::start_iteration`].
    pub fn end_iteration(&self, last_iteration: u64) -> u64 {
        self.start_iteration(last_iteration) + self.iterations
    }

    /// Returns the number of iterations trained until the early stop. `last_iteration` as in [`last_iteration`].
    pub fn iterations_to_early_stop(&self, last_iteration: u64) -> Option<u64> {
        Some(self.early_stop_iteration?.saturating_sub(self.start_iteration(last_iteration)))
    }
}

/// Returns the arms that start later than iteration 0, each with the iteration it starts at, in the order of their
/// rows. `last_iteration` as in [`last_iteration`].
pub fn late_starts<'a>(rows: impl IntoIterator<Item = &'a RoundRow>, last_iteration: u64) -> Vec<(&'a str, u64)> {
    // Arms that are not trained have no iterations.
    let trained = rows.into_iter().filter(|row| row.iterations > 0);
    let starts = trained.map(|row| (row.arm.as_str(), row.start_iteration(last_iteration)));
    first_seen(starts.filter(|(_, iteration)| *iteration > 0))
}

/// Returns a sentence on how early-stop iterations are counted, if arms of the run start later than iteration 0; `rows`
/// are all rows of the run.
pub fn start_note(rows: &[RoundRow]) -> Option<String> {
    let starts = late_starts(rows, last_iteration(rows));
    let clauses: Vec<String> = starts.iter().map(|(arm, start)| format!("{arm} starts at iteration {start}")).collect();
    (!clauses.is_empty()).then(|| {
        format!(
            "Early-stop iterations are counted from iteration 0; {}. Early stops are compared by iterations trained, from \
             where each arm starts.",
            clauses.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(arm: &str, iterations: u64, early_stop: u64) -> RoundRow {
        RoundRow { arm: arm.into(), iterations, early_stop_iteration: Some(early_stop), ..RoundRow::default() }
    }

    #[test]
    fn iterations_to_early_stop_count_from_the_start_of_each_training_run() {
        let rows = [row("dense", 200, 80), row("late", 40, 160), row("late", 40, 180), row("tuned", 150, 50)];
        let last = last_iteration(&rows);
        let trained: Vec<_> = rows.iter().filter_map(|row| row.iterations_to_early_stop(last)).collect();
        assert_eq!((last, trained), (200, vec![80, 0, 20, 0]));
        assert_eq!(late_starts(&rows, last), [("late", 160), ("tuned", 50)]);
        assert_eq!(late_starts(&rows[1..2], last), [("late", 160)], "some rows only");
        assert!(start_note(&rows).unwrap().contains("; late starts at iteration 160, tuned starts at iteration 50."));
        assert_eq!(start_note(&rows[..1]), None);
        assert_eq!((last_iteration(&[]), late_starts(&[], 0)), (0, Vec::new()));
    }

    #[test]
    fn longer_training_runs_do_not_make_the_others_start_late() {
        let at_0 = |row: RoundRow| RoundRow { start_iteration: Some(0), ..row };
        let rows = [at_0(row("dense", 200, 80)), at_0(row("twice", 400, 300))];
        let last = last_iteration(&rows);
        assert_eq!((last, late_starts(&rows, last)), (400, Vec::new()));
        assert_eq!(rows[0].end_iteration(last), 200);
    }
}
