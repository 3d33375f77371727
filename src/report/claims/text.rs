//! The numbers of a claim as text.

use super::RoundEvidence;
use super::entry::Claim;
use crate::artifacts::{ITERATIONS_TO_EARLY_STOP, MetricUnit};
use crate::base::stats::SummaryStats;

/// Returns the run's number with its bounds and n as text; for several rounds, the range of their means.
pub(super) fn evidence_text(claim: &Claim, evidence: &[RoundEvidence]) -> String {
    let unit = unit(claim);
    let stats: Vec<SummaryStats> = evidence.iter().filter_map(|round| SummaryStats::of(&round.values)).collect();
    let n = stats.iter().map(|stats| stats.n).min().unwrap_or(0);
    match (&stats[..], evidence) {
        ([], _) => "–".to_owned(),
        ([stats], [round]) => {
            let bounds = round.plain.map_or_else(String::new, |interval| {
                format!(" ({} to {})", number(claim, interval.low), number(claim, interval.high))
            });
            format!("{}{unit}{bounds}{}, n = {n}", number(claim, stats.mean), speed(claim, round))
        }
        _ => {
            let means: Vec<f64> = stats.iter().map(|stats| stats.mean).collect();
            let (min, max) = SummaryStats::of(&means).map(|stats| (stats.min, stats.max)).unwrap_or_default();
            let rounds = if means.len() == 1 { "1 round".to_owned() } else { format!("{} rounds", means.len()) };
            format!("{} to {}{unit} in {rounds}, n = {n}", number(claim, min), number(claim, max))
        }
    }
}

/// Returns a text such as `, 1.63 times as fast`: the ratio of the iterations until the early stop. Empty for other
/// metrics.
fn speed(claim: &Claim, round: &RoundEvidence) -> String {
    let left: f64 = round.pairs.iter().map(|(left, _)| left).sum();
    let right: f64 = round.pairs.iter().map(|(_, right)| right).sum();
    if *claim.metric != ITERATIONS_TO_EARLY_STOP || left <= 0.0 {
        return String::new();
    }
    format!(", {:.2} times as fast", right / left)
}

/// Returns the unit of a claim's values, with a space before it.
fn unit(claim: &Claim) -> &'static str {
    match (claim.metric.unit, claim.against) {
        (MetricUnit::Iterations, _) => " iterations",
        (MetricUnit::Loss, _) => " nats",
        (MetricUnit::MultiplyAdds, _) => " multiply-adds",
        (MetricUnit::Count | MetricUnit::Share, _) => "",
        (MetricUnit::Accuracy, Some(_)) => " points",
        (MetricUnit::Accuracy, None) => "%",
    }
}

/// Returns a value as text; differences have a sign, unless they are 0 in the digits shown.
fn number(claim: &Claim, value: f64) -> String {
    let size = claim.metric.format(value.abs());
    let is_zero = size.chars().all(|c| matches!(c, '0' | '.'));
    match claim.against {
        Some(_) if is_zero => size,
        Some(_) => format!("{}{size}", if value < 0.0 { '−' } else { '+' }),
        None => size,
    }
}
