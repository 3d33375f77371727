//! The resolved configuration as text: every value that can change a number or the report, and where it came from.

use std::fmt::Write as _;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::document::{ConfigDocument, Origin};
use super::experiment::Experiment;
use super::mistakes::replacement::quoted;
use super::value_path::{for_each_leaf, join};

/// A value of the resolved experiment.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ResolvedValue {
    /// The value.
    pub value: Value,
    /// Where it was set: `FILE:LINE`, the `--set` or `--unset` option, or `default`.
    pub origin: String,
}

/// Returns the resolved experiment as TOML, with the origin of each value in a comment. Paths and workers are left out: they
/// change no number, and the text must not depend on the machine. `device` and `lanes` are those that `auto` stands
/// for.
pub fn to_toml(experiment: &Experiment, device: &str, lanes: usize, document: &ConfigDocument) -> String {
    let mut text = String::from("# Every value that affects results, and where it was set.\n");
    for key in document.unset_keys() {
        let _ = writeln!(text, "# {}", in_comment(&format!("--unset {key}")));
    }
    write_table(&values(experiment, device, lanes), "", "", document, &mut text);
    text
}

/// Like [`to_toml`], but as JSON: `{ "train.lr": { "value": 0.1, "origin": "default" }, … }`.
pub fn to_json(experiment: &Experiment, device: &str, lanes: usize, document: &ConfigDocument) -> Value {
    let mut flat = serde_json::Map::new();
    for_each_leaf(&values(experiment, device, lanes), "", &mut |path, value| {
        let entry = ResolvedValue { value: value.clone(), origin: origin(path, document) };
        flat.insert(path.to_owned(), serde_json::to_value(entry).unwrap_or_default());
    });
    Value::Object(flat)
}

/// Returns the values that can change a number or the report. The folder of the built-in data is left out; the folder of
/// custom data is kept, with their checksum beside it, because nothing else identifies them. The engine is the requested one:
/// `auto` gives the same engine for each training run on every machine. Device and lanes are those that `auto` stands
/// for.
fn values(experiment: &Experiment, device: &str, lanes: usize) -> Value {
    let mut value = serde_json::to_value(experiment).unwrap_or_default();
    if let Some(data) = value.get_mut("data").and_then(Value::as_object_mut) {
        data.shift_remove("dir");
    }
    value["run"] = serde_json::json!({ "device": device, "engine": experiment.run.engine, "lanes": lanes });
    value
}

/// Writes a table: first its values, then its tables, as TOML requires. `path` is the table's path in `document`, and
/// `header` the same path as TOML writes it.
fn write_table(value: &Value, path: &str, header: &str, document: &ConfigDocument, text: &mut String) {
    let Value::Object(map) = value else { return };
    for (key, value) in map.iter().filter(|(_, value)| !value.is_object()) {
        let path = join(path, key);
        let _ =
            writeln!(text, "{} = {}  # {}", bare_or_quoted(key), inline(value), in_comment(&origin(&path, document)));
    }
    for (key, value) in map.iter().filter(|(_, value)| value.is_object()) {
        let path = join(path, key);
        let header = join(header, &bare_or_quoted(key));
        if value.as_object().is_some_and(|map| map.values().any(|value| !value.is_object())) {
            let _ = writeln!(text, "\n[{header}]");
        }
        write_table(value, &path, &header, document, text);
    }
}

/// Returns a key as TOML writes it: in quotes where it has other characters than letters, digits, `-` and `_`.
fn bare_or_quoted(key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if is_bare { key.to_owned() } else { quoted(key) }
}

/// Returns a value as TOML writes it on one line.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{} = {}", bare_or_quoted(key), inline(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) => quoted(text),
        // Numbers and booleans are written the same in JSON and TOML.
        other => other.to_string(),
    }
}

/// Returns a text as it can stand in a comment of TOML, which ends with its line and has no control characters.
fn in_comment(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Returns the origin of the value at `path`: `file:line`, the `--set` option, or `default`.
fn origin(path: &str, document: &ConfigDocument) -> String {
    let file = Path::new(&document.name).file_name().unwrap_or_default().to_string_lossy();
    match document.exact_origin(path) {
        Some(Origin::File(place)) => format!("{file}:{}", document.position(place.value.start).0),
        Some(Origin::Set(set)) => format!("--set {set}"),
        Some(Origin::Unset(key)) => format!("--unset {key}"),
        None if path.ends_with(".sha256") => "computed from the files".to_owned(),
        None => "default".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_support;

    // regression: a line end in the name of the file ended the comment, and what followed was no TOML
    #[test]
    fn control_characters_of_names_and_options_do_not_break_the_resolved_configuration() {
        let mut document = test_support::document(&["train.lr= 0.5\n", "data={dataset={images={dir=\"a\\u007f\"}}}"]);
        document.name = "a\nname = \"other\"\u{1b}.toml".to_owned();
        let experiment = crate::config::read(&document).unwrap();
        let written = to_toml(&experiment, "cpu", 1, &document);
        assert!(written.contains("name = \"smoke\"  # a name = \"other\" .toml:4\n"), "{written}");
        let again = crate::config::read(&ConfigDocument::parse("resolved.toml", &written, &[]).unwrap()).unwrap();
        assert_eq!((again.name, again.data.dataset), (experiment.name, experiment.data.dataset));
    }

    #[test]
    fn resolved_configuration_reads_back_as_the_same_experiment() {
        let layers = "network={layers=[{dropout={rate=0.1}},{linear={out=9}},\"relu\",{linear={out=10}}]}";
        let document =
            test_support::document(&["train.lr=0.5", "prune.rate={linear=0.3,layers={linear2=0.4}}", layers]);
        let experiment = crate::config::read(&document).unwrap();
        let written = to_toml(&experiment, "cpu", 1, &document);
        assert!(written.contains("lr = 0.5  # --set train.lr=0.5\n"), "{written}");
        assert!(written.contains("  # smoke.toml:"), "{written}");
        assert!(written.contains("weight_decay = 0.0  # default\n"), "{written}");
        let again = crate::config::read(&ConfigDocument::parse("resolved.toml", &written, &[]).unwrap()).unwrap();
        assert!(written.contains("engine = \"auto\"  # default\n"), "{written}");
        assert_eq!((again.prune, again.run.engine), (experiment.prune, experiment.run.engine));
        assert_eq!((again.train, again.arms, again.network), (experiment.train, experiment.arms, experiment.network));
    }
}
