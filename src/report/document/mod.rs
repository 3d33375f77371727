//! The page of a report: a model of its contents, and its conversion to HTML and Markdown.

mod cells;
mod compose;
mod html;
mod landscape;
mod markdown;
mod mask_table;
mod provenance;
mod published;
mod robustness;
mod setting;
mod tables;
mod ticket_results;
mod ticket_robustness;
mod training_accuracy;
mod transfer;
mod verdicts;

use super::analysis::RunAnalysis;
use super::table::Table;
use crate::base::format::capitalize;
use crate::plot::Figure;

pub use compose::page;
pub(crate) use html::html;
pub(crate) use markdown::markdown;
pub use ticket_robustness::TicketFile;
pub(crate) use ticket_robustness::ticket_robustness_page;

/// Returns the note on the test images of a run as a sentence that follows others, with a space before it; empty if all
/// test images are used.
fn test_note(analysis: &RunAnalysis) -> String {
    analysis.run.test_note().map_or_else(String::new, |note| format!(" {}.", capitalize(&note)))
}

/// A page: a title, then headings, paragraphs, tables and figures.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The heading of the page.
    pub title: String,
    /// Elements, in reading order.
    pub elements: Vec<PageElement>,
}

/// An element of a [`Page`]. Texts are plain: the writers escape what is markup in their format.
#[derive(Clone, Debug)]
pub enum PageElement {
    /// A heading and its level; 2 is the first level below the title.
    Heading(usize, String),
    /// A paragraph.
    Text(String),
    /// A paragraph with the main result, set off from the others.
    Answer(String),
    /// A bullet list.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// A figure, under a heading of the given level.
    Figure(usize, Figure),
    /// A summary, and preformatted text that is folded beneath it.
    Code(String, String),
    /// Facts, each a name and a text, as a box.
    Facts(Vec<(String, String)>),
    /// A heading of level 2, and elements that are folded beneath it.
    Folded(String, Vec<PageElement>),
}

impl Page {
    /// Returns the figures of the page in reading order, those of folded parts included.
    pub fn figures(&self) -> Vec<&Figure> {
        figures_of(&self.elements)
    }
}

/// Returns the figures among elements, in reading order.
fn figures_of(elements: &[PageElement]) -> Vec<&Figure> {
    let mut figures = Vec::new();
    for element in elements {
        match element {
            PageElement::Figure(_, figure) => figures.push(figure),
            PageElement::Folded(_, elements) => figures.extend(figures_of(elements)),
            _ => {}
        }
    }
    figures
}
