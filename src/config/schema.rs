//! The keys and values of a configuration as a JSON Schema; the descriptions are the doc comments of the types.

use serde_json::Value;

use super::experiment::ExperimentKeys;

/// Returns the schema (JSON Schema 2020-12), which holds for TOML and JSON configurations.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(ExperimentKeys).to_value();
    schema["title"] = "An experiment of lth".into();
    schema
}

/// Returns the schema that a property refers to; for an optional property, the schema of its value.
pub(super) fn resolve<'a>(schema: &'a Value, property: &'a Value) -> &'a Value {
    if let Some(name) = property["$ref"].as_str() {
        return schema.pointer(name.trim_start_matches('#')).unwrap_or(property);
    }
    match property["anyOf"].as_array().map(Vec::as_slice) {
        Some([value, null]) if null["type"] == "null" => resolve(schema, value),
        _ => property,
    }
}
