//! Tickets compared with the dense network and with their controls of the same size, in every measure of robustness and
//! calibration: paired differences over replicates with confidence bounds.

use super::arm_round::ArmRound;
use super::robustness::{Measure, Quality, Robustness};
use super::roles::{ArmRole, dense_of, is_dense};
use super::statistics::{Interval, LEVEL, MeanEstimate, holm, rounding_std};
use super::table::{Cell, Table};
use crate::artifacts::RobustnessData;
use crate::base::format::percent;

/// The mark of a difference that is not 0 after Holm's correction.
pub(crate) const DECIDED: &str = "‡";

/// Whether a value is higher than another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Higher,
    Lower,
    /// The data do not show it.
    Undecided,
}

/// The difference of a ticket and its reference at a round, in one measure.
#[derive(Clone, Debug, PartialEq)]
struct RoundDifference {
    round: u32,
    /// Share of weights of the ticket, 0..=1.
    weights_remaining: f64,
    /// The mean over replicates with its bounds; `None` with fewer than two replicates, or if all differences are equal
    /// and the resolution is not known.
    interval: Option<Interval>,
    direction: Direction,
}

/// A ticket and one reference at all rounds, in one measure.
struct Comparison<'a> {
    ticket: &'a str,
    reference: &'a str,
    measure: &'a Measure,
    /// The rounds at which both were measured, ascending.
    rounds: Vec<RoundDifference>,
}

impl<'a> Comparison<'a> {
    /// Compares a ticket with a reference in the measure with an index.
    fn new(robustness: &'a Robustness<'_>, ticket: &'a str, reference: &'a str, index: usize) -> Self {
        let measure = &robustness.measures[index];
        let places = robustness.arm_rounds().into_iter().filter(|place| place.arm == ticket);
        let mut estimates = Vec::new();
        for place in places {
            let round = if is_dense(reference) { 0 } else { place.round };
            let differences = robustness.differences(place, ArmRound::new(reference, round), index);
            if !differences.is_empty() {
                estimates.push((place, MeanEstimate::of(&differences, rounding_std(measure.resolution))));
            }
        }
        // Two tests at each round: is the true mean above 0, is it below?
        let tested = estimates.iter().filter_map(|(_, estimate)| *estimate);
        let p_values: Vec<f64> = tested.flat_map(|estimate| [estimate.p_above(0.0), estimate.p_below(0.0)]).collect();
        let corrected = holm(&p_values);
        let mut tests = corrected.chunks_exact(2);
        let rounds = estimates.into_iter().map(|(place, estimate)| RoundDifference {
            round: place.round,
            weights_remaining: robustness.weights_remaining(place),
            interval: estimate.map(|estimate| estimate.interval(LEVEL)),
            direction: match estimate.and_then(|_| tests.next()) {
                Some([above, _]) if *above < 1.0 - LEVEL => Direction::Higher,
                Some([_, below]) if *below < 1.0 - LEVEL => Direction::Lower,
                _ => Direction::Undecided,
            },
        });
        Self { ticket, reference, measure, rounds: rounds.collect() }
    }

    /// Returns the comparison as a sentence.
    fn sentence(&self) -> String {
        let [higher, lower] = match self.measure.quality {
            Quality::Clean => ["more accurate", "less accurate"],
            Quality::Robust => ["more robust", "less robust"],
            Quality::Calibration => ["worse calibrated", "better calibrated"],
        };
        let outcome = |(direction, word): (Direction, &str)| {
            let rounds: Vec<&RoundDifference> =
                self.rounds.iter().filter(|round| round.direction == direction).collect();
            let shares: Vec<String> = rounds.iter().map(|round| percent(round.weights_remaining)).collect();
            match rounds.len() {
                0 => None,
                n if n == self.rounds.len() && n > 1 => Some(format!("{word} at all {n} rounds")),
                _ => Some(format!("{word} at {} of the weights", shares.join(", "))),
            }
        };
        let outcomes = [(Direction::Higher, higher), (Direction::Lower, lower), (Direction::Undecided, "undecided")];
        let outcomes: Vec<String> = outcomes.into_iter().filter_map(outcome).collect();
        let reference = if is_dense(self.reference) {
            "the dense network".to_owned()
        } else {
            format!("{} of the same size", self.reference)
        };
        let replicates = self.rounds.iter().filter_map(|round| round.interval.map(|interval| interval.n)).min();
        let n = replicates.map_or_else(|| "one replicate".to_owned(), |n| format!("n = {n} replicates"));
        format!("{} compared with {reference}, {}: {} ({n}).", self.ticket, self.measure.name, outcomes.join(", "))
    }
}

/// Returns each ticket with each of its references: the dense network, and the controls with its mask or its counts.
fn pairs(roles: &[ArmRole]) -> Vec<(&str, &str)> {
    let tickets = roles.iter().filter(|role| role.is_ticket);
    let pairs = tickets.flat_map(|ticket| {
        let dense = dense_of(&ticket.arm);
        let is_reference = move |role: &&ArmRole| role.arm == dense || role.mask_of.as_deref() == Some(&ticket.arm);
        roles.iter().filter(is_reference).map(|role| (ticket.arm.as_str(), role.arm.as_str()))
    });
    pairs.collect()
}

/// Returns the comparisons of the tickets of a run as sentences, one for each reference and measure.
pub(crate) fn sentences(data: &RobustnessData, roles: &[ArmRole]) -> Vec<String> {
    let robustness = Robustness::new(data);
    let mut sentences = Vec::new();
    for (ticket, reference) in pairs(roles) {
        let comparisons =
            (0..robustness.measures.len()).map(|index| Comparison::new(&robustness, ticket, reference, index));
        let measured = comparisons.filter(|comparison| !comparison.rounds.is_empty());
        sentences.extend(measured.map(|comparison| comparison.sentence()));
    }
    sentences
}

/// Returns a table of the differences: a row for each ticket, round and reference, a column for each measure.
pub(crate) fn table(data: &RobustnessData, roles: &[ArmRole]) -> Table {
    let robustness = Robustness::new(data);
    let columns = ["arm", "minus", "round", "weights remaining"].into_iter().map(str::to_owned);
    let titles = robustness.measures.iter().map(|measure| {
        let title = measure.title.replace("(%)", "(points)");
        format!("difference in {title}")
    });
    let mut table = Table::new(columns.chain(titles).chain(["n".to_owned()]));
    for (ticket, reference) in pairs(roles) {
        let comparisons: Vec<Comparison<'_>> = (0..robustness.measures.len())
            .map(|index| Comparison::new(&robustness, ticket, reference, index))
            .collect();
        for (row, first) in comparisons[0].rounds.iter().enumerate() {
            let mut cells = vec![
                Cell::text(ticket),
                Cell::text(reference),
                Cell::number(first.round),
                Cell::number(percent(first.weights_remaining)),
            ];
            cells.extend(comparisons.iter().map(|comparison| difference_cell(comparison.rounds.get(row))));
            cells.push(Cell::optional(first.interval.map(|interval| interval.n)));
            table.rows.push(cells);
        }
    }
    table
}

/// Returns a difference in points with its bounds, and a mark if it is decided.
fn difference_cell(difference: Option<&RoundDifference>) -> Cell {
    let Some((difference, interval)) = difference.and_then(|difference| Some((difference, difference.interval?)))
    else {
        return Cell::Missing;
    };
    let points = |share: f64| format!("{:+.2}", 100.0 * share).replace('-', "\u{2212}");
    let mark = if difference.direction == Direction::Undecided { "" } else { DECIDED };
    let Interval { mean, low, high, .. } = interval;
    Cell::number(format!("{} ({} to {}){mark}", points(mean), points(low), points(high)))
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::robustness_data;
    use super::*;

    fn roles() -> Vec<ArmRole> {
        let role = |arm: &str, is_ticket, mask_of: Option<&str>| ArmRole {
            arm: arm.to_owned(),
            is_ticket,
            mask_of: mask_of.map(str::to_owned),
        };
        vec![role("dense", false, None), role("ticket", true, None), role("reinit", false, Some("ticket"))]
    }

    #[test]
    fn sentences_say_what_the_differences_show() {
        let sentences = sentences(&robustness_data(), &roles());
        assert_eq!(
            sentences[1],
            "ticket compared with the dense network, mean accuracy over blur at 2 levels: more robust at 50.0% of the \
             weights (n = 3 replicates)."
        );
        // The differences to the control under attack are −0.1, 0.0 and +0.1.
        assert_eq!(
            sentences[6],
            "ticket compared with reinit of the same size, mean accuracy under pgd linf, 10 steps on 100 images, ε = \
             0.1: undecided at 50.0% of the weights (n = 3 replicates)."
        );
        assert_eq!(sentences.len(), 8, "four measures, two references");
    }

    #[test]
    fn table_has_a_row_for_each_reference() {
        let table = table(&robustness_data(), &roles());
        assert_eq!(table.rows.len(), 2);
        // 3 equal differences of 5 points in means over 2 · 1000 images: the deviation is that of rounding.
        let cell = table.rows[0][5].as_str();
        assert!(cell.starts_with("+5.00 (+4.97 to +5.03)") && cell.ends_with(DECIDED), "{cell}");
        assert_eq!(table.rows[1][1].as_str(), "reinit");
    }
}
