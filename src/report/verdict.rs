//! Verdicts: whether the network of a round is a winning ticket, that is as accurate as the dense network, early-stopped no later,
//! and more accurate than the same mask with fresh weights (the paper, Section 1).

use serde::Serialize;

use super::paired::{ArmRoundRef, PairedResults};
use super::roles::{is_ticket, reinit_of};
use super::run::Run;
use super::statistics::{Interval, LEVEL, interval};
use crate::artifacts::{EARLY_STOP_TEST_ACCURACY, ITERATIONS_TO_EARLY_STOP, Metric, RoundGroup, RoundRow, first_seen};
use crate::base::format::percent;
use crate::config::Experiment;
use crate::lottery::DENSE;

/// The verdict on an arm at a round. Accuracies are test accuracies at early stop, shares of 1; differences are taken within
/// each replicate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The arm.
    pub arm: String,
    /// Number of prunings.
    pub round: u32,
    /// Kept / all weights, 0..=1.
    pub weights_remaining: f64,
    /// Replicates in which both this network and the dense one reached their last iteration.
    pub n: usize,
    /// Accuracy minus that of the dense network.
    pub accuracy: Option<Interval>,
    /// Iterations trained until the early stop, minus those of the dense network.
    pub early_stop: Option<Interval>,
    /// Accuracy minus that of the same mask with fresh weights.
    pub over_reinit: Option<Interval>,
    /// The decision.
    pub decision: Decision,
    /// The reason of the decision, for the user.
    pub reason: String,
}

/// The decision of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The bounds confirm all three conditions.
    Ticket,
    /// The bounds exclude a condition.
    NoTicket,
    /// Neither; more replicates may decide.
    Undecided,
}

impl Decision {
    /// Returns the decision in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::NoTicket => "no ticket",
            Self::Undecided => "undecided",
        }
    }
}

/// Every decision, in the order of a [`sentence`].
const DECISIONS: [Decision; 3] = [Decision::Ticket, Decision::NoTicket, Decision::Undecided];

/// The answer of confidence bounds to a condition.
#[derive(Clone, Copy, PartialEq)]
enum Tristate {
    Holds,
    Excluded,
    Open,
}

/// One of the three conditions of a winning ticket, with the reason that each answer gives.
struct BoundCheck {
    answer: Tristate,
    holds: String,
    excluded: String,
    open: String,
}

/// Returns a verdict for each round of each arm that may be a winning ticket, in the order of the experiment's arms.
pub fn verdicts(run: &Run, experiment: &Experiment) -> Vec<Verdict> {
    verdicts_of_rows(&run.rounds, experiment)
}

/// Like [`verdicts`], from the rows of `rounds.csv`.
fn verdicts_of_rows(rows: &[RoundRow], experiment: &Experiment) -> Vec<Verdict> {
    let results = PairedResults::new(rows, experiment);
    let mut verdicts = Vec::new();
    for (arm, _) in experiment.arms.0.iter().filter(|(_, arm)| is_ticket(arm, experiment)) {
        let rounds = results.rounds(arm);
        verdicts.extend(rounds.into_iter().map(|round| verdict(&results, experiment, (arm, round))));
    }
    verdicts
}

fn verdict(results: &PairedResults<'_>, experiment: &Experiment, ticket: ArmRoundRef<'_>) -> Verdict {
    let (arm, round) = ticket;
    let dense = (DENSE, 0);
    let reinit = reinit_of(arm, experiment);
    let accuracy = difference(results, ticket, dense, &EARLY_STOP_TEST_ACCURACY);
    let early_stop = difference(results, ticket, dense, &ITERATIONS_TO_EARLY_STOP);
    let over_reinit = reinit.and_then(|reinit| difference(results, ticket, (reinit, round), &EARLY_STOP_TEST_ACCURACY));
    let n = results.differences(ticket, dense, &EARLY_STOP_TEST_ACCURACY).len();
    let all_stop_at_the_end = results.stops_at_the_end(ticket) && results.stops_at_the_end(dense);
    let conditions = [
        as_accurate(accuracy, experiment.report.margin),
        no_later(early_stop, all_stop_at_the_end),
        better_than_reinit(over_reinit, arm, reinit),
    ];
    let (decision, reason) = decide(n, &conditions);
    Verdict {
        arm: arm.to_owned(),
        round,
        weights_remaining: results.group(ticket).map_or(0.0, RoundGroup::weights_remaining),
        n,
        accuracy,
        early_stop,
        over_reinit,
        decision,
        reason,
    }
}

/// `left` − `right` with its bounds.
fn difference(
    results: &PairedResults<'_>,
    left: ArmRoundRef<'_>,
    right: ArmRoundRef<'_>,
    metric: &Metric,
) -> Option<Interval> {
    interval(&results.differences(left, right, metric), results.least_deviation(metric), LEVEL)
}

fn decide(n: usize, conditions: &[BoundCheck]) -> (Decision, String) {
    let reasons = |answer: Tristate, reason: fn(&BoundCheck) -> &str| -> Vec<&str> {
        conditions.iter().filter(|condition| condition.answer == answer).map(reason).collect()
    };
    let excluded = reasons(Tristate::Excluded, |condition| &condition.excluded);
    let open = reasons(Tristate::Open, |condition| &condition.open);
    match n {
        0 => (Decision::Undecided, "in no replicate did both this network and the dense one come to their end".into()),
        1 => (Decision::Undecided, "one replicate says nothing about its spread".into()),
        _ if !excluded.is_empty() => (Decision::NoTicket, excluded.join("; ")),
        _ if !open.is_empty() => (Decision::Undecided, open.join("; ")),
        _ => (Decision::Ticket, reasons(Tristate::Holds, |condition| &condition.holds).join("; ")),
    }
}

/// `margin`: accuracy that a ticket may lose, in percentage points.
fn as_accurate(accuracy: Option<Interval>, margin: f64) -> BoundCheck {
    let least = -margin / 100.0;
    BoundCheck {
        answer: answer(accuracy, |interval| interval.low > least, |interval| interval.high < least),
        holds: format!("loses less than {margin} points of accuracy against dense"),
        excluded: format!("loses more than {margin} points of accuracy against dense"),
        open: "accuracy against dense is open".into(),
    }
}

/// `all_stop_at_the_end`: every early stop, of the ticket and of the dense network, is the last iteration, so that the minimum
/// validation loss may lie beyond it.
fn no_later(early_stop: Option<Interval>, all_stop_at_the_end: bool) -> BoundCheck {
    let open = if all_stop_at_the_end {
        "no early stop before the end of training, here and of dense: longer training would show one"
    } else {
        "early stop against dense is open"
    };
    BoundCheck {
        answer: answer(early_stop, |interval| interval.high <= 0.0, |interval| interval.low > 0.0),
        holds: "early stop no later than dense".into(),
        excluded: "early stop later than dense".into(),
        open: open.into(),
    }
}

fn better_than_reinit(over_reinit: Option<Interval>, ticket: &str, reinit: Option<&str>) -> BoundCheck {
    let arm = reinit.unwrap_or_default();
    let open = match (reinit, over_reinit) {
        (None, _) => format!("no arm gives fresh weights to the mask of `{ticket}`"),
        (Some(_), None) => format!("fewer than two replicates to compare with `{arm}`, or nothing but equal values"),
        (Some(_), Some(_)) => format!("accuracy against `{arm}` is open"),
    };
    BoundCheck {
        answer: answer(over_reinit, |interval| interval.low > 0.0, |interval| interval.high <= 0.0),
        holds: format!("more accurate than `{arm}`"),
        excluded: format!("not more accurate than `{arm}`"),
        open,
    }
}

fn answer(
    interval: Option<Interval>,
    holds: impl Fn(&Interval) -> bool,
    excludes: impl Fn(&Interval) -> bool,
) -> Tristate {
    match interval {
        Some(interval) if holds(&interval) => Tristate::Holds,
        Some(interval) if excludes(&interval) => Tristate::Excluded,
        _ => Tristate::Open,
    }
}

/// Returns the verdicts as a sentence for each arm, in the order of the arms.
pub fn sentences(verdicts: &[Verdict]) -> Vec<String> {
    let arms = first_seen(verdicts.iter().map(|verdict| verdict.arm.as_str()));
    arms.into_iter().map(|arm| sentence(arm, verdicts)).collect()
}

/// Returns the verdicts on an arm, such as
/// `winning_ticket: ticket at 36.1%, 21.7%; undecided at 60.1% of the weights.`
fn sentence(arm: &str, verdicts: &[Verdict]) -> String {
    let of_arm: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.arm == arm).collect();
    if let [first, .., last] = of_arm[..]
        && of_arm.iter().all(|verdict| verdict.decision == first.decision)
    {
        let from = percent(first.weights_remaining);
        let to = percent(last.weights_remaining);
        let decision = first.decision.as_str();
        return format!("{arm}: {decision} at each of {} rounds, {from} to {to} of the weights.", of_arm.len());
    }
    let mut clauses = Vec::new();
    for decision in DECISIONS {
        let decided = of_arm.iter().filter(|verdict| verdict.decision == decision);
        let shares: Vec<String> = decided.map(|verdict| percent(verdict.weights_remaining)).collect();
        if !shares.is_empty() {
            clauses.push(format!("{} at {}", decision.as_str(), shares.join(", ")));
        }
    }
    format!("{arm}: {} of the weights.", clauses.join("; "))
}

/// Returns how the verdicts were reached, as a paragraph for the reader of a report.
pub fn method(verdicts: &[Verdict], experiment: &Experiment) -> String {
    let margin = experiment.report.margin;
    let looks = verdicts.len();
    let count =
        if looks == 1 { "1 verdict is 1 look".to_owned() } else { format!("{looks} verdicts are {looks} looks") };
    format!(
        "Differences are taken within each replicate, repeats averaged first, in test accuracy at early stop and in the \
         iterations trained until the early stop; each bound is a one-sided 95 % bound of Student's t over n replicates, with a \
         deviation no less than the rounding of what is measured (evaluations every {} iterations; the least gap \
         between two accuracies of the run). A ticket loses less than {margin} points against the dense network at its \
         lower bound, stops no later at its upper bound, and beats the same mask with fresh weights at its lower \
         bound; no ticket where a bound excludes one of these; else undecided, and always at n = 1. {count}, and no \
         correction is made for them: of bounds that mean nothing, one in twenty says something.",
        experiment.train.evaluate_every
    )
}

#[cfg(test)]
mod tests;
