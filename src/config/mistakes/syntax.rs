//! Mistakes of syntax: the messages of the TOML and JSON parsers in plain words, each with a hint. The messages of
//! the parsers are pinned by tests.

use std::ops::Range;

use serde_json::value::RawValue;
use toml::de::DeTable;

use super::super::nesting::nesting_mistake;
use crate::system::env;

/// A text that cannot be read as TOML or JSON.
#[derive(Debug)]
pub(in crate::config) struct SyntaxError {
    /// The description of the mistake.
    pub(in crate::config) message: String,
    /// How to correct the mistake; `None` if there is no hint.
    pub(in crate::config) hint: Option<String>,
    /// The byte range of the mistake.
    pub(in crate::config) span: Range<usize>,
}

impl SyntaxError {
    /// Returns a mistake without a hint.
    pub(in crate::config) fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self { message: message.into(), hint: None, span }
    }

    /// Sets the hint on how to correct the mistake.
    pub(in crate::config) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Returns the byte of the first mistake of syntax in `text`, read as TOML; `None` if there is none.
pub(in crate::config) fn toml_mistake(text: &str) -> Option<usize> {
    if let Some(mistake) = nesting_mistake(text) {
        return Some(mistake.span.start);
    }
    DeTable::parse(text).err().map(|error| error.span().map_or(0, |span| span.start))
}

/// Returns the byte of the first mistake of syntax in `text`, read as JSON; `None` if there is none.
pub(in crate::config) fn json_mistake(text: &str) -> Option<usize> {
    serde_json::from_str::<&RawValue>(text).err().map(|error| json_offset(text, &error))
}

/// Returns the byte of `text` at which a JSON parser stopped.
pub(in crate::config) fn json_offset(text: &str, error: &serde_json::Error) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    (line_start + error.column().saturating_sub(1)).min(text.len())
}

/// Rewrites an error of the TOML parser in plain words, with a hint. `text`: the text that was parsed.
pub(in crate::config) fn explain_toml(mistake: SyntaxError, text: &str) -> SyntaxError {
    let SyntaxError { message: original, span, .. } = mistake;
    let marked = text.get(span.clone()).unwrap_or_default();
    let starts = |start: &str| original.starts_with(start);
    if starts("string values must be quoted") {
        return SyntaxError::new(format!("`{marked}` is not a value in TOML"), span)
            .hint("a string needs quotes, such as `\"strokes\"`");
    }
    if starts("duplicate key") {
        return SyntaxError::new(format!("duplicate key `{marked}`"), span).hint("keep one of them");
    }
    let (message, hint) = if text.trim_start().starts_with('{') {
        (original.as_str(), "JSON is read from a file whose name ends in `.json`")
    } else if starts("invalid basic string") || starts("invalid literal string") {
        ("unclosed string, or a character that a string cannot have", "put quotes on both sides: `\"strokes\"`")
    } else if starts("unclosed table") {
        ("expected `]` after the name of a section", "a section begins with a line such as `[train]`")
    } else if starts("extra `=`") {
        ("one `=` too many", "a line is `key = value`")
    } else if starts("key with no value") {
        ("expected `=` after the key", "a line is `key = value`, `[section]`, or `# a comment`")
    } else if starts("unexpected key or value") {
        ("unexpected text after the value", "write one value per line, and numbers like `0.002` and `50_000`")
    } else if starts("extra assignment") {
        ("expected a comma between two entries", "such as `{ linear = 0.2, output = 0.1 }`")
    } else if starts("invalid mantissa") {
        ("expected a digit on both sides of the decimal point", "such as `0.002`")
    } else if starts("invalid boolean") {
        ("not a boolean", "write `true` or `false` in lower case; a string needs quotes")
    } else {
        return SyntaxError::new(original, span);
    };
    SyntaxError::new(message, span).hint(hint)
}

/// Returns the mistake of a CR at byte `start` of `text` that is not part of a CRLF. `name`: the file.
pub(in crate::config) fn carriage_return(name: &str, text: &str, start: usize) -> SyntaxError {
    if text.contains('\n') {
        return SyntaxError::new("carriage return (CR) without line feed (LF)", start..start)
            .hint("lines end with LF or CRLF");
    }
    let quoted = env::quoted(name);
    SyntaxError::new("lines end with CR alone", start..start)
        .hint(format!("save it with LF or CRLF, or convert it: `tr '\\r' '\\n' < {quoted} > unix.toml`"))
}

/// Like [`explain_toml`], but for an error of the JSON parser.
pub(in crate::config) fn explain_json(mistake: SyntaxError, text: &str) -> SyntaxError {
    let SyntaxError { message: original, span, .. } = mistake;
    let starts = |start: &str| original.starts_with(start);
    let (message, hint) = if text.trim().is_empty() {
        ("the file is empty", "`lth init my_experiment.toml` writes an experiment to start from")
    } else if !text.trim_start().starts_with(['{', '[']) {
        ("not JSON", "a file whose name ends in `.json` is read as JSON; name a TOML file `.toml`")
    } else if starts("EOF while parsing") {
        ("the file ends before its last bracket or quote is closed", "every `{` needs its `}`, every `[` its `]`")
    } else if starts("key must be a string") || starts("trailing comma") {
        let hint = "keys need double quotes; JSON has no comments, and no comma after the last entry";
        ("expected a key", hint)
    } else if starts("expected value") {
        (
            "not a value in JSON",
            "write a number, `true`, `false`, a string in double quotes, or a list or an object of these",
        )
    } else {
        return SyntaxError::new(original, span);
    };
    SyntaxError::new(message, span).hint(hint)
}
