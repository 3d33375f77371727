//! Published numbers beside those of the run.

use super::super::analysis::RunAnalysis;
use super::PageElement;
use crate::base::format::count_of;
use crate::report::published::{BandPlace, published_comparisons, published_table, source};

/// Returns the section under a heading of `level`; empty if the experiment names no published numbers.
pub(super) fn published(analysis: &RunAnalysis, level: usize) -> Vec<PageElement> {
    let Some(experiment) = &analysis.experiment else { return Vec::new() };
    let Some(set) = experiment.report.reference else { return Vec::new() };
    let comparisons = published_comparisons(&analysis.run, experiment);
    let mut elements = vec![PageElement::Heading(level, "Published numbers".to_owned())];
    if comparisons.is_empty() {
        elements.push(PageElement::Text(format!(
            "There are none for this network, data set, arms and sizes in {}.",
            source(set)
        )));
        return elements;
    }
    let inside = comparisons.iter().filter(|comparison| comparison.place == BandPlace::Inside).count();
    elements.push(PageElement::Text(format!(
        "{}. Test accuracy in percent, mean (minimum–maximum); here after the last iteration. Of {}, {inside} are inside.",
        source(set),
        count_of(comparisons.len() as u64, "mean")
    )));
    elements.push(PageElement::Table(published_table(&comparisons)));
    elements
}
