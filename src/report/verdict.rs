//! Whether a round's network is a winning ticket: as accurate as the dense network, no slower, and better than the same
//! mask with fresh weights.

use serde::Serialize;

use super::paired::{ArmRoundRef, Metric, PairedResults};
use super::roles::{is_ticket, reinit_of};
use super::run::Run;
use super::statistics::{Interval, LEVEL, interval};
use crate::artifacts::{RoundGroup, RoundRow};
use crate::base::format::percent;
use crate::config::Experiment;
use crate::lottery::DENSE;

/// What the numbers of an arm at a round say. Accuracies are test accuracies at early stop, shares of 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The arm.
    pub arm: String,
    /// Number of prunings.
    pub round: u32,
    /// Kept / all weights.
    pub weights_remaining: f64,
    /// Replicates in which both this network and the dense one came to their end.
    pub n: usize,
    /// Accuracy beyond the dense network's.
    pub accuracy: Option<Interval>,
    /// Iterations trained until its early stop, beyond those of the dense network.
    pub early_stop: Option<Interval>,
    /// Accuracy beyond that of its own mask with fresh weights.
    pub over_reinit: Option<Interval>,
    /// What follows.
    pub decision: Decision,
    /// Why.
    pub reason: String,
}

/// What follows from the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// All three conditions hold.
    Ticket,
    /// One of them is excluded.
    NoTicket,
    /// Neither: more replicates would tell.
    Undecided,
}

impl Decision {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ticket => "ticket",
            Self::NoTicket => "no ticket",
            Self::Undecided => "undecided",
        }
    }
}

const DECISIONS: [Decision; 3] = [Decision::Ticket, Decision::NoTicket, Decision::Undecided];

/// What the bounds say of a condition.
#[derive(Clone, Copy, PartialEq)]
enum Tristate {
    Holds,
    Excluded,
    Open,
}

/// One of the three conditions, with the words for each answer.
struct BoundCheck {
    answer: Tristate,
    holds: String,
    excluded: String,
    open: String,
}

/// A verdict for each round of each arm that may be a ticket, in the order of the arms.
pub fn verdicts(run: &Run, experiment: &Experiment) -> Vec<Verdict> {
    of_rows(&run.rounds, experiment)
}

/// The same, from the rows.
pub(super) fn of_rows(rows: &[RoundRow], experiment: &Experiment) -> Vec<Verdict> {
    let trainings = PairedResults::new(rows, experiment);
    let tickets = experiment.arms.0.iter().filter(|(_, arm)| is_ticket(arm, experiment));
    let of_arm = |(arm, _): &(String, _)| -> Vec<Verdict> {
        trainings.rounds(arm).into_iter().map(|round| verdict(&trainings, experiment, (arm, round))).collect()
    };
    tickets.flat_map(of_arm).collect()
}

fn verdict(trainings: &PairedResults<'_>, experiment: &Experiment, here: ArmRoundRef<'_>) -> Verdict {
    let compare = |other: ArmRoundRef<'_>, measure| {
        let differences = trainings.differences(here, other, measure);
        (interval(&differences, trainings.least_deviation(measure), LEVEL), differences.len())
    };
    let reinit = reinit_of(here.0, experiment);
    let (accuracy, n) = compare((DENSE, 0), Metric::EarlyStopTestAccuracy);
    let (early_stop, _) = compare((DENSE, 0), Metric::EarlyStopIteration);
    let over_reinit = reinit.and_then(|arm| compare((arm, here.1), Metric::EarlyStopTestAccuracy).0);
    let conditions = [
        as_accurate(accuracy, experiment.report.margin),
        no_later(early_stop, [here, (DENSE, 0)].iter().all(|&place| trainings.stop_at_the_end(place))),
        better_than_reinit(over_reinit, here.0, reinit),
    ];
    let (decision, reason) = decide(n, &conditions);
    Verdict {
        arm: here.0.to_owned(),
        round: here.1,
        weights_remaining: trainings.at(here).map_or(0.0, RoundGroup::weights_remaining),
        n,
        accuracy,
        early_stop,
        over_reinit,
        decision,
        reason,
    }
}

fn decide(n: usize, conditions: &[BoundCheck]) -> (Decision, String) {
    let said = |answer: Tristate, words: fn(&BoundCheck) -> &str| -> Vec<&str> {
        conditions.iter().filter(|condition| condition.answer == answer).map(words).collect()
    };
    let (excluded, open) = (said(Tristate::Excluded, |c| &c.excluded), said(Tristate::Open, |c| &c.open));
    match n {
        0 => (Decision::Undecided, "in no replicate did both this network and the dense one come to their end".into()),
        1 => (Decision::Undecided, "one replicate says nothing about its spread".into()),
        _ if !excluded.is_empty() => (Decision::NoTicket, excluded.join("; ")),
        _ if !open.is_empty() => (Decision::Undecided, open.join("; ")),
        _ => (Decision::Ticket, said(Tristate::Holds, |c| &c.holds).join("; ")),
    }
}

fn as_accurate(accuracy: Option<Interval>, margin: f64) -> BoundCheck {
    let least = -margin / 100.0;
    BoundCheck {
        answer: ask(accuracy, |it| it.low > least, |it| it.high < least),
        holds: format!("loses less than {margin} points of accuracy against dense"),
        excluded: format!("loses more than {margin} points of accuracy against dense"),
        open: "accuracy against dense is open".into(),
    }
}

/// `ends`: every early stop, here and of the dense networks, is the end of training, so that the minimum validation loss
/// may lie beyond it.
fn no_later(early_stop: Option<Interval>, ends: bool) -> BoundCheck {
    let open = if ends {
        "no early stop before the end of training, here and of dense: longer training would show one"
    } else {
        "early stop against dense is open"
    };
    BoundCheck {
        answer: ask(early_stop, |it| it.high <= 0.0, |it| it.low > 0.0),
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
        answer: ask(over_reinit, |it| it.low > 0.0, |it| it.high <= 0.0),
        holds: format!("more accurate than `{arm}`"),
        excluded: format!("not more accurate than `{arm}`"),
        open,
    }
}

fn ask(it: Option<Interval>, holds: impl Fn(&Interval) -> bool, excluded: impl Fn(&Interval) -> bool) -> Tristate {
    match it {
        Some(it) if holds(&it) => Tristate::Holds,
        Some(it) if excluded(&it) => Tristate::Excluded,
        _ => Tristate::Open,
    }
}

/// The verdicts in a sentence for each arm.
pub fn sentences(verdicts: &[Verdict]) -> Vec<String> {
    let mut arms: Vec<&str> = verdicts.iter().map(|verdict| verdict.arm.as_str()).collect();
    arms.dedup();
    arms.into_iter().map(|arm| sentence(arm, verdicts)).collect()
}

/// `winning_ticket: ticket at 36.1%, 21.7%; undecided at 60.1% of the weights.`
fn sentence(arm: &str, verdicts: &[Verdict]) -> String {
    let all: Vec<&Verdict> = verdicts.iter().filter(|verdict| verdict.arm == arm).collect();
    if let [first, .., last] = all[..]
        && all.iter().all(|verdict| verdict.decision == first.decision)
    {
        let [from, to] = [first, last].map(|verdict| percent(verdict.weights_remaining));
        let word = first.decision.as_str();
        return format!("{arm}: {word} at each of {} rounds, {from} to {to} of the weights.", all.len());
    }
    let parts = DECISIONS.iter().filter_map(|decision| {
        let own = all.iter().filter(|verdict| verdict.decision == *decision);
        let sizes: Vec<String> = own.map(|verdict| percent(verdict.weights_remaining)).collect();
        (!sizes.is_empty()).then(|| format!("{} at {}", decision.as_str(), sizes.join(", ")))
    });
    format!("{arm}: {} of the weights.", parts.collect::<Vec<_>>().join("; "))
}

/// How the verdicts were reached, for whoever reads them.
pub fn method(verdicts: &[Verdict], experiment: &Experiment) -> String {
    let (margin, looks) = (experiment.report.margin, verdicts.len());
    let are = if looks == 1 { "1 verdict is 1 look".to_owned() } else { format!("{looks} verdicts are {looks} looks") };
    format!(
        "Differences are taken within each replicate, repeats averaged first, in test accuracy at early stop and in the \
         iterations trained until the early stop; each bound is a one-sided 95 % bound of Student's t over n replicates, with a \
         deviation no less than the rounding of what is measured (evaluations every {} iterations; the least gap \
         between two accuracies of the run). A ticket loses less than {margin} points against the dense network at its \
         lower bound, stops no later at its upper bound, and beats the same mask with fresh weights at its lower \
         bound; no ticket where a bound excludes one of these; else undecided, and always at n = 1. {are}, and no \
         correction is made for them: of bounds that mean nothing, one in twenty says something.",
        experiment.train.evaluate_every
    )
}

#[cfg(test)]
mod tests;
