//! A configuration as text: the values, and where each came from. Knows no key by name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

use super::diagnostic::snippet;
use super::encoding::{self, STDIN};
use super::names::NameTables;
use super::read::is_accepted;
use super::repair::Syntax;
use super::syntax;
use super::syntax_fix;
use super::syntax_fix::{Grammar, SyntaxFix, find_fix};

/// Where a value stands in the text, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its key.
    pub key: Range<usize>,
    /// Itself.
    pub value: Range<usize>,
}

/// Where a value came from; one with no origin is a default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file.
    File(Span),
    /// The `--set` with this text.
    Set(String),
}

/// A configuration file with its overrides applied.
#[derive(Clone, Debug)]
pub struct ConfigDocument {
    /// The file as the user named it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its values with the overrides in.
    pub root: Value,
    pub(super) origins: BTreeMap<String, Origin>,
    is_json: bool,
}

impl ConfigDocument {
    /// Parses TOML, or JSON where the name ends in `.json`, and applies `sets` (`key.path=value`) in order. Standard input
    /// and other streams (`/dev/fd/63`) are JSON where the first character that is no space is `{`.
    ///
    /// # Errors
    /// Text for a person, with the place of the mistake.
    pub fn parse(name: &str, text: &str, sets: &[String]) -> Result<Self, String> {
        let text = encoding::strip(text);
        let mut document = Self {
            name: name.to_owned(),
            text: text.to_owned(),
            root: Value::Null,
            origins: BTreeMap::new(),
            is_json: is_json(name, text),
        };
        let names = NameTables::of_experiment();
        document.root = if document.is_json { document.parse_json(text)? } else { document.parse_toml(text)? };
        names.flatten(&mut document.root);
        for set in sets {
            document.set(set, names)?;
            names.flatten(&mut document.root);
        }
        Ok(document)
    }

    /// Whether the text is JSON.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// The path of the value that stands at byte `at` of the text.
    fn path_at(&self, at: usize) -> Option<&str> {
        let begins = |origin: &Origin| matches!(origin, Origin::File(place) if place.value.start == at);
        self.origins.iter().find(|(_, origin)| begins(origin)).map(|(path, _)| path.as_str())
    }

    /// Where the value at `path` came from, or the nearest table around it that has a place in the file.
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        let mut path = path;
        loop {
            if let Some(origin) = self.origins.get(path) {
                return Some(origin);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    /// Where exactly the value at `path` was given; `None` for a default.
    pub fn exact_origin(&self, path: &str) -> Option<&Origin> {
        self.origins.get(path)
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub fn position(&self, byte: usize) -> (usize, usize) {
        encoding::position(&self.text, byte)
    }

    fn syntax_error(&self, message: &str, span: Range<usize>) -> String {
        format!("error: {message}{}", snippet(self, span.start, span.end))
    }

    /// The same with what to do. A file of another suffix may be no configuration at all.
    fn advise(&self, (message, hint): (String, Option<String>), span: Range<usize>) -> String {
        let is_toml = Path::new(&self.name).extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
        let suffix = format!("`{}` is read as TOML; JSON wants a name that ends in `.json`", self.name);
        let hint = if self.is_json || is_toml || is_stream(&self.name) { hint } else { Some(suffix) };
        let hint = hint.map(|hint| format!("\n\nhint: {hint}")).unwrap_or_default();
        self.syntax_error(&message, span) + &hint
    }

    /// What is said of the mistake of syntax at byte `at`, where the value that would be accepted is known.
    fn syntax_fix(&self, at: usize) -> Option<String> {
        let json = |text: &str| serde_json::from_str::<&RawValue>(text).err().map(|e| json_offset(text, &e));
        let grammar = if self.is_json {
            Grammar { syntax: Syntax::Json, mistake: &json }
        } else {
            Grammar { syntax: Syntax::Toml, mistake: &syntax::toml_mistake }
        };
        let accepts = |whole: &str, at: usize| {
            let document = Self::parse(&self.name, whole, &[]).ok()?;
            document.path_at(at).map(|path| is_accepted(&document.root, path))
        };
        let SyntaxFix { token, repair, .. } = find_fix(&self.text, at, &grammar, &accepts)?;
        let (message, hint) = syntax_fix::describe(&self.text[token.clone()], &repair, grammar.syntax);
        Some(self.advise((message, Some(hint)), token))
    }

    fn parse_toml(&mut self, text: &str) -> Result<Value, String> {
        let table = DeTable::parse(text).map_err(|e| {
            let span = e.span().unwrap_or(0..0);
            if let Some(at) = encoding::lone_carriage_return(text) {
                return self.advise(syntax::carriage_return(&self.name, text), at..at);
            }
            if let Some(mended) = self.syntax_fix(span.start) {
                return mended;
            }
            let marked = text.get(span.clone()).unwrap_or_default();
            self.advise(syntax::explain_toml(e.message().trim(), marked, text), span)
        })?;
        self.toml_table(table.get_ref(), "")
    }

    /// The value of `value` in the table that `line` is parsed to.
    pub(super) fn value_of(line: &str, table: &DeTable<'_>) -> Result<Value, String> {
        let text = line.to_owned();
        let mut reader =
            Self { name: String::new(), text, root: Value::Null, origins: BTreeMap::new(), is_json: false };
        Ok(reader.toml_table(table, "")?["value"].take())
    }

    fn toml_table(&mut self, table: &DeTable<'_>, path: &str) -> Result<Value, String> {
        // DeTable sorts its keys; the order of the file is the order of their places.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut map = Map::new();
        for (key, value) in entries {
            let inner = join(path, key.get_ref());
            let place = Span { key: key.span(), value: value.span() };
            // An implicit table (the `arms` of `[arms.a]`) has no text of its own; its key stands for it.
            let place = if place.value.is_empty() { Span { value: key.span(), ..place } } else { place };
            // A name with points in quotes, and the same name as tables. A key such as `"hidden[0]"` is unknown anyway.
            let is_known = self.origins.insert(inner.clone(), Origin::File(place)).is_some();
            if is_known && !key.get_ref().contains('[') {
                let hint = Some("keep one of them".to_owned());
                return Err(self.advise((format!("`{inner}` is there twice"), hint), key.span()));
            }
            map.insert(key.get_ref().to_string(), self.toml_value(value.get_ref(), &inner, &value.span())?);
        }
        Ok(Value::Object(map))
    }

    fn toml_value(&mut self, value: &DeValue<'_>, path: &str, span: &Range<usize>) -> Result<Value, String> {
        Ok(match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Integer(n) => match i128::from_str_radix(n.as_str(), n.radix()) {
                Ok(n) if n >= 0 && u64::try_from(n).is_ok() => Value::from(n as u64),
                Ok(n) if i64::try_from(n).is_ok() => Value::from(n as i64),
                _ => {
                    let said = ("this number is too large".to_owned(), Some("at most 2^64 − 1".to_owned()));
                    return Err(self.advise(said, span.clone()));
                }
            },
            DeValue::Float(x) => {
                let finite = x.as_str().parse::<f64>().ok().and_then(serde_json::Number::from_f64);
                Value::Number(finite.ok_or_else(|| {
                    let said = ("this is not a finite number".to_owned(), Some("such as `0.001`".to_owned()));
                    self.advise(said, span.clone())
                })?)
            }
            DeValue::Array(items) => {
                let mut list = Vec::new();
                for (i, item) in items.iter().enumerate() {
                    let inner = format!("{path}[{i}]");
                    let place = Span { key: item.span(), value: item.span() };
                    self.origins.insert(inner.clone(), Origin::File(place));
                    list.push(self.toml_value(item.get_ref(), &inner, &item.span())?);
                }
                Value::Array(list)
            }
            DeValue::Table(table) => self.toml_table(table, path)?,
        })
    }

    fn parse_json(&mut self, text: &str) -> Result<Value, String> {
        let root: &RawValue = serde_json::from_str(text).map_err(|e| {
            let at = json_offset(text, &e);
            if let Some(mended) = self.syntax_fix(at) {
                return mended;
            }
            let message = e.to_string();
            let message = message.split(" at line ").next().unwrap_or_default().to_owned();
            self.advise(syntax::explain_json(&message, text), at..at + 1)
        })?;
        self.json_value(root.get(), text, "")
    }

    /// `part` is a slice of `text`, so its address tells its place.
    fn json_value(&mut self, part: &str, text: &str, path: &str) -> Result<Value, String> {
        let offset = |slice: &str| slice.as_ptr() as usize - text.as_ptr() as usize;
        let place_of = |slice: &str| offset(slice)..offset(slice) + slice.len();
        let broken = |document: &Self, e: &serde_json::Error| document.syntax_error(&e.to_string(), place_of(part));
        match part.as_bytes().first() {
            Some(b'{') => {
                let entries: OrderedEntries = serde_json::from_str(part).map_err(|e| broken(self, &e))?;
                let mut map = Map::new();
                for (key, raw) in entries.0 {
                    let inner = join(path, &key);
                    let value = place_of(raw.get());
                    // A key with escapes in it is no slice of the text: its value marks it then.
                    let key_place = match &key {
                        Cow::Borrowed(key) => offset(key) - 1..offset(key) + key.len() + 1,
                        Cow::Owned(_) => value.clone(),
                    };
                    let place = Span { key: key_place.clone(), value };
                    if self.origins.insert(inner.clone(), Origin::File(place)).is_some() {
                        return Err(self.syntax_error(&format!("duplicate key `{key}`"), key_place));
                    }
                    map.insert(key.into_owned(), self.json_value(raw.get(), text, &inner)?);
                }
                Ok(Value::Object(map))
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(part).map_err(|e| broken(self, &e))?;
                let mut list = Vec::new();
                for (i, raw) in items.into_iter().enumerate() {
                    let inner = format!("{path}[{i}]");
                    let place = Span { key: place_of(raw.get()), value: place_of(raw.get()) };
                    self.origins.insert(inner.clone(), Origin::File(place));
                    list.push(self.json_value(raw.get(), text, &inner)?);
                }
                Ok(Value::Array(list))
            }
            _ => match serde_json::from_str(part) {
                Ok(Value::Null) => Err(self.syntax_error("`null` is no value: leave the key out", place_of(part))),
                other => other.map_err(|e| broken(self, &e)),
            },
        }
    }
}

/// Whether a text under this name is JSON.
fn is_json(name: &str, text: &str) -> bool {
    let is_named = Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    is_named || is_stream(name) && text.trim_start().starts_with('{')
}

/// Whether a name is that of standard input or of another stream, which has no suffix.
fn is_stream(name: &str) -> bool {
    let is_device = ["/dev/", "/proc/"].iter().any(|folder| name.starts_with(folder));
    name == STDIN || is_device && Path::new(name).extension().is_none()
}

/// Where in `text` a mistake of JSON is, in bytes.
fn json_offset(text: &str, error: &serde_json::Error) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    (line_start + error.column().saturating_sub(1)).min(text.len())
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The members of a JSON object in order, each a slice of the text.
struct OrderedEntries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for OrderedEntries<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A key that borrows from the text where it can; plain `Cow` would always copy.
        #[derive(Deserialize)]
        struct BorrowedKey<'a>(#[serde(borrow)] Cow<'a, str>);
        struct EntriesVisitor;
        impl<'de> serde::de::Visitor<'de> for EntriesVisitor {
            type Value = OrderedEntries<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::new();
                while let Some((BorrowedKey(key), value)) = map.next_entry()? {
                    entries.push((key, value));
                }
                Ok(OrderedEntries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(document: &ConfigDocument, path: &str) -> String {
        match document.exact_origin(path) {
            Some(Origin::File(place)) => {
                let (line, column) = document.position(place.value.start);
                format!("{line}:{column} {}", &document.text[place.value.clone()])
            }
            Some(Origin::Set(text)) => text.clone(),
            None => "default".into(),
        }
    }

    #[test]
    fn toml_and_json_give_the_same_values_with_their_places() {
        let toml = ConfigDocument::parse("a.toml", "n = 1\n[t]\nx = [0.5, \"y\"]\n", &[]).unwrap();
        let json = ConfigDocument::parse("a.json", "{\"n\": 1,\n \"t\": {\"x\": [0.5, \"y\"]}}", &[]).unwrap();
        assert_eq!(toml.root, json.root);
        assert_eq!((at(&toml, "t.x[1]"), at(&json, "t.x[1]")), ("3:11 \"y\"".into(), "2:19 \"y\"".into()));
    }

    #[test]
    fn a_set_replaces_a_value_and_becomes_its_origin() {
        let sets = ["train.lr=0.1".to_owned(), "name=b c".to_owned(), "new.deep.key={a=[1]}".to_owned()];
        let document = ConfigDocument::parse("a.toml", "name = \"a\"\n[train]\nlr = 1", &sets).unwrap();
        assert_eq!(document.root["train"]["lr"], 0.1);
        assert_eq!(document.root["name"], "b c");
        assert_eq!(document.root["new"]["deep"]["key"]["a"][0], 1);
        assert_eq!(at(&document, "train.lr"), "train.lr=0.1");
        assert_eq!(at(&document, "new.deep.key.a[0]"), sets[2]);
        assert!(ConfigDocument::parse("a.toml", "a = 1", &["a.b=1".to_owned()]).unwrap_err().contains("--set a.b=1"));
    }

    #[test]
    fn mistakes_of_syntax_have_a_place() {
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
        assert_eq!(set("a=x\n[b]").unwrap().root["a"], "x\n[b]", "what is no value is text");
    }
}
