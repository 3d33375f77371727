//! Quantities of the loss around starting and final weights, and whether they change together with training accuracy
//! over the rounds of an arm.

use std::collections::BTreeMap;

use super::arm_round::ArmRound;
use super::equal_iterations::EqualIterations;
use super::paired::PairedResults;
use super::rank_correlation::{rank_correlation, rank_correlation_step};
use super::statistics::{Interval, LEVEL, MeanEstimate, holm, interval, rounding_std};
use crate::artifacts::{LandscapeRow, RoundRow};
use crate::lottery::DENSE;

/// A quantity that `lth landscape` measures once per training run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    /// Name, as a column title, with its unit.
    pub(crate) title: &'static str,
    /// Definition, as a sentence without its subject.
    pub(crate) definition: &'static str,
    /// Returns the value of a training run; `None` if it is not defined.
    pub(crate) value: fn(&LandscapeRow) -> Option<f64>,
}

/// The quantities, in the order of tables and panels.
pub(crate) const QUANTITIES: [Quantity; 7] = [
    Quantity {
        title: "distance moved",
        definition: "the Euclidean distance from the starting to the final weights",
        value: |row| Some(row.distance),
    },
    Quantity {
        title: "relative distance",
        definition: "the distance moved, divided by the norm of the starting weights",
        value: |row| row.relative_distance,
    },
    Quantity {
        title: "gradient norm",
        definition: "the Euclidean norm of the gradient of the mean training loss by the weights, at the start (batch \
                     norms use the statistics of each batch, as in training; no weight decay, no label smoothing)",
        value: |row| row.gradient_norm,
    },
    Quantity {
        title: "gradient per √weights",
        definition: "the gradient norm, divided by the square root of the number of weights: the root mean square of \
                     the gradient",
        value: |row| row.gradient_rms,
    },
    Quantity {
        title: "sharpness (nats)",
        definition: "the mean increase of the training loss from the final weights to the final weights ± 0.5 times a \
                     random direction, each filter of which has the norm of the same filter of the weights (Li et al. \
                     2018, arXiv 1712.09913), over both signs and all directions; biases, batch norms and pruned weights \
                     do not move",
        value: |row| row.sharpness,
    },
    Quantity {
        title: "barrier (nats)",
        definition: "the largest training loss on the straight line from the starting to the final weights (Goodfellow \
                     et al. 2015, arXiv 1412.6544), minus the larger of the losses at its ends",
        value: |row| row.barrier,
    },
    Quantity {
        title: "rise on the line (nats)",
        definition: "the largest increase of the training loss from a point of that line to a later one; 0 if the loss \
                     falls monotonically",
        value: |row| row.rise,
    },
];

impl Quantity {
    /// The quantities that fit a terminal.
    pub(crate) const SHORT: [Self; 4] = [QUANTITIES[1], QUANTITIES[2], QUANTITIES[4], QUANTITIES[6]];
}

/// Title of the row of weights remaining, which is compared with training accuracy like the quantities.
pub(crate) const WEIGHTS_REMAINING: &str = "weights remaining";

/// The rows of `landscape.csv` by the key of their training run.
pub(crate) struct LandscapeByKey<'a>(BTreeMap<&'a str, &'a LandscapeRow>);

impl<'a> LandscapeByKey<'a> {
    pub(crate) fn new(rows: &'a [LandscapeRow]) -> Self {
        Self(rows.iter().map(|row| (row.key.as_str(), row)).collect())
    }

    /// Returns the value of a quantity of a training run; `None` if it was not measured.
    pub(crate) fn value(&self, row: &RoundRow, quantity: &Quantity) -> Option<f64> {
        (quantity.value)(self.0.get(row.key.as_str())?)
    }
}

/// The rank correlations of a quantity with training accuracy, one for each replicate.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Correlation {
    /// The rank correlation of each replicate that has one.
    pub(crate) values: Vec<f64>,
    /// Their mean with one-sided 95 % bounds; `None` for fewer than two replicates.
    pub(crate) bounds: Option<Interval>,
    /// Whether the bounds exclude 0 after Holm's correction over the quantities.
    pub(crate) is_corrected: bool,
    /// The two-sided p-value of a true mean of 0.
    p: Option<f64>,
}

/// The change of a quantity where training accuracy rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tendency {
    /// It rises too.
    Rises,
    /// It falls.
    Falls,
    /// The bounds include both.
    Undecided,
}

impl Correlation {
    /// Returns the correlation over the pairs (quantity, training accuracy) of each replicate.
    fn of(pairs: &BTreeMap<u32, Vec<(f64, f64)>>) -> Self {
        let values: Vec<f64> = pairs.values().filter_map(|pairs| rank_correlation(pairs)).collect();
        let most = pairs.values().map(Vec::len).max().unwrap_or(0);
        let estimate = MeanEstimate::of(&values, rounding_std(rank_correlation_step(most)));
        let p = estimate.map(|estimate| (2.0 * estimate.p_above(0.0).min(estimate.p_below(0.0))).min(1.0));
        Self {
            values,
            bounds: estimate.map(|estimate| within_correlations(estimate.interval(LEVEL))),
            is_corrected: false,
            p,
        }
    }

    /// Returns the tendency that the bounds show, before the correction.
    pub(crate) fn tendency(&self) -> Tendency {
        match self.bounds {
            Some(bounds) if bounds.low > 0.0 => Tendency::Rises,
            Some(bounds) if bounds.high < 0.0 => Tendency::Falls,
            _ => Tendency::Undecided,
        }
    }

    /// Returns the number of replicates whose correlation has the sign of the mean.
    pub(crate) fn agreeing(&self) -> usize {
        let sum: f64 = self.values.iter().sum();
        self.values.iter().filter(|value| **value * sum > 0.0).count()
    }
}

/// A quantity compared with training accuracy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ComparedQuantity {
    /// Name, with its unit.
    pub(crate) title: &'static str,
    /// Over the dense network and the rounds of the ticket.
    pub(crate) ticket: Correlation,
    /// Over the dense network and the rounds of the control with new initial weights.
    pub(crate) reinit: Correlation,
    /// Between the differences ticket − control of both, over the rounds: their masks are equal at each round.
    pub(crate) difference: Correlation,
    /// The mean over the rounds of ticket − control in the quantity, over the replicates; `None` without bounds.
    pub(crate) mean_difference: Option<Interval>,
}

/// The arms that are compared, and the results of the run.
pub(crate) struct LandscapeComparison<'a> {
    /// The rows of the run.
    pub(crate) results: &'a PairedResults<'a>,
    /// The accuracies.
    pub(crate) equal: &'a EqualIterations,
    /// What was measured.
    pub(crate) measured: &'a LandscapeByKey<'a>,
    /// Name of the ticket.
    pub(crate) ticket: &'a str,
    /// Name of the control with the ticket's masks and new initial weights, if there is one.
    pub(crate) reinit: Option<&'a str>,
}

impl LandscapeComparison<'_> {
    /// Compares weights remaining and each measured quantity with training accuracy at the main one of the equal
    /// iterations.
    pub(crate) fn quantities(&self) -> Vec<ComparedQuantity> {
        let mut compared = vec![self.compared(WEIGHTS_REMAINING, &|row| Some(row.weights_remaining))];
        let measured = QUANTITIES.iter().filter(|_| !self.measured.0.is_empty());
        compared
            .extend(measured.map(|quantity| self.compared(quantity.title, &|row| self.measured.value(row, quantity))));
        correct(&mut compared, |quantity| &mut quantity.ticket);
        correct(&mut compared, |quantity| &mut quantity.reinit);
        correct(&mut compared, |quantity| &mut quantity.difference);
        compared
    }

    /// Compares one quantity.
    fn compared(&self, title: &'static str, quantity: &dyn Fn(&RoundRow) -> Option<f64>) -> ComparedQuantity {
        let rounds: Vec<u32> = self.results.rounds(self.ticket).into_iter().filter(|round| *round > 0).collect();
        let over_rounds = |arm: &str| {
            let shown = rounds.iter().map(|&round| ArmRound::new(arm, round));
            self.pairs(std::iter::once(ArmRound::new(DENSE, 0)).chain(shown), quantity)
        };
        let differences = self.reinit.map_or_else(BTreeMap::new, |reinit| self.differences(reinit, &rounds, quantity));
        let mean = |pairs: &Vec<(f64, f64)>| pairs.iter().map(|pair| pair.0).sum::<f64>() / pairs.len() as f64;
        let means: Vec<f64> = differences.values().map(mean).collect();
        ComparedQuantity {
            title,
            ticket: Correlation::of(&over_rounds(self.ticket)),
            reinit: self.reinit.map(|reinit| Correlation::of(&over_rounds(reinit))).unwrap_or_default(),
            difference: Correlation::of(&differences),
            mean_difference: interval(&means, 0.0, LEVEL),
        }
    }

    /// Returns the pairs (quantity, training accuracy) of each replicate at `arm_rounds`, where it has both.
    fn pairs<'r>(
        &self,
        arm_rounds: impl Iterator<Item = ArmRound<'r>>,
        quantity: &dyn Fn(&RoundRow) -> Option<f64>,
    ) -> BTreeMap<u32, Vec<(f64, f64)>> {
        let mut pairs: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
        for arm_round in arm_rounds {
            for (replicate, pair) in self.pair_at(arm_round, quantity) {
                pairs.entry(replicate).or_default().push(pair);
            }
        }
        pairs
    }

    /// Returns the pair (quantity, training accuracy) of each replicate at one arm and round.
    fn pair_at(
        &self,
        arm_round: ArmRound<'_>,
        quantity: &dyn Fn(&RoundRow) -> Option<f64>,
    ) -> BTreeMap<u32, (f64, f64)> {
        let Some(time) = self.equal.main() else { return BTreeMap::new() };
        let accuracies = self.results.values_of(arm_round, |row| self.equal.train(row, time));
        let values = self.results.values_of(arm_round, quantity).into_iter();
        values.filter_map(|(replicate, value)| Some((replicate, (value, *accuracies.get(&replicate)?)))).collect()
    }

    /// Returns the differences ticket − `reinit` of the pairs of each replicate, one for each round that has both.
    fn differences(
        &self,
        reinit: &str,
        rounds: &[u32],
        quantity: &dyn Fn(&RoundRow) -> Option<f64>,
    ) -> BTreeMap<u32, Vec<(f64, f64)>> {
        let mut differences: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
        for &round in rounds {
            let others = self.pair_at(ArmRound::new(reinit, round), quantity);
            for (replicate, own) in self.pair_at(ArmRound::new(self.ticket, round), quantity) {
                if let Some(other) = others.get(&replicate) {
                    differences.entry(replicate).or_default().push((own.0 - other.0, own.1 - other.1));
                }
            }
        }
        differences
    }
}

/// Returns bounds of a mean correlation, cut to −1..=1.
fn within_correlations(bounds: Interval) -> Interval {
    Interval { low: bounds.low.max(-1.0), high: bounds.high.min(1.0), ..bounds }
}

/// Corrects one correlation of all quantities for their number, by Holm's method.
fn correct(compared: &mut [ComparedQuantity], correlation: impl Fn(&mut ComparedQuantity) -> &mut Correlation) {
    let mut tested: Vec<&mut Correlation> =
        compared.iter_mut().map(correlation).filter(|test| test.p.is_some()).collect();
    let adjusted = holm(&tested.iter().filter_map(|test| test.p).collect::<Vec<_>>());
    for (test, p) in tested.iter_mut().zip(adjusted) {
        test.is_corrected = p < 1.0 - LEVEL;
    }
}

#[cfg(test)]
mod tests;
