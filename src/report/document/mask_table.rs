//! The table of costs, dead units and overlaps of masks.

use super::super::analysis::RunAnalysis;
use super::PageElement;
use crate::artifacts::{
    DEAD_UNITS, EVER_KEPT, MASK_OVERLAP, Metric, RoundGroup, SEARCH_ITERATIONS, SEARCH_MACS, TOTAL_MACS,
};
use crate::base::format::{mean_and_range, percent};
use crate::report::table::{Cell, Table};

/// The metrics of the table, in the order of its columns.
const METRICS: [Metric; 6] = [SEARCH_ITERATIONS, SEARCH_MACS, TOTAL_MACS, DEAD_UNITS, EVER_KEPT, MASK_OVERLAP];

/// Returns a cell with the mean of a metric, and the range if the values differ.
fn cell(metric: &Metric, values: &[f64]) -> Cell {
    let show = |value| metric.format(value);
    match values {
        [] => Cell::Missing,
        [first, rest @ ..] if rest.iter().all(|value| show(*value) == show(*first)) => Cell::number(show(*first)),
        values => Cell::number(mean_and_range(values, show)),
    }
}

/// Returns the section under a heading of `level`; empty if the rows have no costs, as those of earlier versions.
pub(super) fn masks(analysis: &RunAnalysis, level: usize) -> Vec<PageElement> {
    let groups = RoundGroup::by_arm_and_round(&analysis.run.rounds);
    let last_iteration = analysis.end().last_iteration;
    if groups.iter().all(|group| group.metric(&TOTAL_MACS, last_iteration).is_empty()) {
        return Vec::new();
    }
    let titles = ["arm", "round", "weights remaining"].into_iter().chain(METRICS.map(|metric| metric.title));
    let mut table = Table::new(titles.chain(["reference arm"]));
    table.rows = groups
        .iter()
        .map(|group| {
            let remaining = Some(group.weights_remaining()).filter(|share| share.is_finite());
            let place = [Cell::text(group.arm), Cell::number(group.round), Cell::optional(remaining.map(percent))];
            let value = |metric| cell(metric, &group.metric(metric, last_iteration));
            let reference = group.rows.iter().find_map(|row| row.overlap_reference.as_deref());
            let reference = reference.map_or(Cell::Missing, Cell::text);
            place.into_iter().chain(METRICS.iter().map(value)).chain([reference]).collect()
        })
        .collect();
    let explanation = "Mean (minimum–maximum, if they differ) over n training runs. The cost of finding a mask counts the iterations of the \
                       networks that it was pruned from, each once, and the scores that it was made with; multiply-adds \
                       are those of the weights that each mask keeps, three times those of a forward pass for an image of \
                       training. A unit is dead if no kept weight, but those of dead units, leads into it or reads it. The weights ever kept are those that \
                       some mask of the training run kept, as a share of all weights. The overlap is the number of \
                       weights that the mask and that of the reference arm keep, divided by the number that at least \
                       one keeps; the reference is the arm that mask or size come from, or else the arm that is pruned \
                       iteratively, at the same round.";
    vec![
        PageElement::Heading(level, "Cost, dead units and overlap of masks".to_owned()),
        PageElement::Text(explanation.to_owned()),
        PageElement::Table(table),
    ]
}
