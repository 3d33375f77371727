//! Values on the command line: `--set key.path=value`.

use std::sync::Arc;

use serde_json::{Map, Value};
use toml::de::DeTable;

use super::deserialize::is_accepted;
use super::document::{ConfigDocument, Origin, Origins};
use super::dotted_keys::{UserKeyTables, split_path};
use super::mistakes::render::{MAX_MESSAGE, MAX_SHOWN, shortened};
use super::mistakes::replacement::{Syntax, inside_quotes};
use super::mistakes::syntax::toml_mistake;
use super::mistakes::syntax_fix::{Grammar, find_fix};
use super::nesting::{MAX_DEPTH, nesting_mistake};
use super::renamed_keys::rename_last_part;
use super::toml_values::toml_values;
use super::value_path::{is_within, join};
use crate::system::env;

/// The hint for values in braces or brackets: a shell may have removed the quotes in them.
const SHELL: &str = "a shell removes quotes: put the option in single quotes, such as `--set 'arms.a.mask={of=\"b\"}'`";

/// A value of a `--set` that cannot be read.
struct UnreadableValue {
    message: String,
    /// The text of a value that is accepted in its place, if there is one.
    replacement: Option<String>,
}

/// A value that begins like a TOML table or list but is not valid TOML, or that has a number that cannot be
/// represented.
pub(super) struct InvalidToml {
    message: String,
    /// The byte of the mistake in the line [`PREFIX`] + value; `None` if the syntax is valid and the value is not.
    start: Option<usize>,
}

impl ConfigDocument {
    /// Applies one `key.path=value`. The value is read as TOML, or as plain text if it is not TOML.
    ///
    /// # Errors
    /// Fails if the text is not an override, if its value cannot be read, and if its path leads through a value that is
    /// not a table.
    pub(super) fn set(&mut self, set: &str, tables: &UserKeyTables) -> Result<(), String> {
        let wrong =
            |what: &str| format!("error: {}\n  --> --set {}", shortened(what, MAX_MESSAGE), shortened(set, MAX_SHOWN));
        let Some((key, text)) = split(set) else {
            let hint = "such as `--set train.lr=0.01`; `--unset KEY` removes a key";
            return Err(wrong("expected `key.path=value`") + "\n\nhint: " + hint);
        };
        if let Some((list, _)) = key.split_once('[') {
            let hint = format!("give the whole list: `--set '{}=[…]'`", shortened(list, MAX_SHOWN));
            return Err(wrong("a part of a list cannot be set by itself") + "\n\nhint: " + &hint);
        }
        let Some(parts) = split_path(key).map(|parts| rename_last_part(tables.join_parts(parts))) else {
            return Err(wrong("the key before `=` is not a path such as `train.lr`"));
        };
        if parts.len() > MAX_DEPTH {
            return Err(wrong(&format!("the key before `=` is nested more than {MAX_DEPTH} deep")));
        }
        let path = parts.join(".");
        let value = self.read_value(&parts, text).map_err(|unreadable| {
            let written = |value: String| format!("write `--set {}`", env::quoted(&format!("{key}={value}")));
            let shell = text.contains(['{', '[']).then(|| SHELL.to_owned());
            let hint = unreadable
                .replacement
                .map(written)
                .or(shell)
                .map(|hint| format!("\n\nhint: {}", shortened(&hint, MAX_MESSAGE)));
            wrong(&unreadable.message) + &hint.unwrap_or_default()
        })?;
        self.origins.retain(|key, _| !is_within(key, &path));
        let set = Arc::from(set);
        self.mark(&path, &value, &set);
        self.insert(&parts, value, &set).map_err(|what| wrong(&what))
    }

    /// Inserts `value` at the path `parts`; missing tables on the way are created.
    fn insert(&mut self, parts: &[String], value: Value, set: &Arc<str>) -> Result<(), String> {
        let Some((last, tables)) = parts.split_last() else { return Ok(()) };
        let no_table = |path: &str, part: &str| format!("`{path}` is not a table and has no `{part}`");
        let mut table = &mut self.root;
        let mut path = String::new();
        for part in tables {
            let Value::Object(map) = table else {
                return Err(no_table(&path, part));
            };
            path = join(&path, part);
            if !map.contains_key(part) {
                self.origins.insert(path.clone(), Origin::Set(Arc::clone(set)));
            }
            table = map.entry(part).or_insert_with(|| Value::Object(Map::new()));
        }
        let Value::Object(map) = table else {
            return Err(no_table(&path, last));
        };
        map.insert(last.clone(), value);
        Ok(())
    }

    /// Returns the value of a `--set` for the path `parts`.
    ///
    /// # Errors
    /// Fails if the value cannot be read.
    fn read_value(&self, parts: &[String], text: &str) -> Result<Value, UnreadableValue> {
        let text = text.trim();
        if let Some(inner) = inside_quotes(text) {
            let value = set_value(inner).ok().filter(|value| self.would_accept(parts, value));
            let message = "these are typographic quotes".to_owned();
            return Err(UnreadableValue { message, replacement: value.map(|_| inner.to_owned()) });
        }
        set_value(text).map_err(|InvalidToml { message, start }| {
            let Some(start) = start else { return UnreadableValue { message, replacement: None } };
            let grammar = Grammar { syntax: Syntax::Toml, mistake: &toml_mistake };
            let accepts = |whole: &str, _: usize| {
                let value = whole.strip_prefix(PREFIX).and_then(|text| set_value(text).ok());
                Some(value.is_some_and(|value| self.would_accept(parts, &value)))
            };
            let fix = find_fix(&format!("{PREFIX}{text}"), start, &grammar, &accepts);
            let fixed = fix.and_then(|fix| fix.whole);
            let replacement = fixed.and_then(|whole| Some(whole.strip_prefix(PREFIX)?.to_owned()));
            UnreadableValue { message, replacement }
        })
    }

    /// Returns whether `value` would be accepted at the path `parts`.
    fn would_accept(&self, parts: &[String], value: &Value) -> bool {
        let mut root = self.root.clone();
        let mut slot = &mut root;
        for part in parts {
            let Value::Object(map) = slot else { return false };
            slot = map.entry(part).or_insert_with(|| Value::Object(Map::new()));
        }
        *slot = value.clone();
        is_accepted(&root, &parts.join("."))
    }

    /// Makes `set` the origin of `value` at `path` and of every value in it.
    fn mark(&mut self, path: &str, value: &Value, set: &Arc<str>) {
        self.origins.insert(path.to_owned(), Origin::Set(Arc::clone(set)));
        match value {
            Value::Object(map) => map.iter().for_each(|(key, inner)| self.mark(&join(path, key), inner, set)),
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(i, inner)| self.mark(&format!("{path}[{i}]"), inner, set));
            }
            _ => {}
        }
    }
}

/// The prefix that makes a value a line of TOML.
const PREFIX: &str = "value = ";

/// Returns the key and the value of a `--set`; an `=` inside quotes is part of the key.
pub(super) fn split(set: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (index, c) in set.char_indices() {
        match (quote, c) {
            (None, '=') => return Some((set[..index].trim(), &set[index + 1..])),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    // A quote is not closed: split at the first `=`.
    set.split_once('=').map(|(key, value)| (key.trim(), value))
}

/// Returns the value of a `--set`: TOML, read like that of a file, or plain text if it is not TOML.
///
/// # Errors
/// Fails if the text begins like a table or a list but is not TOML, and if a number in it cannot be represented.
pub(super) fn set_value(text: &str) -> Result<Value, InvalidToml> {
    let line = format!("{PREFIX}{}", text.trim());
    if let Some(mistake) = nesting_mistake(&line) {
        return Err(InvalidToml { message: mistake.message, start: None });
    }
    match DeTable::parse(&line) {
        Ok(table) if table.get_ref().len() == 1 => match toml_values(table.get_ref(), &mut Origins::new()) {
            Ok(mut values) => Ok(values["value"].take()),
            Err(mistake) => Err(InvalidToml { message: mistake.message, start: None }),
        },
        Err(error) if text.trim_start().starts_with(['{', '[']) => {
            let start = Some(error.span().map_or(0, |span| span.start));
            Err(InvalidToml { message: error.message().trim().to_owned(), start })
        }
        _ => Ok(Value::String(text.trim().to_owned())),
    }
}
