//! Instability: by how much the worst network between two copies of a training is worse than these are.

use crate::artifacts::StabilityRow;
use crate::base::format::{accuracy, mean_and_range, percent};

/// A training is stable below this instability (arXiv 1912.05671).
pub(crate) const STABLE: f64 = 0.02;

/// The networks between the copies of one training.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InterpolationPath<'a> {
    /// From one copy to the other; never empty.
    pub(crate) rows: Vec<&'a StabilityRow>,
}

impl<'a> InterpolationPath<'a> {
    /// The rows by training, in the order of their first rows.
    pub(crate) fn all(rows: &'a [StabilityRow]) -> Vec<Self> {
        let same = |a: &StabilityRow, b: &StabilityRow| {
            (&a.arm, a.replicate, a.repeat, a.round) == (&b.arm, b.replicate, b.repeat, b.round)
        };
        rows.chunk_by(same).map(|chunk| Self { rows: chunk.iter().collect() }).collect()
    }

    /// The arm and the round of the training.
    pub(crate) fn place(&self) -> (&'a str, u32) {
        (&self.rows[0].arm, self.rows[0].round)
    }

    /// Kept / all weights.
    pub(crate) fn weights_remaining(&self) -> f64 {
        self.rows[0].weights_remaining
    }

    /// The greatest error on the line, less the mean of those at its ends.
    pub(crate) fn instability(&self, error: impl Fn(&StabilityRow) -> f64) -> f64 {
        let errors = || self.rows.iter().map(|row| error(row));
        let ends = [self.rows[0], self.rows[self.rows.len() - 1]].map(&error);
        errors().fold(f64::NEG_INFINITY, f64::max) - f64::midpoint(ends[0], ends[1])
    }
}

/// The trainings of an arm at a round.
pub(crate) fn by_place<'a, 'r>(
    all: &'a [InterpolationPath<'r>],
) -> Vec<((&'r str, u32), Vec<&'a InterpolationPath<'r>>)> {
    let mut places: Vec<((&str, u32), Vec<&InterpolationPath<'_>>)> = Vec::new();
    for between in all {
        match places.iter_mut().find(|(place, _)| *place == between.place()) {
            Some((_, others)) => others.push(between),
            None => places.push((between.place(), vec![between])),
        }
    }
    places
}

/// The instabilities as cells under their header: a row for each arm at each round.
pub fn stability_table(rows: &[StabilityRow]) -> Vec<Vec<String>> {
    let header = [
        "arm",
        "round",
        "weights remaining",
        "instability, test (points)",
        "instability, train (points)",
        "stable",
        "n",
    ];
    let all = InterpolationPath::all(rows);
    let row = |((arm, round), trainings): ((&str, u32), Vec<&InterpolationPath<'_>>)| {
        let [test, train] = [|row: &StabilityRow| row.test_error, |row: &StabilityRow| row.train_error]
            .map(|error| trainings.iter().map(|it| it.instability(error)).collect::<Vec<f64>>());
        let mean = test.iter().sum::<f64>() / test.len() as f64;
        let share = trainings.iter().map(|it| it.weights_remaining()).sum::<f64>() / trainings.len() as f64;
        let stable = if mean < STABLE { "yes" } else { "no" };
        let n = trainings.len().to_string();
        let cells = [
            arm,
            &round.to_string(),
            &percent(share),
            &mean_and_range(&test, accuracy),
            &mean_and_range(&train, accuracy),
            stable,
            &n,
        ];
        cells.map(str::to_owned).to_vec()
    };
    std::iter::once(header.map(str::to_owned).to_vec()).chain(by_place(&all).into_iter().map(row)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The line of a replicate, with these test errors at even distances, and none on training images.
    pub(crate) fn line(arm: &str, round: u32, replicate: u32, errors: &[f64]) -> Vec<StabilityRow> {
        let row = |(at, &test_error): (usize, &f64)| StabilityRow {
            arm: arm.into(),
            round,
            replicate,
            repeat: 1,
            weights_remaining: 0.5f64.powi(round as i32),
            alpha: at as f64 / (errors.len() - 1) as f64,
            test_error,
            ..StabilityRow::default()
        };
        errors.iter().enumerate().map(row).collect()
    }

    #[test]
    fn instability_is_the_worst_less_the_mean_of_the_ends() {
        let rows = [line("dense", 0, 1, &[0.25, 0.5, 0.125, 0.75]), line("dense", 0, 2, &[0.5, 0.25, 0.5])].concat();
        let all = InterpolationPath::all(&rows);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].instability(|row| row.test_error), 0.25, "0.75 is at an end: 0.75 - 0.5");
        assert_eq!(all[1].instability(|row| row.test_error), 0.0, "better between them");
        assert_eq!(all[0].instability(|row| row.train_error), 0.0);
    }

    #[test]
    fn stable_is_below_two_points_on_average() {
        let of = |middle: f64| [line("t", 1, 1, &[0.1, middle, 0.1]), line("t", 1, 2, &[0.1, 0.1, 0.1])].concat();
        let cells = |rows: &[StabilityRow]| stability_table(rows)[1].join(" | ");
        assert_eq!(cells(&of(0.13)), "t | 1 | 50.0% | 1.50 (0.00–3.00) | 0.00 (0.00–0.00) | yes | 2");
        assert_eq!(cells(&of(0.15)), "t | 1 | 50.0% | 2.50 (0.00–5.00) | 0.00 (0.00–0.00) | no | 2");
    }
}
