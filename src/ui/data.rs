//! The text of `lth data`.

use std::fmt::Write as _;

use super::table::{printable, render};
use crate::base::format::{bytes, with_thousands};
use crate::data::{DatasetReport, DatasetStatus, DatasetSummary, FileStatus};
use crate::report::{Cell, Table};

/// Returns the state of each data set and its files as text.
pub fn dataset_statuses(reports: &[DatasetReport]) -> String {
    let mut text = String::new();
    for report in reports {
        let fetch = format!("`lth data fetch {}` downloads it", report.name);
        let state = match report.status {
            DatasetStatus::Complete => format!("complete in {}", report.folder.display()),
            DatasetStatus::PartialTest => format!("{} in {}", report.partial_test_text(), report.folder.display()),
            DatasetStatus::Incomplete => format!("incomplete in {}; {fetch}", report.folder.display()),
            DatasetStatus::Missing => format!("not found in {}; {fetch}", report.folder.display()),
            DatasetStatus::Damaged => format!("damaged in {}; {fetch}", report.folder.display()),
        };
        let _ = writeln!(text, "{}: {state}", report.name);
        if report.status == DatasetStatus::Missing {
            continue;
        }
        let width = report.files.iter().map(|file| file.name.len()).max().unwrap_or(0);
        for file in &report.files {
            let size = file.bytes.map_or_else(String::new, bytes);
            let status = match &file.status {
                FileStatus::Verified => "verified".to_owned(),
                FileStatus::Partial(records) => {
                    format!("{} images, fewer than the official file", with_thousands((*records).into()))
                }
                FileStatus::Missing => "not found".to_owned(),
                FileStatus::Damaged(cause) => format!("damaged: {cause}"),
            };
            let _ = writeln!(text, "  {:<width$}  {size:>7}  {status}", file.name);
        }
        if let Some(note) = &report.note {
            let _ = writeln!(text, "  note: {note}");
        }
    }
    text
}

/// Returns the summary of a data set as text. `sheet`: path of its contact sheet.
pub fn dataset_summary(summary: &DatasetSummary, sheet: &str) -> String {
    let [channels, height, width] = summary.shape;
    let colour = if channels == 1 { "grey" } else { "in colour" };
    let mut text = format!(
        "{}: {} classes, {height}×{width} pixels, {colour}\n\n",
        printable(&summary.name),
        summary.classes.len()
    );
    text.push_str(&render(&class_table(summary)));
    let list = |values: &[f64]| values.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(" ");
    let channels = if channels == 1 { "" } else { "red, green, blue; " };
    let _ = writeln!(
        text,
        "\npixels  mean {}, standard deviation {} ({channels}all training files, from 0 to 1)",
        list(&summary.mean),
        list(&summary.std)
    );
    if let Some(sum) = &summary.sha256 {
        let _ = writeln!(text, "sha256  {sum}");
    }
    if let Some(images) = &summary.image_counts {
        let _ = writeln!(text, "images  {images}");
    }
    let _ = writeln!(text, "sheet   {sheet}: a row for each class, in this order");
    if let Some(note) = &summary.note {
        let _ = writeln!(text, "note    {note}");
    }
    text
}

/// Returns a table of the number of images by class and split, with the sums of all classes.
fn class_table(summary: &DatasetSummary) -> Table {
    let is_numbered = summary.classes.iter().enumerate().all(|(class, name)| *name == class.to_string());
    let name_cell = |name: &str| if is_numbered { Cell::number(name) } else { Cell::text(name) };
    let mut table = Table::new(std::iter::once("class").chain(summary.splits.iter().map(|part| part.name)));
    for (class, name) in summary.classes.iter().enumerate() {
        let counts = summary.splits.iter().map(|part| Cell::number(with_thousands(part.by_class[class] as u64)));
        table.rows.push(std::iter::once(name_cell(name)).chain(counts).collect());
    }
    let sums = summary.splits.iter().map(|part| Cell::number(with_thousands(part.images as u64)));
    table.rows.push(std::iter::once(name_cell("all")).chain(sums).collect());
    table
}
