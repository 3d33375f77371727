//! Verdicts: whether the network of a round is a winning ticket, that is, as accurate as the dense network,
//! early-stopped no later, and more accurate than the same mask with fresh weights (the paper, Section 1).

use serde::Serialize;

use super::arm_round::ArmRound;
use super::paired::PairedResults;
use super::roles::{is_ticket, reinit_of};
use super::run::Run;
use super::statistics::{Interval, LEVEL, interval};
use crate::artifacts::{EARLY_STOP_TEST_ACCURACY, ITERATIONS_TO_EARLY_STOP, Metric, RoundGroup, RoundRow, first_seen};
use crate::base::format::percent;
use crate::config::Experiment;
use crate::lottery::DENSE;

/// The verdict on an arm at a round. Accuracies are test accuracies at early stop, shares of 1; differences are taken
/// within each replicate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// Name of the arm.
    pub arm: String,
    /// Index of the mask size, from 0 (dense): the number of prunings, or with a grid the number of its entry.
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
    /// The bounds do neither; more replicates may decide.
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
enum Answer {
    /// The bounds confirm the condition.
    Holds,
    /// The bounds exclude the condition.
    Excluded,
    /// The bounds do neither, or there are none.
    Open,
}

/// One of the three conditions of a winning ticket, checked by confidence bounds. The reasons are texts for the user,
/// of which the verdict shows the one of the answer.
struct BoundCheck {
    answer: Answer,
    reason_if_holds: String,
    reason_if_excluded: String,
    reason_if_open: String,
}

/// Returns a verdict for each round of each arm that may be a winning ticket, in the order of the experiment's arms.
pub fn verdicts(run: &Run, experiment: &Experiment) -> Vec<Verdict> {
    verdicts_of_rows(&run.rounds, experiment)
}

/// Like [`verdicts`], but from the rows of `rounds.csv`.
fn verdicts_of_rows(rows: &[RoundRow], experiment: &Experiment) -> Vec<Verdict> {
    let results = PairedResults::new(rows, experiment);
    let mut verdicts = Vec::new();
    for (arm, _) in experiment.arms.0.iter().filter(|(_, arm)| is_ticket(arm, experiment)) {
        let rounds = results.rounds(arm);
        verdicts.extend(rounds.into_iter().map(|round| verdict(&results, experiment, ArmRound::new(arm, round))));
    }
    verdicts
}

/// Returns the verdict on `ticket`, an arm that may be a winning ticket at one of its rounds.
fn verdict(results: &PairedResults<'_>, experiment: &Experiment, ticket: ArmRound<'_>) -> Verdict {
    let ArmRound { arm, round } = ticket;
    let dense = ArmRound::new(DENSE, 0);
    let reinit = reinit_of(arm, experiment);
    let accuracy = difference(results, ticket, dense, &EARLY_STOP_TEST_ACCURACY);
    let early_stop = difference(results, ticket, dense, &ITERATIONS_TO_EARLY_STOP);
    let over_reinit =
        reinit.and_then(|reinit| difference(results, ticket, ArmRound::new(reinit, round), &EARLY_STOP_TEST_ACCURACY));
    let n = results.differences(ticket, dense, &EARLY_STOP_TEST_ACCURACY).len();
    let all_stop_at_the_end = results.stops_at_the_end(ticket) && results.stops_at_the_end(dense);
    let conditions = [
        accuracy_check(accuracy, experiment.report.margin),
        early_stop_check(early_stop, all_stop_at_the_end),
        reinit_check(over_reinit, arm, reinit),
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

/// Returns the mean of `left` − `right` with its bounds; `None` if there are no bounds.
fn difference(
    results: &PairedResults<'_>,
    left: ArmRound<'_>,
    right: ArmRound<'_>,
    metric: &Metric,
) -> Option<Interval> {
    interval(&results.differences(left, right, metric), results.least_deviation(metric), LEVEL)
}

/// Returns the decision and its reason. `n`: replicates with results of the ticket and the dense network; `conditions`:
/// the three conditions of a winning ticket.
fn decide(n: usize, conditions: &[BoundCheck]) -> (Decision, String) {
    let reasons = |answer: Answer, reason: fn(&BoundCheck) -> &str| -> Vec<&str> {
        conditions.iter().filter(|condition| condition.answer == answer).map(reason).collect()
    };
    let excluded = reasons(Answer::Excluded, |condition| &condition.reason_if_excluded);
    let open = reasons(Answer::Open, |condition| &condition.reason_if_open);
    match n {
        0 => (Decision::Undecided, "in no replicate did both this network and the dense one come to their end".into()),
        1 => (Decision::Undecided, "one replicate says nothing about its spread".into()),
        _ if !excluded.is_empty() => (Decision::NoTicket, excluded.join("; ")),
        _ if !open.is_empty() => (Decision::Undecided, open.join("; ")),
        _ => (Decision::Ticket, reasons(Answer::Holds, |condition| &condition.reason_if_holds).join("; ")),
    }
}

/// Checks that the ticket is as accurate as the dense network. `accuracy`: its accuracy minus that of the dense
/// network, in shares of 1; `margin`: accuracy that a ticket may lose, in percentage points.
fn accuracy_check(accuracy: Option<Interval>, margin: f64) -> BoundCheck {
    let least = -margin / 100.0;
    BoundCheck {
        answer: answer(accuracy, |interval| interval.low > least, |interval| interval.high < least),
        reason_if_holds: format!("loses less than {margin} points of accuracy against dense"),
        reason_if_excluded: format!("loses more than {margin} points of accuracy against dense"),
        reason_if_open: "accuracy against dense is open".into(),
    }
}

/// Checks that the ticket stops no later than the dense network. `early_stop`: the iterations it trained until its
/// early stop, minus those of the dense network; `all_stop_at_the_end`: every early stop, of the ticket and of the
/// dense network, is the last iteration, so that longer training might have a later minimum of the validation loss.
fn early_stop_check(early_stop: Option<Interval>, all_stop_at_the_end: bool) -> BoundCheck {
    let open = if all_stop_at_the_end {
        "no early stop before the end of training, here and of dense: longer training would show one"
    } else {
        "early stop against dense is open"
    };
    BoundCheck {
        answer: answer(early_stop, |interval| interval.high <= 0.0, |interval| interval.low > 0.0),
        reason_if_holds: "early stop no later than dense".into(),
        reason_if_excluded: "early stop later than dense".into(),
        reason_if_open: open.into(),
    }
}

/// Checks that the ticket is more accurate than its mask with fresh weights. `over_reinit`: its accuracy minus that of
/// `reinit`, the arm with the mask of `ticket` and fresh weights; `None` if there is no such arm, or no bounds.
fn reinit_check(over_reinit: Option<Interval>, ticket: &str, reinit: Option<&str>) -> BoundCheck {
    let arm = reinit.unwrap_or_default();
    let open = match (reinit, over_reinit) {
        (None, _) => format!("no arm gives fresh weights to the mask of `{ticket}`"),
        (Some(_), None) => format!("fewer than two replicates to compare with `{arm}`, or nothing but equal values"),
        (Some(_), Some(_)) => format!("accuracy against `{arm}` is open"),
    };
    BoundCheck {
        answer: answer(over_reinit, |interval| interval.low > 0.0, |interval| interval.high <= 0.0),
        reason_if_holds: format!("more accurate than `{arm}`"),
        reason_if_excluded: format!("not more accurate than `{arm}`"),
        reason_if_open: open,
    }
}

/// Returns the answer of bounds to a condition that they confirm if `holds`, and exclude if `excludes`.
fn answer(
    interval: Option<Interval>,
    holds: impl Fn(&Interval) -> bool,
    excludes: impl Fn(&Interval) -> bool,
) -> Answer {
    match interval {
        Some(interval) if holds(&interval) => Answer::Holds,
        Some(interval) if excludes(&interval) => Answer::Excluded,
        _ => Answer::Open,
    }
}

/// Returns the verdicts as a sentence for each arm, in the order of the arms.
pub fn sentences(verdicts: &[Verdict]) -> Vec<String> {
    let arms = first_seen(verdicts.iter().map(|verdict| verdict.arm.as_str()));
    arms.into_iter().map(|arm| sentence(arm, verdicts)).collect()
}

/// Returns the verdicts on an arm as a sentence, such as
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

/// Returns a paragraph for readers of the report: how the verdicts were reached.
pub fn method(verdicts: &[Verdict], experiment: &Experiment) -> String {
    let margin = experiment.report.margin;
    let verdict_count = verdicts.len();
    let count = if verdict_count == 1 {
        "1 verdict is 1 look".to_owned()
    } else {
        format!("{verdict_count} verdicts are {verdict_count} looks")
    };
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
