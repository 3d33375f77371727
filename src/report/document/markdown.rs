//! The page in Markdown, its figures beside it.

use std::fmt::Write as _;

use super::{Page, PageElement};
use crate::system::paths::ReportDir;

/// The page in Markdown.
pub(crate) fn markdown(page: &Page) -> String {
    let mut text = format!("# {}\n", plain(&page.title));
    for block in &page.blocks {
        text.push('\n');
        let _ = match block {
            PageElement::Heading(level, title) => writeln!(text, "{} {}", "#".repeat(*level), plain(title)),
            PageElement::Text(words) => writeln!(text, "{}", plain(words)),
            PageElement::Answer(words) => writeln!(text, "**{}**", plain(words)),
            PageElement::List(items) => {
                text.extend(items.iter().map(|item| format!("- {}\n", plain(item))));
                Ok(())
            }
            PageElement::Code(summary, code) => {
                writeln!(text, "{}:\n\n```toml\n{}\n```", plain(summary), code.trim_end())
            }
            PageElement::Table(rows) => {
                table(rows, &mut text);
                Ok(())
            }
            PageElement::Figure(level, figure) => {
                let [svg, csv] = ["svg", "csv"].map(|extension| ReportDir::figure(&figure.name, extension));
                let (title, caption) = (plain(&figure.title), plain(&figure.caption));
                writeln!(text, "{} {title}\n\n![{title}]({svg})\n\n{caption} [Numbers]({csv})", "#".repeat(*level))
            }
        };
    }
    text
}

fn table(rows: &[Vec<String>], text: &mut String) {
    for (i, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if i == 0 {
            let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
        }
    }
}

/// Text that is no markup.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' => plain.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' => plain.extend(['\\', c]),
            _ => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_markup_and_tables_have_their_header() {
        let table = PageElement::Table(
            [["arm", "a|b"], ["winning_ticket", "1"]].map(|row| row.map(str::to_owned).to_vec()).to_vec(),
        );
        let text = markdown(&Page { title: "my_run".to_owned(), blocks: vec![table] });
        assert_eq!(text, "# my\\_run\n\n| arm | a\\|b |\n|---|---|\n| winning\\_ticket | 1 |\n");
    }
}
