//! Paths of values, such as `a.b[0].c`, and values by their path. A key may have points in it
//! (`prune.rate.layers.block1.conv1`): if several keys of a table are the beginning of a path, the longest is taken.

use serde_json::{Map, Value};

/// The position of a value in the table or list around it.
pub(super) enum ValueSlot<'a> {
    /// A table, and the key of the value.
    Key(&'a mut Map<String, Value>, String),
    /// A list, and the index of the value.
    Item(&'a mut Vec<Value>, usize),
}

/// Returns the path of `key` in the table at `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Returns the path of the table around the value at `path`; empty for a key of the root.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// Returns the last key of a path.
pub(super) fn last_key(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, key)| key)
}

/// Calls `visit` with the path (`train.lr`) and the value of every value in `value` that is not a table, in order.
/// `path`: the path of `value`, empty for the root.
pub fn for_each_leaf(value: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| for_each_leaf(inner, &join(path, key), visit)),
        _ => visit(path, value),
    }
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

/// Returns the slot of the value at `path`; `None` if there is no such value.
pub(super) fn slot<'a>(value: &'a mut Value, path: &str) -> Option<ValueSlot<'a>> {
    match value {
        Value::Object(map) => {
            let (key, rest) = longest_key(map, path)?;
            if rest.is_empty() { Some(ValueSlot::Key(map, key)) } else { slot(map.get_mut(&key)?, rest) }
        }
        Value::Array(list) => {
            let (digits, rest) = path.strip_prefix('[')?.split_once(']')?;
            let index = digits.parse::<usize>().ok()?;
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
    fn values_are_found_by_keys_with_points_and_brackets() {
        let mut value = json!({ "a": { "b.c": 1, "b": { "c": 2, "d": [0, { "e": 3 }] } }, "h": 4, "h[0]": 5 });
        let mut value_at = |path: &str| get_mut(&mut value, path).map(|value| value.clone());
        assert_eq!(
            (value_at("a.b.c"), value_at("a.b.d[1].e"), value_at("h[0]")),
            (Some(json!(1)), Some(json!(3)), Some(json!(5)))
        );
        assert_eq!((value_at("a.b.d[2]"), value_at("a.x"), value_at("h.x")), (None, None, None));
    }
}
