//! From the text of JSON to values and their origins, in the order of the text.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::document::{Origin, Origins, Span};
use super::mistakes::syntax::SyntaxError;
use super::nesting::{MAX_DEPTH, nested_too_deep};
use super::value_path::join;

/// Returns the value of `root`, which is a slice of `text`, and adds the origins of the values in it to `origins`.
///
/// # Errors
/// Fails if a key is given twice, a value is `null`, a number cannot be represented, or values are nested more than
/// [`MAX_DEPTH`] deep.
pub(super) fn json_values(root: &RawValue, text: &str, origins: &mut Origins) -> Result<Value, SyntaxError> {
    JsonReader { text, origins, depth: 0 }.value(root.get(), "")
}

/// The reader of the values; `text` is the whole text, of which all values are slices.
struct JsonReader<'a> {
    text: &'a str,
    origins: &'a mut Origins,
    /// Number of tables and lists around the current value.
    depth: usize,
}

impl JsonReader<'_> {
    /// Returns the byte range of `slice`, a slice of the text, from its address.
    fn range(&self, slice: &str) -> Range<usize> {
        let start = slice.as_ptr() as usize - self.text.as_ptr() as usize;
        start..start + slice.len()
    }

    fn value(&mut self, source: &str, path: &str) -> Result<Value, SyntaxError> {
        match source.as_bytes().first() {
            Some(b'{' | b'[') if self.depth == MAX_DEPTH => {
                let start = self.range(source).start;
                Err(nested_too_deep(start..start + 1))
            }
            Some(first @ (b'{' | b'[')) => {
                self.depth += 1;
                let value = if *first == b'{' { self.object(source, path) } else { self.array(source, path) };
                self.depth -= 1;
                value
            }
            _ => match serde_json::from_str(source) {
                Ok(Value::Null) => Err(SyntaxError::new("`null` is no value: leave the key out", self.range(source))),
                other => other.map_err(|error| self.unreadable(source, &error)),
            },
        }
    }

    fn object(&mut self, source: &str, path: &str) -> Result<Value, SyntaxError> {
        let entries: OrderedEntries = serde_json::from_str(source).map_err(|error| self.unreadable(source, &error))?;
        let mut map = Map::new();
        for (key, value) in entries.0 {
            let key_path = join(path, &key);
            let value_range = self.range(value.get());
            // A key with escapes is not a substring of the text, so the span of its value is used.
            let key_range = match &key {
                Cow::Borrowed(key) => {
                    let range = self.range(key);
                    range.start - 1..range.end + 1
                }
                Cow::Owned(_) => value_range.clone(),
            };
            let span = Span { key: key_range.clone(), value: value_range };
            if self.origins.insert(key_path.clone(), Origin::File(span)).is_some() {
                return Err(SyntaxError::new(format!("duplicate key `{key}`"), key_range));
            }
            map.insert(key.into_owned(), self.value(value.get(), &key_path)?);
        }
        Ok(Value::Object(map))
    }

    fn array(&mut self, source: &str, path: &str) -> Result<Value, SyntaxError> {
        let items: Vec<&RawValue> = serde_json::from_str(source).map_err(|error| self.unreadable(source, &error))?;
        let mut list = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let item_path = format!("{path}[{index}]");
            let range = self.range(item.get());
            self.origins.insert(item_path.clone(), Origin::File(Span { key: range.clone(), value: range }));
            list.push(self.value(item.get(), &item_path)?);
        }
        Ok(Value::Array(list))
    }

    /// Returns the error of the parser for the value `source`, a slice of the text, such as a number out of range.
    fn unreadable(&self, source: &str, error: &serde_json::Error) -> SyntaxError {
        SyntaxError::new(error.to_string(), self.range(source))
    }
}

/// The members of a JSON object in their order; the values are slices of the text, and so are keys without escapes.
struct OrderedEntries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for OrderedEntries<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// A key that borrows from the text if it has no escapes; serde copies a plain `Cow` always.
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
