//! The answer: which rounds are winning tickets, and which of the paper's claims held.

use super::super::analysis::RunAnalysis;
use super::{PageElement, test_note};
use crate::base::format::{percent, pluralize, with_thousands};
use crate::report::claims::{ClaimRow, ClaimStatus};
use crate::report::statistics::Interval;
use crate::report::verdict::{method, sentences};

const STATUSES: [ClaimStatus; 4] =
    [ClaimStatus::Held, ClaimStatus::NotHeld, ClaimStatus::Undecided, ClaimStatus::NotTested];

/// The verdicts: in a sentence for each arm, then one by one.
pub(super) fn verdicts(finding: &RunAnalysis, level: usize, blocks: &mut Vec<PageElement>) {
    let verdicts = &finding.verdicts;
    if verdicts.is_empty() {
        let text = "No verdict: that needs a dense network and a ticket that have both been trained to their end.";
        blocks.push(PageElement::Answer(text.to_owned()));
        return;
    }
    blocks.extend(sentences(verdicts).into_iter().map(PageElement::Answer));
    blocks.push(PageElement::Heading(level, "Verdicts".to_owned()));
    // What a small screen shows first is what matters most.
    let mut table = vec![
        [
            "arm",
            "verdict",
            "weights remaining",
            "round",
            "n",
            "test accuracy − dense (points)",
            "early stop − dense (iterations)",
            "test accuracy − reinit (points)",
            "why",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    table.extend(verdicts.iter().map(|verdict| {
        vec![
            verdict.arm.clone(),
            verdict.decision.as_str().to_owned(),
            percent(verdict.weights_remaining),
            verdict.round.to_string(),
            verdict.n.to_string(),
            interval(verdict.accuracy, points),
            interval(verdict.early_stop, iterations),
            interval(verdict.over_reinit, points),
            verdict.reason.clone(),
        ]
    }));
    blocks.push(PageElement::Table(table));
    if let Some(experiment) = &finding.experiment {
        let method = method(verdicts, experiment);
        blocks.push(PageElement::Text(format!("Cells are means with their bounds. {method}{}", test_note(finding))));
    }
}

/// The claims: how many held, then one by one.
pub(super) fn claims(finding: &RunAnalysis, level: usize, blocks: &mut Vec<PageElement>) {
    let claims: &[ClaimRow] = &finding.claims;
    if claims.is_empty() {
        return;
    }
    blocks.push(PageElement::Heading(level, "The paper's claims".to_owned()));
    let counts = STATUSES.iter().filter_map(|status| {
        let n = claims.iter().filter(|claim| claim.status == *status).count();
        (n > 0).then(|| format!("{n} {}", status.word()))
    });
    let counts = counts.collect::<Vec<_>>().join(", ");
    let all = pluralize(claims.len() as u64, "claim");
    blocks.push(PageElement::Text(format!("Of {all}: {counts}.{}", test_note(finding))));
    let header = ["claim", "status", "here", "paper", "why", "source"].map(str::to_owned).to_vec();
    let rows = claims.iter().map(|row| {
        let status = row.status.word().to_owned();
        vec![row.claim.clone(), status, row.here.clone(), row.paper.clone(), row.reason.clone(), row.source.clone()]
    });
    blocks.push(PageElement::Table(std::iter::once(header).chain(rows).collect()));
}

fn interval(interval: Option<Interval>, show: fn(f64) -> String) -> String {
    interval.map_or("–".to_owned(), |Interval { mean, low, high, .. }| {
        format!("{} ({} to {})", show(mean), show(low), show(high))
    })
}

/// A difference of shares in percentage points.
fn points(difference: f64) -> String {
    format!("{:+.2}", 100.0 * difference).replace('-', "\u{2212}")
}

fn iterations(difference: f64) -> String {
    let sign = match difference.round() {
        0.0 => "",
        less if less < 0.0 => "\u{2212}",
        _ => "+",
    };
    format!("{sign}{}", with_thousands(difference.abs().round() as u64))
}
