//! Rows that belong together: the trainings of one arm at one round.

use std::collections::BTreeMap;

use super::rows::RoundRow;
use crate::base::outcome::Outcome;
use crate::base::stats::SummaryStats;

/// The arms that have rows, in the order of their first ones.
pub fn arms<'a>(rows: impl IntoIterator<Item = &'a RoundRow>) -> Vec<&'a str> {
    let mut arms: Vec<&str> = Vec::new();
    for row in rows {
        if !arms.contains(&row.arm.as_str()) {
            arms.push(&row.arm);
        }
    }
    arms
}

/// The rows of one arm at one round.
#[derive(Clone, Debug)]
pub struct RoundGroup<'a> {
    /// The arm.
    pub arm: &'a str,
    /// Number of prunings.
    pub round: u32,
    /// Its rows, in the order they came.
    pub rows: Vec<&'a RoundRow>,
}

impl<'a> RoundGroup<'a> {
    /// The rows by arm and round, in the order of their first rows.
    pub fn all(rows: impl IntoIterator<Item = &'a RoundRow>) -> Vec<Self> {
        let mut places = BTreeMap::new();
        let mut groups: Vec<Self> = Vec::new();
        for row in rows {
            let place = *places.entry((row.arm.as_str(), row.round)).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Self { arm: &row.arm, round: row.round, rows: Vec::new() });
            }
            groups[place].rows.push(row);
        }
        groups
    }

    /// Kept / all weights, on average: with scope `global` networks may differ by a weight.
    pub fn weights_remaining(&self) -> f64 {
        let shares: Vec<f64> = self.rows.iter().map(|row| row.weights_remaining).collect();
        SummaryStats::of(&shares).map_or(f64::NAN, |spread| spread.mean)
    }

    /// The rows of trainings that came to their end.
    pub fn done(&self) -> impl Iterator<Item = &'a RoundRow> {
        self.rows.iter().copied().filter(|row| row.outcome == Outcome::Done.as_str())
    }

    /// A value of each training that came to its end, where it has one.
    pub fn values(&self, of: impl Fn(&RoundRow) -> Option<f64>) -> Vec<f64> {
        self.done().filter_map(of).collect()
    }
}
