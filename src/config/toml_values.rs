//! From parsed TOML to values and their origins.

use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

use super::document::{Origin, Origins, Span};
use super::mistakes::syntax::SyntaxError;
use super::value_path::join;

/// Returns the values of a table, in the order of the text, and adds their origins to `origins`.
///
/// # Errors
/// Fails if a key is given twice, or if a number cannot be represented.
pub(super) fn toml_values(table: &DeTable<'_>, origins: &mut Origins) -> Result<Value, SyntaxError> {
    table_values(table, "", origins)
}

fn table_values(table: &DeTable<'_>, path: &str, origins: &mut Origins) -> Result<Value, SyntaxError> {
    // `DeTable` sorts its keys; their spans give the order of the text.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut map = Map::new();
    for (key, value) in entries {
        let key_path = join(path, key.get_ref());
        // An implicit table (the `arms` of `[arms.a]`) has no text of its own, so the span of its key is used.
        let range = if value.span().is_empty() { key.span() } else { value.span() };
        let span = Span { key: key.span(), value: range };
        let is_duplicate = origins.insert(key_path.clone(), Origin::File(span)).is_some();
        // The parser refuses equal keys, but not equal paths: `"a.b" = 1` beside `a = { b = 1 }`. The path of a key
        // such as `"hidden[0]"` may be that of an item of a list; it is reported as unknown later.
        if is_duplicate && !key.get_ref().contains('[') {
            return Err(SyntaxError::new(format!("duplicate key `{key_path}`"), key.span()).hint("keep one of them"));
        }
        map.insert(key.get_ref().to_string(), toml_value(value.get_ref(), &key_path, &value.span(), origins)?);
    }
    Ok(Value::Object(map))
}

fn toml_value(
    value: &DeValue<'_>,
    path: &str,
    span: &Range<usize>,
    origins: &mut Origins,
) -> Result<Value, SyntaxError> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        // No key takes a date, but an experiment may be named `2024-05-01`, which TOML reads as a date.
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Integer(integer) => match i128::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(n) if n >= 0 && u64::try_from(n).is_ok() => Value::from(n as u64),
            Ok(n) if i64::try_from(n).is_ok() => Value::from(n as i64),
            _ => return Err(SyntaxError::new("this number is too large", span.clone()).hint("at most 2^64 − 1")),
        },
        DeValue::Float(float) => match float.as_str().parse::<f64>().ok().and_then(Number::from_f64) {
            Some(number) => Value::Number(number),
            None => return Err(SyntaxError::new("this is not a finite number", span.clone()).hint("such as `0.001`")),
        },
        DeValue::Array(items) => {
            let mut list = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let item_path = format!("{path}[{index}]");
                origins.insert(item_path.clone(), Origin::File(Span { key: item.span(), value: item.span() }));
                list.push(toml_value(item.get_ref(), &item_path, &item.span(), origins)?);
            }
            Value::Array(list)
        }
        DeValue::Table(table) => table_values(table, path, origins)?,
    })
}
