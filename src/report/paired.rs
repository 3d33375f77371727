//! The rows of a run by arm and round, and the values that replicates are compared by.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::statistics::rounding;
use crate::artifacts::{RoundGroup, RoundRow, last_iteration};
use crate::base::stats::SummaryStats;
use crate::config::Experiment;

/// What is measured of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Metric {
    /// The iteration of minimum validation loss, counted from where the training run starts.
    EarlyStopIteration,
    /// Test accuracy there.
    EarlyStopTestAccuracy,
    /// Test accuracy after the last iteration.
    FinalTestAccuracy,
    /// Training accuracy after the last iteration.
    FinalTrainAccuracy,
}

impl Metric {
    const ACCURACIES: [Self; 3] = [Self::EarlyStopTestAccuracy, Self::FinalTestAccuracy, Self::FinalTrainAccuracy];

    /// Whether it is measured after the last iteration.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::FinalTestAccuracy | Self::FinalTrainAccuracy)
    }

    /// Its value of one training run, whose last iteration is `last`.
    fn value(self, row: &RoundRow, last: u64) -> Option<f64> {
        let value = match self {
            Self::EarlyStopIteration => row.iterations_to_early_stop(last).map(|iterations| iterations as f64),
            Self::EarlyStopTestAccuracy => row.early_stop_test_accuracy,
            Self::FinalTestAccuracy => row.final_test_accuracy,
            Self::FinalTrainAccuracy => row.final_train_accuracy,
        };
        // A file edited by hand may say `NaN`.
        value.filter(|value| value.is_finite())
    }
}

/// An arm at a round.
pub(super) type ArmRoundRef<'a> = (&'a str, u32);

/// The rows of a run by arm and round.
pub(super) struct PairedResults<'a> {
    groups: BTreeMap<&'a str, BTreeMap<u32, RoundGroup<'a>>>,
    /// The last iteration of every training run.
    last: u64,
    /// The steps that measures come in, where that is known.
    steps: BTreeMap<Metric, f64>,
}

impl<'a> PairedResults<'a> {
    /// The rows of an experiment's run.
    pub(super) fn new(rows: &'a [RoundRow], experiment: &Experiment) -> Self {
        let mut steps: BTreeMap<_, _> =
            Metric::ACCURACIES.iter().filter_map(|&measure| Some((measure, least_gap(rows, measure)?))).collect();
        steps.insert(Metric::EarlyStopIteration, experiment.train.evaluate_every as f64);
        let mut groups: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for group in RoundGroup::all(rows) {
            groups.entry(group.arm).or_default().insert(group.round, group);
        }
        Self { groups, last: last_iteration(rows), steps }
    }

    /// The trainings there.
    pub(super) fn at(&self, place: ArmRoundRef<'_>) -> Option<&RoundGroup<'a>> {
        self.groups.get(place.0)?.get(&place.1)
    }

    /// The rounds of an arm that have rows.
    pub(super) fn rounds(&self, arm: &str) -> Vec<u32> {
        self.groups.get(arm).into_iter().flat_map(BTreeMap::keys).copied().collect()
    }

    /// The value of each replicate: the mean over its repeats.
    pub(super) fn values(&self, place: ArmRoundRef<'_>, measure: Metric) -> BTreeMap<u32, f64> {
        let mut all: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for row in self.at(place).into_iter().flat_map(RoundGroup::done) {
            all.entry(row.replicate).or_default().extend(measure.value(row, self.last));
        }
        all.into_iter().filter_map(|(replicate, values)| Some((replicate, SummaryStats::of(&values)?.mean))).collect()
    }

    /// Whether every training run there has its minimum validation loss at its last iteration.
    pub(super) fn stop_at_the_end(&self, place: ArmRoundRef<'_>) -> bool {
        let stops = self.at(place).into_iter().flat_map(RoundGroup::done).map(|row| row.early_stop_iteration);
        let stops: Vec<_> = stops.collect();
        !stops.is_empty() && stops.iter().all(|stop| *stop == Some(self.last))
    }

    /// The values of both sides in each replicate that has both.
    pub(super) fn pairs(&self, one: ArmRoundRef<'_>, other: ArmRoundRef<'_>, measure: Metric) -> Vec<(f64, f64)> {
        let others = self.values(other, measure);
        let pair = |(replicate, value)| Some((value, *others.get(&replicate)?));
        self.values(one, measure).into_iter().filter_map(pair).collect()
    }

    /// The difference of both sides in each replicate that has both.
    pub(super) fn differences(&self, one: ArmRoundRef<'_>, other: ArmRoundRef<'_>, measure: Metric) -> Vec<f64> {
        self.pairs(one, other, measure).into_iter().map(|(one, other)| one - other).collect()
    }

    /// The least deviation that a difference can be believed to have: that of its rounding; 0 where no step is known.
    pub(super) fn least_deviation(&self, measure: Metric) -> f64 {
        self.steps.get(&measure).map_or(0.0, |&step| rounding(step))
    }
}

/// An accuracy is a count over the number of images, which the files of a run do not tell of all data; the least gap
/// between two accuracies that differ is one image or a few.
fn least_gap(rows: &[RoundRow], measure: Metric) -> Option<f64> {
    // Numbers from 0 on are ordered like their bits.
    let last = last_iteration(rows);
    let values: BTreeSet<u64> = rows.iter().filter_map(|row| measure.value(row, last)).map(f64::to_bits).collect();
    let values: Vec<f64> = values.into_iter().map(f64::from_bits).collect();
    values.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > 0.0).reduce(f64::min)
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::{experiment, row};
    use super::*;

    #[test]
    fn repeats_are_averaged_and_replicates_paired() {
        let rows = [
            row("a", 1, 1, (300, 0.5)),
            RoundRow { repeat: 2, ..row("a", 1, 1, (500, 0.75)) },
            row("a", 1, 2, (100, 0.5)),
            RoundRow { outcome: "diverged".into(), ..row("a", 1, 3, (100, 0.5)) },
            RoundRow { early_stop_test_accuracy: Some(f64::NAN), ..row("b", 2, 2, (100, 0.5)) },
            row("b", 2, 3, (100, 0.5)),
            row("b", 2, 1, (100, 0.25)),
        ];
        let trainings = PairedResults::new(&rows, &experiment(&[]));
        let values = trainings.values(("a", 1), Metric::EarlyStopIteration);
        assert_eq!(values, BTreeMap::from([(1, 400.0), (2, 100.0)]), "the third diverged");
        let accuracy = Metric::EarlyStopTestAccuracy;
        assert_eq!(
            trainings.differences(("a", 1), ("b", 2), accuracy),
            [0.625 - 0.25],
            "only replicate 1 has both numbers"
        );
        assert_eq!(trainings.rounds("b"), [2]);
        assert_eq!(trainings.steps[&accuracy], 0.25);
    }
}
