//! Verdicts: whether the network of a round is a winning ticket, that is, as accurate as the dense network, stopped no
//! later, and more accurate than the same mask reinitialized (the paper, Section 1).

use serde::Serialize;

use super::arm_round::ArmRound;
use super::condition::{Answer, Censoring, Condition, ConditionTest, Obstacle};
use super::paired::PairedResults;
use super::roles::{is_ticket, reinit_of};
use super::run::Run;
use super::statistics::{LEVEL, MeanEstimate, holm};
use crate::artifacts::{EARLY_STOP_TEST_ACCURACY, ITERATIONS_TO_EARLY_STOP, Metric, RoundGroup, RoundRow};
use crate::base::stats::SummaryStats;
use crate::config::Experiment;
use crate::lottery::DENSE;

/// The verdict on an arm at a round.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Verdict {
    /// Name of the arm.
    pub arm: String,
    /// Index of the mask size, from 0 (dense): the number of prunings, or with a grid the number of its entry.
    pub round: u32,
    /// Kept / all weights, 0..=1.
    pub weights_remaining: f64,
    /// Replicates in which both this network and the dense one reached their last iteration.
    pub n: usize,
    /// Number of rounds of the arm, which Holm's correction is made for.
    pub rounds: usize,
    /// The tests of the conditions, in the order of [`Condition::ALL`].
    pub conditions: [ConditionTest; 3],
    /// The decision by the one-sided 95 % bounds.
    pub decision: Decision,
    /// The decision after Holm's correction over the rounds of the arm.
    pub corrected: Decision,
    /// The p-value of a winning ticket, the largest of those of the three conditions (Berger 1982), after Holm's
    /// correction over the rounds of the arm; `None` if a condition cannot be shown.
    pub holm_p: Option<f64>,
    /// The answers to the three conditions, for the user.
    pub reason: String,
}

/// The decision of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// All three conditions are answered yes.
    Ticket,
    /// A condition is answered no.
    NoTicket,
    /// Neither; more replicates, longer training or a further arm may decide.
    Inconclusive,
}

impl Decision {
    /// Every decision, in the order of texts.
    pub const ALL: [Self; 3] = [Self::Ticket, Self::NoTicket, Self::Inconclusive];

    /// Returns the decision in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ticket => "winning ticket",
            Self::NoTicket => "no ticket",
            Self::Inconclusive => "inconclusive",
        }
    }

    /// Returns the decision that follows from the answers to the three conditions.
    fn from_answers(answers: [Answer; 3]) -> Self {
        if answers.contains(&Answer::No) {
            Self::NoTicket
        } else if answers == [Answer::Yes; 3] {
            Self::Ticket
        } else {
            Self::Inconclusive
        }
    }
}

impl Verdict {
    /// Returns the test of a condition.
    pub fn test(&self, condition: Condition) -> &ConditionTest {
        &self.conditions[condition as usize]
    }

    /// Returns the p-value of a winning ticket before the correction over rounds: the largest of the conditions, 1 if a
    /// condition cannot be shown.
    fn p(&self) -> f64 {
        self.conditions.iter().map(|test| test.p_yes.unwrap_or(1.0)).fold(0.0, f64::max)
    }
}

/// Returns a verdict for each round of each arm that may be a winning ticket, in the order of the experiment's arms.
pub fn verdicts(run: &Run, experiment: &Experiment) -> Vec<Verdict> {
    verdicts_of_rows(&run.rounds, experiment)
}

/// Like [`verdicts`], but from the rows of `rounds.csv`.
pub(super) fn verdicts_of_rows(rows: &[RoundRow], experiment: &Experiment) -> Vec<Verdict> {
    let results = PairedResults::new(rows, experiment);
    let mut verdicts = Vec::new();
    for (arm, _) in experiment.arms.0.iter().filter(|(_, arm)| is_ticket(arm, experiment)) {
        let rounds = results.rounds(arm);
        let mut of_arm: Vec<Verdict> =
            rounds.iter().map(|&round| verdict(&results, experiment, ArmRound::new(arm, round))).collect();
        correct_for_rounds(&mut of_arm);
        verdicts.extend(of_arm);
    }
    verdicts
}

/// Returns the verdict on `ticket`, an arm that may be a winning ticket at one of its rounds, before the correction
/// over rounds.
fn verdict(results: &PairedResults<'_>, experiment: &Experiment, ticket: ArmRound<'_>) -> Verdict {
    let conditions = Condition::ALL.map(|condition| condition_test(results, experiment, ticket, condition));
    let decision = Decision::from_answers(conditions.map(|test| test.answer));
    let dense = ArmRound::new(DENSE, 0);
    Verdict {
        arm: ticket.arm.to_owned(),
        round: ticket.round,
        weights_remaining: results.group(ticket).map_or(0.0, RoundGroup::weights_remaining),
        n: results.differences(ticket, dense, &EARLY_STOP_TEST_ACCURACY).len(),
        rounds: 1,
        conditions,
        decision,
        corrected: decision,
        holm_p: None,
        reason: conditions.iter().map(answer_text).collect::<Vec<_>>().join("; "),
    }
}

/// Returns the test of a condition for `ticket`.
fn condition_test(
    results: &PairedResults<'_>,
    experiment: &Experiment,
    ticket: ArmRound<'_>,
    condition: Condition,
) -> ConditionTest {
    let dense = ArmRound::new(DENSE, 0);
    let reinit = reinit_of(ticket.arm, experiment).map(|arm| ArmRound::new(arm, ticket.round));
    let margin = experiment.report.margin / 100.0;
    let (metric, reference): (&Metric, _) = match condition {
        Condition::Accuracy => (&EARLY_STOP_TEST_ACCURACY, Some(dense)),
        Condition::Speed => (&ITERATIONS_TO_EARLY_STOP, Some(dense)),
        Condition::OverReinit => (&EARLY_STOP_TEST_ACCURACY, reinit),
    };
    let Some(reference) = reference else {
        return ConditionTest::impossible(condition, 0.0, Obstacle::NoReference);
    };
    let limit = match condition {
        Condition::Accuracy => -margin,
        Condition::Speed => experiment.report.stop_margin * reference_mean(results, ticket, dense, metric),
        Condition::OverReinit => 0.0,
    };
    let differences = results.differences(ticket, reference, metric);
    if differences.len() < 2 {
        return ConditionTest::impossible(condition, limit, Obstacle::TooFewReplicates);
    }
    let Some(estimate) = MeanEstimate::of(&differences, results.least_deviation(metric)) else {
        return ConditionTest::impossible(condition, limit, Obstacle::NoVariation);
    };
    let censoring = match condition {
        Condition::Speed => {
            Censoring { ticket: results.has_censored(ticket), reference: results.has_censored(reference) }
        }
        Condition::Accuracy | Condition::OverReinit => Censoring::default(),
    };
    ConditionTest::of(condition, &estimate, limit, censoring)
}

/// Returns the mean of a metric of `right`, over the replicates that `left` has too; 0 if there are none.
fn reference_mean(results: &PairedResults<'_>, left: ArmRound<'_>, right: ArmRound<'_>, metric: &Metric) -> f64 {
    let values: Vec<f64> = results.pairs(left, right, metric).into_iter().map(|(_, right)| right).collect();
    SummaryStats::of(&values).map_or(0.0, |stats| stats.mean)
}

/// Corrects the answers and decisions of an arm for the number of its rounds, by Holm's method: separately for each
/// condition, and for the winning ticket. A round that is not tested counts with a p-value of 1.
fn correct_for_rounds(verdicts: &mut [Verdict]) {
    for condition in Condition::ALL {
        let adjusted = |p: fn(&ConditionTest) -> Option<f64>| {
            holm(&verdicts.iter().map(|verdict| p(verdict.test(condition)).unwrap_or(1.0)).collect::<Vec<_>>())
        };
        let p_values = adjusted(|test| test.p_yes).into_iter().zip(adjusted(|test| test.p_no));
        for (verdict, (p_yes, p_no)) in verdicts.iter_mut().zip(p_values.collect::<Vec<_>>()) {
            verdict.conditions[condition as usize].correct(p_yes, p_no);
        }
    }
    let adjusted = holm(&verdicts.iter().map(Verdict::p).collect::<Vec<_>>());
    let rounds = verdicts.len();
    for (verdict, p) in verdicts.iter_mut().zip(adjusted) {
        verdict.rounds = rounds;
        verdict.holm_p = verdict.conditions.iter().all(|test| test.p_yes.is_some()).then_some(p);
        verdict.corrected = match Decision::from_answers(verdict.conditions.map(|test| test.corrected)) {
            Decision::Ticket if p >= 1.0 - LEVEL => Decision::Inconclusive,
            decision => decision,
        };
    }
}

/// Returns the answer to a condition in words, such as `test accuracy vs. reinit: not tested (n < 2)`.
fn answer_text(test: &ConditionTest) -> String {
    let obstacle = test.obstacle.map_or_else(String::new, |obstacle| format!(" ({})", obstacle.as_str()));
    format!("{}: {}{obstacle}", test.condition.as_str(), test.answer.as_str())
}

#[cfg(test)]
mod tests;
