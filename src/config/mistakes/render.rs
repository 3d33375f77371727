//! Mistakes as text: the message, its place in the file, and a hint.

use std::fmt::Write as _;
use std::ops::Range;

use super::diagnostic::Diagnostic;
use crate::config::document::{ConfigDocument, Origin};
use crate::config::encoding;

/// Largest number of mistakes that are shown.
const MAX_MISTAKES: usize = 20;

/// Largest number of characters of a message or a hint.
pub(in crate::config) const MAX_MESSAGE: usize = 1000;

/// Largest number of characters of an option of the command line that are shown.
pub(in crate::config) const MAX_SHOWN: usize = 100;

/// Largest number of characters of a line that are shown on each side of the beginning of a mistake.
const MAX_SIDE: usize = 60;

/// A mistake in what a user has written, as text that is ready to be printed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

impl UsageError {
    /// Returns the text of the first 20 mistakes, each with its place in `document`, and the number of the others.
    pub fn new(diagnostics: &[Diagnostic], document: &ConfigDocument) -> Self {
        let shown = diagnostics.iter().take(MAX_MISTAKES);
        let mut texts: Vec<String> = shown.map(|diagnostic| visible(&render(diagnostic, document))).collect();
        if let Some(more) = diagnostics.len().checked_sub(MAX_MISTAKES).filter(|&more| more > 0) {
            // Reading stops after a number of mistakes, so that there may be others still.
            texts.push(format!("… and at least {more} more"));
        }
        Self(texts.join("\n\n"))
    }

    /// Returns a text with its control characters replaced.
    pub fn from_text(text: &str) -> Self {
        Self(visible(text))
    }
}

/// Returns the text of one mistake.
fn render(diagnostic: &Diagnostic, document: &ConfigDocument) -> String {
    let mut text = format!("error: {}", shortened(&diagnostic.message, MAX_MESSAGE));
    match document.origin(&diagnostic.key) {
        Some(Origin::Set(flag)) => {
            let _ = write!(text, "\n  --> --set {}", shortened(flag, MAX_SHOWN));
        }
        Some(Origin::Unset(key)) => {
            let _ = write!(text, "\n  --> --unset {}", shortened(key, MAX_SHOWN));
        }
        Some(Origin::File(span)) => {
            let range = if diagnostic.at_key { &span.key } else { &span.value };
            text.push_str(&snippet(document, range));
        }
        None => {
            let _ = write!(text, "\n  --> {}", document.name);
        }
    }
    if let Some(hint) = &diagnostic.hint {
        let _ = write!(text, "\n\nhint: {}", shortened(hint, MAX_MESSAGE));
    }
    text
}

/// Returns the first `max` characters of a text; a text that is cut ends with `…`.
pub(in crate::config) fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns a text as a terminal can show it: control characters other than line ends and tabs are replaced.
pub(in crate::config) fn visible(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(shown).collect()
}

/// Returns `file:line:column`, the line, and carets under `range` (in bytes), or under its first line if it has several.
/// Of a long line only the part around the beginning of `range` is shown, between `…`.
pub(in crate::config) fn snippet(document: &ConfigDocument, range: &Range<usize>) -> String {
    let (line, column) = document.position(range.start);
    let source = encoding::line(&document.text, line);
    let marked = document.text.get(range.clone()).unwrap_or_default().lines().next().unwrap_or_default();
    let Window { text: source, column: shown_column } = window(&source, column);
    let indent: String = source.chars().take(shown_column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let room = source.chars().count().saturating_sub(shown_column - 1);
    let carets = "^".repeat(marked.chars().take(room).count().max(1));
    let gutter = " ".repeat(line.to_string().len());
    format!(
        "\n {gutter}--> {}:{line}:{column}\n {gutter} |\n {line} | {source}\n {gutter} | {indent}{carets}",
        document.name
    )
}

/// The part of a line that is shown.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    /// The part, with `…` at an end where it is cut.
    text: String,
    /// The column of the mistake in the part, from 1.
    column: usize,
}

/// Returns the part of `line` around `column`, both from 1: a short line whole, else [`MAX_SIDE`] characters on each
/// side.
fn window(line: &str, column: usize) -> Window {
    let length = line.chars().count();
    if length <= 2 * MAX_SIDE {
        return Window { text: line.to_owned(), column };
    }
    let start = (column - 1).saturating_sub(MAX_SIDE);
    let part: String = line.chars().skip(start).take(2 * MAX_SIDE).collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if start + 2 * MAX_SIDE < length { "…" } else { "" };
    Window { text: format!("{before}{part}{after}"), column: column - start + before.chars().count() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read;

    fn usage_error(text: &str) -> String {
        match ConfigDocument::parse("a.toml", text, &[]) {
            Ok(document) => read(&document).expect_err("this must not be accepted").to_string(),
            Err(error) => error,
        }
    }

    #[test]
    fn window_is_the_part_of_a_long_line_around_its_column() {
        let short = "x".repeat(2 * MAX_SIDE);
        assert_eq!(window(&short, 7), Window { text: short.clone(), column: 7 });
        let long: String = ('a'..='z').cycle().take(1000).collect();
        let at = |column: usize| window(&long, column);
        for column in [1, 2, 60, 61, 62, 500, 999, 1000] {
            let Window { text, column: shown } = at(column);
            assert_eq!(text.chars().nth(shown - 1), long.chars().nth(column - 1), "{column}: {text}");
            assert!(text.chars().count() <= 2 * MAX_SIDE + 2, "{text}");
        }
        assert!(at(1).text.starts_with("abc") && at(1).text.ends_with('…'));
        assert!(at(1000).text.starts_with('…') && !at(1000).text.ends_with('…'));
    }

    // regression: 120 wrong checkpoints in one list gave 84 kB of errors, 200,000 milestones ended the program
    #[test]
    fn many_mistakes_in_a_long_line_are_a_short_text() {
        let wrong = vec!["7"; 10_000].join(", ");
        let text = format!("[train]\nmilestones = [{wrong}]\n");
        let error = usage_error(&text);
        assert!(error.len() < 20_000, "{} bytes", error.len());
        assert_eq!(error.matches("error:").count(), MAX_MISTAKES, "{error}");
        assert!(error.contains("\n\n… and at least "), "{error}");
        let error = usage_error(&format!("name = {}", "x".repeat(1_000_000)));
        assert!(error.len() < 3_000, "{} bytes", error.len());
    }

    #[test]
    fn control_characters_of_a_configuration_do_not_reach_the_terminal() {
        let error = usage_error("\"\\u001b[31m\" = 1\n");
        assert!(error.contains("unknown key `\u{fffd}[31m`") && !error.contains('\u{1b}'), "{error}");
    }
}
