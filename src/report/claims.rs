//! The paper's claims, compared with the numbers of a run. The claims are data, in `claims/claims.toml`; this module
//! evaluates them.

mod entry;
#[cfg(test)]
mod tests;
mod text;

use serde::Serialize;

use self::entry::{Claim, ClaimFile, ClaimSetting, Quantifier};
use super::arm_round::ArmRound;
use super::paired::PairedResults;
use super::roles::arm_with_role;
use super::run::Run;
use super::statistics::{Interval, LEVEL, interval};
use crate::artifacts::{ITERATIONS_TO_EARLY_STOP, RoundGroup, RoundRow};
use crate::base::format::percent;
use crate::config::Experiment;
use crate::lottery::DENSE;

/// Largest relative difference between shares of weights that count as the same round. The same round keeps a slightly
/// different share with scope `global` or another network.
const SHARE_TOLERANCE: f64 = 0.05;
/// A claim over a range counts as fully tested if the run's smallest share is at most this factor above the range's
/// lower end: one more round, at any usual rate, would be below the range.
const MAX_SHARE_RATIO: f64 = 1.7;

/// A claim of the paper and its result in a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimRow {
    /// Unique short name of the claim.
    pub id: String,
    /// The claim, as a sentence.
    pub claim: String,
    /// Section or figure of the paper.
    pub source: String,
    /// The paper's number, as text.
    pub paper: String,
    /// The run's number, with its bounds and n, as text; it names the round if its share of weights is not the paper's.
    pub here: String,
    /// Whether the claim held.
    pub status: ClaimStatus,
    /// The reason of the status; empty where the bounds answer.
    pub reason: String,
    /// The differences between the run and the paper's experiment, in words; empty in the paper's setting.
    pub differences: Vec<String>,
}

/// The result of a claim in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimStatus {
    /// The bounds confirm the claim.
    Held,
    /// The bounds exclude the claim.
    NotHeld,
    /// The bounds neither confirm nor exclude the claim; always so with one replicate.
    Inconclusive,
    /// The run has numbers for the claim, but its setting is not the paper's, so that the claim says nothing about them.
    OtherSetting,
    /// The run lacks the rounds or the results that the claim is about, or its early stops are censored.
    NotTested,
}

impl ClaimStatus {
    /// Every status, in the order of texts.
    pub const ALL: [Self; 5] = [Self::Held, Self::NotHeld, Self::Inconclusive, Self::OtherSetting, Self::NotTested];

    /// Returns the status in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::NotHeld => "not held",
            Self::Inconclusive => "inconclusive",
            Self::OtherSetting => "other setting",
            Self::NotTested => "not tested",
        }
    }
}

/// The arms of a claim.
#[derive(Clone, Copy)]
struct ClaimArms<'a> {
    /// The arm that the claim is about.
    subject: &'a str,
    /// The arm that it is compared with; `None` if the claim compares nothing.
    against: Option<&'a str>,
}

/// Evidence for a claim at one round.
struct RoundEvidence {
    /// One value per replicate: the metric of the arm, or the difference between both arms.
    values: Vec<f64>,
    /// The values of both arms, one pair per replicate; empty if the claim compares nothing.
    pairs: Vec<(f64, f64)>,
    /// The mean with bounds at [`LEVEL`]; `None` if there are too few values.
    plain: Option<Interval>,
    /// The mean with wider bounds, by Bonferroni's correction over the rounds: the probability that any of their bounds
    /// is wrong is at most 5 %.
    strict: Option<Interval>,
}

/// Returns the claims about an experiment's network, data set and arms, each with its result.
pub fn claims(run: &Run, experiment: &Experiment) -> Vec<ClaimRow> {
    claims_of_rows(&run.rounds, experiment)
}

/// Like [`claims`], but from the rows of `rounds.csv`.
fn claims_of_rows(rows: &[RoundRow], experiment: &Experiment) -> Vec<ClaimRow> {
    let results = PairedResults::new(rows, experiment);
    let file = ClaimFile::load();
    let evaluated = file.claims.iter().map(|claim| {
        let setting = file.setting(claim).filter(|setting| setting.matches(experiment))?;
        let arms = claim_arms(claim, experiment)?;
        Some(claim_row(claim, setting, experiment, &results, arms))
    });
    evaluated.flatten().collect()
}

/// Returns the arms with the roles of a claim; `None` if the experiment lacks one.
fn claim_arms<'a>(claim: &Claim, experiment: &'a Experiment) -> Option<ClaimArms<'a>> {
    let subject = arm_with_role(claim.of, experiment)?;
    let against = match claim.against {
        Some(role) => Some(arm_with_role(role, experiment)?),
        None => None,
    };
    Some(ClaimArms { subject, against })
}

/// Returns a claim with its result. `setting`: the paper's experiment of the claim; `arms`: the run's arms with its
/// roles.
fn claim_row(
    claim: &Claim,
    setting: &ClaimSetting,
    experiment: &Experiment,
    results: &PairedResults<'_>,
    arms: ClaimArms<'_>,
) -> ClaimRow {
    let rounds = claimed_rounds(claim, results, arms.subject);
    let evidence = rounds.as_ref().map_or_else(|_| Vec::new(), |rounds| evidence(claim, results, arms, rounds));
    let differences = setting.differences(experiment);
    let (status, reason) = match &rounds {
        Err(reason) => (ClaimStatus::NotTested, reason.clone()),
        Ok(_) if evidence.iter().all(|round| round.values.is_empty()) => {
            (ClaimStatus::NotTested, "no replicate has all results".to_owned())
        }
        Ok(rounds) if has_censored_stops(claim, results, arms, rounds) => {
            (ClaimStatus::NotTested, "early stops are censored: train longer".to_owned())
        }
        Ok(_) if !differences.is_empty() => (ClaimStatus::OtherSetting, String::new()),
        Ok(_) => decide(claim, &evidence, smallest_share_if_too_large(claim, results, arms.subject)),
    };
    let place = rounds.map_or_else(|_| String::new(), |rounds| place_text(claim, results, arms.subject, &rounds));
    ClaimRow {
        id: claim.id.clone(),
        claim: claim.text.clone(),
        source: claim.source.clone(),
        paper: claim.paper.clone(),
        here: text::evidence_text(claim, &evidence) + &place,
        status,
        reason,
        differences,
    }
}

/// Returns whether a claim compares iterations to early stop, and any of these early stops is censored.
fn has_censored_stops(claim: &Claim, results: &PairedResults<'_>, arms: ClaimArms<'_>, rounds: &[u32]) -> bool {
    let is_censored = |&round: &u32| {
        let reference = arms.against.map(|arm| reference_round(arm, round));
        let compared = std::iter::once(ArmRound::new(arms.subject, round)).chain(reference);
        compared.into_iter().any(|arm_round| results.has_censored(arm_round))
    };
    *claim.metric == ITERATIONS_TO_EARLY_STOP && rounds.iter().any(is_censored)
}

/// Returns `arm` at the round that is compared with `round` of a claim's subject.
fn reference_round(arm: &str, round: u32) -> ArmRound<'_> {
    ArmRound::new(arm, if arm == DENSE { 0 } else { round })
}

/// Returns a text such as `, at 21.7% (paper 21.1%)` if the round of a claim has another share of weights than in the
/// paper; otherwise empty.
fn place_text(claim: &Claim, results: &PairedResults<'_>, arm: &str, rounds: &[u32]) -> String {
    let (Some(at), &[round]) = (claim.at, rounds) else {
        return String::new();
    };
    let share = results.group(ArmRound::new(arm, round)).map_or(0.0, RoundGroup::weights_remaining);
    let (here, paper) = (percent(share), percent(at));
    if here == paper { String::new() } else { format!(", at {here} (paper {paper})") }
}

/// Returns the rounds that a claim is about.
///
/// # Errors
/// Returns the reason, as text for the user, if the run has none of them.
fn claimed_rounds(claim: &Claim, results: &PairedResults<'_>, arm: &str) -> Result<Vec<u32>, String> {
    let share = |round: u32| results.group(ArmRound::new(arm, round)).map_or(0.0, RoundGroup::weights_remaining);
    let rounds = results.rounds(arm);
    if rounds.is_empty() {
        return Err(format!("{arm} has no results"));
    }
    let nearest = |at: f64| {
        let distance = |round: u32| (share(round) / at).ln().abs();
        rounds.iter().copied().min_by(|&a, &b| distance(a).total_cmp(&distance(b)))
    };
    match (claim.at, claim.between) {
        (Some(at), _) => {
            let found = nearest(at).filter(|&round| (share(round) / at - 1.0).abs() < SHARE_TOLERANCE);
            found.map(|round| vec![round]).ok_or_else(|| {
                let other = nearest(at).map_or_else(String::new, |round| percent(share(round)));
                format!("no round near {} (nearest {other})", percent(at))
            })
        }
        (None, Some([from, to])) => {
            let is_inside = |round: &u32| (from..=to).contains(&share(*round));
            let between: Vec<u32> = rounds.iter().copied().filter(is_inside).collect();
            if between.is_empty() {
                return Err(format!("no round from {} to {}", percent(from), percent(to)));
            }
            Ok(between)
        }
        (None, None) => Ok(vec![0]),
    }
}

/// Returns the smallest share of weights of an arm if it is more than [`MAX_SHARE_RATIO`] times the lower end of the
/// claim's range, so that the run lacks rounds that the claim is about.
fn smallest_share_if_too_large(claim: &Claim, results: &PairedResults<'_>, arm: &str) -> Option<f64> {
    let groups = results.rounds(arm).into_iter().filter_map(|round| results.group(ArmRound::new(arm, round)));
    let smallest = groups.map(RoundGroup::weights_remaining).fold(1.0, f64::min);
    let [from, _] = claim.between?;
    (smallest > MAX_SHARE_RATIO * from).then_some(smallest)
}

/// Returns the evidence for a claim at each of `rounds`.
fn evidence(claim: &Claim, results: &PairedResults<'_>, arms: ClaimArms<'_>, rounds: &[u32]) -> Vec<RoundEvidence> {
    let least_deviation = results.least_deviation(claim.metric);
    let strict_level = 1.0 - (1.0 - LEVEL) / rounds.len() as f64;
    let at_round = |&round: &u32| {
        let left = ArmRound::new(arms.subject, round);
        let right = arms.against.map(|arm| reference_round(arm, round));
        let pairs = right.map_or_else(Vec::new, |right| results.pairs(left, right, claim.metric));
        let values: Vec<f64> = match right {
            Some(_) => pairs.iter().map(|(left, right)| left - right).collect(),
            None => results.values(left, claim.metric).into_values().collect(),
        };
        let plain = interval(&values, least_deviation, LEVEL);
        let strict = interval(&values, least_deviation, strict_level);
        RoundEvidence { values, pairs, plain, strict }
    };
    rounds.iter().map(at_round).collect()
}

/// Returns the status of a claim, and its reason.
///
/// A claim about `every` round holds if every round holds by its plain bounds, and is excluded if one round excludes it
/// by its strict bounds. A claim about `some` round holds if one round holds by its strict bounds, and is excluded if
/// every round excludes it by its plain bounds. `smallest_share`: the smallest share of weights of the run, set if the
/// claim's range extends below the rounds of the run; a statement about all rounds is inconclusive then.
fn decide(claim: &Claim, evidence: &[RoundEvidence], smallest_share: Option<f64>) -> (ClaimStatus, String) {
    let holds = |bounds: &Option<Interval>| bounds.is_some_and(|interval| claim.holds(&interval));
    let excludes = |bounds: &Option<Interval>| bounds.is_some_and(|interval| claim.is_excluded_by(&interval));
    let is_held = match claim.rounds {
        Quantifier::Every => evidence.iter().all(|round| holds(&round.plain)),
        Quantifier::AtLeastOne => evidence.iter().any(|round| holds(&round.strict)),
    };
    let is_excluded = match claim.rounds {
        Quantifier::Every => evidence.iter().any(|round| excludes(&round.strict)),
        Quantifier::AtLeastOne => evidence.iter().all(|round| excludes(&round.plain)),
    };
    // A statement about all rounds is decided only if the run has all of them.
    let is_about_all_rounds = if claim.rounds == Quantifier::Every { is_held } else { is_excluded };
    let has_one_replicate = evidence.iter().map(|round| round.values.len()).max().unwrap_or(0) < 2;
    match smallest_share {
        Some(share) if is_about_all_rounds => {
            (ClaimStatus::Inconclusive, format!("the smallest round here has {} of the weights", percent(share)))
        }
        _ if is_held => (ClaimStatus::Held, String::new()),
        _ if is_excluded => (ClaimStatus::NotHeld, String::new()),
        _ if has_one_replicate => (ClaimStatus::Inconclusive, "one replicate has no spread".to_owned()),
        _ if evidence.iter().all(|round| round.plain.is_none()) => {
            (ClaimStatus::Inconclusive, "all values are equal: no variation".to_owned())
        }
        _ => (ClaimStatus::Inconclusive, "the bounds include both outcomes".to_owned()),
    }
}
