//! The error messages of serde as diagnostics: only this file interprets their English. The forms of the sentences are
//! pinned by tests.

use serde_json::Value;

use super::diagnostic::{Diagnostic, DiagnosticKind};
use super::suggest::closest_match;
use crate::config::schema::schema;
use crate::config::value_path::{is_within, join, last_key, parent};

/// Converts a serde error message for the value at `path` into a diagnostic. `keys`: the keys of the table at `path`, empty
/// if it is not a table.
pub(in crate::config) fn to_diagnostic(path: &str, message: &str, keys: &[String]) -> Diagnostic {
    // The words of the user come before the last ", expected ", and may contain this text themselves.
    let (got, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    let quoted = |prefix: &str| got.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('`')?.strip_suffix('`'));
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    if let Some(key) = quoted("unknown field ") {
        return unknown_key(path, key, &known);
    }
    if let Some(name) = quoted("unknown variant ") {
        return unknown_value(path, name, &known);
    }
    if let Some(field) = quoted("missing field ") {
        let key = join(path, field);
        let hint = example_for_key(&key);
        return Diagnostic { hint, ..Diagnostic::missing_key(key) };
    }
    if expected == "map with a single key" {
        return not_one_key(path, keys);
    }
    if expected.is_empty() {
        return invalid_value(path, message).kind(DiagnosticKind::Rule);
    }
    wrong_type(path, got, expected)
}

/// Returns the mistake that the value at `path` is invalid.
fn invalid_value(path: &str, reason: &str) -> Diagnostic {
    Diagnostic::new(path, format!("invalid value for {}: {reason}", describe_path(path)))
}

/// Returns `path` in backticks, or the words for the file as a whole.
fn describe_path(path: &str) -> String {
    if path.is_empty() { "the configuration".to_owned() } else { format!("`{path}`") }
}

/// Returns the mistake that the name of the key at `path` is not among `known`.
fn unknown_key(path: &str, key: &str, known: &[&str]) -> Diagnostic {
    let table = parent(path);
    let inside = if table.is_empty() { String::new() } else { format!(" in `{table}`") };
    let (suggestion, hint) = match section_hint(key, path).or_else(|| arm_key_hint(key, path)) {
        Some(hint) => (None, hint),
        None => (closest_match(key, known).map(str::to_owned), suggest(key, known, known)),
    };
    Diagnostic::new(path, format!("unknown key `{key}`{inside}"))
        .kind(DiagnosticKind::UnknownKey { suggestion })
        .hint(hint)
        .on_key()
}

/// Returns the mistake that the value at `path` is not among the names `known`.
fn unknown_value(path: &str, name: &str, known: &[&str]) -> Diagnostic {
    let forms: Vec<&str> = known.iter().map(|known| example_value(known, path).unwrap_or(known)).collect();
    Diagnostic::new(path, format!("unknown value `{name}` for {}", describe_path(path)))
        .kind(DiagnosticKind::UnknownValue)
        .hint(suggest(name, known, &forms))
}

/// Returns the mistake that the table at `path` does not have exactly one key.
fn not_one_key(path: &str, keys: &[String]) -> Diagnostic {
    if keys.is_empty() {
        return invalid_value(path, "expected a table with one key, got none").kind(DiagnosticKind::EmptyTable);
    }
    let diagnostic = invalid_value(path, &format!("expected a table with one key, got `{}`", keys.join("` and `")));
    let diagnostic = diagnostic.kind(DiagnosticKind::SeveralKeys);
    let misplaced = keys.iter().find_map(|key| arm_key_hint(key, &join(path, key)));
    match (misplaced, keys.len()) {
        (Some(hint), _) => diagnostic.hint(hint),
        (None, 2..) => diagnostic.hint("keep one of them"),
        (None, _) => diagnostic,
    }
}

/// Returns the hint for a key of an arm that stands inside the arm's `mask`.
fn arm_key_hint(key: &str, path: &str) -> Option<String> {
    let is_inside_mask = path.starts_with("arms.") && path.contains(".mask.");
    let is_of_arm = ["allocation", "weights", "repeats", "at", "every", "train"].contains(&key);
    (is_inside_mask && is_of_arm).then(|| format!("`{key}` is a key of the arm, beside `mask`"))
}

/// Returns the mistake that the value at `path` has the wrong type; `got` and `expected` are serde's descriptions.
fn wrong_type(path: &str, got: &str, expected: &str) -> Diagnostic {
    let got = got.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
    // If a list is given for a table, serde reports `invalid length`.
    let is_list = expected.starts_with("struct ") && got.starts_with("invalid length ");
    let got = if is_list { "sequence" } else { got };
    let type_name = describe_expected(expected);
    let takes_name = type_name.starts_with("a name") || expected.ends_with("variant");
    let example = example_value(last_key(path), parent(path)).filter(|_| takes_name);
    let example = example.map(|form| format!(", such as `{form}`")).unwrap_or_default();
    let reason = format!("expected {type_name}{example}, got {}", describe_found(got));
    let hint = type_hint(path, expected, got);
    Diagnostic { hint, ..invalid_value(path, &reason).kind(DiagnosticKind::WrongType) }
}

/// Returns the hint that lists the known names, with the one that `word` probably means first. `forms`: how each of `known`
/// is written.
fn suggest(word: &str, known: &[&str], forms: &[&str]) -> String {
    let list = format!("one of: {}", forms.join(", "));
    let nearest = closest_match(word, known).and_then(|nearest| known.iter().position(|name| *name == nearest));
    nearest.map_or_else(|| list.clone(), |index| format!("did you mean `{}`? ({list})", forms[index]))
}

/// Returns the hint for a key that is unknown at `path` but known in another section. The cause is often that in TOML a
/// section ends where the next one begins.
fn section_hint(key: &str, path: &str) -> Option<String> {
    let schema = schema();
    let has_key = |table: &Value| table["properties"].get(key).is_some();
    if has_key(&schema) && path != key {
        let property = &schema["properties"][key];
        let is_section = property.get("$ref").is_some() || property["type"] == "object";
        return Some(if is_section {
            format!("begin a section of its own with a line `[{key}]`")
        } else {
            format!("`{key}` belongs above the first `[section]`")
        });
    }
    let table_of = |property: &Value| schema.pointer(property["$ref"].as_str()?.strip_prefix('#')?);
    let mut sections = schema["properties"].as_object()?.iter();
    // A table inside a section, such as a data set, does not mean a key of the section around it.
    let is_elsewhere = |section: &str| !is_within(path, section);
    let is_owner =
        |(section, property): &(&String, &Value)| is_elsewhere(section) && table_of(property).is_some_and(has_key);
    let (section, _) = sections.find(is_owner)?;
    Some(format!("`{key}` belongs in `[{section}]`"))
}

/// Returns how a variant with parameters is written as the value of `path`; `None` for variants without parameters.
fn example_value(variant: &str, path: &str) -> Option<&'static str> {
    Some(match variant {
        "mlp" => "{ mlp = { hidden = [300] } }",
        "wide_resnet" => "{ wide_resnet = { depth = 22, width = 2 } }",
        "linear" => "{ linear = { out = 300 } }",
        "dropout" => "{ dropout = { rate = 0.5 } }",
        "conv" if path.starts_with("network.layers") => "{ conv = { out = 64 } }",
        "max_pool" => "{ max_pool = { size = 2 } }",
        "avg_pool" => "{ avg_pool = { size = 2 } }",
        "idx" => "{ idx = { dir = \"…\", classes = 10 } }",
        "images" => "{ images = { dir = \"…\" } }",
        "of" if last_key(path) == "mask" => "{ of = \"winning_ticket\" }",
        "random" if last_key(path) == "mask" => "{ random = \"winning_ticket\" }",
        "one_shot" => "{ one_shot = { like = \"winning_ticket\" } }",
        "at_init" => "{ at_init = { method = \"snip\", like = \"winning_ticket\" } }",
        "early_bird" => "{ early_bird = { like = \"winning_ticket\" } }",
        "like" => "{ like = \"winning_ticket\" }",
        "file" if last_key(path) == "allocation" => "{ file = \"densities.csv\" }",
        "file" => "{ file = \"ticket.safetensors\" }",
        "cut" => "{ cut = [0.5, 0.8, 0.9] }",
        _ => return None,
    })
}

/// Returns the hint with an example of a key and its value.
fn example_for_key(key: &str) -> Option<String> {
    let value = match last_key(key) {
        "name" => "\"my_lenet\"",
        "data" | "network" | "train" => return Some(format!("begin the section with a line `[{key}]`")),
        "arms" => return Some("each arm is a section, such as `[arms.winning_ticket]`".to_owned()),
        "dataset" => "\"strokes\"",
        "classes" if parent(key) == "data" => "[0, 1, 2, 3, 4]",
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
        "at_init" => "{ method = \"snip\", like = \"winning_ticket\" }",
        "early_bird" => "{ like = \"winning_ticket\" }",
        "score" => "{ images_per_class = 10 }",
        "mask_updates" => "{ method = \"rigl\" }",
        "cut" => "[0.5, 0.8, 0.9]",
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
        "file" | "path" => "\"ticket.safetensors\"",
        "which" => "\"start\"",
        _ => return None,
    };
    Some(format!("such as `{} = {value}`", last_key(key)))
}

/// Returns the hint for a value of the wrong type; `expected` and `got` are the descriptions of serde.
fn type_hint(key: &str, expected: &str, got: &str) -> Option<String> {
    let integer = got.strip_prefix("integer `").and_then(|rest| rest.strip_suffix('`'));
    match expected {
        "a boolean" => Some("`true` or `false`, without quotes".to_owned()),
        "f64" | "u32" | "u64" => {
            let is_large = |number: &str| number.parse::<u64>().is_ok_and(|number| number > u64::from(u32::MAX));
            if expected == "u32" && integer.is_some_and(is_large) {
                return Some(format!("at most {}", u32::MAX));
            }
            None
        }
        _ => example_for_key(key),
    }
}

/// Returns serde's name of an expected type in plain words.
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

/// Returns serde's name of the value it found in plain words; the words of the user after it are not changed.
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
