//! Results by arm and round, paired by replicate.

use std::collections::{BTreeMap, BTreeSet};

use super::arm_round::ArmRound;
use super::statistics::rounding_std;
use crate::artifacts::{
    EARLY_STOP_TEST_ACCURACY, FINAL_TEST_ACCURACY, FINAL_TRAIN_ACCURACY, ITERATIONS_TO_EARLY_STOP, LastEvaluations,
    Metric, RoundGroup, RoundRow,
};
use crate::base::stats::SummaryStats;
use crate::config::Experiment;

/// The accuracies whose resolution is estimated from the rows.
const ACCURACIES: [Metric; 3] = [EARLY_STOP_TEST_ACCURACY, FINAL_TEST_ACCURACY, FINAL_TRAIN_ACCURACY];

/// The rows of a run by arm and round.
pub(super) struct PairedResults<'a> {
    /// By arm, then by round.
    groups: BTreeMap<&'a str, BTreeMap<u32, RoundGroup<'a>>>,
    /// The end of the training runs.
    end: LastEvaluations,
    /// Resolutions of metrics by name, if they are known: the step between neighbouring values.
    resolutions: BTreeMap<&'static str, f64>,
}

impl<'a> PairedResults<'a> {
    /// Groups the rows of an experiment's run.
    pub(super) fn new(rows: &'a [RoundRow], experiment: &Experiment) -> Self {
        let end = LastEvaluations::of_experiment(rows, Some(experiment));
        let mut resolutions: BTreeMap<&str, f64> = ACCURACIES
            .iter()
            .filter_map(|metric| {
                let values = rows.iter().filter_map(|row| metric.value(row, end.last_iteration));
                Some((metric.name, smallest_gap(values)?))
            })
            .collect();
        resolutions.insert(ITERATIONS_TO_EARLY_STOP.name, experiment.train.evaluate_every as f64);
        let mut groups: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for group in RoundGroup::by_arm_and_round(rows) {
            groups.entry(group.arm).or_default().insert(group.round, group);
        }
        Self { groups, end, resolutions }
    }

    /// Returns the training runs of an arm at a round; `None` if the run has none.
    pub(super) fn group(&self, arm_round: ArmRound<'_>) -> Option<&RoundGroup<'a>> {
        self.groups.get(arm_round.arm)?.get(&arm_round.round)
    }

    /// Returns the rounds of an arm that have rows, ascending.
    pub(super) fn rounds(&self, arm: &str) -> Vec<u32> {
        self.groups.get(arm).into_iter().flat_map(BTreeMap::keys).copied().collect()
    }

    /// Returns the value of a metric by replicate: the mean over the repeats of the replicate that reached their last
    /// iteration.
    pub(super) fn values(&self, arm_round: ArmRound<'_>, metric: &Metric) -> BTreeMap<u32, f64> {
        self.values_of(arm_round, |row| metric.value(row, self.end.last_iteration))
    }

    /// Like [`values`](Self::values), but of any number of a training run; numbers that are not finite are left out.
    pub(super) fn values_of(
        &self,
        arm_round: ArmRound<'_>,
        value: impl Fn(&RoundRow) -> Option<f64>,
    ) -> BTreeMap<u32, f64> {
        let mut repeats: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for row in self.group(arm_round).into_iter().flat_map(RoundGroup::done) {
            // A file edited by hand may contain `NaN`.
            repeats.entry(row.replicate).or_default().extend(value(row).filter(|value| value.is_finite()));
        }
        let means = repeats.into_iter().map(|(replicate, values)| (replicate, SummaryStats::of(&values)));
        means.filter_map(|(replicate, stats)| Some((replicate, stats?.mean))).collect()
    }

    /// Returns whether the early stop of any training run of an arm at a round is censored.
    pub(super) fn has_censored(&self, arm_round: ArmRound<'_>) -> bool {
        self.group(arm_round).is_some_and(|group| self.end.censored_count(group) > 0)
    }

    /// Returns the values (`left`, `right`) of each replicate that has both, by ascending replicate.
    pub(super) fn pairs(&self, left: ArmRound<'_>, right: ArmRound<'_>, metric: &Metric) -> Vec<(f64, f64)> {
        let right = self.values(right, metric);
        let pair = |(replicate, value)| Some((value, *right.get(&replicate)?));
        self.values(left, metric).into_iter().filter_map(pair).collect()
    }

    /// Returns `left` − `right` for each replicate that has both, by ascending replicate.
    pub(super) fn differences(&self, left: ArmRound<'_>, right: ArmRound<'_>, metric: &Metric) -> Vec<f64> {
        self.pairs(left, right, metric).into_iter().map(|(left, right)| left - right).collect()
    }

    /// Returns a lower limit of the standard deviation of a difference between two values of a metric, which holds even
    /// if the values of all replicates are equal: the deviation of its rounding. 0 if the resolution of the metric is
    /// not known.
    pub(super) fn least_deviation(&self, metric: &Metric) -> f64 {
        self.resolutions.get(metric.name).map_or(0.0, |&step| rounding_std(step))
    }
}

/// Returns the smallest gap between two accuracies that differ, of those that are finite; `None` if all are equal. It
/// estimates the resolution, which is 1 / the number of images: the files of a run do not contain that number for every
/// split.
pub(super) fn smallest_gap(accuracies: impl Iterator<Item = f64>) -> Option<f64> {
    // Numbers ≥ 0 have the order of their bits, which a set can sort.
    let bits: BTreeSet<u64> = accuracies.filter(|value| value.is_finite()).map(f64::to_bits).collect();
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
        let values = results.values(ArmRound::new("a", 1), &ITERATIONS_TO_EARLY_STOP);
        assert_eq!(values, BTreeMap::from([(1, 400.0), (2, 100.0)]), "the third diverged");
        let differences = results.differences(ArmRound::new("a", 1), ArmRound::new("b", 2), &EARLY_STOP_TEST_ACCURACY);
        assert_eq!(differences, [0.625 - 0.25], "only replicate 1 has both numbers");
        assert_eq!(results.rounds("b"), [2]);
        assert_eq!(results.resolutions[EARLY_STOP_TEST_ACCURACY.name], 0.25);
    }
}
