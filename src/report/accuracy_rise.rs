//! Whether training accuracy at equal iterations rises as weights are removed.

use super::arm_round::ArmRound;
use super::claims::ClaimStatus;
use super::equal_iterations::{EqualIteration, EqualIterations};
use super::paired::{PairedResults, smallest_gap};
use super::statistics::{Interval, LEVEL, interval, rounding_std};
use crate::artifacts::{RoundGroup, RoundRow};
use crate::lottery::DENSE;

/// The training accuracy of an arm at one iteration, compared with that of the dense network at the same iteration.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccuracyRise<'a> {
    /// Name of the arm.
    pub(crate) arm: &'a str,
    /// The iteration.
    pub(crate) time: &'a EqualIteration,
    /// The rounds of the arm.
    pub(crate) rounds: Vec<RoundDifference>,
    /// Whether the training accuracy is higher than that of the dense network at some round.
    pub(crate) status: ClaimStatus,
}

/// The training accuracy of an arm at a round, minus that of the dense network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RoundDifference {
    /// Kept / all weights, 0..=1.
    pub(crate) weights_remaining: f64,
    /// Number of replicates with both accuracies.
    pub(crate) n: usize,
    /// The mean difference with its one-sided 95 % bounds, in shares of 1; `None` if it has no bounds.
    pub(crate) plain: Option<Interval>,
    /// Like `plain`, with bounds by Bonferroni's correction over the rounds.
    pub(crate) strict: Option<Interval>,
}

impl RoundDifference {
    /// Returns whether the corrected bounds show a higher accuracy than the dense network's.
    pub(crate) fn is_above(&self) -> bool {
        self.strict.is_some_and(|bounds| bounds.low > 0.0)
    }

    /// Returns whether the corrected bounds show a lower accuracy than the dense network's.
    pub(crate) fn is_below(&self) -> bool {
        self.strict.is_some_and(|bounds| bounds.high < 0.0)
    }
}

impl AccuracyRise<'_> {
    /// Returns the round with the largest mean difference; `None` if no round has bounds.
    pub(crate) fn largest(&self) -> Option<&RoundDifference> {
        let mean = |round: &RoundDifference| round.plain.map_or(f64::NEG_INFINITY, |bounds| bounds.mean);
        self.rounds.iter().filter(|round| round.plain.is_some()).max_by(|a, b| mean(a).total_cmp(&mean(b)))
    }
}

/// Returns the comparison of an arm with the dense network at each of the equal iterations. `rows`: those of the run.
pub(crate) fn accuracy_rises<'a>(
    results: &PairedResults<'_>,
    equal: &'a EqualIterations,
    rows: &[RoundRow],
    arm: &'a str,
) -> Vec<AccuracyRise<'a>> {
    let rise = |time: &'a EqualIteration| {
        let value = |row: &RoundRow| equal.train(row, time);
        let least_deviation = smallest_gap(rows.iter().filter_map(value)).map_or(0.0, rounding_std);
        let dense = results.values_of(ArmRound::new(DENSE, 0), value);
        let rounds: Vec<u32> = results.rounds(arm).into_iter().filter(|round| *round > 0).collect();
        let strict_level = 1.0 - (1.0 - LEVEL) / rounds.len().max(1) as f64;
        let difference = |&round: &u32| {
            let arm_round = ArmRound::new(arm, round);
            let accuracies = results.values_of(arm_round, value).into_iter();
            let differences: Vec<f64> =
                accuracies.filter_map(|(replicate, own)| Some(own - dense.get(&replicate)?)).collect();
            RoundDifference {
                weights_remaining: results.group(arm_round).map_or(0.0, RoundGroup::weights_remaining),
                n: differences.len(),
                plain: interval(&differences, least_deviation, LEVEL),
                strict: interval(&differences, least_deviation, strict_level),
            }
        };
        let rounds: Vec<RoundDifference> = rounds.iter().map(difference).collect();
        AccuracyRise { arm, time, status: status(&rounds), rounds }
    };
    equal.iterations.iter().map(rise).collect()
}

/// Returns the status of the statement that the accuracy is higher than the dense network's at some round: held if the
/// corrected bounds of one round show it, not held if the plain bounds of every round exclude it.
fn status(rounds: &[RoundDifference]) -> ClaimStatus {
    let is_excluded = |round: &RoundDifference| round.plain.is_some_and(|bounds| bounds.high < 0.0);
    if rounds.iter().all(|round| round.n == 0) {
        ClaimStatus::NotTested
    } else if rounds.iter().any(RoundDifference::is_above) {
        ClaimStatus::Held
    } else if rounds.iter().all(is_excluded) {
        ClaimStatus::NotHeld
    } else {
        ClaimStatus::Inconclusive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(low: f64, high: f64) -> RoundDifference {
        let bounds =
            |slack: f64| Some(Interval { mean: f64::midpoint(low, high), low: low - slack, high: high + slack, n: 3 });
        RoundDifference { weights_remaining: 0.5, n: 3, plain: bounds(0.0), strict: bounds(1.0) }
    }

    #[test]
    fn a_rise_needs_corrected_bounds_of_one_round_and_its_contradiction_plain_bounds_of_all() {
        let (above, slightly_above, unclear, slightly_below, below) = (
            difference(2.0, 3.0),
            difference(0.5, 1.0),
            difference(-0.5, 0.5),
            difference(-1.0, -0.5),
            difference(-3.0, -2.0),
        );
        assert_eq!(status(&[below, above, unclear]), ClaimStatus::Held);
        assert_eq!(status(&[slightly_above, below]), ClaimStatus::Inconclusive, "not after the correction");
        assert_eq!(status(&[slightly_below, below]), ClaimStatus::NotHeld);
        assert_eq!(status(&[slightly_below, unclear]), ClaimStatus::Inconclusive);
        let unknown = RoundDifference { n: 1, plain: None, strict: None, ..above };
        assert_eq!(status(&[below, unknown]), ClaimStatus::Inconclusive, "one replicate has no bounds");
        assert_eq!(status(&[RoundDifference { n: 0, ..unknown }]), ClaimStatus::NotTested);
        assert_eq!(status(&[]), ClaimStatus::NotTested);
        assert!(below.is_below() && !slightly_below.is_below() && above.is_above());
    }
}
