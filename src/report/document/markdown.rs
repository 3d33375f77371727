//! The page in Markdown, with its figures as separate files.

use super::{Page, PageElement};
use crate::plot::Figure;
use crate::report::table::Table;
use crate::system::paths::ReportDir;

/// Returns the page in Markdown.
pub(crate) fn markdown(page: &Page) -> String {
    let mut text = format!("# {}\n", escaped(&page.title));
    for element in &page.elements {
        text.push('\n');
        text += &element_markdown(element);
    }
    text
}

/// Returns an element in Markdown.
fn element_markdown(element: &PageElement) -> String {
    match element {
        PageElement::Heading(level, title) => format!("{} {}\n", "#".repeat(*level), escaped(title)),
        PageElement::Text(text) => format!("{}\n", escaped(text)),
        PageElement::Answer(text) => format!("**{}**\n", escaped(text)),
        PageElement::List(items) => {
            items.iter().map(|item| format!("- {}\n", escaped(item))).collect::<Vec<_>>().concat()
        }
        PageElement::Code(summary, code) => {
            // A fence must be longer than any run of backticks in the code.
            let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or_default();
            let fence = "`".repeat(longest.max(2) + 1);
            format!("{}:\n\n{fence}toml\n{}\n{fence}\n", escaped(summary), code.trim_end())
        }
        PageElement::Table(table) => table_markdown(table),
        PageElement::Figure(level, figure) => figure_markdown(*level, figure),
        PageElement::Facts(facts) => {
            let facts = facts.iter().map(|(name, fact)| format!("- {}: {}\n", escaped(name), escaped(fact)));
            facts.collect::<Vec<_>>().concat()
        }
        PageElement::Folded(title, elements) => {
            let elements = elements.iter().map(|element| format!("\n{}", element_markdown(element)));
            format!("## {}\n{}", escaped(title), elements.collect::<String>())
        }
    }
}

/// Returns a table in Markdown.
fn table_markdown(table: &Table) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let header = line(table.header.iter().map(|title| escaped(title)).collect());
    let rules = (0..table.header.len()).map(|column| if table.is_numeric(column) { "---:|" } else { "---|" });
    let rule = format!("|{}\n", rules.collect::<String>());
    let rows = table.rows.iter().map(|row| line(row.iter().map(|cell| escaped(cell.as_str())).collect()));
    header + &rule + &rows.collect::<String>()
}

/// Returns a figure in Markdown: an image of its SVG file under a heading of `level`.
fn figure_markdown(level: usize, figure: &Figure) -> String {
    let svg = ReportDir::figure(&figure.name, "svg");
    let csv = ReportDir::figure(&figure.name, "csv");
    let title = escaped(&figure.title);
    let caption = escaped(&figure.caption);
    format!("{} {title}\n\n![{title}]({svg})\n\n{caption} [Numbers]({csv})\n", "#".repeat(level))
}

/// Returns a text with the characters that are markup in Markdown escaped, and line breaks replaced by spaces.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    // What is in backticks is code, in which only the separator of cells has a meaning; a single backtick is none.
    let mut is_code = false;
    let is_paired = text.matches('`').count().is_multiple_of(2);
    for c in text.chars() {
        match c {
            '\n' | '\r' => escaped.push(' '),
            c if c.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            '`' if is_paired => {
                is_code = !is_code;
                escaped.push(c);
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' if !is_code => escaped.extend(['\\', c]),
            '|' => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::table::Cell;

    #[test]
    fn markdown_escapes_names_and_gives_tables_a_header() {
        let mut table = Table::new(["arm", "a|b"]);
        table.rows.push(vec![Cell::text("winning_ticket"), Cell::number(1)]);
        let elements = vec![PageElement::Table(table)];
        let text = markdown(&Page { title: "my_run".to_owned(), elements });
        assert_eq!(text, "# my\\_run\n\n| arm | a\\|b |\n|---|---:|\n| winning\\_ticket | 1 |\n");
    }

    #[test]
    fn code_with_backticks_stays_in_its_fence() {
        let code = PageElement::Code("a".to_owned(), "x\n```\n<b>".to_owned());
        assert_eq!(element_markdown(&code), "a:\n\n````toml\nx\n```\n<b>\n````\n");
    }

    #[test]
    fn text_in_backticks_is_code() {
        assert_eq!(escaped("a_b `c_d|e`"), "a\\_b `c_d\\|e`");
        assert_eq!(escaped("a ` b"), "a \\` b");
    }
}
