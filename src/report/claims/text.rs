//! The numbers of a claim as a person reads them.

use super::super::paired::Metric;
use super::RoundEvidence;
use super::entry::Claim;
use crate::base::format::{accuracy, with_thousands};
use crate::base::stats::SummaryStats;

/// This run's number, its bounds and n; of many rounds the range of their means.
pub(super) fn here(claim: &Claim, looks: &[RoundEvidence]) -> String {
    let number = |value: f64| number(claim, value);
    let unit = unit(claim);
    let spreads: Vec<SummaryStats> = looks.iter().filter_map(|look| SummaryStats::of(&look.values)).collect();
    let n = spreads.iter().map(|spread| spread.n).min().unwrap_or(0);
    match (&spreads[..], looks) {
        ([], _) => "–".to_owned(),
        ([spread], [look]) => {
            let bounds =
                look.plain.map_or_else(String::new, |it| format!(" ({} to {})", number(it.low), number(it.high)));
            format!("{}{unit}{bounds}{}, n = {n}", number(spread.mean), speed(claim, look))
        }
        _ => {
            let means: Vec<f64> = spreads.iter().map(|spread| spread.mean).collect();
            let range = SummaryStats::of(&means).map(|all| (all.min, all.max)).unwrap_or_default();
            let rounds = if means.len() == 1 { "1 round".to_owned() } else { format!("{} rounds", means.len()) };
            format!("{} to {}{unit} in {rounds}, n = {n}", number(range.0), number(range.1))
        }
    }
}

/// How many times as fast, beside a difference of early stops.
fn speed(claim: &Claim, look: &RoundEvidence) -> String {
    let sums = look.pairs.iter().fold((0.0, 0.0), |sums, pair| (sums.0 + pair.0, sums.1 + pair.1));
    if claim.measure != Metric::EarlyStopIteration || sums.0 <= 0.0 {
        return String::new();
    }
    format!(", {:.2} times as fast", sums.1 / sums.0)
}

fn unit(claim: &Claim) -> &'static str {
    match (claim.measure, claim.against) {
        (Metric::EarlyStopIteration, _) => " iterations",
        (_, Some(_)) => " points",
        (_, None) => " %",
    }
}

fn number(claim: &Claim, value: f64) -> String {
    let size = match claim.measure {
        Metric::EarlyStopIteration => with_thousands(value.abs().round() as u64),
        _ => accuracy(value.abs()),
    };
    let is_zero = size.chars().all(|c| matches!(c, '0' | '.'));
    match claim.against {
        Some(_) if is_zero => size,
        Some(_) => format!("{}{size}", if value < 0.0 { '−' } else { '+' }),
        None => size,
    }
}
