//! Cells of tables as HTML. Numbers of a column are aligned on the decimal point.

use crate::plot::escaped;
use crate::report::claims::ClaimStatus;
use crate::report::table::{Cell, Table};
use crate::report::verdict::Decision;

/// Numbers with more characters than this are texts, which may wrap and are not aligned.
const MAX_NUMBER: usize = 16;

/// A number as a cell shows it: `94.35 (94.10–94.60)` is the number `94.35` and the remark `(94.10–94.60)`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct NumberText<'a> {
    number: &'a str,
    /// The text behind the number, on a line of its own; may be empty.
    remark: &'a str,
}

impl<'a> NumberText<'a> {
    /// Splits the text of a cell at its first parenthesis.
    fn of(text: &'a str) -> Self {
        let (number, remark) = text.find(" (").map_or((text, ""), |at| (&text[..at], text[at..].trim_start()));
        Self { number, remark }
    }

    /// Returns whether the text is too long to be one number.
    fn is_text(self) -> bool {
        self.number.chars().count() > MAX_NUMBER
    }

    /// Returns the number of characters after the last digit of the whole part: `.35%` has 4; 0 for a text.
    fn fraction_length(self) -> usize {
        if self.is_text() {
            return 0;
        }
        let is_whole = |c: char| c.is_ascii_digit() || c == ',' || c == '+' || c == '-' || c == '\u{2212}';
        let first_digit = self.number.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
        let rest = self.number[first_digit..].trim_start_matches(is_whole);
        rest.chars().count()
    }
}

/// Returns, for each column, the largest number of characters after the whole part of its numbers.
pub(super) fn fraction_lengths(table: &Table) -> Vec<usize> {
    let length = |column: usize| {
        let cells = table.rows.iter().filter_map(|row| row.get(column));
        let lengths = cells.filter_map(|cell| match cell {
            Cell::Number(text) => Some(NumberText::of(text).fraction_length()),
            _ => None,
        });
        lengths.max().unwrap_or(0)
    };
    (0..table.header.len()).map(length).collect()
}

/// Returns a cell as HTML. `title`: the title of its column, which small screens show beside it. `fraction_length`: see
/// [`fraction_lengths`].
pub(super) fn cell_html(cell: &Cell, title: &str, fraction_length: usize) -> String {
    let class = class(cell).map_or_else(String::new, |class| format!(" class=\"{class}\""));
    let content = match cell {
        Cell::Number(text) => number_html(NumberText::of(text), fraction_length),
        other => inline_html(other.as_str()),
    };
    format!("<td{class} data-title=\"{}\">{content}</td>", escaped(title))
}

/// Returns a number as HTML, with invisible zeros behind it that align the decimal points of a column.
fn number_html(text: NumberText<'_>, fraction_length: usize) -> String {
    if text.is_text() {
        return inline_html(format!("{} {}", text.number, text.remark).trim_end());
    }
    let missing = fraction_length.saturating_sub(text.fraction_length());
    let padding = match missing {
        0 => String::new(),
        // The decimal point is narrower than a digit.
        _ if !text.number.contains('.') => format!("<i>.{}</i>", "0".repeat(missing - 1)),
        _ => format!("<i>{}</i>", "0".repeat(missing)),
    };
    let remark =
        if text.remark.is_empty() { String::new() } else { format!("<small>{}</small>", escaped(text.remark)) };
    format!("<b>{}{padding}</b>{remark}", escaped(text.number))
}

/// Returns a text as HTML; what is in backticks becomes code.
pub(super) fn inline_html(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // A backtick without a second one is a character like others.
    if parts.len().is_multiple_of(2) {
        return escaped(text);
    }
    let part = |(index, part): (usize, &&str)| {
        let part = escaped(part);
        if index % 2 == 1 { format!("<code>{part}</code>") } else { part }
    };
    parts.iter().enumerate().map(part).collect()
}

/// Returns the CSS class of a cell; `None` for plain text. Classes follow from the type of a cell, never from its text.
fn class(cell: &Cell) -> Option<&'static str> {
    match cell {
        Cell::Decision(Decision::Ticket) | Cell::Status(ClaimStatus::Held) => Some("good"),
        Cell::Decision(Decision::NoTicket) | Cell::Status(ClaimStatus::NotHeld) => Some("bad"),
        Cell::Decision(Decision::Inconclusive) | Cell::Status(ClaimStatus::Inconclusive) => Some("open"),
        Cell::Status(ClaimStatus::OtherSetting) => Some("other"),
        Cell::Status(ClaimStatus::NotTested) | Cell::Text(_) => None,
        Cell::Number(_) | Cell::Missing => Some("number"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_with_names_of_decisions_look_like_other_arms() {
        // regression: an arm with the name of a decision was printed as that decision.
        for name in ["ticket", "no ticket", "no_ticket", "held", "not held", "undecided", "winning_ticket", "9"] {
            assert_eq!(cell_html(&Cell::text(name), "arm", 0), format!("<td data-title=\"arm\">{name}</td>"));
        }
    }

    #[test]
    fn numbers_of_a_column_have_equal_lengths_behind_the_whole_part() {
        let mut table = Table::new(["weights remaining"]);
        table.rows = ["100%", "60.1%", "4.75%"].map(|text| vec![Cell::number(text)]).to_vec();
        assert_eq!(fraction_lengths(&table), [4]);
        let html = |text: &str| number_html(NumberText::of(text), 4);
        assert_eq!(html("100%"), "<b>100%<i>.00</i></b>");
        assert_eq!(html("60.1%"), "<b>60.1%<i>0</i></b>");
        assert_eq!(html("4.75%"), "<b>4.75%</b>");
        assert_eq!(html("2,367 and 2,900 iterations (n = 3)"), "2,367 and 2,900 iterations (n = 3)");
        assert_eq!(NumberText::of("≥ 2,900 (2,800–3,000)").fraction_length(), 0);
        assert_eq!(
            number_html(NumberText::of("+0.35 (\u{2212}1.00 to +2.00)"), 3),
            "<b>+0.35</b><small>(\u{2212}1.00 to +2.00)</small>"
        );
    }

    #[test]
    fn text_in_backticks_is_code() {
        assert_eq!(inline_html("a `b_c` <d>"), "a <code>b_c</code> &lt;d&gt;");
        assert_eq!(inline_html("a ` b"), "a ` b");
    }
}
