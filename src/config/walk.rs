//! Values by their path, such as `a.b[0].c`. A key may have points in it (`prune.rate.layers.block1.conv1`): of keys that
//! a path may mean the longest is taken.

use serde_json::{Map, Value};

/// Where a value stands.
pub(super) enum ValueSlot<'a> {
    /// In a table, under this key.
    Key(&'a mut Map<String, Value>, String),
    /// In a list, at this place from 0.
    Item(&'a mut Vec<Value>, usize),
}

/// The keys of `map` that `path` may begin with, the longest first, each with the rest of the path.
fn candidates<'p>(map: &Map<String, Value>, path: &'p str) -> Option<(String, &'p str)> {
    let rest = |key: &String| {
        let rest = path.strip_prefix(key.as_str())?;
        let fits = rest.is_empty() || rest.starts_with(['.', '[']);
        fits.then(|| (key.clone(), rest.strip_prefix('.').unwrap_or(rest)))
    };
    map.keys().filter_map(rest).max_by_key(|(key, _)| key.len())
}

/// The slot of the value at `path`; `None` where there is none.
pub(super) fn slot<'a>(value: &'a mut Value, path: &str) -> Option<ValueSlot<'a>> {
    match value {
        Value::Object(map) => {
            let (key, rest) = candidates(map, path)?;
            if rest.is_empty() { Some(ValueSlot::Key(map, key)) } else { slot(map.get_mut(&key)?, rest) }
        }
        Value::Array(list) => {
            let (number, rest) = path.strip_prefix('[')?.split_once(']')?;
            let (at, rest) = (number.parse::<usize>().ok()?, rest.strip_prefix('.').unwrap_or(rest));
            list.get(at)?;
            if rest.is_empty() { Some(ValueSlot::Item(list, at)) } else { slot(list.get_mut(at)?, rest) }
        }
        _ => None,
    }
}

/// The value at `path`; the whole for the empty path.
pub(super) fn get_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    if path.is_empty() {
        return Some(value);
    }
    match slot(value, path)? {
        ValueSlot::Key(map, key) => map.get_mut(&key),
        ValueSlot::Item(list, at) => list.get_mut(at),
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
