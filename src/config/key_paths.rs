//! The paths of all keys of a configuration, from the schema.

use serde_json::Value;

use super::schema::{resolve, schema};
use super::value_path::join;

/// The part of a path that stands for a name that the user chooses, such as that of an arm.
const NAME: &str = "NAME";

/// A key of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPath {
    /// The path, such as `train.lr`; `NAME` stands for a name that the user chooses, such as that of an arm.
    pub path: String,
    /// The first sentence of the description.
    pub summary: String,
    /// Whether the value is a table with keys of its own.
    pub is_table: bool,
}

impl KeyPath {
    /// Returns whether `parts` is this path, with any names in place of `NAME`.
    pub(super) fn matches(&self, parts: &[String]) -> bool {
        let own: Vec<&str> = self.path.split('.').collect();
        own.len() == parts.len() && own.iter().zip(parts).all(|(own, part)| *own == NAME || own == part)
    }
}

/// Returns all keys, in the order of the reference.
pub fn key_paths() -> Vec<KeyPath> {
    let schema = schema();
    let mut keys = Vec::new();
    collect(&schema, &schema, "", &mut keys);
    keys
}

/// Adds the keys of the table `object` at `path`, and of the tables in it.
fn collect(schema: &Value, object: &Value, path: &str, keys: &mut Vec<KeyPath>) {
    for (key, property) in object["properties"].as_object().into_iter().flatten() {
        let inner = join(path, key);
        let target = resolve(schema, property);
        let members = target.get("additionalProperties").filter(|members| members.is_object());
        let is_table = members.is_some() || target.get("properties").is_some();
        keys.push(KeyPath { path: inner.clone(), summary: summary(property, target), is_table });
        collect(schema, target, &inner, keys);
        if let Some(members) = members {
            let named = join(&inner, NAME);
            let target = resolve(schema, members);
            let is_table = target.get("properties").is_some();
            keys.push(KeyPath { path: named.clone(), summary: summary(members, target), is_table });
            collect(schema, target, &named, keys);
        }
    }
}

/// Returns the first sentence of the description of a property, or of its type.
fn summary(property: &Value, target: &Value) -> String {
    let text = property["description"].as_str().or_else(|| target["description"].as_str()).unwrap_or_default();
    let line = text.replace('\n', " ");
    line.split_once(". ").map_or(line.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_paths_has_keys_of_every_kind() {
        let keys = key_paths();
        let find = |path: &str| keys.iter().find(|key| key.path == path).unwrap_or_else(|| panic!("{path}"));
        let summary = &find("train.lr").summary;
        assert!(summary.starts_with("Learning rate") && !summary.ends_with('.'), "{summary}");
        assert!(find("train").is_table && find("arms").is_table && find("arms.NAME").is_table);
        assert!(!find("seed").is_table && !find("arms.NAME.mask").is_table && !find("prune.rate.layers.NAME").is_table);
        let parts = ["arms", "late", "mask"].map(str::to_owned);
        assert!(find("arms.NAME.mask").matches(&parts) && !find("arms.NAME").matches(&parts));
    }
}
