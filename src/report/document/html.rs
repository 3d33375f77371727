//! The page as one HTML file, which loads no other file and runs no script.

use std::fmt::Write as _;

use super::{Page, PageElement};
use crate::plot::{self, Figure, escaped};
use crate::report::claims::ClaimStatus;
use crate::report::table::{Cell, Table};
use crate::report::verdict::Decision;
use crate::system::paths::ReportDir;

/// The style sheet of the page.
const STYLE: &str = include_str!("page.css");

/// Cells of text or numbers with more characters than this may wrap.
const MAX_UNWRAPPED: usize = 30;

/// Returns the page as HTML.
pub(crate) fn html(page: &Page) -> String {
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}{}</style>\n\
         </head>\n<body>\n<main>\n<h1>{title}</h1>\n",
        plot::STYLE,
        title = escaped(&page.title),
    );
    for element in &page.elements {
        text += &element_html(element);
    }
    text + "</main>\n</body>\n</html>\n"
}

/// Returns an element as HTML.
fn element_html(element: &PageElement) -> String {
    match element {
        PageElement::Heading(level, title) => format!("<h{level}>{}</h{level}>\n", escaped(title)),
        PageElement::Text(text) => format!("<p>{}</p>\n", escaped(text)),
        PageElement::Answer(text) => format!("<p class=\"answer\">{}</p>\n", escaped(text)),
        PageElement::List(items) => {
            let items: Vec<String> = items.iter().map(|item| format!("<li>{}</li>\n", escaped(item))).collect();
            format!("<ul>\n{}</ul>\n", items.concat())
        }
        PageElement::Code(summary, code) => {
            format!("<details>\n<summary>{}</summary>\n<pre>{}</pre>\n</details>\n", escaped(summary), escaped(code))
        }
        PageElement::Table(table) => table_html(table),
        PageElement::Figure(level, figure) => figure_html(*level, figure),
    }
}

/// Returns a table as HTML, in an element that scrolls if the table is wider than the page.
fn table_html(table: &Table) -> String {
    let mut text = "<div class=\"wide\" tabindex=\"0\">\n<table>\n<thead><tr>".to_owned();
    for title in &table.header {
        let _ = write!(text, "<th>{}</th>", escaped(title));
    }
    text += "</tr></thead>\n";
    for (index, row) in table.rows.iter().enumerate() {
        let start = if index == 0 { "<tbody>" } else { "" };
        let cells: String = row.iter().map(cell_html).collect();
        let _ = writeln!(text, "{start}<tr>{cells}</tr>");
    }
    let end = if table.rows.is_empty() { "" } else { "</tbody>\n" };
    text + end + "</table>\n</div>\n"
}

/// Returns a cell as HTML.
fn cell_html(cell: &Cell) -> String {
    let text = escaped(cell.as_str());
    match class(cell) {
        Some(class) => format!("<td class=\"{class}\">{text}</td>"),
        None => format!("<td>{text}</td>"),
    }
}

/// Returns the CSS class of a cell; `None` for plain text. Classes make decisions stand out and let long texts wrap.
fn class(cell: &Cell) -> Option<&'static str> {
    match cell {
        Cell::Decision(Decision::Ticket) | Cell::Status(ClaimStatus::Held) => Some("good"),
        Cell::Decision(Decision::NoTicket) | Cell::Status(ClaimStatus::NotHeld) => Some("bad"),
        Cell::Decision(Decision::Inconclusive) | Cell::Status(ClaimStatus::Inconclusive) => Some("open"),
        Cell::Text(text) | Cell::Number(text) if text.chars().count() > MAX_UNWRAPPED => Some("long"),
        Cell::Status(ClaimStatus::OtherSetting) => Some("other"),
        Cell::Status(ClaimStatus::NotTested) | Cell::Text(_) => None,
        Cell::Number(_) | Cell::Missing => Some("number"),
    }
}

/// Returns a figure as HTML under a heading of `level`, with its panels as inline SVG, and links to its files.
fn figure_html(level: usize, figure: &Figure) -> String {
    let panels: String = figure.panels.iter().map(plot::panel).collect();
    let entries = figure.legend().into_iter().filter(|(name, _)| !name.is_empty());
    let legend: Vec<String> =
        entries.map(|(name, style)| format!("<li>{}{}</li>\n", plot::legend_sample(style), escaped(name))).collect();
    let legend = legend.concat();
    format!(
        "<figure id=\"{name}\">\n<h{level}>{}</h{level}>\n<ul class=\"legend\">\n{legend}</ul>\n<div class=\"panels\">\n{panels}</div>\n\
         <figcaption>{} <a href=\"{}\">SVG</a>, <a href=\"{}\">numbers</a></figcaption>\n</figure>\n",
        escaped(&figure.title),
        escaped(&figure.caption),
        escaped(&ReportDir::figure(&figure.name, "svg")),
        escaped(&ReportDir::figure(&figure.name, "csv")),
        name = escaped(&figure.name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::{ChartPoint, Panel, Series};

    #[test]
    fn html_of_a_small_page() {
        let mut table = Table::new(["arm", "decision", "status", "n", "why"]);
        // regression: an arm with the name of a decision was printed as that decision.
        table.rows = vec![
            vec![
                Cell::text("ticket"),
                Cell::Decision(Decision::Ticket),
                Cell::Status(ClaimStatus::NotTested),
                Cell::number(3),
                Cell::text("a reason of more than thirty characters"),
            ],
            vec![
                Cell::text("undecided"),
                Cell::Decision(Decision::NoTicket),
                Cell::Status(ClaimStatus::Inconclusive),
                Cell::Missing,
                Cell::text("a < b"),
            ],
        ];
        let points = vec![ChartPoint::exact(1.0, 0.5, 1), ChartPoint::exact(2.0, 0.75, 1)];
        let series = vec![Series { name: "a & b".to_owned(), points, ..Series::default() }];
        let figure = Figure {
            name: "small".to_owned(),
            title: "A figure".to_owned(),
            caption: "A caption.".to_owned(),
            panels: vec![Panel { series, ..Panel::default() }],
        };
        let elements = vec![
            PageElement::Answer("The answer.".to_owned()),
            PageElement::Heading(2, "A heading".to_owned()),
            PageElement::List(vec!["an item".to_owned()]),
            PageElement::Text("A paragraph.".to_owned()),
            PageElement::Table(table),
            PageElement::Figure(3, figure),
            PageElement::Code("A file".to_owned(), "a = \"b\"\n".to_owned()),
        ];
        let text = html(&Page { title: "A small page".to_owned(), elements });
        insta::assert_snapshot!(text.replace(STYLE, "(page.css)\n").replace(plot::STYLE, "(plot.css)\n"));
    }

    #[test]
    fn arms_with_names_of_decisions_look_like_other_arms() {
        for name in
            ["winning ticket", "no ticket", "no_ticket", "held", "not held", "inconclusive", "winning_ticket", "9"]
        {
            assert_eq!(cell_html(&Cell::text(name)), format!("<td>{name}</td>"));
        }
    }
}
