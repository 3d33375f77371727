//! Former names of keys. They are still accepted, so that older configurations and the files of older runs can be read.

use serde_json::{Map, Value};

use super::document::Origins;
use super::value_path::{is_within, join};

/// A key whose name has changed.
struct RenamedKey {
    /// The path of the table around the key; `*` stands for any key.
    table: &'static [&'static str],
    former: &'static str,
    present: &'static str,
    /// Name and value of a key that the table under the present name has besides.
    added: Option<(&'static str, &'static str)>,
}

const RENAMED_KEYS: [RenamedKey; 3] = [
    RenamedKey { table: &["train"], former: "products", present: "matmul_precision", added: None },
    RenamedKey { table: &["arms", "*"], former: "rewind_moments", present: "rewind_optimizer", added: None },
    RenamedKey {
        table: &["arms", "*", "mask"],
        former: "magnitude_at_init",
        present: "at_init",
        added: Some(("method", "magnitude")),
    },
];

/// Returns `parts`, the path of a value, with the present name of its last key.
pub(super) fn rename_last_part(mut parts: Vec<String>) -> Vec<String> {
    if let Some((last, table)) = parts.split_last_mut() {
        let is_renamed = |key: &&RenamedKey| {
            let matches = |(pattern, part): (&&str, &String)| *pattern == "*" || *pattern == part;
            key.former == last && key.table.len() == table.len() && key.table.iter().zip(table.iter()).all(matches)
        };
        if let Some(key) = RENAMED_KEYS.iter().find(is_renamed) {
            key.present.clone_into(last);
        }
    }
    parts
}

/// Gives keys with former names their present names, in the values and in their origins. A former name beside the
/// present one stays, and is reported as an unknown key when the values are read.
pub(super) fn rename_keys(root: &mut Value, origins: &mut Origins) {
    for key in &RENAMED_KEYS {
        rename_in_tables(root, "", key.table, key, origins);
    }
}

/// Renames `key` in the tables at the path pattern `table` inside `value`, whose own path is `path`.
fn rename_in_tables(value: &mut Value, path: &str, table: &[&str], key: &RenamedKey, origins: &mut Origins) {
    let Value::Object(map) = value else { return };
    let Some((first, rest)) = table.split_first() else {
        rename_in_table(map, path, key, origins);
        return;
    };
    for (name, inner) in map.iter_mut().filter(|(name, _)| *first == "*" || *first == name.as_str()) {
        rename_in_tables(inner, &join(path, name), rest, key, origins);
    }
}

/// Renames `key` in the table `map` at `path`.
fn rename_in_table(map: &mut Map<String, Value>, path: &str, key: &RenamedKey, origins: &mut Origins) {
    if map.contains_key(key.present) {
        return;
    }
    let Some(mut value) = map.remove(key.former) else { return };
    if let (Some((name, added)), Value::Object(table)) = (key.added, &mut value) {
        table.insert(name.to_owned(), added.into());
    }
    map.insert(key.present.to_owned(), value);
    let former = join(path, key.former);
    let present = join(path, key.present);
    let moved: Vec<String> = origins.keys().filter(|path| is_within(path, &former)).cloned().collect();
    for path in moved {
        if let Some(origin) = origins.remove(&path) {
            origins.insert(format!("{present}{}", &path[former.len()..]), origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{ConfigDocument, Origin};

    const FILE: &str = "[train]\nproducts = 'tf32'\n[arms.late]\nmask = 'iterative'\nrewind_moments = 'reset'\n";

    fn value(document: &ConfigDocument, pointer: &str) -> Option<String> {
        document.root.pointer(pointer).map(ToString::to_string)
    }

    #[test]
    fn former_names_become_present_ones_with_their_origins() {
        let document = ConfigDocument::parse("e.toml", FILE, &[]).unwrap();
        assert_eq!(value(&document, "/train/matmul_precision").as_deref(), Some("\"tf32\""));
        assert_eq!(value(&document, "/train/products"), None);
        assert_eq!(value(&document, "/arms/late/rewind_optimizer").as_deref(), Some("\"reset\""));
        let Some(Origin::File(span)) = document.exact_origin("arms.late.rewind_optimizer") else { panic!("no origin") };
        assert_eq!(&FILE[span.key.clone()], "rewind_moments");
    }

    #[test]
    fn a_set_with_a_former_name_overrides_the_present_one() {
        let text = FILE.replace("products", "matmul_precision");
        let sets = ["train.products=bf16".to_owned(), "arms.more={rewind_moments='restore'}".to_owned()];
        let document = ConfigDocument::parse("e.toml", &text, &sets).unwrap();
        assert_eq!(value(&document, "/train/matmul_precision").as_deref(), Some("\"bf16\""));
        assert_eq!(value(&document, "/train/products"), None);
        assert_eq!(document.exact_origin("train.matmul_precision"), Some(&Origin::Set(sets[0].as_str().into())));
        assert_eq!(value(&document, "/arms/more/rewind_optimizer").as_deref(), Some("\"restore\""));
        assert_eq!(document.exact_origin("arms.more.rewind_optimizer"), Some(&Origin::Set(sets[1].as_str().into())));
    }

    #[test]
    fn magnitude_at_init_is_a_method_at_initialization() {
        let text = "[arms.a]\nmask = { magnitude_at_init = { cut = [0.5] } }\n";
        let document = ConfigDocument::parse("e.toml", text, &[]).unwrap();
        let mask = value(&document, "/arms/a/mask").unwrap();
        assert_eq!(mask, r#"{"at_init":{"cut":[0.5],"method":"magnitude"}}"#);
    }

    #[test]
    fn both_names_in_one_table_stay() {
        let text = format!("{FILE}rewind_optimizer = 'restore'\n");
        let document = ConfigDocument::parse("e.toml", &text, &[]).unwrap();
        assert_eq!(value(&document, "/arms/late/rewind_moments").as_deref(), Some("\"reset\""));
        assert_eq!(value(&document, "/arms/late/rewind_optimizer").as_deref(), Some("\"restore\""));
    }
}
