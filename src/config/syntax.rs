//! Mistakes of syntax: the parsers' words made plain, and what to do. The words are the parsers' own and pinned by tests.

use toml::de::DeTable;

use crate::system::env;

/// The byte of the first mistake of syntax in `text`, read as TOML; `None` where there is none.
pub(super) fn toml_mistake(text: &str) -> Option<usize> {
    DeTable::parse(text).err().map(|error| error.span().map_or(0, |span| span.start))
}

/// What a TOML parser's `message` means, and what to do about it; `marked` is what it points at.
pub(super) fn explain_toml(message: &str, marked: &str, text: &str) -> (String, Option<String>) {
    let starts = |start: &str| message.starts_with(start);
    let (said, hint) = if starts("string values must be quoted") {
        let message = format!("`{marked}` is not a value in TOML");
        return (message, Some("a text stands in quotes, such as `\"strokes\"`".to_owned()));
    } else if starts("duplicate key") {
        return (format!("`{marked}` is there twice"), Some("keep one of them".to_owned()));
    } else if text.trim_start().starts_with('{') {
        (message, "JSON is read from a file whose name ends in `.json`")
    } else if starts("invalid basic string") || starts("invalid literal string") {
        ("a text is not closed, or has something in it that cannot be", "quotes stand on both sides: `\"strokes\"`")
    } else if starts("unclosed table") {
        ("a section has no `]`", "a section begins with a line such as `[train]`")
    } else if starts("extra `=`") {
        ("there is one `=` too many", "a line is `key = value`")
    } else if starts("key with no value") {
        ("a key has no `=` behind it", "a line is `key = value`, `[section]`, or `# a comment`")
    } else if starts("unexpected key or value") {
        ("the line goes on behind its value", "one value a line; numbers are written like `0.002` and `50_000`")
    } else if starts("extra assignment") {
        ("there is no comma between two entries", "such as `{ linear = 0.2, output = 0.1 }`")
    } else if starts("invalid mantissa") {
        ("a number has no digit on one side of its point", "such as `0.002`")
    } else if starts("invalid boolean") {
        ("this is no value", "`true` and `false` are written in small letters, and a text in quotes")
    } else {
        return (message.to_owned(), None);
    };
    (said.to_owned(), Some(hint.to_owned()))
}

/// What is said of a text with a CR that is no part of a CRLF.
pub(super) fn carriage_return(name: &str, text: &str) -> (String, Option<String>) {
    if text.contains('\n') {
        return ("a carriage return (CR) stands here alone".to_owned(), Some("lines end with LF or CRLF".to_owned()));
    }
    let hint = format!("save it with LF or CRLF, or convert it: `tr '\\r' '\\n' < {} > unix.toml`", env::quoted(name));
    ("the lines end with CR alone, as on old Macs".to_owned(), Some(hint))
}

/// The same of a JSON parser.
pub(super) fn explain_json(message: &str, text: &str) -> (String, Option<String>) {
    let starts = |start: &str| message.starts_with(start);
    let (said, hint) = if text.trim().is_empty() {
        ("the file is empty", "`lth init my_experiment.toml` writes an experiment to begin with")
    } else if !text.trim_start().starts_with(['{', '[']) {
        ("this is no JSON", "a file whose name ends in `.json` is read as JSON; TOML wants `.toml`")
    } else if starts("EOF while parsing") {
        ("the file ends before its last bracket or quote is closed", "every `{` needs its `}`, every `[` its `]`")
    } else if starts("key must be a string") || starts("trailing comma") {
        let hint = "keys stand in double quotes; JSON has no comments, and no comma behind the last entry";
        ("here should be a key", hint)
    } else if starts("expected value") {
        (
            "this is not a value in JSON",
            "a number, `true`, `false`, a text in double quotes, or a list or an object of these",
        )
    } else {
        return (message.to_owned(), None);
    };
    (said.to_owned(), Some(hint.to_owned()))
}
