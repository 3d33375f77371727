//! Values by their path, such as `a.b[0].c`. A key may have points in it (`prune.rate.layers.block1.conv1`): among the keys
//! that a path may mean, the longest is taken.

use serde_json::{Map, Value};

/// The place of a value in the table or list around it.
pub(super) enum ValueSlot<'a> {
    /// A table, and the key of the value.
    Key(&'a mut Map<String, Value>, String),
    /// A list, and the index of the value.
    Item(&'a mut Vec<Value>, usize),
}

/// Returns whether the path `key` is `table` or a path inside it.
pub(super) fn is_within(key: &str, table: &str) -> bool {
    key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Returns the longest key of `map` that `path` begins with, and the rest of the path.
fn longest_key<'p>(map: &Map<String, Value>, path: &'p str) -> Option<(String, &'p str)> {
    let rest = |key: &String| {
        let rest = path.strip_prefix(key.as_str())?;
        let fits = rest.is_empty() || rest.starts_with(['.', '[']);
        fits.then(|| (key.clone(), rest.strip_prefix('.').unwrap_or(rest)))
    };
    map.keys().filter_map(rest).max_by_key(|(key, _)| key.len())
}

/// Returns the slot of the value at `path`; `None` where there is none.
pub(super) fn slot<'a>(value: &'a mut Value, path: &str) -> Option<ValueSlot<'a>> {
    match value {
        Value::Object(map) => {
            let (key, rest) = longest_key(map, path)?;
            if rest.is_empty() { Some(ValueSlot::Key(map, key)) } else { slot(map.get_mut(&key)?, rest) }
        }
        Value::Array(list) => {
            let (number, rest) = path.strip_prefix('[')?.split_once(']')?;
            let index = number.parse::<usize>().ok()?;
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            list.get(index)?;
            if rest.is_empty() { Some(ValueSlot::Item(list, index)) } else { slot(list.get_mut(index)?, rest) }
        }
        _ => None,
    }
}

/// Returns the value at `path`; the root for the empty path.
pub(super) fn get_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    if path.is_empty() {
        return Some(value);
    }
    match slot(value, path)? {
        ValueSlot::Key(map, key) => map.get_mut(&key),
        ValueSlot::Item(list, index) => list.get_mut(index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_with_points_and_brackets_are_found() {
        let mut value = json!({ "a": { "b.c": 1, "b": { "c": 2, "d": [0, { "e": 3 }] } }, "h": 4, "h[0]": 5 });
        let mut at = |path: &str| get_mut(&mut value, path).map(|value| value.clone());
        assert_eq!((at("a.b.c"), at("a.b.d[1].e"), at("h[0]")), (Some(json!(1)), Some(json!(3)), Some(json!(5))));
        assert_eq!((at("a.b.d[2]"), at("a.x"), at("h.x")), (None, None, None));
    }
}
