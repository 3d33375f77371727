//! Groups of rows: the training runs of one arm at one round.

use std::collections::BTreeMap;

use super::first_seen::first_seen;
use super::metrics::Metric;
use super::rows::RoundRow;
use crate::base::outcome::OutcomeKind;
use crate::base::stats::SummaryStats;

/// Returns the arms of `rows`, in the order of their first rows.
pub fn arms<'a>(rows: impl IntoIterator<Item = &'a RoundRow>) -> Vec<&'a str> {
    first_seen(rows.into_iter().map(|row| row.arm.as_str()))
}

/// The rows of one arm at one round.
#[derive(Clone, Debug)]
pub struct RoundGroup<'a> {
    /// The arm.
    pub arm: &'a str,
    /// Index of the mask size, from 0 (dense): the number of prunings with iterative pruning, the number of the entry
    /// with a grid.
    pub round: u32,
    /// The rows of its training runs, in the order of the file; never empty.
    pub rows: Vec<&'a RoundRow>,
}

impl<'a> RoundGroup<'a> {
    /// Groups rows by arm and round. Groups are in the order of their first rows.
    pub fn by_arm_and_round(rows: impl IntoIterator<Item = &'a RoundRow>) -> Vec<Self> {
        let mut indices = BTreeMap::new();
        let mut groups: Vec<Self> = Vec::new();
        for row in rows {
            let index = *indices.entry((row.arm.as_str(), row.round)).or_insert(groups.len());
            if index == groups.len() {
                groups.push(Self { arm: &row.arm, round: row.round, rows: Vec::new() });
            }
            groups[index].rows.push(row);
        }
        groups
    }

    /// Returns kept / all weights, 0..=1: the mean over the training runs, because with scope `global` their counts may
    /// differ by a weight.
    pub fn weights_remaining(&self) -> f64 {
        let shares: Vec<f64> = self.rows.iter().map(|row| row.weights_remaining).collect();
        SummaryStats::of(&shares).map_or(f64::NAN, |stats| stats.mean)
    }

    /// Returns the rows of training runs that reached their last iteration.
    pub fn done(&self) -> impl Iterator<Item = &'a RoundRow> {
        self.rows.iter().copied().filter(|row| row.outcome.is(OutcomeKind::Done))
    }

    /// Returns `value` of each training run that reached its last iteration and has one.
    pub fn values(&self, value: impl Fn(&RoundRow) -> Option<f64>) -> Vec<f64> {
        self.done().filter_map(value).collect()
    }

    /// Like [`values`](Self::values), but of a metric. `last_iteration` as in [`Metric::value`].
    pub fn metric(&self, metric: &Metric, last_iteration: u64) -> Vec<f64> {
        self.values(|row| metric.value(row, last_iteration))
    }
}
