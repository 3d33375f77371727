//! The page as one HTML file, which loads no other file and runs no script.

use std::fmt::Write as _;

use super::cells::{cell_html, fraction_lengths, inline_html};
use super::{Page, PageElement};
use crate::plot::{self, Figure, escaped};
use crate::report::table::Table;
use crate::system::paths::ReportDir;

/// The style sheet of the page.
const STYLE: &str = include_str!("page.css");

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
        PageElement::Text(text) => format!("<p>{}</p>\n", inline_html(text)),
        PageElement::Answer(text) => format!("<p class=\"answer\">{}</p>\n", inline_html(text)),
        PageElement::List(items) => {
            let items: Vec<String> = items.iter().map(|item| format!("<li>{}</li>\n", inline_html(item))).collect();
            format!("<ul>\n{}</ul>\n", items.concat())
        }
        PageElement::Code(summary, code) => {
            format!("<details>\n<summary>{}</summary>\n<pre>{}</pre>\n</details>\n", escaped(summary), escaped(code))
        }
        PageElement::Table(table) => table_html(table),
        PageElement::Figure(level, figure) => figure_html(*level, figure),
        PageElement::Facts(facts) => facts_html(facts),
        PageElement::Folded(title, elements) => {
            let elements: String = elements.iter().map(element_html).collect();
            format!("<details class=\"part\">\n<summary><h2>{}</h2></summary>\n{elements}</details>\n", escaped(title))
        }
    }
}

/// Returns a table as HTML. Reasons are on a line of their own below each row. A table that is wider than the page
/// scrolls, with its first column in place; on a small screen each row is a card.
fn table_html(table: &Table) -> String {
    let reason = table.reason_column();
    let columns: Vec<usize> = (0..table.header.len()).filter(|column| Some(*column) != reason).collect();
    let mut text = "<div class=\"wide\" tabindex=\"0\">\n<table>\n<thead><tr>".to_owned();
    for &column in &columns {
        let class = if table.is_numeric(column) { " class=\"number\"" } else { "" };
        let _ = write!(text, "<th{class}>{}</th>", escaped(&table.header[column]));
    }
    text += "</tr></thead>\n";
    let lengths = fraction_lengths(table);
    for row in &table.rows {
        let cells = columns.iter().map(|&column| cell_html(&row[column], &table.header[column], lengths[column]));
        let _ = writeln!(text, "<tbody><tr>{}</tr>", cells.collect::<String>());
        if let Some(reason) = reason.map(|column| row[column].as_str()).filter(|reason| !reason.is_empty()) {
            let _ =
                writeln!(text, "<tr class=\"why\"><td colspan=\"{}\">{}</td></tr>", columns.len(), inline_html(reason));
        }
        text += "</tbody>\n";
    }
    text + "</table>\n</div>\n"
}

/// Returns facts as HTML.
fn facts_html(facts: &[(String, String)]) -> String {
    let mut text = "<dl class=\"facts\">\n".to_owned();
    for (name, fact) in facts {
        let _ = writeln!(text, "<dt>{}</dt><dd>{}</dd>", escaped(name), inline_html(fact));
    }
    text + "</dl>\n"
}

/// Returns a figure as HTML under a heading of `level`, with its panels as inline SVG, and links to its files.
fn figure_html(level: usize, figure: &Figure) -> String {
    let panels: String = figure.panels.iter().map(plot::panel).collect();
    let mut items = String::new();
    for (name, style) in figure.legend() {
        let _ = writeln!(items, "<li>{}{}</li>", plot::legend_sample(style), escaped(name));
    }
    let legend = if items.is_empty() { items } else { format!("<ul class=\"legend\">\n{items}</ul>\n") };
    format!(
        "<figure id=\"{name}\">\n<h{level}>{}</h{level}>\n{legend}<div class=\"panels\">\n{panels}</div>\n\
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
    use crate::report::claims::ClaimStatus;
    use crate::report::table::Cell;
    use crate::report::verdict::Decision;

    #[test]
    fn html_of_a_small_page() {
        let mut table = Table::new(["arm", "decision", "status", "n", "why"]);
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
            PageElement::Facts(vec![("Data".to_owned(), "strokes".to_owned())]),
            PageElement::Folded("A part".to_owned(), vec![PageElement::Text("Folded text.".to_owned())]),
        ];
        let text = html(&Page { title: "A small page".to_owned(), elements });
        insta::assert_snapshot!(text.replace(STYLE, "(page.css)\n").replace(plot::STYLE, "(plot.css)\n"));
    }

    #[test]
    fn arms_with_names_of_decisions_look_like_other_arms() {
        for name in
            ["winning ticket", "no ticket", "no_ticket", "held", "not held", "inconclusive", "winning_ticket", "9"]
        {
            let cell = cell_html(&Cell::text(name), "arm", 0);
            assert_eq!(cell, cell_html(&Cell::text("other arm"), "arm", 0).replace("other arm", name));
        }
    }
}
