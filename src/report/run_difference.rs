//! Differences between two runs: of each metric at each round of the arms that both have.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::arm_round::ArmRound;
use super::paired::PairedResults;
use super::run::Run;
use super::statistics::{Interval, LEVEL, interval};
use crate::artifacts::{METRICS, Metric, RoundGroup, RoundRow};
use crate::base::stats::SummaryStats;

/// The largest relative difference of the weights remaining at which rounds of two runs are compared: they are
/// networks of about the same size.
const SIZE_TOLERANCE: f64 = 0.02;

/// The differences, second run minus first, of the metrics of an arm at a round.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DifferenceRow {
    /// Name of the arm.
    pub arm: String,
    /// Index of the mask size, from 0 (dense): the number of prunings, or with a grid the number of its entry.
    pub round: u32,
    /// Kept / all weights in the first run, 0..=1.
    pub weights_remaining: f64,
    /// The difference of each compared metric, by its name. A metric is missing if either run has no value of it.
    pub metrics: BTreeMap<&'static str, MetricDifference>,
}

/// The difference of a metric between two runs: second minus first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MetricDifference {
    /// The mean of the differences by replicate; if the runs are not paired, the difference of the means.
    pub mean: f64,
    /// The lower one-sided 95 % bound of the mean; `None` if the runs are not paired, fewer than two replicates can be,
    /// or all differences are equal.
    pub low: Option<f64>,
    /// The upper one-sided 95 % bound of the mean, like `low`.
    pub high: Option<f64>,
    /// Number of replicates that are paired; 0 if the runs are not paired.
    pub n: usize,
}

/// Two runs that are compared.
pub(super) struct RunPair<'a> {
    runs: [&'a Run; 2],
    results: [PairedResults<'a>; 2],
    /// Whether replicates are paired: the runs have the same seed.
    is_paired: bool,
}

impl<'a> RunPair<'a> {
    /// Returns the pair of two runs; `None` if the configuration of either cannot be read.
    pub(super) fn new(first: &'a Run, second: &'a Run) -> Option<Self> {
        let experiments = [first.experiment().ok()??, second.experiment().ok()??];
        let results =
            [PairedResults::new(&first.rounds, &experiments[0]), PairedResults::new(&second.rounds, &experiments[1])];
        let is_paired = experiments[0].seed == experiments[1].seed;
        Some(Self { runs: [first, second], results, is_paired })
    }

    /// Returns whether replicates are paired.
    pub(super) fn is_paired(&self) -> bool {
        self.is_paired
    }

    /// Returns the differences at each arm and round of both runs whose rows `filter` accepts, in the order of the
    /// first run. Networks of different sizes are left out.
    pub(super) fn rows(&self, filter: impl Fn(&RoundRow) -> bool) -> Vec<DifferenceRow> {
        let groups = RoundGroup::by_arm_and_round(self.runs[0].rounds.iter().filter(|row| filter(row)));
        groups.iter().filter_map(|group| self.row(group)).collect()
    }

    fn row(&self, group: &RoundGroup<'_>) -> Option<DifferenceRow> {
        let arm_round = ArmRound::new(group.arm, group.round);
        let sizes = [group.weights_remaining(), self.results[1].group(arm_round)?.weights_remaining()];
        if (sizes[0] - sizes[1]).abs() > SIZE_TOLERANCE * sizes[0] {
            return None;
        }
        let compared = METRICS.iter().filter(|metric| metric.is_compared);
        let metrics: BTreeMap<_, _> =
            compared.filter_map(|metric| Some((metric.name, self.difference(arm_round, metric)?))).collect();
        let row = DifferenceRow { arm: group.arm.to_owned(), round: group.round, weights_remaining: sizes[0], metrics };
        (!row.metrics.is_empty()).then_some(row)
    }

    /// Returns the difference of a metric at an arm and round; `None` if either run has no value.
    fn difference(&self, arm_round: ArmRound<'_>, metric: &Metric) -> Option<MetricDifference> {
        let [first, second] = [0, 1].map(|run| self.results[run].values(arm_round, metric));
        if !self.is_paired {
            let mean = |values: &BTreeMap<u32, f64>| {
                SummaryStats::of(&values.values().copied().collect::<Vec<f64>>()).map(|stats| stats.mean)
            };
            return Some(MetricDifference { mean: mean(&second)? - mean(&first)?, low: None, high: None, n: 0 });
        }
        let pair = |(replicate, value): (&u32, &f64)| Some(value - first.get(replicate)?);
        let differences: Vec<f64> = second.iter().filter_map(pair).collect();
        let least = self.results.iter().map(|results| results.least_deviation(metric)).fold(0.0, f64::max);
        let bounds: Option<Interval> = interval(&differences, least, LEVEL);
        let SummaryStats { mean, n, .. } = SummaryStats::of(&differences)?;
        Some(MetricDifference { mean, low: bounds.map(|bounds| bounds.low), high: bounds.map(|bounds| bounds.high), n })
    }
}

/// Returns a difference in the unit of its metric, with its bounds: `+0.21 (−0.05 to +0.47)`. Accuracies are in points.
pub fn difference_text(difference: &MetricDifference, metric: &Metric) -> String {
    let signed = |value: f64| {
        let text = metric.format(value.abs());
        let is_zero = text.chars().all(|c| !('1'..='9').contains(&c));
        let sign = if is_zero {
            ""
        } else if value < 0.0 {
            "−"
        } else {
            "+"
        };
        format!("{sign}{text}")
    };
    match (difference.low, difference.high) {
        (Some(low), Some(high)) => format!("{} ({} to {})", signed(difference.mean), signed(low), signed(high)),
        _ => signed(difference.mean),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::rows;
    use super::*;
    use crate::artifacts::{FINAL_TEST_ACCURACY, ITERATIONS_TO_EARLY_STOP};
    use crate::system::files;
    use crate::system::paths::RunDir;

    fn run(folder: &std::path::Path, name: &str, seed: u32, dense: &[(u64, f64)]) -> Run {
        let dir = RunDir(folder.join(name));
        let text = include_str!("../../configs/smoke.toml").replace("seed = 1", &format!("seed = {seed}"));
        files::write(&dir.file(RunDir::RESOLVED_CONFIG), text.as_bytes()).unwrap();
        Run { dir, rounds: [rows("dense", 0, dense), rows(name, 1, dense)].concat(), manifest: None }
    }

    #[test]
    fn differences_are_paired_by_replicate() {
        let folder = tempfile::tempdir().unwrap();
        let first = run(folder.path(), "a", 1, &[(40, 0.5), (60, 0.75)]);
        let second = run(folder.path(), "b", 1, &[(60, 0.75), (60, 1.25), (80, 1.0)]);
        let pair = RunPair::new(&first, &second).unwrap();
        let found = pair.rows(|_| true);
        assert_eq!(found.len(), 1, "the arms `a` and `b` have no partner");
        assert_eq!((found[0].arm.as_str(), found[0].round), ("dense", 0));
        let accuracy = found[0].metrics[FINAL_TEST_ACCURACY.name];
        // Differences 0.25 and 0.5: mean 0.375, deviation 0.1768, t(0.95, 1) = 6.314, half width 0.7892.
        assert_eq!((accuracy.mean, accuracy.n), (0.375, 2));
        assert!((accuracy.low.unwrap() + 0.4142).abs() < 1e-4 && (accuracy.high.unwrap() - 1.1642).abs() < 1e-4);
        let stop = found[0].metrics[ITERATIONS_TO_EARLY_STOP.name];
        assert_eq!(stop.mean, 10.0, "+20 and 0");
        assert_eq!(difference_text(&accuracy, &FINAL_TEST_ACCURACY), "+37.50 (−41.42 to +116.42)");
        assert_eq!(pair.rows(|row| row.arm == "a"), []);
    }

    #[test]
    fn differences_of_other_seeds_have_no_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let first = run(folder.path(), "a", 1, &[(40, 0.5), (60, 0.75)]);
        let second = run(folder.path(), "b", 2, &[(60, 0.5), (60, 0.5)]);
        let pair = RunPair::new(&first, &second).unwrap();
        assert!(!pair.is_paired());
        let accuracy = pair.rows(|_| true)[0].metrics[FINAL_TEST_ACCURACY.name];
        assert_eq!(accuracy, MetricDifference { mean: -0.125, low: None, high: None, n: 0 });
        assert_eq!(difference_text(&accuracy, &FINAL_TEST_ACCURACY), "−12.50");
    }
}
