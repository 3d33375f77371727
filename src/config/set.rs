//! Overrides of the command line: `--set key.path=value`.

use serde_json::{Map, Value};
use toml::de::DeTable;

use super::document::{ConfigDocument, Origin, join};
use super::names::{NameTables, parts};
use super::read::is_accepted;
use super::repair::{Syntax, inside_quotes};
use super::syntax::toml_mistake;
use super::syntax_fix::{Grammar, find_fix};
use crate::system::env;

/// The hint for values in braces or brackets, whose quotes a shell removes.
const SHELL: &str =
    "a shell takes quotes away: put all of it in single quotes, such as `--set 'arms.a.mask={of=\"b\"}'`";

/// A value that cannot be read: the message, and the value that would be accepted.
type UnreadableValue = (String, Option<String>);

impl ConfigDocument {
    /// Applies one `key.path=value`. The value is read as TOML, and as plain text where it is none.
    pub(super) fn set(&mut self, set: &str, names: &NameTables) -> Result<(), String> {
        let wrong = |what: &str| format!("error: {what}\n  --> --set {set}");
        let Some((key, text)) = split(set) else {
            return Err(wrong("expected `key.path=value`") + "\n\nhint: such as `--set train.lr=0.01`");
        };
        if let Some((list, _)) = key.split_once('[') {
            let hint = format!("give the whole list: `--set '{list}=[…]'`");
            return Err(wrong("a part of a list cannot be set by itself") + "\n\nhint: " + &hint);
        }
        let Some(parts) = parts(key).map(|parts| names.join(parts)) else {
            return Err(wrong("the key before `=` is not a path such as `train.lr`"));
        };
        let path = parts.join(".");
        let value = self.read_value(&parts, text).map_err(|(what, proposal)| {
            let written = |value: String| format!("write `--set {}`", env::quoted(&format!("{key}={value}")));
            let shell = text.contains(['{', '[']).then(|| SHELL.to_owned());
            let hint = proposal.map(written).or(shell).map(|hint| format!("\n\nhint: {hint}"));
            wrong(&what) + &hint.unwrap_or_default()
        })?;
        let inside =
            |key: &str| key == path || key.starts_with(&format!("{path}.")) || key.starts_with(&format!("{path}["));
        self.origins.retain(|key, _| !inside(key));
        self.mark(&path, &value, set);
        self.insert(&parts, value, set).map_err(|what| wrong(&what))
    }

    /// Puts `value` where `parts` lead; tables on the way are made.
    fn insert(&mut self, parts: &[String], value: Value, set: &str) -> Result<(), String> {
        let Some((last, tables)) = parts.split_last() else { return Ok(()) };
        let no_table = |walked: &str, part: &str| format!("`{walked}` is no table: there is no `{part}` in it");
        let mut here = &mut self.root;
        let mut walked = String::new();
        for part in tables {
            let Value::Object(map) = here else {
                return Err(no_table(&walked, part));
            };
            walked = join(&walked, part);
            if !map.contains_key(part) {
                self.origins.insert(walked.clone(), Origin::Set(set.to_owned()));
            }
            here = map.entry(part).or_insert_with(|| Value::Object(Map::new()));
        }
        let Value::Object(map) = here else {
            return Err(no_table(&walked, last));
        };
        map.insert(last.clone(), value);
        Ok(())
    }

    /// The value of a `--set`; where it cannot be read, the value that would be accepted where `parts` lead.
    fn read_value(&self, parts: &[String], text: &str) -> Result<Value, UnreadableValue> {
        let text = text.trim();
        if let Some(inner) = inside_quotes(text) {
            let value = set_value(inner).ok().filter(|value| self.would_accept(parts, value));
            return Err(("these are typographic quotes".to_owned(), value.map(|_| inner.to_owned())));
        }
        set_value(text).map_err(|(message, at)| {
            let Some(at) = at else { return (message, None) };
            let grammar = Grammar { syntax: Syntax::Toml, mistake: &toml_mistake };
            let accepts = |whole: &str, _: usize| {
                let value = whole.strip_prefix(PREFIX).and_then(|text| set_value(text).ok());
                Some(value.is_some_and(|value| self.would_accept(parts, &value)))
            };
            let mended = find_fix(&format!("{PREFIX}{text}"), at, &grammar, &accepts).and_then(|mended| mended.whole);
            (message, mended.and_then(|whole| Some(whole.strip_prefix(PREFIX)?.to_owned())))
        })
    }

    /// Whether `value` would be understood where `parts` lead.
    fn would_accept(&self, parts: &[String], value: &Value) -> bool {
        let mut root = self.root.clone();
        let mut here = &mut root;
        for part in parts {
            let Value::Object(map) = here else { return false };
            here = map.entry(part).or_insert_with(|| Value::Object(Map::new()));
        }
        *here = value.clone();
        is_accepted(&root, &parts.join("."))
    }

    fn mark(&mut self, path: &str, value: &Value, set: &str) {
        self.origins.insert(path.to_owned(), Origin::Set(set.to_owned()));
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

/// The key and the value of a `--set`; an `=` inside of quotes is part of the key.
fn split(set: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    for (at, c) in set.char_indices() {
        match (quote, c) {
            (None, '=') => return Some((set[..at].trim(), &set[at + 1..])),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    set.split_once('=').map(|(key, value)| (key.trim(), value))
}

/// The value of a `--set`: TOML, read like that of a file, or plain text where it is none. Where it is meant as TOML and
/// is none, the message and the byte of the mistake behind [`PREFIX`].
pub(super) fn set_value(text: &str) -> Result<Value, (String, Option<usize>)> {
    let line = format!("{PREFIX}{}", text.trim());
    match DeTable::parse(&line) {
        Ok(table) if table.get_ref().len() == 1 => {
            let first_line = |message: String| message.lines().next().unwrap_or_default().replace("error: ", "");
            ConfigDocument::value_of(&line, table.get_ref()).map_err(|message| (first_line(message), None))
        }
        Err(error) if text.trim_start().starts_with(['{', '[']) => {
            Err((error.message().trim().to_owned(), Some(error.span().map_or(0, |span| span.start))))
        }
        _ => Ok(Value::String(text.trim().to_owned())),
    }
}
