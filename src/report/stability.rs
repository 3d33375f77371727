//! Instability to the order of the data: the highest error on the line between the final weights of two copies of a
//! training run, which differ in their data order, minus the mean error of the copies (Frankle et al. 2020, arXiv
//! 1912.05671).

use super::arm_round::ArmRound;
use super::table::{Cell, Table};
use crate::artifacts::{StabilityRow, first_seen};
use crate::base::format::{accuracy, mean_and_range, percent};

/// Instability below which a training run counts as stable: a difference of errors, each a share of 1 (arXiv
/// 1912.05671).
pub(crate) const STABLE: f64 = 0.02;

/// The measured networks on the line between two copies of one training run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InterpolationPath<'a> {
    /// One row per network, from one copy to the other; never empty.
    pub(crate) rows: Vec<&'a StabilityRow>,
}

/// The interpolation paths of the training runs of an arm at a round.
pub(crate) struct PathGroup<'a> {
    /// Name of the arm.
    pub(crate) arm: &'a str,
    /// Index of the mask size, from 0 (dense): the number of prunings, or with a grid the number of its entry.
    pub(crate) round: u32,
    /// One path per training run; never empty.
    pub(crate) paths: Vec<InterpolationPath<'a>>,
}

impl<'a> InterpolationPath<'a> {
    /// Groups rows by training run, in the order of the file.
    pub(crate) fn by_training(rows: &'a [StabilityRow]) -> Vec<Self> {
        let have_same_training_run = |a: &StabilityRow, b: &StabilityRow| {
            (&a.arm, a.replicate, a.repeat, a.round) == (&b.arm, b.replicate, b.repeat, b.round)
        };
        rows.chunk_by(have_same_training_run).map(|path| Self { rows: path.iter().collect() }).collect()
    }

    /// Returns the arm and the round of the training run.
    fn arm_round(&self) -> ArmRound<'a> {
        ArmRound::new(&self.rows[0].arm, self.rows[0].round)
    }

    /// Returns kept / all weights of the training run, 0..=1.
    pub(crate) fn weights_remaining(&self) -> f64 {
        self.rows[0].weights_remaining
    }

    /// Returns the instability: the highest error on the path minus the mean of the errors at its ends. `error` returns
    /// the error of a network, a share of 1.
    pub(crate) fn instability(&self, error: impl Fn(&StabilityRow) -> f64) -> f64 {
        let highest = self.rows.iter().map(|row| error(row)).fold(f64::NEG_INFINITY, f64::max);
        let first = error(self.rows[0]);
        let last = error(self.rows[self.rows.len() - 1]);
        highest - f64::midpoint(first, last)
    }
}

impl<'a> PathGroup<'a> {
    /// Groups rows by arm and round, in the order of their first rows.
    pub(crate) fn by_arm_and_round(rows: &'a [StabilityRow]) -> Vec<Self> {
        let paths = InterpolationPath::by_training(rows);
        let group = |arm_round: ArmRound<'a>| {
            let paths = paths.iter().filter(|path| path.arm_round() == arm_round).cloned().collect();
            Self { arm: arm_round.arm, round: arm_round.round, paths }
        };
        first_seen(paths.iter().map(InterpolationPath::arm_round)).into_iter().map(group).collect()
    }

    /// Returns the instability of each training run.
    pub(crate) fn instabilities(&self, error: impl Fn(&StabilityRow) -> f64) -> Vec<f64> {
        self.paths.iter().map(|path| path.instability(&error)).collect()
    }
}

/// Returns a table of instabilities: a row for each arm and round.
pub fn stability_table(rows: &[StabilityRow]) -> Table {
    let mut table = Table::new([
        "arm",
        "round",
        "weights remaining",
        "instability, test (points)",
        "instability, train (points)",
        "stable",
        "n",
    ]);
    table.rows = PathGroup::by_arm_and_round(rows).iter().map(table_row).collect();
    table
}

/// Returns the row of an arm at a round.
fn table_row(group: &PathGroup<'_>) -> Vec<Cell> {
    let n = group.paths.len();
    let test = group.instabilities(|row| row.test_error);
    let train = group.instabilities(|row| row.train_error);
    let mean = test.iter().sum::<f64>() / n as f64;
    let weights_remaining = group.paths.iter().map(InterpolationPath::weights_remaining).sum::<f64>() / n as f64;
    vec![
        Cell::text(group.arm),
        Cell::number(group.round),
        Cell::number(percent(weights_remaining)),
        Cell::number(mean_and_range(&test, accuracy)),
        Cell::number(mean_and_range(&train, accuracy)),
        Cell::text(if mean < STABLE { "yes" } else { "no" }),
        Cell::number(n),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the rows of a replicate with `errors` as test errors at even distances, and train errors of 0.
    fn path(arm: &str, round: u32, replicate: u32, errors: &[f64]) -> Vec<StabilityRow> {
        let row = |(index, &test_error): (usize, &f64)| StabilityRow {
            arm: arm.into(),
            round,
            replicate,
            repeat: 1,
            weights_remaining: 0.5f64.powi(round as i32),
            alpha: index as f64 / (errors.len() - 1) as f64,
            test_error,
            ..StabilityRow::default()
        };
        errors.iter().enumerate().map(row).collect()
    }

    #[test]
    fn instability_is_the_highest_error_minus_the_mean_of_the_ends() {
        let rows = [path("dense", 0, 1, &[0.25, 0.5, 0.125, 0.75]), path("dense", 0, 2, &[0.5, 0.25, 0.5])].concat();
        let paths = InterpolationPath::by_training(&rows);
        assert_eq!(paths.len(), 2);
        assert_eq!(paths[0].instability(|row| row.test_error), 0.25, "0.75 is at an end: 0.75 - 0.5");
        assert_eq!(paths[1].instability(|row| row.test_error), 0.0, "better between them");
        assert_eq!(paths[0].instability(|row| row.train_error), 0.0);
    }

    #[test]
    fn stability_table_calls_stable_below_two_points_on_average() {
        let rows = |middle: f64| [path("t", 1, 1, &[0.1, middle, 0.1]), path("t", 1, 2, &[0.1, 0.1, 0.1])].concat();
        let cells = |rows: &[StabilityRow]| {
            stability_table(rows).rows[0].iter().map(Cell::as_str).collect::<Vec<_>>().join(" | ")
        };
        assert_eq!(cells(&rows(0.13)), "t | 1 | 50.0% | 1.50 (0.00–3.00) | 0.00 (0.00–0.00) | yes | 2");
        assert_eq!(cells(&rows(0.15)), "t | 1 | 50.0% | 2.50 (0.00–5.00) | 0.00 (0.00–0.00) | no | 2");
    }
}
