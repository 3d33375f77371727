//! From values to the keys of an experiment, with every mistake that serde finds and not only the first.

use serde_json::{Value, json};

use super::experiment::ExperimentKeys;
use super::mistakes::diagnostic::{Diagnostic, DiagnosticKind};
use super::mistakes::serde_errors::to_diagnostic;
use super::value_path::{self, ValueSlot, is_within, last_key, parent};

/// The result of reading that continues after mistakes.
pub(super) struct Recovered {
    /// The keys, with dummy values for wrong and missing ones; `None` if reading had to stop.
    pub(super) keys: Option<ExperimentKeys>,
    /// The mistakes in the order in which they were found.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// The paths of values that were replaced, inserted or removed.
    pub(super) edited: Vec<String>,
}

/// Number of mistakes after which reading stops: all values are read again after each.
const MAX_MISTAKES: usize = 50;

/// Reads the keys of an experiment. serde stops at the first mistake: a wrong value is then removed or replaced by a
/// dummy value, a missing one inserted, and everything is read again, until serde finds no mistake or has found
/// [`MAX_MISTAKES`].
pub(super) fn deserialize(mut root: Value) -> Recovered {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let mut edited: Vec<String> = Vec::new();
    let mut removed: Vec<String> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, ExperimentKeys>(&root) {
            Ok(keys) => return Recovered { keys: Some(keys), diagnostics, edited },
            Err(error) => error,
        };
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let diagnostic = to_diagnostic(&path, &error.into_inner().to_string(), &table_keys(&mut root, &path));
        let key = diagnostic.key.clone();
        let follows_from_edit = is_consequence(&diagnostic, &edited, &removed);
        // A key may fail twice: its value is removed, then a dummy value inserted. If the same key fails a third time,
        // its path is ambiguous (a key `"hidden[0]"` beside a list `hidden`); stop to avoid an endless loop.
        let is_stuck = edited.iter().filter(|path| **path == key).count() > 1;
        let is_recovered = !is_stuck
            && if diagnostic.kind == DiagnosticKind::MissingKey {
                dummy_value(&key).is_some_and(|value| insert_at(&mut root, &key, value))
            } else {
                removed.push(key.clone());
                remove_at(&mut root, &key)
            };
        if !follows_from_edit && !is_misspelt(&key, &diagnostics) {
            diagnostics.push(diagnostic);
        }
        if !is_recovered || diagnostics.len() == MAX_MISTAKES {
            return Recovered { keys: None, diagnostics, edited };
        }
        edited.push(key);
    }
}

/// Returns whether the value at `path` of `root` is accepted; mistakes elsewhere do not count.
pub(super) fn is_accepted(root: &Value, path: &str) -> bool {
    let Recovered { keys, diagnostics, edited } = deserialize(root.clone());
    let rules = keys.map_or_else(Vec::new, |keys| keys.validate());
    let mut wrong = diagnostics.iter().chain(&rules).map(|diagnostic| &diagnostic.key).chain(&edited);
    !wrong.any(|key| is_within(key, path))
}

/// Returns whether a mistake follows from an edit: a key is missing in a table that was removed, or a table is empty because
/// its key was removed. A table that was never there has its own missing keys.
fn is_consequence(diagnostic: &Diagnostic, edited: &[String], removed: &[String]) -> bool {
    let key = &diagnostic.key;
    let is_emptied = diagnostic.kind == DiagnosticKind::EmptyTable && removed.iter().any(|path| is_within(path, key));
    edited.contains(key) || is_emptied || removed.iter().any(|table| is_within(key, table))
}

/// Returns whether a key, or a table around it, is missing because it is given under a name that one of the diagnostics
/// takes for a misspelling of it.
pub(super) fn is_misspelt(key: &str, diagnostics: &[Diagnostic]) -> bool {
    let is_meant = |diagnostic: &Diagnostic| match &diagnostic.kind {
        DiagnosticKind::UnknownKey { suggestion } => {
            parent(&diagnostic.key) == parent(key) && suggestion.as_deref() == Some(last_key(key))
        }
        _ => false,
    };
    diagnostics.iter().any(is_meant) || !parent(key).is_empty() && is_misspelt(parent(key), diagnostics)
}

/// Returns the dummy value for a required key that is missing. Every required key needs an entry here and in
/// `example_for_key` of `mistakes/serde_errors.rs`.
fn dummy_value(key: &str) -> Option<Value> {
    Some(match last_key(key) {
        "name" | "file" | "path" => json!("placeholder"),
        "rounds" | "iterations" | "batch_size" | "lr" | "out" | "size" | "rate" => json!(1),
        "data" | "network" | "train" => json!({}),
        "dataset" => json!("strokes"),
        "hidden" => json!([1]),
        "dir" => json!("."),
        "classes" => json!(10),
        "optimizer" => json!("adam"),
        "mask" => json!("iterative"),
        "weights" => json!("rewind"),
        "which" => json!("start"),
        _ => return None,
    })
}

/// Returns the dummy value for a wrong item of the list `name`. The item is replaced, not removed, so that the indices
/// of the other items do not change.
fn dummy_item(name: &str) -> Option<Value> {
    Some(match name {
        "layers" => json!("relu"),
        "exclude" | "include" => json!(""),
        "hidden" => json!(1),
        "betas" | "classes" => json!(0),
        "milestones" => json!("0it"),
        _ => return None,
    })
}

/// Inserts a value at `path`. Returns false if the table around it does not exist.
fn insert_at(root: &mut Value, path: &str, value: Value) -> bool {
    match value_path::get_mut(root, parent(path)) {
        Some(Value::Object(map)) => map.insert(last_key(path).to_owned(), value).is_none(),
        _ => false,
    }
}

/// Removes the value at `path` (`a.b[0].c`), or replaces it by a dummy value if it is an item of a list. Returns false
/// if there is no value at `path`, or no dummy value for it.
fn remove_at(root: &mut Value, path: &str) -> bool {
    let list_name = last_key(path).split('[').next().unwrap_or_default();
    match (value_path::slot(root, path), dummy_item(list_name)) {
        (Some(ValueSlot::Key(map, key)), _) => map.shift_remove(&key).is_some(),
        (Some(ValueSlot::Item(list, index)), Some(dummy)) => {
            list[index] = dummy;
            true
        }
        _ => false,
    }
}

/// Returns the keys of the table at `path`; none if there is no table.
fn table_keys(root: &mut Value, path: &str) -> Vec<String> {
    let table = value_path::get_mut(root, path);
    table.and_then(|table| table.as_object()).map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_support::document;

    #[test]
    fn diagnostic_kind_is_read_from_serdes_message() {
        let unknown_key = |suggestion: Option<&str>| {
            let suggestion = suggestion.map(str::to_owned);
            DiagnosticKind::UnknownKey { suggestion }
        };
        for (set, kind) in [
            ("train.lr=fast", DiagnosticKind::WrongType),
            ("train.learning_rate=1", unknown_key(Some("lr"))),
            ("network.lr=1", unknown_key(None)),
            ("train.optimizer=adamx", DiagnosticKind::UnknownValue),
            ("arms.a.weights=rewind", DiagnosticKind::MissingKey),
            ("arms.a={mask={},weights='rewind'}", DiagnosticKind::EmptyTable),
            ("arms.a={mask={of='b',random='c'},weights='rewind'}", DiagnosticKind::SeveralKeys),
        ] {
            let Recovered { diagnostics, .. } = deserialize(document(&[set]).root);
            let kinds: Vec<&DiagnosticKind> = diagnostics.iter().map(|diagnostic| &diagnostic.kind).collect();
            assert_eq!(kinds, [&kind], "{set}: {diagnostics:?}");
        }
    }

    #[test]
    fn every_mistake_is_found_in_one_reading() {
        let sets = ["train.lr=fast", "train.batchsize=4", "data.dataset=mnits"];
        let Recovered { diagnostics, .. } = deserialize(document(&sets).root);
        let keys: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.key.as_str()).collect();
        assert_eq!(keys, ["data.dataset", "train.lr", "train.batchsize"]);
    }
}
