//! The numbers of a claim as a person reads them.

use super::Look;
use super::entry::Claim;
use crate::base::spread::Spread;
use crate::base::words::{accuracy, count};
use crate::report::trainings::Measure;

/// This run's number, its bounds and n; of many rounds the range of their means.
pub(super) fn here(claim: &Claim, looks: &[Look]) -> String {
    let number = |value: f64| number(claim, value);
    let unit = unit(claim);
    let spreads: Vec<Spread> = looks.iter().filter_map(|look| Spread::of(&look.values)).collect();
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
            let range = Spread::of(&means).map(|all| (all.minimum, all.maximum)).unwrap_or_default();
            let rounds = if means.len() == 1 { "1 round".to_owned() } else { format!("{} rounds", means.len()) };
            format!("{} to {}{unit} in {rounds}, n = {n}", number(range.0), number(range.1))
        }
    }
}

/// How many times as fast, beside a difference of early stops.
fn speed(claim: &Claim, look: &Look) -> String {
    let sums = look.pairs.iter().fold((0.0, 0.0), |sums, pair| (sums.0 + pair.0, sums.1 + pair.1));
    if claim.measure != Measure::EarlyStopIteration || sums.0 <= 0.0 {
        return String::new();
    }
    format!(", {:.2} times as fast", sums.1 / sums.0)
}

fn unit(claim: &Claim) -> &'static str {
    match (claim.measure, claim.against) {
        (Measure::EarlyStopIteration, _) => " iterations",
        (_, Some(_)) => " points",
        (_, None) => " %",
    }
}

fn number(claim: &Claim, value: f64) -> String {
    let size = match claim.measure {
        Measure::EarlyStopIteration => count(value.abs().round() as u64),
        _ => accuracy(value.abs()),
    };
    let is_zero = size.chars().all(|c| matches!(c, '0' | '.'));
    match claim.against {
        Some(_) if is_zero => size,
        Some(_) => format!("{}{size}", if value < 0.0 { '−' } else { '+' }),
        None => size,
    }
}
