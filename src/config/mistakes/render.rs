//! Mistakes as text: the message, its place in the file, and a hint.

use std::fmt::Write as _;
use std::ops::Range;

use super::diagnostic::Diagnostic;
use crate::config::document::{ConfigDocument, Origin};
use crate::config::encoding;

/// A mistake in what a user has written, as text that is ready to be printed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

impl UsageError {
    /// Returns the text of all mistakes, each with its place in `document`.
    pub fn new(diagnostics: &[Diagnostic], document: &ConfigDocument) -> Self {
        let texts: Vec<String> = diagnostics.iter().map(|diagnostic| render(diagnostic, document)).collect();
        Self(texts.join("\n\n"))
    }

    /// Returns a text as it is.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Returns the text of one mistake.
fn render(diagnostic: &Diagnostic, document: &ConfigDocument) -> String {
    let mut text = format!("error: {}", diagnostic.message);
    match document.origin(&diagnostic.key) {
        Some(Origin::Set(flag)) => {
            let _ = write!(text, "\n  --> --set {flag}");
        }
        Some(Origin::Unset(key)) => {
            let _ = write!(text, "\n  --> --unset {key}");
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
        let _ = write!(text, "\n\nhint: {hint}");
    }
    text
}

/// Returns `file:line:column`, the line, and carets under `range` (in bytes), or under its first line if it has several.
pub(in crate::config) fn snippet(document: &ConfigDocument, range: &Range<usize>) -> String {
    let (line, column) = document.position(range.start);
    let source = encoding::line(&document.text, line);
    let indent: String = source.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let marked = document.text.get(range.clone()).unwrap_or_default().lines().next().unwrap_or_default();
    let carets = "^".repeat(marked.chars().count().max(1));
    let gutter = " ".repeat(line.to_string().len());
    format!(
        "\n {gutter}--> {}:{line}:{column}\n {gutter} |\n {line} | {source}\n {gutter} | {indent}{carets}",
        document.name
    )
}
