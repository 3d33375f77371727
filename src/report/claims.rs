//! The paper's claims beside the numbers of a run. The claims are data, in `claims/claims.toml`; this module evaluates them.

mod entry;
#[cfg(test)]
mod tests;
mod text;

use serde::Serialize;

use self::entry::{Claim, ClaimFile, ClaimSetting, Quantifier};
use super::paired::PairedResults;
use super::roles::arm_with_role;
use super::run::Run;
use super::statistics::{Interval, LEVEL, interval};
use crate::artifacts::{MetricTime, RoundGroup, RoundRow};
use crate::base::format::percent;
use crate::config::Experiment;
use crate::lottery::DENSE;

/// Relative difference between shares of weights that count as the same round: with scope `global`, or with other layers, the
/// same round has a slightly other share.
const SHARE_TOLERANCE: f64 = 0.05;
/// Factor by which the smallest share of a run may exceed that of a claim over many rounds: one more round, at any usual rate,
/// would be outside the claim's range.
const MAX_SHARE_RATIO: f64 = 1.7;

/// A claim of the paper and its result in a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimRow {
    /// Unique short name.
    pub id: String,
    /// The claim, as a sentence.
    pub claim: String,
    /// Section or figure of the paper.
    pub source: String,
    /// The paper's number.
    pub paper: String,
    /// The run's number, with its bounds and n.
    pub here: String,
    /// The result.
    pub status: ClaimStatus,
    /// The reason of the status, and the differences between the run and the paper's experiment.
    pub reason: String,
}

/// The result of a claim in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimStatus {
    /// The bounds confirm the claim.
    Held,
    /// The bounds exclude the claim.
    NotHeld,
    /// Neither; always so with one replicate.
    Undecided,
    /// The run lacks the rounds or the results that the claim is about.
    NotTested,
}

impl ClaimStatus {
    /// Returns the status in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::NotHeld => "not held",
            Self::Undecided => "undecided",
            Self::NotTested => "not tested",
        }
    }
}

/// The arms of a claim.
#[derive(Clone, Copy)]
struct ClaimArms<'a> {
    /// The arm that the claim is about.
    of: &'a str,
    /// The arm it is compared with, if it is.
    against: Option<&'a str>,
}

/// Evidence for a claim at one round.
struct RoundEvidence {
    /// One value per replicate: the metric, or the difference of both arms.
    values: Vec<f64>,
    /// Values of both arms per replicate; empty where the claim compares nothing.
    pairs: Vec<(f64, f64)>,
    /// The mean with bounds at [`LEVEL`].
    plain: Option<Interval>,
    /// The mean with wider bounds, so that of the bounds of all rounds together, one is wrong in 5 % of the cases (Bonferroni).
    strict: Option<Interval>,
}

/// Returns the claims about an experiment's network, data set and arms, each with its result.
pub fn claims(run: &Run, experiment: &Experiment) -> Vec<ClaimRow> {
    claims_of_rows(&run.rounds, experiment)
}

/// Like [`claims`], from the rows of `rounds.csv`.
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

/// The arms with the roles of a claim; `None` where the experiment lacks one.
fn claim_arms<'a>(claim: &Claim, experiment: &'a Experiment) -> Option<ClaimArms<'a>> {
    let of = arm_with_role(claim.of, experiment)?;
    let against = match claim.against {
        Some(role) => Some(arm_with_role(role, experiment)?),
        None => None,
    };
    Some(ClaimArms { of, against })
}

fn claim_row(
    claim: &Claim,
    setting: &ClaimSetting,
    experiment: &Experiment,
    results: &PairedResults<'_>,
    arms: ClaimArms<'_>,
) -> ClaimRow {
    let rounds = claimed_rounds(claim, results, arms.of);
    let evidence = rounds.as_ref().map_or_else(|_| Vec::new(), |rounds| evidence(claim, results, arms, rounds));
    let (status, reason) = match rounds {
        Err(reason) => (ClaimStatus::NotTested, reason),
        Ok(_) if claim.metric.time == MetricTime::End && experiment.train.iterations != setting.iterations => {
            (ClaimStatus::NotTested, "training ends elsewhere".to_owned())
        }
        Ok(_) if evidence.iter().all(|round| round.values.is_empty()) => {
            (ClaimStatus::NotTested, "no replicate came to its end on every side".to_owned())
        }
        Ok(_) => decide(claim, &evidence, missing_range(claim, results, arms.of)),
    };
    let reasons = std::iter::once(reason).chain(setting.deviations(experiment));
    ClaimRow {
        id: claim.id.clone(),
        claim: claim.text.clone(),
        source: claim.source.clone(),
        paper: claim.paper.clone(),
        here: text::evidence_text(claim, &evidence),
        status,
        reason: reasons.filter(|reason| !reason.is_empty()).collect::<Vec<_>>().join("; "),
    }
}

/// Returns the rounds that a claim is about, or why the run has none.
fn claimed_rounds(claim: &Claim, results: &PairedResults<'_>, arm: &str) -> Result<Vec<u32>, String> {
    let share = |round: u32| results.group((arm, round)).map_or(0.0, RoundGroup::weights_remaining);
    let rounds = results.rounds(arm);
    if rounds.is_empty() {
        return Err(format!("`{arm}` has no results"));
    }
    let missing = |range: String| {
        let shares = rounds.iter().map(|&round| percent(share(round))).collect::<Vec<_>>().join(", ");
        format!("`{arm}` has no round with {range} of the weights, but {shares}")
    };
    match (claim.at, claim.between) {
        (Some(at), _) => {
            let distance = |round: u32| (share(round) - at).abs();
            let near = rounds.iter().copied().filter(|&round| (share(round) / at - 1.0).abs() < SHARE_TOLERANCE);
            let nearest = near.min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
            nearest.map(|round| vec![round]).ok_or_else(|| missing(percent(at)))
        }
        (None, Some([from, to])) => {
            let between = rounds.iter().copied().filter(|&round| (from..=to).contains(&share(round)));
            let between: Vec<u32> = between.collect();
            let range = || format!("{} to {}", percent(from), percent(to));
            if between.is_empty() { Err(missing(range())) } else { Ok(between) }
        }
        (None, None) => Ok(vec![0]),
    }
}

/// Returns the smallest share of weights that the run has, if it is too large for a claim over many rounds.
fn missing_range(claim: &Claim, results: &PairedResults<'_>, arm: &str) -> Option<f64> {
    let groups = results.rounds(arm).into_iter().filter_map(|round| results.group((arm, round)));
    let smallest = groups.map(RoundGroup::weights_remaining).fold(1.0, f64::min);
    let [from, _] = claim.between?;
    (smallest > MAX_SHARE_RATIO * from).then_some(smallest)
}

/// Returns the evidence at each of `rounds`.
fn evidence(claim: &Claim, results: &PairedResults<'_>, arms: ClaimArms<'_>, rounds: &[u32]) -> Vec<RoundEvidence> {
    let least_deviation = results.least_deviation(claim.metric);
    let strict_level = 1.0 - (1.0 - LEVEL) / rounds.len() as f64;
    let at_round = |&round: &u32| {
        let left = (arms.of, round);
        let right = arms.against.map(|arm| (arm, if arm == DENSE { 0 } else { round }));
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

/// Decides a claim. A claim about `every` round holds if each round holds, and is excluded by one round only with the strict
/// bounds; a claim about `some` round is the mirror image. `smallest_share`: the smallest share of weights of the run, where the
/// rounds of the claim go on below it.
fn decide(claim: &Claim, evidence: &[RoundEvidence], smallest_share: Option<f64>) -> (ClaimStatus, String) {
    let holds = |bounds: &Option<Interval>| bounds.is_some_and(|interval| claim.holds(&interval));
    let excludes = |bounds: &Option<Interval>| bounds.is_some_and(|interval| claim.is_excluded_by(&interval));
    let is_held = match claim.rounds {
        Quantifier::Every => evidence.iter().all(|round| holds(&round.plain)),
        Quantifier::Some => evidence.iter().any(|round| holds(&round.strict)),
    };
    let is_excluded = match claim.rounds {
        Quantifier::Every => evidence.iter().any(|round| excludes(&round.strict)),
        Quantifier::Some => evidence.iter().all(|round| excludes(&round.plain)),
    };
    // A statement about all rounds needs all of them.
    let is_about_all_rounds = if claim.rounds == Quantifier::Every { is_held } else { is_excluded };
    let has_one_replicate = evidence.iter().map(|round| round.values.len()).max().unwrap_or(0) < 2;
    match smallest_share {
        Some(share) if is_about_all_rounds => {
            (ClaimStatus::Undecided, format!("the rounds end at {} of the weights", percent(share)))
        }
        _ if is_held => (ClaimStatus::Held, String::new()),
        _ if is_excluded => (ClaimStatus::NotHeld, String::new()),
        _ if has_one_replicate => (ClaimStatus::Undecided, "one replicate says nothing about its spread".to_owned()),
        _ if evidence.iter().all(|round| round.plain.is_none()) => {
            (ClaimStatus::Undecided, "all values are equal, which says nothing about their spread".to_owned())
        }
        _ => (ClaimStatus::Undecided, "the bounds allow it, and its contrary".to_owned()),
    }
}
