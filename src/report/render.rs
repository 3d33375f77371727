//! The files of a report.

use anyhow::Result;

use super::analysis::RunAnalysis;
use super::document::{self, Page, TicketFile};
use super::roles::{ForeignArm, roles_in_experiments};
use crate::artifacts::RobustnessData;
use crate::base::formula::without_formulas;
use crate::plot;
use crate::system::paths::ReportDir;

/// Returns the files of a report on one or several runs, each with its name in the folder of the report: the page as
/// HTML and as Markdown, and each figure as SVG and as CSV. Equal runs give equal bytes, except for the line of the
/// page on the date and the time that the run took.
///
/// # Errors
/// Fails if the numbers of a figure cannot be written as CSV.
pub fn files(analyses: &[RunAnalysis]) -> Result<Vec<(String, Vec<u8>)>> {
    page_files(&document::page(analyses))
}

/// Returns the files of a report on the robustness of tickets in files, like [`files`]. `arms`: the arms of the tickets;
/// `test_note`: the note on their test images, or nothing.
///
/// # Errors
/// Fails if the numbers of the figure cannot be written as CSV.
pub fn ticket_robustness_files(
    data: &RobustnessData,
    arms: &[ForeignArm<'_>],
    files: &[TicketFile],
    test_note: &str,
) -> Result<Vec<(String, Vec<u8>)>> {
    page_files(&document::ticket_robustness_page(data, &roles_in_experiments(arms), files, test_note))
}

/// Returns the files of a page.
fn page_files(page: &Page) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = vec![
        (ReportDir::INDEX.to_owned(), document::html(page).into_bytes()),
        (ReportDir::MARKDOWN.to_owned(), document::markdown(page).into_bytes()),
    ];
    for figure in page.figures() {
        files.push((ReportDir::figure(&figure.name, "svg"), plot::figure(figure).into_bytes()));
        files.push((ReportDir::figure(&figure.name, "csv"), without_formulas(figure.to_csv()?)));
    }
    Ok(files)
}
