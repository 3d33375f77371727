//! Tables whose keys the user chooses, such as the layers of `prune.rate.layers`: a key may have points in it.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::schema::schema;

/// The paths of the tables with user-defined keys and scalar values, from the schema.
#[derive(Clone, Debug)]
pub(super) struct UserKeyTables(Vec<Vec<String>>);

impl UserKeyTables {
    /// Returns the tables of an experiment. They are looked up in the schema once per process, because a report reads
    /// many configurations.
    pub(super) fn of_experiment() -> &'static Self {
        static TABLES: OnceLock<UserKeyTables> = OnceLock::new();
        TABLES.get_or_init(|| {
            let schema = schema();
            let mut tables = Vec::new();
            collect(&schema, &schema, &mut Vec::new(), &mut tables);
            Self(tables)
        })
    }

    /// Joins the parts of a path that follow the path of such a table: `block1`, `conv1` becomes the key
    /// `block1.conv1`.
    pub(super) fn join_parts(&self, mut parts: Vec<String>) -> Vec<String> {
        let begins_path = |table: &&Vec<String>| parts.len() > table.len() && parts.starts_with(table);
        if let Some(table) = self.0.iter().find(begins_path) {
            let name = parts.split_off(table.len()).join(".");
            parts.push(name);
        }
        parts
    }

    /// Replaces tables inside such a table by keys with points: `block1 = { conv1 = 0.3 }` becomes `"block1.conv1" =
    /// 0.3`.
    pub(super) fn join_inner_keys(&self, root: &mut Value) {
        for table in &self.0 {
            let inner = table.iter().try_fold(&mut *root, |value, key| value.get_mut(key));
            if let Some(Value::Object(map)) = inner {
                for (key, value) in std::mem::take(map) {
                    insert_joined(map, key, value);
                }
            }
        }
    }
}

/// Inserts `value` as `name`; the values of a table as `name.key`.
fn insert_joined(map: &mut Map<String, Value>, name: String, value: Value) {
    match value {
        Value::Object(inner) if !inner.is_empty() => {
            inner.into_iter().for_each(|(key, value)| insert_joined(map, format!("{name}.{key}"), value));
        }
        value => {
            map.insert(name, value);
        }
    }
}

/// Adds the paths of such tables in `object` and in the tables inside it to `tables`. `path`: the path of `object`.
fn collect(schema: &Value, object: &Value, path: &mut Vec<String>, tables: &mut Vec<Vec<String>>) {
    for (key, property) in object["properties"].as_object().into_iter().flatten() {
        let target = property["$ref"].as_str().and_then(|name| schema.pointer(name.trim_start_matches('#')));
        let target = target.unwrap_or(property);
        path.push(key.clone());
        let has_values = |kind: &str| target["additionalProperties"]["type"] == kind;
        if has_values("number") || has_values("integer") || has_values("string") {
            tables.push(path.clone());
        }
        collect(schema, target, path, tables);
        path.pop();
    }
}

/// Returns the parts of a path such as `prune.rate.layers."block1.conv1"`; a part in quotes may have points. `None` if
/// the text is not a path.
pub(super) fn split_path(path: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = path.trim();
    loop {
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (part, after) = if let Some(quote) = quote {
            let (part, after) = rest[1..].split_once(quote)?;
            (part, after.trim_start())
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            (rest[..end].trim(), &rest[end..])
        };
        if part.is_empty() || part.contains(['"', '\'']) {
            return None;
        }
        parts.push(part.to_owned());
        match after.strip_prefix('.') {
            Some(next) => rest = next.trim_start(),
            None if after.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn user_key_tables_are_the_rates_by_layer_only() {
        assert_eq!(UserKeyTables::of_experiment().0, [["prune", "rate", "layers"]]);
    }

    #[test]
    fn split_path_and_join_parts_read_keys_with_points() {
        let joined = |path: &str| {
            let parts = split_path(path)?;
            Some(UserKeyTables::of_experiment().join_parts(parts).join("|"))
        };
        assert_eq!(joined("train.lr").unwrap(), "train|lr");
        assert_eq!(joined(" train . \"lr\" ").unwrap(), "train|lr");
        for path in
            ["prune.rate.layers.block1.conv1", "prune.rate.layers.\"block1.conv1\"", "prune.rate.layers.'block1.conv1'"]
        {
            assert_eq!(joined(path).unwrap(), "prune|rate|layers|block1.conv1");
        }
        assert_eq!(joined("arms.a.mask").unwrap(), "arms|a|mask");
        for wrong in ["", "a..b", "a.", ".a", "a.\"b", "a.\"b\"c", "a.\"\"", "a\"b\""] {
            assert_eq!(joined(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn join_inner_keys_replaces_tables_by_keys_with_points() {
        let mut root = json!({ "prune": { "rate": { "layers": { "block1": { "conv1": 0.3 }, "output": 0.1 } } } });
        UserKeyTables::of_experiment().join_inner_keys(&mut root);
        assert_eq!(root["prune"]["rate"]["layers"], json!({ "block1.conv1": 0.3, "output": 0.1 }));
    }
}
