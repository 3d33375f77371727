//! From the text of a file and the `--set` options to a [`ConfigDocument`]; mistakes of syntax are reported with a
//! replacement if one was found.

use std::path::Path;

use serde_json::Value;
use serde_json::value::RawValue;
use toml::de::DeTable;

use super::deserialize::is_accepted;
use super::document::{ConfigDocument, Origins, Override};
use super::dotted_keys::UserKeyTables;
use super::encoding::{self, STDIN};
use super::json_values::json_values;
use super::mistakes::render::{MAX_MESSAGE, shortened, snippet, visible};
use super::mistakes::replacement::Syntax;
use super::mistakes::syntax::{self, SyntaxError};
use super::mistakes::syntax_fix::{self, Grammar, SyntaxFix, find_fix};
use super::nesting::nesting_mistake;
use super::renamed_keys::rename_keys;
use super::toml_values::toml_values;

impl ConfigDocument {
    /// Parses TOML, or JSON if the name ends in `.json`, and applies `sets` (`key.path=value`) in order. Standard input
    /// and other streams (`/dev/fd/63`) are JSON if the first character after spaces is `{`.
    ///
    /// # Errors
    /// Returns the text of the first mistake of syntax, with its place.
    pub fn parse(name: &str, text: &str, sets: &[String]) -> Result<Self, String> {
        let overrides: Vec<Override> = sets.iter().cloned().map(Override::Set).collect();
        Self::parse_with(name, text, &overrides)
    }

    /// Like [`parse`](Self::parse), but with overrides of both kinds, which are applied in order.
    ///
    /// # Errors
    /// Fails like [`parse`](Self::parse), and if an override removes an unknown key.
    pub fn parse_with(name: &str, text: &str, overrides: &[Override]) -> Result<Self, String> {
        let text = encoding::strip(text);
        let mut document = Self {
            name: name.to_owned(),
            text: text.to_owned(),
            root: Value::Null,
            origins: Origins::new(),
            is_json: is_json(name, text),
        };
        let mut origins = Origins::new();
        let values = if document.is_json { parse_json(text, &mut origins) } else { parse_toml(text, &mut origins) };
        document.root = values.map_err(|mistake| explain(mistake, &document))?;
        document.origins = origins;
        let tables = UserKeyTables::of_experiment();
        tables.join_inner_keys(&mut document.root);
        rename_keys(&mut document.root, &mut document.origins);
        for change in overrides {
            match change {
                Override::Set(set) => document.set(set, tables)?,
                Override::Unset(key) => document.unset(key, tables)?,
            }
            tables.join_inner_keys(&mut document.root);
            rename_keys(&mut document.root, &mut document.origins);
        }
        Ok(document)
    }
}

/// A text that cannot be read.
enum ParseError {
    /// The parser's message and the place where it stopped.
    Parser(SyntaxError),
    /// The text is valid syntax, but a value is not allowed (a duplicate key, `null`, a number out of range).
    Value(SyntaxError),
}

fn parse_toml(text: &str, origins: &mut Origins) -> Result<Value, ParseError> {
    if let Some(mistake) = nesting_mistake(text) {
        return Err(ParseError::Value(mistake));
    }
    let table = DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        ParseError::Parser(SyntaxError::new(error.message().trim(), span))
    })?;
    toml_values(table.get_ref(), origins).map_err(ParseError::Value)
}

fn parse_json(text: &str, origins: &mut Origins) -> Result<Value, ParseError> {
    let root: &RawValue = serde_json::from_str(text).map_err(|error| {
        let start = syntax::json_offset(text, &error);
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        ParseError::Parser(SyntaxError::new(message, start..start + 1))
    })?;
    json_values(root, text, origins).map_err(ParseError::Value)
}

/// Returns the text of a mistake in `document`, with a replacement if one is found.
fn explain(mistake: ParseError, document: &ConfigDocument) -> String {
    let mistake = match mistake {
        ParseError::Value(mistake) => return render(mistake, document),
        ParseError::Parser(mistake) => mistake,
    };
    let text = &document.text;
    if !document.is_json
        && let Some(start) = encoding::lone_carriage_return(text)
    {
        return render(syntax::carriage_return(&document.name, text, start), document);
    }
    if let Some(mistake) = with_replacement(document, mistake.span.start) {
        return render(mistake, document);
    }
    let explained =
        if document.is_json { syntax::explain_json(mistake, text) } else { syntax::explain_toml(mistake, text) };
    render(explained, document)
}

/// Returns an error that proposes a replacement for the token at byte `start`; `None` if no replacement gives an
/// accepted value.
fn with_replacement(document: &ConfigDocument, start: usize) -> Option<SyntaxError> {
    let grammar = if document.is_json {
        Grammar { syntax: Syntax::Json, mistake: &syntax::json_mistake }
    } else {
        Grammar { syntax: Syntax::Toml, mistake: &syntax::toml_mistake }
    };
    let accepts = |whole: &str, start: usize| {
        let replaced = ConfigDocument::parse(&document.name, whole, &[]).ok()?;
        replaced.path_at(start).map(|path| is_accepted(&replaced.root, path))
    };
    let SyntaxFix { token, replacement, .. } = find_fix(&document.text, start, &grammar, &accepts)?;
    let (message, hint) = syntax_fix::describe(&document.text[token.clone()], &replacement, grammar.syntax);
    Some(SyntaxError::new(message, token).hint(hint))
}

/// Returns the text of a mistake with its place. A file with another suffix than `.toml` and `.json` may be something
/// else than a configuration: the hint is then that it was read as TOML.
fn render(mistake: SyntaxError, document: &ConfigDocument) -> String {
    let name = &document.name;
    let is_toml = Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
    let suffix = format!("`{name}` is read as TOML; JSON wants a name that ends in `.json`");
    let hint = if document.is_json || is_toml || is_stream(name) { mistake.hint } else { Some(suffix) };
    let hint = hint.map(|hint| format!("\n\nhint: {}", shortened(&hint, MAX_MESSAGE))).unwrap_or_default();
    let message = shortened(&mistake.message, MAX_MESSAGE);
    visible(&format!("error: {message}{}{hint}", snippet(document, &mistake.span)))
}

/// Returns whether a text under this name is JSON.
fn is_json(name: &str, text: &str) -> bool {
    let has_suffix = Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    has_suffix || is_stream(name) && text.trim_start().starts_with('{')
}

/// Returns whether a name is that of standard input or of another stream, which has no suffix.
fn is_stream(name: &str) -> bool {
    let is_device = ["/dev/", "/proc/"].iter().any(|folder| name.starts_with(folder));
    name == STDIN || is_device && Path::new(name).extension().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Origin;

    /// Returns the place and the text of the value at `path`, or the `--set` that it came from.
    fn origin_of(document: &ConfigDocument, path: &str) -> String {
        match document.exact_origin(path) {
            Some(Origin::File(span)) => {
                let (line, column) = document.position(span.value.start);
                format!("{line}:{column} {}", &document.text[span.value.clone()])
            }
            Some(Origin::Set(text)) => text.to_string(),
            Some(Origin::Unset(text)) => text.clone(),
            None => "default".into(),
        }
    }

    #[test]
    fn toml_and_json_give_the_same_values_with_their_places() {
        let toml = ConfigDocument::parse("a.toml", "n = 1\n[t]\nx = [0.5, \"y\"]\n", &[]).unwrap();
        let json = ConfigDocument::parse("a.json", "{\"n\": 1,\n \"t\": {\"x\": [0.5, \"y\"]}}", &[]).unwrap();
        assert_eq!(toml.root, json.root);
        assert_eq!(
            (origin_of(&toml, "t.x[1]"), origin_of(&json, "t.x[1]")),
            ("3:11 \"y\"".into(), "2:19 \"y\"".into())
        );
    }

    #[test]
    fn set_option_replaces_value_and_becomes_its_origin() {
        let sets = ["train.lr=0.1".to_owned(), "name=b c".to_owned(), "new.deep.key={a=[1]}".to_owned()];
        let document = ConfigDocument::parse("a.toml", "name = \"a\"\n[train]\nlr = 1", &sets).unwrap();
        assert_eq!(document.root["train"]["lr"], 0.1);
        assert_eq!(document.root["name"], "b c");
        assert_eq!(document.root["new"]["deep"]["key"]["a"][0], 1);
        assert_eq!(origin_of(&document, "train.lr"), "train.lr=0.1");
        assert_eq!(origin_of(&document, "new.deep.key.a[0]"), sets[2]);
        assert!(ConfigDocument::parse("a.toml", "a = 1", &["a.b=1".to_owned()]).unwrap_err().contains("--set a.b=1"));
    }

    #[test]
    fn syntax_mistakes_have_line_and_column() {
        assert!(ConfigDocument::parse("a.toml", "a = 1\nb = = 2", &[]).unwrap_err().contains("--> a.toml:2:"));
        assert!(ConfigDocument::parse("a.json", "{\"a\": 1,\n \"b\" 2}", &[]).unwrap_err().contains("--> a.json:2:"));
        assert!(
            ConfigDocument::parse("a.json", "{\"a\": 1, \"a\": 2}", &[]).unwrap_err().contains("duplicate key `a`")
        );
        assert!(ConfigDocument::parse("a.toml", "a = nan", &[]).unwrap_err().contains("not a finite number"));
        assert!(ConfigDocument::parse("a.json", "{\"a\": null}", &[]).unwrap_err().contains("`null` is no value"));
        let set = |text: &str| ConfigDocument::parse("a.toml", "a = 1", &[text.to_owned()]);
        assert!(set("a=nan").unwrap_err().contains("not a finite number\n  --> --set a=nan"));
        assert_eq!(set("a=18446744073709551615").unwrap().root["a"], u64::MAX);
        assert_eq!(set("a=x\n[b]").unwrap().root["a"], "x\n[b]", "a `--set` value that is not TOML is text");
    }
}
