//! The reference of an output that other programs read, as a section of Markdown, made from its schema.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema::resolve;

/// Returns the section of an output with this schema: a table of the fields of its object, or of those of the objects
/// in its list or table. Fields of inner objects have names such as `time.seconds` and `rounds[].arm`. If the output is
/// a file, its rows are listed as columns.
pub fn object_reference_markdown(heading: &str, schema: &Value) -> String {
    let is_csv = heading.ends_with(".csv`");
    let page = OutputReference { schema, missing: if is_csv { "empty" } else { "`null`" } };
    let (form, object) = match (schema.get("items"), schema.get("additionalProperties")) {
        (Some(items), _) => ("A list of objects. ", resolve(schema, items)),
        (None, Some(members)) if members.is_object() => ("An object of objects. ", resolve(schema, members)),
        _ => ("", schema),
    };
    let about = page.plain(object["description"].as_str().unwrap_or_default());
    let name = if is_csv { "column" } else { "field" };
    let mut text = format!("\n## {heading}\n\n{form}{about}\n\n| {name} | value | meaning |\n|---|---|---|\n");
    page.fields(object, "", &mut text);
    text
}

/// The schema of an output, and how it writes a missing value.
struct OutputReference<'a> {
    schema: &'a Value,
    missing: &'static str,
}

impl OutputReference<'_> {
    /// Writes a row for each field of an object, and then for those of the objects in it. `path`: the path of the
    /// object, with the `.` after it.
    fn fields(&self, object: &Value, path: &str, text: &mut String) {
        for (name, property) in object["properties"].as_object().into_iter().flatten() {
            let own = property["description"].as_str();
            let target = resolve(self.schema, property);
            let about = self.plain(own.or_else(|| target["description"].as_str()).unwrap_or_default());
            let kind = self.kind(property) + &self.optional(property);
            let _ = writeln!(text, "| `{path}{name}` | {kind} | {} |", about.replace('|', "\\|"));
            if let Some((inner, suffix)) = self.inner_object(target) {
                self.fields(inner, &format!("{path}{name}{suffix}."), text);
            }
        }
    }

    /// Returns the object inside a value, and the suffix of its path: `[]` in a list, `.NAME` in a table. `None` if
    /// there is none, or if it has a section of its own.
    fn inner_object<'v>(&'v self, target: &'v Value) -> Option<(&'v Value, &'static str)> {
        let (inner, suffix) = match (target.get("items"), target.get("additionalProperties")) {
            (Some(items), _) => (items, "[]"),
            (None, Some(members)) if members.is_object() => (members, ".NAME"),
            _ => (target, ""),
        };
        if row_of_file(inner).is_some() {
            return None;
        }
        let inner = resolve(self.schema, inner);
        inner.get("properties").map(|_| (inner, suffix))
    }

    /// Returns the type of a value in plain words.
    fn kind(&self, property: &Value) -> String {
        let target = resolve(self.schema, property);
        let words =
            |list: &Value| list.as_array().into_iter().flatten().filter_map(Value::as_str).map(quoted).collect();
        let consts = target["oneOf"].as_array().into_iter().flatten();
        let consts: Vec<String> = consts.filter_map(|one| one["const"].as_str()).map(quoted).collect();
        let names: Vec<String> = [words(&target["enum"]), words(&target["examples"]), consts].concat();
        if !names.is_empty() {
            return names.join(", ");
        }
        if let Some(choices) = target["anyOf"].as_array() {
            return choices.iter().map(|choice| self.kind(choice)).collect::<Vec<_>>().join(" or ");
        }
        if let Some(word) = target["const"].as_str() {
            return quoted(word);
        }
        if let Some(parts) = target["prefixItems"].as_array() {
            let kinds: Vec<String> = parts.iter().map(|part| self.kind(part)).collect();
            return format!("list of {}: {}", kinds.len(), kinds.join(", "));
        }
        let kind = target["type"].as_str().or_else(|| target["type"][0].as_str());
        match kind {
            Some("integer") => "whole number".to_owned(),
            Some("number") => "number".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("string") => "text".to_owned(),
            Some("array") => match row_of_file(&target["items"]) {
                Some(file) => format!("list: rows of `{file}`"),
                None => format!("list: {}", self.kind(&target["items"])),
            },
            Some("object") => "object".to_owned(),
            _ if target.get("oneOf").is_some() => "text, or object with one field".to_owned(),
            _ => "any".to_owned(),
        }
    }

    /// Returns the text for a value that may be missing; empty for others.
    fn optional(&self, property: &Value) -> String {
        let has_null = |list: &Value| list.as_array().into_iter().flatten().any(|one| one == "null");
        let is_null = |one: &Value| one["type"] == "null";
        let may_be_null =
            has_null(&property["type"]) || property["anyOf"].as_array().is_some_and(|all| all.iter().any(is_null));
        if may_be_null { format!(" or {}", self.missing) } else { String::new() }
    }

    /// Returns a description on one line, without links to other items, and with the word for a missing value.
    fn plain(&self, description: &str) -> String {
        let line = description.replace('\n', " ").replace("`None`", self.missing);
        let mut text = String::new();
        let mut rest = line.as_str();
        while let Some((before, link)) = rest.split_once("[`") {
            let Some((name, after)) = link.split_once("`]") else { break };
            let _ = write!(text, "{before}`{name}`");
            rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
                Some((_, after)) => after,
                None => after,
            };
        }
        text + rest
    }
}

/// Returns the file that has the rows that an item of a list is; `None` for other items.
fn row_of_file(item: &Value) -> Option<&'static str> {
    (item["$ref"] == "#/$defs/RoundRow").then_some("rounds.csv")
}

/// Returns a word in backticks.
fn quoted(word: &str) -> String {
    format!("`{word}`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reference_of_an_output_lists_inner_fields() {
        let schema = json!({
            "description": "Result.", "type": "object",
            "properties": {
                "n": { "type": ["integer", "null"], "description": "Count; `None` if\nunknown, see [`X`](super::X)." },
                "count": { "anyOf": [{ "const": "auto" }, { "type": "integer" }], "description": "C." },
                "pair": { "type": "array", "prefixItems": [{ "type": "string" }, { "type": "number" }], "description": "P." },
                "list": { "type": "array", "items": { "$ref": "#/$defs/Inner" }, "description": "Items." },
            },
            "$defs": { "Inner": { "type": "object", "properties": { "word": { "enum": ["a", "b"], "description": "W." } } } },
        });
        let expected = "\n## `x --json`\n\nResult.\n\n| field | value | meaning |\n|---|---|---|\n\
            | `n` | whole number or `null` | Count; `null` if unknown, see `X`. |\n\
            | `count` | `auto` or whole number | C. |\n| `pair` | list of 2: text, number | P. |\n\
            | `list` | list: object | Items. |\n| `list[].word` | `a`, `b` | W. |\n";
        assert_eq!(object_reference_markdown("`x --json`", &schema), expected);
    }
}
