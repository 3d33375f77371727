//! What a configuration may say, as a JSON Schema: descriptions are the doc comments of the types.

use serde_json::Value;

use super::experiment::Experiment;

/// The schema (JSON Schema 2020-12). TOML and JSON configurations have the same one.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Experiment).to_value();
    schema["title"] = "An experiment of lth".into();
    schema
}
