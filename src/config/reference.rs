//! The reference of all keys as a page of Markdown, made from the schema, so that both agree.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema::{resolve, schema};

/// Returns the reference of all keys as Markdown.
pub fn key_reference_markdown() -> String {
    let schema = schema();
    let mut page = ReferenceWriter { schema: &schema, text: String::new(), waiting: Vec::new() };
    page.text.push_str(
        "# Every key of an experiment\n\n\
         Made by `lth generate config-reference` from the program's own types. An experiment is a TOML file, or a JSON\n\
         file with the same keys; `--set key.path=value` overrides any of them. A key that is not listed is a mistake,\n\
         and so is a parameter of another variant than the one chosen.\n",
    );
    page.section("", &schema);
    while !page.waiting.is_empty() {
        let (path, object) = page.waiting.remove(0);
        page.section(&path, object);
    }
    page.text
}

/// The page being written.
struct ReferenceWriter<'a> {
    schema: &'a Value,
    text: String,
    /// Tables inside those written so far, each with its path, in the order in which they are written next.
    waiting: Vec<(String, &'a Value)>,
}

impl<'a> ReferenceWriter<'a> {
    /// Writes the keys of a table: value, default and meaning of each; then the variants of those that are
    /// enumerations.
    fn section(&mut self, path: &str, object: &'a Value) {
        let heading = if path.is_empty() { "Top level".to_owned() } else { format!("`[{path}]`") };
        let about = text(object, "description");
        let _ =
            writeln!(self.text, "\n## {heading}\n\n{about}\n\n| key | value | default | meaning |\n|---|---|---|---|");
        let mut variants = Vec::new();
        for (key, property) in object["properties"].as_object().into_iter().flatten() {
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let target = resolve(self.schema, property);
            let (value, default) = self.value_and_default(object, key, property);
            let _ = writeln!(self.text, "| `{key}` | {value} | {default} | {} |", cell(text(property, "description")));
            if let Some(alternatives) = target.get("anyOf").and_then(Value::as_array) {
                for alternative in alternatives.iter().map(|one| resolve(self.schema, one)) {
                    if alternative.get("properties").is_some() {
                        self.waiting.push((inner.clone(), alternative));
                    } else if let Some(all) = alternative.get("oneOf") {
                        variants.push((key, all));
                    }
                }
            } else if let Some(members) = target.get("additionalProperties").filter(|members| members.is_object()) {
                let members = resolve(self.schema, members);
                if members.get("properties").is_some() {
                    self.waiting.push((format!("{inner}.NAME"), members));
                }
            } else if target.get("properties").is_some() {
                self.waiting.push((inner, target));
            } else if let Some(all) = resolve(self.schema, target.get("items").unwrap_or(target)).get("oneOf") {
                variants.push((key, all));
            }
        }
        for (key, all) in variants {
            let _ = writeln!(self.text, "\n`{key}` is one of:\n");
            for variant in all.as_array().into_iter().flatten() {
                self.variant(variant, "");
            }
        }
    }

    /// Returns the cells for the value and the default of the property `key` of `object`.
    fn value_and_default(&self, object: &Value, key: &str, property: &Value) -> (String, String) {
        let required = object["required"].as_array().is_some_and(|all| all.iter().any(|name| name == key));
        let default = match property.get("default") {
            _ if required => "required".to_owned(),
            Some(default) if !default.is_object() => format!("`{default}`"),
            _ => String::new(),
        };
        (cell(&self.kind(property)), default)
    }

    /// Writes one value of an enumeration, a name or a table with parameters, as an item of a list that is indented by
    /// `indent`. The values of parameters that are enumerations follow them.
    fn variant(&mut self, variant: &'a Value, indent: &str) {
        let about = cell(text(variant, "description"));
        if let Some(word) = variant.get("const") {
            let _ = writeln!(self.text, "{indent}- `{word}`: {about}");
        }
        for word in variant["enum"].as_array().into_iter().flatten() {
            let _ = writeln!(self.text, "{indent}- `{word}`");
        }
        for (name, inner) in variant["properties"].as_object().into_iter().flatten() {
            let inner = resolve(self.schema, inner);
            let Some(parameters) = inner["properties"].as_object() else {
                let _ = writeln!(self.text, "{indent}- `{{ {name} = … }}`: {about}");
                self.variants(inner, indent);
                continue;
            };
            let keys: Vec<String> = parameters.keys().map(|key| format!("{key} = …")).collect();
            let _ = writeln!(self.text, "{indent}- `{{ {name} = {{ {} }} }}`: {about}", keys.join(", "));
            for (key, parameter) in parameters {
                let kind = self.kind(parameter);
                let about = cell(text(parameter, "description"));
                let _ = writeln!(self.text, "{indent}  - `{key}`, {kind}: {about}");
                self.variants(resolve(self.schema, parameter), &format!("{indent}  "));
            }
        }
    }

    /// Writes the values of `target`, if it is an enumeration, as a list inside an item that is indented by `indent`.
    fn variants(&mut self, target: &'a Value, indent: &str) {
        let indent = format!("{indent}  ");
        let nested = target["anyOf"].as_array().into_iter().flatten().map(|one| resolve(self.schema, one));
        let enumerations: Vec<&Value> = std::iter::once(target).chain(nested).collect();
        for variant in enumerations.iter().flat_map(|target| target["oneOf"].as_array().into_iter().flatten()) {
            self.variant(variant, &indent);
        }
    }

    /// Returns the type of a property in plain words.
    fn kind(&self, property: &Value) -> String {
        let target = resolve(self.schema, property);
        if let Some(all) = target.get("anyOf").and_then(Value::as_array) {
            let kind = |one: &Value| if one.get("oneOf").is_some() { "see below".to_owned() } else { self.kind(one) };
            return all.iter().map(|one| kind(resolve(self.schema, one))).collect::<Vec<_>>().join(" or ");
        }
        if let Some(word) = target.get("const") {
            return format!("`{word}`");
        }
        if target.get("oneOf").is_some() {
            return "see below".to_owned();
        }
        let kind = target["type"].as_str().or_else(|| target["type"][0].as_str()).unwrap_or("any");
        match kind {
            "integer" => "whole number".to_owned(),
            "number" => "number".to_owned(),
            "boolean" => "`true` or `false`".to_owned(),
            "string" => "text".to_owned(),
            "array" => match target["maxItems"].as_u64() {
                Some(n) => format!("list of {n}: {}", self.kind(&target["items"])),
                None => format!("list: {}", self.kind(&target["items"])),
            },
            _ => "table".to_owned(),
        }
    }
}

/// Returns the text of `value` at `key`; empty if there is none.
fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// Returns a text that is escaped for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_has_every_key_and_every_variant() {
        let (schema, page) = (schema(), key_reference_markdown());
        let mut count = 0;
        let mut check = |value: &Value| {
            for (key, property) in value["properties"].as_object().into_iter().flatten() {
                count += 1;
                assert!(page.contains(&format!("`{key}`")) || page.contains(&format!("{{ {key} = ")), "{key}");
                assert!(property.get("default").is_none() || !property["default"].is_null(), "{key}");
            }
            for word in value["oneOf"].as_array().into_iter().flatten().filter_map(|one| one.get("const")) {
                count += 1;
                assert!(page.contains(&format!("- `{word}`: ")), "{word}");
            }
        };
        check(&schema);
        schema["$defs"].as_object().unwrap().values().for_each(&mut check);
        assert!(count > 60, "{count}");
    }
}
