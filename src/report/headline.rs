//! The verdicts in sentences: for each arm the strongest thing that was shown, in numbers, and what was not.

use super::condition::{Answer, Condition, ConditionTest};
use super::method::percentage;
use super::statistics::MAX_REPLICATES;
use super::verdict::{Decision, Verdict};
use crate::artifacts::{LastEvaluations, RoundGroup, RoundRow, first_seen};
use crate::base::format::{count_of, percent, with_thousands};
use crate::config::{Experiment, ReportConfig};

/// A finding about an arm at a round, from strong to weak.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Finding {
    /// It is a winning ticket.
    WinningTicket,
    /// It is as accurate as the dense network, and more accurate than the same mask reinitialized.
    AccurateAndOverReinit,
    /// It is as accurate as the dense network.
    Accurate,
    /// It is more accurate than the same mask reinitialized.
    OverReinit,
}

impl Finding {
    /// Every finding, from strong to weak.
    const ALL: [Self; 4] = [Self::WinningTicket, Self::AccurateAndOverReinit, Self::Accurate, Self::OverReinit];

    /// Returns the conditions that are stated for the finding.
    fn conditions(self) -> &'static [Condition] {
        match self {
            Self::WinningTicket => &Condition::ALL,
            Self::AccurateAndOverReinit => &[Condition::Accuracy, Condition::OverReinit],
            Self::Accurate => &[Condition::Accuracy],
            Self::OverReinit => &[Condition::OverReinit],
        }
    }

    /// Returns whether a verdict shows the finding: by the plain bounds or, if `corrected`, also after Holm's
    /// correction.
    fn is_shown(self, verdict: &Verdict, corrected: bool) -> bool {
        let decision = if corrected { verdict.corrected } else { verdict.decision };
        let answer = |test: &ConditionTest| if corrected { test.corrected } else { test.answer };
        match self {
            Self::WinningTicket => decision == Decision::Ticket,
            _ => self.conditions().iter().all(|&condition| answer(verdict.test(condition)) == Answer::Yes),
        }
    }
}

/// Returns the answer of a run as lines for the terminal: the paragraphs on its arms, and the advice to train longer if
/// early stops are censored. `verdicts`: those on the run with `rows`.
pub fn answer_lines(verdicts: &[Verdict], rows: &[RoundRow], experiment: &Experiment) -> Vec<String> {
    let advice = censoring_advice(rows, experiment).filter(|_| !verdicts.is_empty());
    sentences(verdicts, &experiment.report).into_iter().chain(advice).collect()
}

/// Returns a paragraph for each arm, in the order of the arms: the strongest finding that holds after Holm's correction
/// over the rounds, at the smallest share of weights that shows it; a stronger one that holds only without correction;
/// and the comparison with the dense network at all rounds.
pub(super) fn sentences(verdicts: &[Verdict], report: &ReportConfig) -> Vec<String> {
    let arms = first_seen(verdicts.iter().map(|verdict| verdict.arm.as_str()));
    let of_arm = |arm: &str| verdicts.iter().filter(|verdict| verdict.arm == arm).collect::<Vec<_>>();
    arms.into_iter().map(|arm| paragraph(&of_arm(arm), report)).collect()
}

/// Returns the paragraph on an arm. `verdicts`: its rounds, at least one.
fn paragraph(verdicts: &[&Verdict], report: &ReportConfig) -> String {
    if verdicts.iter().all(|verdict| verdict.n < 2) {
        let n = verdicts.iter().map(|verdict| verdict.n).max().unwrap_or_default();
        return format!(
            "{}: inconclusive at {}. Confidence bounds need at least two replicates in which the ticket and the dense \
             network reach the end of training (n = {n}).",
            verdicts[0].arm,
            rounds_text(verdicts)
        );
    }
    let strongest =
        |corrected: bool| Finding::ALL.into_iter().find_map(|finding| smallest(finding, verdicts, corrected));
    let (corrected, plain) = (strongest(true), strongest(false));
    let mut sentences = Vec::new();
    sentences.extend(corrected.map(|(finding, verdict)| finding_sentence(finding, verdict, report)));
    // A weaker finding without correction adds nothing.
    let uncorrected = plain.filter(|(finding, _)| corrected.is_none_or(|(strongest, _)| *finding < strongest));
    sentences.extend(uncorrected.map(|(finding, verdict)| finding_sentence(finding, verdict, report)));
    if sentences.is_empty() {
        sentences.push(no_finding(verdicts));
    }
    sentences.push(dense_sentence(verdicts));
    sentences.join(" ")
}

/// Returns a finding with the verdict of the smallest share of weights that shows it; `None` if none does.
fn smallest<'a>(finding: Finding, verdicts: &[&'a Verdict], corrected: bool) -> Option<(Finding, &'a Verdict)> {
    let shown = verdicts.iter().copied().filter(|verdict| finding.is_shown(verdict, corrected));
    shown.min_by(|a, b| a.weights_remaining.total_cmp(&b.weights_remaining)).map(|verdict| (finding, verdict))
}

/// Returns a sentence on a finding at a round, such as `At 4.75% of the weights, winning_ticket is 6.18 points more
/// accurate than the same mask reinitialized (95% lower bound 4.83), with n = 3 replicates and Holm's correction for 6
/// rounds.`
fn finding_sentence(finding: Finding, verdict: &Verdict, report: &ReportConfig) -> String {
    let clauses: Vec<String> =
        finding.conditions().iter().map(|&condition| clause(verdict.test(condition), report)).collect();
    let label = if finding == Finding::WinningTicket { "a winning ticket: " } else { "" };
    let correction = match (verdict.rounds, finding.is_shown(verdict, true)) {
        (1, _) => String::new(),
        (rounds, true) => format!(" and Holm's correction for {rounds} rounds"),
        (rounds, false) => format!(" and without correction for {rounds} rounds"),
    };
    format!(
        "At {} of the weights, {} is {label}{}, with n = {} replicates{correction}.",
        percent(verdict.weights_remaining),
        verdict.arm,
        enumeration(&clauses),
        verdict.n,
    )
}

/// Returns a condition that is answered yes, as a predicate after `is`.
fn clause(test: &ConditionTest, report: &ReportConfig) -> String {
    let difference = test.difference.unwrap_or_default();
    let points = |share: f64| format!("{:.2}", 100.0 * share);
    let more_accurate = |reference: &str| {
        let [mean, low] = [difference.mean, difference.low].map(points);
        format!("{mean} points more accurate than {reference} (95% lower bound {low})")
    };
    match (test.condition, test.is_better()) {
        (Condition::OverReinit, _) => more_accurate("the same mask reinitialized"),
        (Condition::Accuracy, true) => more_accurate("the dense network"),
        (Condition::Accuracy, false) => {
            let margin = report.margin.to_string();
            let unit = if margin == "1" { "point" } else { "points" };
            format!("as accurate as the dense network (less than {margin} {unit} lower)")
        }
        (Condition::Speed, true) => {
            let [mean, least] =
                [difference.mean, difference.high].map(|difference| with_thousands(difference.abs().round() as u64));
            format!("faster ({mean} fewer iterations to early stop, 95% lower bound {least})")
        }
        (Condition::Speed, false) => {
            format!("no slower (less than {} more iterations to early stop)", percentage(report.stop_margin))
        }
    }
}

/// Returns the sentence on an arm of which nothing positive is shown.
fn no_finding(verdicts: &[&Verdict]) -> String {
    let arm = &verdicts[0].arm;
    let excluded: Vec<&Verdict> =
        verdicts.iter().copied().filter(|verdict| verdict.decision == Decision::NoTicket).collect();
    if excluded.is_empty() {
        return format!("{arm}: inconclusive at {}.", rounds_text(verdicts));
    }
    format!("{arm} is no winning ticket at {} of {}.", excluded.len(), rounds_text(verdicts))
}

/// Returns how many rounds give each answer, in comparison with the dense network.
fn dense_sentence(verdicts: &[&Verdict]) -> String {
    let counts = |condition: Condition, words: [&str; 4]| {
        let count = |answer: Answer| verdicts.iter().filter(|verdict| verdict.test(condition).answer == answer).count();
        let answers = Answer::ALL.into_iter().zip(words).map(|(answer, word)| (count(answer), word));
        let present: Vec<(usize, &str)> = answers.filter(|(n, _)| *n > 0).collect();
        match present[..] {
            [(_, word)] => word.to_owned(),
            _ => enumeration(&present.iter().map(|(n, word)| format!("{word} at {n}")).collect::<Vec<_>>()),
        }
    };
    format!(
        "Compared with the dense network at {}, test accuracy is {}; the number of iterations to early stop is {}.",
        rounds_text(verdicts),
        counts(Condition::Accuracy, ["no lower", "lower", "inconclusive", "not tested"]),
        counts(Condition::Speed, ["no higher", "higher", "inconclusive", "not tested"]),
    )
}

/// Returns the number of rounds with their shares of weights, such as `6 rounds (60.1% to 4.75% of the weights)`.
fn rounds_text(verdicts: &[&Verdict]) -> String {
    let count = count_of(verdicts.len() as u64, "round");
    let share = |verdict: &Verdict| percent(verdict.weights_remaining);
    match verdicts {
        [first, .., last] => format!("{count} ({} to {} of the weights)", share(first), share(last)),
        [only] => format!("{count} ({} of the weights)", share(only)),
        [] => count,
    }
}

/// Returns `a`, `a and b`, or `a, b and c`.
fn enumeration(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Returns a line on how many replicates would settle what is inconclusive, at the observed means and deviations;
/// `None` if nothing is inconclusive.
pub(super) fn replicates_needed(verdicts: &[Verdict]) -> Option<String> {
    let arms = first_seen(verdicts.iter().map(|verdict| verdict.arm.as_str()));
    let mut clauses = Vec::new();
    for arm in &arms {
        for condition in Condition::ALL {
            let of_arm = verdicts.iter().filter(|verdict| verdict.arm == *arm);
            let needs: Vec<String> = of_arm.filter_map(|verdict| need_text(verdict, condition)).collect();
            if !needs.is_empty() {
                let name = if arms.len() > 1 { format!("{arm}, ") } else { String::new() };
                clauses.push(format!("{name}{}: {}", condition.as_str(), needs.join(", ")));
            }
        }
    }
    (!clauses.is_empty()).then(|| {
        format!(
            "Replicates n that would settle what is inconclusive, at the observed difference and spread: {}.",
            clauses.join("; ")
        )
    })
}

/// Returns how many replicates would settle a condition at a round; `None` if it is not inconclusive.
fn need_text(verdict: &Verdict, condition: Condition) -> Option<String> {
    let test = verdict.test(condition);
    let answer = test.would_be?.as_str();
    let share = percent(verdict.weights_remaining);
    Some(match test.replicates_needed {
        Some(n) => format!("about {n} at {share} ({answer})"),
        None => format!("more than {} at {share}", with_thousands(MAX_REPLICATES as u64)),
    })
}

/// Returns the advice to train longer, if early stops are censored; `None` if none is.
pub(super) fn censoring_advice(rows: &[RoundRow], experiment: &Experiment) -> Option<String> {
    let end = LastEvaluations::of_experiment(rows, Some(experiment));
    let groups = RoundGroup::by_arm_and_round(rows);
    let censored: usize = groups.iter().map(|group| end.censored_count(group)).sum();
    let done: usize = groups.iter().map(|group| group.done().count()).sum();
    (censored > 0).then(|| {
        format!(
            "Early stops lie on the last two evaluations in {} of {} (marked ≥): train longer (train.iterations).",
            with_thousands(censored as u64),
            count_of(done as u64, "training run")
        )
    })
}

#[cfg(test)]
mod tests;
