//! The report as a page: what it says, once, and two ways of writing it.

mod verdicts;
mod compose;
mod html;
mod markdown;
mod provenance;
mod tables;

use super::analysis::RunAnalysis;
use super::figures::Figure;
use crate::base::format::capitalize;

pub(crate) use compose::page;
pub(crate) use html::html;
pub(crate) use markdown::markdown;

/// What a table of test accuracies must say of the images, as a sentence that follows others; else empty.
fn test_note(finding: &RunAnalysis) -> String {
    finding.run.test_note().map_or_else(String::new, |note| format!(" {}.", capitalize(&note)))
}

/// A page: headings, paragraphs, tables and figures in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// What stands above all.
    pub(crate) title: String,
    /// Its parts.
    pub(crate) blocks: Vec<PageElement>,
}

/// A part of a page. Texts are plain: whoever writes them out takes care of markup.
#[derive(Clone, Debug)]
pub(crate) enum PageElement {
    /// A heading; 2 is the first level below the title.
    Heading(usize, String),
    /// A paragraph.
    Text(String),
    /// The sentence that a reader came for.
    Answer(String),
    /// A list.
    List(Vec<String>),
    /// A table: its first row is the header.
    Table(Vec<Vec<String>>),
    /// A figure, under a heading of this level.
    Figure(usize, Figure),
    /// Text as it is, folded under a summary.
    Code(String, String),
}
