//! Results by arm and round, paired by replicate.

use std::collections::{BTreeMap, BTreeSet};

use super::statistics::rounding;
use crate::artifacts::{
    EARLY_STOP_TEST_ACCURACY, FINAL_TEST_ACCURACY, FINAL_TRAIN_ACCURACY, ITERATIONS_TO_EARLY_STOP, Metric, RoundGroup,
    RoundRow, last_iteration,
};
use crate::base::stats::SummaryStats;
use crate::config::Experiment;

/// The accuracies whose resolution is estimated from the rows.
const ACCURACIES: [Metric; 3] = [EARLY_STOP_TEST_ACCURACY, FINAL_TEST_ACCURACY, FINAL_TRAIN_ACCURACY];

/// An arm at a round.
pub(super) type ArmRoundRef<'a> = (&'a str, u32);

/// The rows of a run by arm and round.
pub(super) struct PairedResults<'a> {
    groups: BTreeMap<&'a str, BTreeMap<u32, RoundGroup<'a>>>,
    /// The last iteration of the trainings.
    last: u64,
    /// Resolutions of metrics by name, where they are known: the step between neighbouring values.
    resolutions: BTreeMap<&'static str, f64>,
}

impl<'a> PairedResults<'a> {
    /// Groups the rows of an experiment's run.
    pub(super) fn new(rows: &'a [RoundRow], experiment: &Experiment) -> Self {
        let last = last_iteration(rows);
        let mut resolutions: BTreeMap<&str, f64> =
            ACCURACIES.iter().filter_map(|metric| Some((metric.name, smallest_gap(rows, metric, last)?))).collect();
        resolutions.insert(ITERATIONS_TO_EARLY_STOP.name, experiment.train.evaluate_every as f64);
        let mut groups: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for group in RoundGroup::by_arm_and_round(rows) {
            groups.entry(group.arm).or_default().insert(group.round, group);
        }
        Self { groups, last, resolutions }
    }

    /// Returns the trainings of an arm at a round.
    pub(super) fn group(&self, arm_round: ArmRoundRef<'_>) -> Option<&RoundGroup<'a>> {
        self.groups.get(arm_round.0)?.get(&arm_round.1)
    }

    /// Returns the rounds of an arm that have rows, ascending.
    pub(super) fn rounds(&self, arm: &str) -> Vec<u32> {
        self.groups.get(arm).into_iter().flat_map(BTreeMap::keys).copied().collect()
    }

    /// Returns the value of each replicate: the mean over its repeats.
    pub(super) fn values(&self, arm_round: ArmRoundRef<'_>, metric: &Metric) -> BTreeMap<u32, f64> {
        let mut repeats: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for row in self.group(arm_round).into_iter().flat_map(RoundGroup::done) {
            repeats.entry(row.replicate).or_default().extend(finite_value(metric, row, self.last));
        }
        let means = repeats.into_iter().map(|(replicate, values)| (replicate, SummaryStats::of(&values)));
        means.filter_map(|(replicate, stats)| Some((replicate, stats?.mean))).collect()
    }

    /// Whether every training of an arm at a round has its minimum validation loss at its last iteration.
    pub(super) fn stops_at_the_end(&self, arm_round: ArmRoundRef<'_>) -> bool {
        let done: Vec<&RoundRow> = self.group(arm_round).into_iter().flat_map(RoundGroup::done).collect();
        !done.is_empty() && done.iter().all(|row| row.early_stop_iteration == Some(self.last))
    }

    /// Returns the values of both sides, in each replicate that has both.
    pub(super) fn pairs(&self, left: ArmRoundRef<'_>, right: ArmRoundRef<'_>, metric: &Metric) -> Vec<(f64, f64)> {
        let right = self.values(right, metric);
        let pair = |(replicate, value)| Some((value, *right.get(&replicate)?));
        self.values(left, metric).into_iter().filter_map(pair).collect()
    }

    /// Returns `left` − `right`, in each replicate that has both.
    pub(super) fn differences(&self, left: ArmRoundRef<'_>, right: ArmRoundRef<'_>, metric: &Metric) -> Vec<f64> {
        self.pairs(left, right, metric).into_iter().map(|(left, right)| left - right).collect()
    }

    /// Returns the smallest standard deviation that a difference can be believed to have: that of its rounding; 0 where the
    /// resolution of the metric is not known.
    pub(super) fn least_deviation(&self, metric: &Metric) -> f64 {
        self.resolutions.get(metric.name).map_or(0.0, |&step| rounding(step))
    }
}

/// The value of a metric, unless it is no finite number: a file edited by hand may say `NaN`.
fn finite_value(metric: &Metric, row: &RoundRow, last: u64) -> Option<f64> {
    metric.value(row, last).filter(|value| value.is_finite())
}

/// The smallest gap between two accuracies that differ: one image or a few. An accuracy is a count / the number of images, which
/// the files of a run do not have for every set.
fn smallest_gap(rows: &[RoundRow], metric: &Metric, last: u64) -> Option<f64> {
    // Numbers ≥ 0 have the order of their bits.
    let bits: BTreeSet<u64> = rows.iter().filter_map(|row| finite_value(metric, row, last)).map(f64::to_bits).collect();
    let values: Vec<f64> = bits.into_iter().map(f64::from_bits).collect();
    values.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0).reduce(f64::min)
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::{experiment, row};
    use super::*;
    use crate::base::outcome::OutcomeKind;

    #[test]
    fn paired_results_average_repeats_and_pair_replicates() {
        let rows = [
            row("a", 1, 1, (300, 0.5)),
            RoundRow { repeat: 2, ..row("a", 1, 1, (500, 0.75)) },
            row("a", 1, 2, (100, 0.5)),
            RoundRow { outcome: OutcomeKind::Diverged.into(), ..row("a", 1, 3, (100, 0.5)) },
            RoundRow { early_stop_test_accuracy: Some(f64::NAN), ..row("b", 2, 2, (100, 0.5)) },
            row("b", 2, 3, (100, 0.5)),
            row("b", 2, 1, (100, 0.25)),
        ];
        let results = PairedResults::new(&rows, &experiment(&[]));
        let values = results.values(("a", 1), &ITERATIONS_TO_EARLY_STOP);
        assert_eq!(values, BTreeMap::from([(1, 400.0), (2, 100.0)]), "the third diverged");
        let differences = results.differences(("a", 1), ("b", 2), &EARLY_STOP_TEST_ACCURACY);
        assert_eq!(differences, [0.625 - 0.25], "only replicate 1 has both numbers");
        assert_eq!(results.rounds("b"), [2]);
        assert_eq!(results.resolutions[EARLY_STOP_TEST_ACCURACY.name], 0.25);
    }
}
