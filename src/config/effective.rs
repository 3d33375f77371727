//! The experiment written out: every value that can change a number or the report, and where it came
//! from.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::document::{ConfigDocument, Origin, join};
use super::experiment::Experiment;
use super::repair::quoted;

/// The resolved experiment as TOML, the origin of each value behind it. Paths and workers are left out: they change
/// no number, and the text must not depend on the machine.
pub fn to_toml(experiment: &Experiment, device: &str, lanes: usize, document: &ConfigDocument) -> String {
    let mut text = String::from("# Every value that can change a number or the report, and where it came from.\n");
    table(&values(experiment, device, lanes), ["", ""], document, &mut text);
    text
}

/// The same as JSON: `{ "train.lr": { "value": 0.1, "origin": "default" }, … }`.
pub fn to_json(experiment: &Experiment, device: &str, lanes: usize, document: &ConfigDocument) -> Value {
    let mut flat = serde_json::Map::new();
    flatten(&values(experiment, device, lanes), "", &mut |path, value| {
        let entry = serde_json::json!({ "value": value, "origin": origin(path, document) });
        flat.insert(path.to_owned(), entry);
    });
    Value::Object(flat)
}

/// The values that can change a number or the report. Where the built-in data lie is not among them; own data have nothing but their
/// folder to be found by, and their sum beside it. The engine is as it was wished for: `auto` means one for each
/// training, the same wherever it is read again. Device and lanes are as they were resolved.
fn values(experiment: &Experiment, device: &str, lanes: usize) -> Value {
    let mut value = serde_json::to_value(experiment).unwrap_or_default();
    if let Some(data) = value.get_mut("data").and_then(Value::as_object_mut) {
        data.shift_remove("dir");
    }
    value["run"] = serde_json::json!({ "device": device, "engine": experiment.run.engine, "lanes": lanes });
    value
}

/// Every value that is no table, with its place (`train.lr`), in order.
pub fn flatten(value: &Value, path: &str, leaf: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(inner, &path, leaf);
            }
        }
        _ => leaf(path, value),
    }
}

/// Values first, then tables, as TOML wants it. `paths` is the table's place twice: as it is in `document`, and as TOML
/// writes it.
fn table(value: &Value, [path, header]: [&str; 2], document: &ConfigDocument, text: &mut String) {
    let Value::Object(map) = value else { return };
    for (key, value) in map.iter().filter(|(_, value)| !is_section(value)) {
        let path = join(path, key);
        let _ = writeln!(text, "{} = {}  # {}", bare_or_quoted(key), inline(value), origin(&path, document));
    }
    for (key, value) in map.iter().filter(|(_, value)| is_section(value)) {
        let (path, header) = (join(path, key), join(header, &bare_or_quoted(key)));
        if value.as_object().is_some_and(|map| map.values().any(|value| !is_section(value))) {
            let _ = writeln!(text, "\n[{header}]");
        }
        table(value, [&path, &header], document, text);
    }
}

/// A key as TOML writes it: in quotes where it has other characters than letters, digits, `-` and `_`.
fn bare_or_quoted(key: &str) -> String {
    let is_bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if is_bare { key.to_owned() } else { quoted(key) }
}

fn is_section(value: &Value) -> bool {
    value.is_object()
}

fn inline(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| format!("{} = {}", bare_or_quoted(key), inline(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        // JSON's strings and numbers are TOML's too.
        other => other.to_string(),
    }
}

fn origin(path: &str, document: &ConfigDocument) -> String {
    let file = Path::new(&document.name).file_name().unwrap_or_default().to_string_lossy();
    match document.exact_origin(path) {
        Some(Origin::File(place)) => format!("{file}:{}", document.position(place.value.start).0),
        Some(Origin::Set(set)) => format!("--set {}", set.replace(['\n', '\r'], " ")),
        None if path.ends_with(".sha256") => "of what was found there".to_owned(),
        None => "default".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_the_same_experiment() {
        let text = include_str!("../../configs/smoke.toml");
        let layers = "network={layers=[{dropout={rate=0.1}},{linear={out=9}},\"relu\",{linear={out=10}}]}";
        let sets = ["train.lr=0.5", "prune.rate={linear=0.3,layers={linear2=0.4}}", layers].map(str::to_owned);
        let document = ConfigDocument::parse("configs/smoke.toml", text, &sets).unwrap();
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
