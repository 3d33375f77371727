//! serde's sentences in our words, with what to write instead. Reads nothing: what is wrong has been found already.

use serde_json::Value;

use super::diagnostic::{Diagnostic, closest_match};
use super::schema::schema;

/// How a message about a missing key ends.
pub(super) const MISSING: &str = "is missing";

/// serde's sentence about the value at `path` in our words; `keys` are those of the table there, if it is one. The forms
/// are serde's own and pinned by tests.
pub(super) fn to_diagnostic(path: &str, message: &str, keys: &[String]) -> Diagnostic {
    let whole = if path.is_empty() { "the configuration".to_owned() } else { format!("`{path}`") };
    // The user's own words stand before the last "expected", whatever they are.
    let (got, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    let word = |prefix: &str| got.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('`')?.strip_suffix('`'));
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    if let Some(word) = word("unknown field ") {
        let inside = if parent(path).is_empty() { String::new() } else { format!(" in `{}`", parent(path)) };
        let hint = section_of(word, path).unwrap_or_else(|| suggest(word, &known, &known));
        return Diagnostic::new(path, format!("unknown key `{word}`{inside}")).hint(hint).on_key();
    }
    if let Some(word) = word("unknown variant ") {
        let forms: Vec<&str> = known.iter().map(|name| example_value(name, path).unwrap_or(name)).collect();
        return Diagnostic::new(path, format!("unknown value `{word}` for {whole}"))
            .hint(suggest(word, &known, &forms));
    }
    if let Some(field) = word("missing field ") {
        let key = if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
        let missing = Diagnostic::new(key.clone(), format!("`{key}` {MISSING}")).on_key();
        return match example_for_key(&key) {
            Some(hint) => missing.hint(hint),
            None => missing,
        };
    }
    let problem = |what: &str| Diagnostic::new(path, format!("invalid value for {whole}: {what}"));
    if expected == "map with a single key" {
        let found = if keys.is_empty() { "none".to_owned() } else { format!("`{}`", keys.join("` and `")) };
        let problem = problem(&format!("expected a table with one key, got {found}"));
        return if keys.len() > 1 { problem.hint("keep one of them") } else { problem };
    }
    if expected.is_empty() {
        return problem(message);
    }
    let got = got.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
    let example = example_value(leaf(path), parent(path))
        .filter(|_| describe_expected(expected).starts_with("a name") || expected.ends_with("variant"));
    let example = example.map(|form| format!(", such as `{form}`")).unwrap_or_default();
    // Of a list in place of a table serde counts the keys it did not find.
    let is_list = expected.starts_with("struct ") && got.starts_with("invalid length ");
    let got = if is_list { "sequence" } else { got };
    let problem = problem(&format!("expected {}{example}, got {}", describe_expected(expected), describe_found(got)));
    match fix_hint(path, expected, got) {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

/// The table around a key.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// A key without the tables around it.
pub(super) fn leaf(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, leaf)| leaf)
}

/// What is known, each as it is written, the nearest first; `forms` stand for the names of `known`.
fn suggest(word: &str, known: &[&str], forms: &[&str]) -> String {
    let all = format!("one of: {}", forms.join(", "));
    let near = closest_match(word, known).and_then(|near| known.iter().position(|name| *name == near));
    near.map_or_else(|| all.clone(), |at| format!("did you mean `{}`? ({all})", forms[at]))
}

/// Where a key that is unknown here would be known: TOML's sections end where the next one begins, and no sooner.
fn section_of(word: &str, path: &str) -> Option<String> {
    let schema = schema();
    let has = |table: &Value| table["properties"].get(word).is_some();
    if has(&schema) && path != word {
        let property = &schema["properties"][word];
        let is_section = property.get("$ref").is_some() || property["type"] == "object";
        return Some(if is_section {
            format!("begin a section of its own with a line `[{word}]`")
        } else {
            format!("`{word}` stands above the first `[section]`")
        });
    }
    let table_of = |property: &Value| schema.pointer(property["$ref"].as_str()?.strip_prefix('#')?);
    let mut sections = schema["properties"].as_object()?.iter();
    let (section, _) = sections.find(|(_, property)| table_of(property).is_some_and(has))?;
    Some(format!("`{word}` belongs in `[{section}]`"))
}

/// How a variant with parameters is written as the value of `path`.
fn example_value(variant: &str, path: &str) -> Option<&'static str> {
    Some(match variant {
        "mlp" => "{ mlp = { hidden = [300] } }",
        "linear" => "{ linear = { out = 300 } }",
        "dropout" => "{ dropout = { rate = 0.5 } }",
        "conv" if path.starts_with("network.layers") => "{ conv = { out = 64 } }",
        "max_pool" => "{ max_pool = { size = 2 } }",
        "avg_pool" => "{ avg_pool = { size = 2 } }",
        "idx" => "{ idx = { dir = \"…\", classes = 10 } }",
        "images" => "{ images = { dir = \"…\" } }",
        "of" if leaf(path) == "mask" => "{ of = \"winning_ticket\" }",
        "random" if leaf(path) == "mask" => "{ random = \"winning_ticket\" }",
        "one_shot" => "{ one_shot = { like = \"winning_ticket\" } }",
        "magnitude_at_init" => "{ magnitude_at_init = { like = \"winning_ticket\" } }",
        "like" => "{ like = \"winning_ticket\" }",
        "cut" => "{ cut = [0.5, 0.8, 0.9] }",
        _ => return None,
    })
}

/// What may stand at a key.
fn example_for_key(key: &str) -> Option<String> {
    let value = match leaf(key) {
        "name" => "\"my_lenet\"",
        "data" | "network" | "train" => return Some(format!("begin the section with a line `[{key}]`")),
        "arms" => return Some("each arm is a section, such as `[arms.winning_ticket]`".to_owned()),
        "dataset" => "\"strokes\"",
        "rounds" | "classes" => "10",
        "iterations" => "10_000",
        "batch_size" => "60",
        "optimizer" => "\"adam\"",
        "lr" => "1.2e-3",
        "betas" => "[0.9, 0.999]",
        "step_every" => "\"20ep\"",
        "milestones" => "[\"20000it\", \"25000it\"]",
        "warmup" => "\"10000it\"",
        "mask" => "\"iterative\"",
        "weights" => "\"rewind\"",
        "rate" if parent(key) == "prune" => "{ linear = 0.2, output = 0.1 }",
        "rate" => "0.5",
        "exclude" => "[\"output\"]",
        "hidden" => "[300, 100]",
        "out" => "300",
        "size" => "2",
        "include" => "[\"conv\"]",
        "augment" => "{ flip = true, crop = 4 }",
        "dir" => "\"my_digits\"",
        _ => return None,
    };
    Some(format!("such as `{} = {value}`", leaf(key)))
}

/// What may be written in place of a value of the wrong type, whatever it is.
fn fix_hint(key: &str, expected: &str, got: &str) -> Option<String> {
    let inside = |before: &str, after: char| got.strip_prefix(before)?.strip_suffix(after);
    match expected {
        "a boolean" => Some("`true` or `false`, without quotes".to_owned()),
        "f64" | "u32" | "u64" => {
            let is_large = |number: &str| number.parse::<u64>().is_ok_and(|number| number > u64::from(u32::MAX));
            if expected == "u32" && inside("integer `", '`').is_some_and(is_large) {
                return Some(format!("at most {}", u32::MAX));
            }
            None
        }
        _ => example_for_key(key),
    }
}

/// Rust's names for types, in words.
fn describe_expected(expected: &str) -> String {
    let words = match expected {
        "u32" | "u64" => "a whole number from 0",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a string" | "path string" => "a text",
        "an array of length 2" | "fewer elements in array" => "a list of 2 numbers",
        "a map" => "a table",
        "newtype variant" => "a name with a value",
        "unit" => "a name alone",
        _ if expected.starts_with("struct variant") => "a table with its parameters",
        _ if expected.starts_with("struct ") => "a table",
        _ if expected.starts_with("string or map") || expected.starts_with("enum") => "a name or a table",
        _ if expected.ends_with("variant") => "a name alone",
        other => other,
    };
    words.to_owned()
}

/// serde's names for what it found, in words; the user's own words behind them stay as they are.
fn describe_found(got: &str) -> String {
    let kinds = [
        ("floating point ", "the number "),
        ("string ", "the text "),
        ("integer ", "the number "),
        ("boolean ", ""),
        ("invalid length ", "a list of "),
        ("map", "a table"),
        ("sequence", "a list"),
        ("unit variant", "a name alone"),
        ("newtype variant", "a name with a value"),
    ];
    let found = kinds.iter().find_map(|(kind, word)| Some(format!("{word}{}", got.strip_prefix(kind)?)));
    found.unwrap_or_else(|| got.to_owned())
}
