//! The paper's claims beside a run's numbers. What is claimed stands in `claims/claims.toml`; here is how it is judged.

mod entry;
#[cfg(test)]
mod tests;
mod text;

use serde::Serialize;

use self::entry::{Claim, ClaimFile, ClaimSetting, Quantifier};
use super::paired::{ArmRoundRef, PairedResults};
use super::roles::arm_with_role;
use super::run::Run;
use super::statistics::{Interval, LEVEL, interval};
use crate::artifacts::{RoundGroup, RoundRow};
use crate::base::format::percent;
use crate::config::Experiment;
use crate::lottery::DENSE;

/// A claim of the paper and what a run says of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClaimRow {
    /// Its short name.
    pub id: String,
    /// What is claimed.
    pub claim: String,
    /// Where.
    pub source: String,
    /// The paper's number.
    pub paper: String,
    /// This run's, with its bounds and n.
    pub here: String,
    /// What follows.
    pub status: ClaimStatus,
    /// Why, and how the run differs from what the paper did.
    pub reason: String,
}

/// What a run says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimStatus {
    /// The bounds lie where the claim has them.
    Held,
    /// The bounds exclude it.
    NotHeld,
    /// Neither, and always at n = 1.
    Undecided,
    /// The run has not what the claim speaks of.
    NotTested,
}

impl ClaimStatus {
    /// The words for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::NotHeld => "not held",
            Self::Undecided => "undecided",
            Self::NotTested => "not tested",
        }
    }
}

/// The numbers of a claim at one round.
struct RoundEvidence {
    /// One per replicate.
    values: Vec<f64>,
    /// Both sides in each replicate, where there are two.
    pairs: Vec<(f64, f64)>,
    plain: Option<Interval>,
    /// With bounds so much surer that all looks together are wrong in 5 % of the cases (Bonferroni).
    strict: Option<Interval>,
}

/// The claims that an experiment can speak to: with its network, data set and arms.
pub fn claims(run: &Run, experiment: &Experiment) -> Vec<ClaimRow> {
    of_rows(&run.rounds, experiment)
}

/// The same, from the rows.
pub(super) fn of_rows(rows: &[RoundRow], experiment: &Experiment) -> Vec<ClaimRow> {
    let trainings = PairedResults::new(rows, experiment);
    let entries = ClaimFile::all();
    let row = |claim: &Claim| {
        let setting = entries.setting(claim).filter(|setting| setting.matches(experiment))?;
        let of = arm_with_role(claim.of, experiment)?;
        let against = match claim.against {
            Some(role) => Some(arm_with_role(role, experiment)?),
            None => None,
        };
        Some(judge(claim, setting, experiment, &trainings, (of, against)))
    };
    entries.claims.iter().filter_map(row).collect()
}

fn judge(
    claim: &Claim,
    setting: &ClaimSetting,
    experiment: &Experiment,
    trainings: &PairedResults<'_>,
    (of, against): (&str, Option<&str>),
) -> ClaimRow {
    let (looks, (status, reason)) = match rounds(claim, trainings, of) {
        Err(reason) => (Vec::new(), (ClaimStatus::NotTested, reason)),
        Ok(rounds) => {
            let looks = look(claim, trainings, of, against, &rounds);
            let judged = if claim.measure.is_final() && experiment.train.iterations != setting.iterations {
                (ClaimStatus::NotTested, "training ends elsewhere".to_owned())
            } else if looks.iter().all(|look| look.values.is_empty()) {
                (ClaimStatus::NotTested, "no replicate came to its end on every side".to_owned())
            } else {
                decide(claim, &looks, reaches(claim, trainings, of))
            };
            (looks, judged)
        }
    };
    let reasons: Vec<String> = [reason].into_iter().chain(setting.deviations(experiment)).collect();
    ClaimRow {
        id: claim.id.clone(),
        claim: claim.text.clone(),
        source: claim.source.clone(),
        paper: claim.paper.clone(),
        here: text::here(claim, &looks),
        status,
        reason: reasons.into_iter().filter(|reason| !reason.is_empty()).collect::<Vec<_>>().join("; "),
    }
}

/// The rounds that a claim speaks of.
fn rounds(claim: &Claim, trainings: &PairedResults<'_>, of: &str) -> Result<Vec<u32>, String> {
    let share = |round: u32| trainings.at((of, round)).map_or(0.0, RoundGroup::weights_remaining);
    let all = trainings.rounds(of);
    let missing = |what: String| {
        let known = all.iter().map(|&round| percent(share(round))).collect::<Vec<_>>().join(", ");
        if known.is_empty() { format!("`{of}` has no results") } else { format!("`{of}` has {what}, but {known}") }
    };
    match (claim.at, claim.between) {
        (Some(at), _) => {
            // With scope `global` or other layers the same round has a slightly other share.
            let is_near = |round: &&u32| (share(**round) / at - 1.0).abs() < 0.05;
            let gap = |round: &&u32| (share(**round) - at).abs();
            let nearest = all.iter().filter(is_near).min_by(|a, b| gap(a).total_cmp(&gap(b)));
            nearest
                .map(|round| vec![*round])
                .ok_or_else(|| missing(format!("no round with {} of the weights", percent(at))))
        }
        (None, Some([from, to])) => {
            let inside: Vec<u32> = all.iter().copied().filter(|&round| (from..=to).contains(&share(round))).collect();
            let none = || missing(format!("no round with {} to {} of the weights", percent(from), percent(to)));
            if inside.is_empty() { Err(none()) } else { Ok(inside) }
        }
        (None, None) if all.is_empty() => Err(missing(String::new())),
        (None, None) => Ok(vec![0]),
    }
}

/// Whether the rounds go down to about the least share that a claim over many rounds speaks of; else the lowest share.
fn reaches(claim: &Claim, trainings: &PairedResults<'_>, of: &str) -> Result<(), f64> {
    let shares = trainings.rounds(of).into_iter().filter_map(|round| trainings.at((of, round)));
    let least = shares.map(RoundGroup::weights_remaining).fold(1.0, f64::min);
    // One more round of any usual rate would be outside.
    if claim.between.is_none_or(|[from, _]| least <= 1.7 * from) { Ok(()) } else { Err(least) }
}

fn look(
    claim: &Claim,
    trainings: &PairedResults<'_>,
    of: &str,
    against: Option<&str>,
    rounds: &[u32],
) -> Vec<RoundEvidence> {
    let least = trainings.least_deviation(claim.measure);
    let level = 1.0 - (1.0 - LEVEL) / rounds.len() as f64;
    let one = |&round: &u32| {
        let here: ArmRoundRef<'_> = (of, round);
        let there = against.map(|arm| (arm, if arm == DENSE { 0 } else { round }));
        let pairs = there.map_or_else(Vec::new, |there| trainings.pairs(here, there, claim.measure));
        let values: Vec<f64> = match there {
            Some(_) => pairs.iter().map(|(one, other)| one - other).collect(),
            None => trainings.values(here, claim.measure).into_values().collect(),
        };
        let (plain, strict) = (interval(&values, least, LEVEL), interval(&values, least, level));
        RoundEvidence { values, pairs, plain, strict }
    };
    rounds.iter().map(one).collect()
}

/// `every` holds where each round does, and needs surer bounds to be excluded by one of many; `some` is its mirror.
fn decide(claim: &Claim, looks: &[RoundEvidence], reaches: Result<(), f64>) -> (ClaimStatus, String) {
    let holds = |it: &Option<Interval>| it.is_some_and(|it| claim.holds(&it));
    let excluded = |it: &Option<Interval>| it.is_some_and(|it| claim.excluded(&it));
    let (held, not_held) = match claim.rounds {
        Quantifier::Every => (looks.iter().all(|it| holds(&it.plain)), looks.iter().any(|it| excluded(&it.strict))),
        Quantifier::Some => (looks.iter().any(|it| holds(&it.strict)), looks.iter().all(|it| excluded(&it.plain))),
    };
    // What is said of all rounds needs all of them.
    let of_all = if claim.rounds == Quantifier::Every { held } else { not_held };
    let single = looks.iter().map(|look| look.values.len()).max().unwrap_or(0) < 2;
    match reaches {
        Err(least) if of_all => {
            (ClaimStatus::Undecided, format!("the rounds end at {} of the weights", percent(least)))
        }
        _ if held => (ClaimStatus::Held, String::new()),
        _ if not_held => (ClaimStatus::NotHeld, String::new()),
        _ if single => (ClaimStatus::Undecided, "one replicate says nothing about its spread".to_owned()),
        _ if looks.iter().all(|look| look.plain.is_none()) => {
            (ClaimStatus::Undecided, "all values are equal, which says nothing about their spread".to_owned())
        }
        _ => (ClaimStatus::Undecided, "the bounds allow it, and its contrary".to_owned()),
    }
}
