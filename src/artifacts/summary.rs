//! `summary.csv`: the trainings of each arm at each round in a few numbers.

use serde::{Deserialize, Serialize};

use super::round_group::RoundGroup;
use super::rows::RoundRow;
use crate::base::stats::SummaryStats;

/// A row of `summary.csv`: `n` trainings that came to their end, over all replicates and repeats, and how many did not.
#[expect(missing_docs, reason = "the README explains the columns; their names are their documentation")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    pub experiment: String,
    pub arm: String,
    pub round: u32,
    pub weights_remaining: f64,
    pub n: usize,
    pub without_result: usize,
    pub early_stop_iteration_mean: Option<f64>,
    pub early_stop_iteration_minimum: Option<f64>,
    pub early_stop_iteration_maximum: Option<f64>,
    pub early_stop_iteration_std: Option<f64>,
    pub early_stop_train_accuracy_mean: Option<f64>,
    pub early_stop_train_accuracy_minimum: Option<f64>,
    pub early_stop_train_accuracy_maximum: Option<f64>,
    pub early_stop_train_accuracy_std: Option<f64>,
    pub early_stop_validation_accuracy_mean: Option<f64>,
    pub early_stop_validation_accuracy_minimum: Option<f64>,
    pub early_stop_validation_accuracy_maximum: Option<f64>,
    pub early_stop_validation_accuracy_std: Option<f64>,
    pub early_stop_test_accuracy_mean: Option<f64>,
    pub early_stop_test_accuracy_minimum: Option<f64>,
    pub early_stop_test_accuracy_maximum: Option<f64>,
    pub early_stop_test_accuracy_std: Option<f64>,
    pub early_stop_validation_loss_mean: Option<f64>,
    pub early_stop_validation_loss_minimum: Option<f64>,
    pub early_stop_validation_loss_maximum: Option<f64>,
    pub early_stop_validation_loss_std: Option<f64>,
    pub final_train_accuracy_mean: Option<f64>,
    pub final_train_accuracy_minimum: Option<f64>,
    pub final_train_accuracy_maximum: Option<f64>,
    pub final_train_accuracy_std: Option<f64>,
    pub final_validation_accuracy_mean: Option<f64>,
    pub final_validation_accuracy_minimum: Option<f64>,
    pub final_validation_accuracy_maximum: Option<f64>,
    pub final_validation_accuracy_std: Option<f64>,
    pub final_test_accuracy_mean: Option<f64>,
    pub final_test_accuracy_minimum: Option<f64>,
    pub final_test_accuracy_maximum: Option<f64>,
    pub final_test_accuracy_std: Option<f64>,
    pub final_validation_loss_mean: Option<f64>,
    pub final_validation_loss_minimum: Option<f64>,
    pub final_validation_loss_maximum: Option<f64>,
    pub final_validation_loss_std: Option<f64>,
}

/// Puts the spread of a value of the group's trainings into four columns of the row.
macro_rules! spread {
    ($row:ident, $group:ident: $value:expr => $mean:ident $minimum:ident $maximum:ident $std:ident) => {
        if let Some(spread) = SummaryStats::of(&$group.values($value)) {
            $row.$mean = Some(spread.mean);
            $row.$minimum = Some(spread.min);
            $row.$maximum = Some(spread.max);
            $row.$std = spread.std;
        }
    };
}

/// A row for each arm and round, in the order of their first rows.
pub fn summary(rows: &[RoundRow]) -> Vec<SummaryRow> {
    RoundGroup::all(rows).iter().map(of_group).collect()
}

#[rustfmt::skip]
fn of_group(group: &RoundGroup<'_>) -> SummaryRow {
    let n = group.done().count();
    let mut row = SummaryRow {
        experiment: group.rows.first().map(|row| row.experiment.clone()).unwrap_or_default(),
        arm: group.arm.to_owned(),
        round: group.round,
        weights_remaining: group.weights_remaining(),
        n,
        without_result: group.rows.len() - n,
        ..SummaryRow::default()
    };
    spread!(row, group: |row| row.early_stop_iteration.map(|iteration| iteration as f64) =>
        early_stop_iteration_mean early_stop_iteration_minimum early_stop_iteration_maximum early_stop_iteration_std);
    spread!(row, group: |row| row.early_stop_train_accuracy =>
        early_stop_train_accuracy_mean early_stop_train_accuracy_minimum
        early_stop_train_accuracy_maximum early_stop_train_accuracy_std);
    spread!(row, group: |row| row.early_stop_validation_accuracy =>
        early_stop_validation_accuracy_mean early_stop_validation_accuracy_minimum
        early_stop_validation_accuracy_maximum early_stop_validation_accuracy_std);
    spread!(row, group: |row| row.early_stop_test_accuracy =>
        early_stop_test_accuracy_mean early_stop_test_accuracy_minimum
        early_stop_test_accuracy_maximum early_stop_test_accuracy_std);
    spread!(row, group: |row| row.early_stop_validation_loss =>
        early_stop_validation_loss_mean early_stop_validation_loss_minimum
        early_stop_validation_loss_maximum early_stop_validation_loss_std);
    spread!(row, group: |row| row.final_train_accuracy =>
        final_train_accuracy_mean final_train_accuracy_minimum final_train_accuracy_maximum final_train_accuracy_std);
    spread!(row, group: |row| row.final_validation_accuracy =>
        final_validation_accuracy_mean final_validation_accuracy_minimum
        final_validation_accuracy_maximum final_validation_accuracy_std);
    spread!(row, group: |row| row.final_test_accuracy =>
        final_test_accuracy_mean final_test_accuracy_minimum final_test_accuracy_maximum final_test_accuracy_std);
    spread!(row, group: |row| row.final_validation_loss =>
        final_validation_loss_mean final_validation_loss_minimum
        final_validation_loss_maximum final_validation_loss_std);
    row
}

#[cfg(test)]
mod tests {
    use super::super::to_csv;
    use super::*;

    #[test]
    fn a_row_for_each_arm_and_round() {
        let row = |arm: &str, round, outcome: &str| RoundRow {
            experiment: "e".into(),
            arm: arm.into(),
            round,
            outcome: outcome.into(),
            weights_remaining: 0.5,
            ..RoundRow::default()
        };
        let done = |arm, early, last| RoundRow {
            early_stop_iteration: Some(early),
            final_test_accuracy: Some(last),
            ..row(arm, 1, "done")
        };
        let rows = [done("b", 100, 0.25), row("a", 2, "diverged"), done("b", 300, 0.75), row("b", 1, "failed")];
        let all = summary(&rows);
        assert_eq!(all.len(), 2);
        let b = &all[0];
        assert_eq!((b.arm.as_str(), b.round, b.n, b.without_result), ("b", 1, 2, 1));
        assert_eq!((b.early_stop_iteration_mean, b.early_stop_iteration_minimum), (Some(200.0), Some(100.0)));
        assert_eq!((b.final_test_accuracy_mean, b.final_test_accuracy_maximum), (Some(0.5), Some(0.75)));
        assert_eq!(b.final_test_accuracy_std, Some(0.125f64.sqrt()));
        assert_eq!(b.final_train_accuracy_mean, None, "nobody has a value there");
        let a = String::from_utf8(to_csv(&all[1..]).unwrap()).unwrap();
        assert_eq!(a.lines().nth(1).unwrap().trim_end_matches(','), "e,a,2,0.5,0,1", "nothing but the count");
        let one = &summary(&rows[..1])[0];
        assert_eq!((one.n, one.final_test_accuracy_mean, one.final_test_accuracy_std), (1, Some(0.25), None));
    }
}
