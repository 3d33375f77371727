//! The answer of the report: which rounds are winning tickets, and which of the paper's claims held.

use super::super::analysis::RunAnalysis;
use super::{PageElement, test_note};
use crate::base::format::{count_of, percent, with_thousands};
use crate::report::claims::{ClaimRow, ClaimStatus};
use crate::report::statistics::Interval;
use crate::report::table::{Cell, Table};
use crate::report::verdict::{Verdict, method, sentences};

/// Every status, in the order of the summary of claims.
const STATUSES: [ClaimStatus; 4] =
    [ClaimStatus::Held, ClaimStatus::NotHeld, ClaimStatus::Undecided, ClaimStatus::NotTested];

/// Returns the verdicts: a sentence for each arm, then a table and its explanation under a heading of `level`.
pub(super) fn verdicts(analysis: &RunAnalysis, level: usize) -> Vec<PageElement> {
    let verdicts = &analysis.verdicts;
    if verdicts.is_empty() {
        let text = "No verdict: that needs a dense network and a ticket that have both been trained to their end.";
        return vec![PageElement::Answer(text.to_owned())];
    }
    let mut elements: Vec<PageElement> = sentences(verdicts).into_iter().map(PageElement::Answer).collect();
    elements.push(PageElement::Heading(level, "Verdicts".to_owned()));
    elements.push(PageElement::Table(verdict_table(verdicts)));
    if let Some(experiment) = &analysis.experiment {
        let method = method(verdicts, experiment);
        let note = test_note(analysis);
        elements.push(PageElement::Text(format!("Cells are means with their bounds. {method}{note}")));
    }
    elements
}

/// Returns a table with a row for each verdict. The most important columns come first, because a small screen shows
/// only these.
fn verdict_table(verdicts: &[Verdict]) -> Table {
    let mut table = Table::new([
        "arm",
        "verdict",
        "weights remaining",
        "round",
        "n",
        "test accuracy − dense (points)",
        "early stop − dense (iterations)",
        "test accuracy − reinit (points)",
        "why",
    ]);
    for verdict in verdicts {
        table.rows.push(vec![
            Cell::text(&verdict.arm),
            Cell::Decision(verdict.decision),
            Cell::number(percent(verdict.weights_remaining)),
            Cell::number(verdict.round),
            Cell::number(verdict.n),
            interval_cell(verdict.accuracy, points),
            interval_cell(verdict.early_stop, iterations),
            interval_cell(verdict.over_reinit, points),
            Cell::text(&verdict.reason),
        ]);
    }
    table
}

/// Returns the claims under a heading of `level`: a count of each status, then a table. Empty if no claim applies to
/// the run.
pub(super) fn claims(analysis: &RunAnalysis, level: usize) -> Vec<PageElement> {
    let claims: &[ClaimRow] = &analysis.claims;
    if claims.is_empty() {
        return Vec::new();
    }
    let mut counts = Vec::new();
    for status in STATUSES {
        let n = claims.iter().filter(|claim| claim.status == status).count();
        if n > 0 {
            counts.push(format!("{n} {}", status.as_str()));
        }
    }
    let total = count_of(claims.len() as u64, "claim");
    let mut table = Table::new(["claim", "status", "here", "paper", "why", "source"]);
    for claim in claims {
        table.rows.push(vec![
            Cell::text(&claim.claim),
            Cell::Status(claim.status),
            Cell::number(&claim.here),
            Cell::text(&claim.paper),
            Cell::text(&claim.reason),
            Cell::text(&claim.source),
        ]);
    }
    vec![
        PageElement::Heading(level, "The paper's claims".to_owned()),
        PageElement::Text(format!("Of {total}: {}.{}", counts.join(", "), test_note(analysis))),
        PageElement::Table(table),
    ]
}

/// Returns a cell with a mean and its bounds; [`Cell::Missing`] if there are none.
fn interval_cell(interval: Option<Interval>, format: fn(f64) -> String) -> Cell {
    Cell::optional(
        interval
            .map(|Interval { mean, low, high, .. }| format!("{} ({} to {})", format(mean), format(low), format(high))),
    )
}

/// Formats a difference of shares in percentage points.
fn points(difference: f64) -> String {
    format!("{:+.2}", 100.0 * difference).replace('-', "\u{2212}")
}

/// Formats a difference of iterations.
fn iterations(difference: f64) -> String {
    let sign = match difference.round() {
        0.0 => "",
        negative if negative < 0.0 => "\u{2212}",
        _ => "+",
    };
    format!("{sign}{}", with_thousands(difference.abs().round() as u64))
}
