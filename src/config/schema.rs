//! The keys and values of a configuration as a JSON Schema; the descriptions are the doc comments of the types.

use serde_json::Value;

use super::experiment::ExperimentKeys;

/// Returns the schema (JSON Schema 2020-12), which holds for TOML and JSON configurations.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(ExperimentKeys).to_value();
    schema["title"] = "An experiment of lth".into();
    schema
}
