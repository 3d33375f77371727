//! The page as one HTML file: nothing is fetched, nothing runs.

use std::fmt::Write as _;

use super::{Page, PageElement};
use crate::report::figures::{self, Figure, escaped};
use crate::system::paths::ReportDir;

const STYLE: &str = include_str!("page.css");

/// The page in HTML.
pub(crate) fn html(page: &Page) -> String {
    let mut text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>\n{STYLE}{}</style>\n\
         </head>\n<body>\n<main>\n<h1>{title}</h1>\n",
        figures::STYLE,
        title = escaped(&page.title),
    );
    for block in &page.blocks {
        write(block, &mut text);
    }
    text + "</main>\n</body>\n</html>\n"
}

fn write(block: &PageElement, text: &mut String) {
    let _ = match block {
        PageElement::Heading(level, title) => writeln!(text, "<h{level}>{}</h{level}>", escaped(title)),
        PageElement::Text(words) => writeln!(text, "<p>{}</p>", escaped(words)),
        PageElement::Answer(words) => writeln!(text, "<p class=\"answer\">{}</p>", escaped(words)),
        PageElement::List(items) => {
            let items: Vec<String> = items.iter().map(|item| format!("<li>{}</li>\n", escaped(item))).collect();
            writeln!(text, "<ul>\n{}</ul>", items.concat())
        }
        PageElement::Code(summary, code) => writeln!(
            text,
            "<details>\n<summary>{}</summary>\n<pre>{}</pre>\n</details>",
            escaped(summary),
            escaped(code)
        ),
        PageElement::Table(rows) => {
            table(rows, text);
            Ok(())
        }
        PageElement::Figure(level, figure) => {
            draw(*level, figure, text);
            Ok(())
        }
    };
}

fn table(rows: &[Vec<String>], text: &mut String) {
    text.push_str("<div class=\"wide\" tabindex=\"0\">\n<table>\n");
    for (i, row) in rows.iter().enumerate() {
        let tag = if i == 0 { "th" } else { "td" };
        let cells = row.iter().map(|cell| {
            let class = class(cell);
            let class = if class.is_empty() || i == 0 { String::new() } else { format!(" class=\"{class}\"") };
            format!("<{tag}{class}>{}</{tag}>", escaped(cell))
        });
        let cells = cells.collect::<String>();
        let open = ["<thead>", "", "<tbody>"][usize::from(i == 1) * 2 + usize::from(i > 1)];
        let close = if i == 0 { "</thead>" } else { "" };
        let _ = writeln!(text, "{open}<tr>{cells}</tr>{close}");
    }
    let end = if rows.len() > 1 { "</tbody>\n" } else { "" };
    let _ = writeln!(text, "{end}</table>\n</div>");
}

/// Numbers stand to the right, decisions stand out, long texts may wrap.
fn class(cell: &str) -> &'static str {
    match cell {
        "ticket" | "held" => "good",
        "no ticket" | "not held" => "bad",
        "undecided" => "open",
        _ if cell.chars().count() > 30 => "long",
        _ if cell.starts_with(|c: char| c.is_ascii_digit() || "+−–".contains(c)) => "number",
        _ => "",
    }
}

fn draw(level: usize, figure: &Figure, text: &mut String) {
    let file = |extension| ReportDir::figure(&figure.name, extension);
    let panels: String = figure.panels.iter().map(figures::panel).collect();
    let legend: Vec<String> = figure
        .legend()
        .into_iter()
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, look)| format!("<li>{}{}</li>\n", figures::sample(look), escaped(name)))
        .collect();
    let _ = writeln!(
        text,
        "<figure id=\"{name}\">\n<h{level}>{}</h{level}>\n<ul class=\"legend\">\n{}</ul>\n<div class=\"panels\">\n{panels}</div>\n\
         <figcaption>{} <a href=\"{}\">SVG</a>, <a href=\"{}\">numbers</a></figcaption>\n</figure>",
        escaped(&figure.title),
        legend.concat(),
        escaped(&figure.caption),
        escaped(&file("svg")),
        escaped(&file("csv")),
        name = escaped(&figure.name),
    );
}
