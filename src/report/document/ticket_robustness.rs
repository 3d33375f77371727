//! The page on the robustness of tickets in files.

use super::super::roles::ArmRole;
use super::robustness::section;
use super::{Page, PageElement};
use crate::artifacts::RobustnessData;
use crate::base::format::{capitalize, count_of};
use crate::report::figures::{robustness_figure, without_empty_panels};
use crate::report::table::{Cell, Table};

/// A file with a ticket that was evaluated.
#[derive(Clone, Debug)]
pub struct TicketFile {
    /// Its path, as the user gave it.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// The key of the training run that the ticket is of.
    pub key: String,
}

/// Returns the page on tickets whose arms have `roles`. `test_note`: the note on the test images, or nothing.
pub(crate) fn ticket_robustness_page(
    data: &RobustnessData,
    roles: &[ArmRole],
    files: &[TicketFile],
    test_note: &str,
) -> Page {
    let mut elements = Vec::new();
    if let Some(figure) = without_empty_panels(robustness_figure(data, roles, test_note)) {
        elements.push(PageElement::Figure(2, figure));
    }
    let note = if test_note.is_empty() { String::new() } else { format!(" {}.", capitalize(test_note)) };
    elements.extend(section(data, roles, &note, 2));
    elements.push(PageElement::Heading(2, "Where these numbers come from".to_owned()));
    let mut table = Table::new(["file", "its SHA-256", "key of the training run"]);
    let row = |file: &TicketFile| [&file.path, &file.sha256, &file.key].map(Cell::text).into();
    table.rows = files.iter().map(row).collect();
    elements.push(PageElement::Table(table));
    Page { title: format!("Robustness of {}", count_of(files.len() as u64, "ticket")), elements }
}
