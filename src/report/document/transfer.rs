//! The section on transferred networks.

use super::super::analysis::RunAnalysis;
use super::{PageElement, test_note};
use crate::base::format::percent;
use crate::report::table::{Cell, Table};
use crate::report::transfer::{TransferComparison, transfer_sentences};

/// Returns the comparisons of transferred networks under a heading of `level`; nothing if the run has none.
pub(super) fn transfer(analysis: &RunAnalysis, level: usize) -> Vec<PageElement> {
    if analysis.transfer.is_empty() {
        return Vec::new();
    }
    let header = [
        "arm",
        "weights remaining",
        "round",
        "compared with",
        "its arm",
        "n",
        "test accuracy − reference (points)",
        "accuracy is",
    ];
    let mut table = Table::new(header);
    table.rows = analysis.transfer.iter().map(row).collect();
    let text = format!(
        "Networks whose mask, and usually weights, are from files. Test accuracy at early stop minus that of the \
         reference, paired by replicate: mean (one-sided 95% lower and upper bounds of this comparison alone). The answers \
         hold after Holm's correction for all comparisons of the arm in both directions, so that bounds without 0 may go \
         with `undecided`.{}",
        test_note(analysis)
    );
    let mut elements = vec![PageElement::Heading(level, "Transfer".to_owned())];
    elements.extend(transfer_sentences(&analysis.transfer).into_iter().map(PageElement::Answer));
    elements.extend([PageElement::Table(table), PageElement::Text(text)]);
    elements
}

fn row(comparison: &TransferComparison) -> Vec<Cell> {
    let points = |share: f64| format!("{:+.2}", 100.0 * share).replace('-', "\u{2212}");
    let difference = comparison.difference.map_or(Cell::Missing, |difference| {
        let [mean, low, high] = [difference.mean, difference.low, difference.high].map(points);
        Cell::number(format!("{mean} ({low} to {high})"))
    });
    vec![
        Cell::text(&comparison.arm),
        Cell::number(percent(comparison.weights_remaining)),
        Cell::number(comparison.round),
        Cell::text(comparison.reference.as_str()),
        Cell::text(&comparison.reference_arm),
        Cell::number(comparison.differences.len()),
        difference,
        Cell::text(comparison.answer.as_str()),
    ]
}
