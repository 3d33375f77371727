//! Removal of values on the command line: `--unset key.path`.

use serde_json::Value;

use super::document::{ConfigDocument, Origin};
use super::dotted_keys::{UserKeyTables, split_path};
use super::key_paths::{KeyPath, key_paths};
use super::mistakes::render::{MAX_MESSAGE, MAX_SHOWN, shortened};
use super::mistakes::suggest::closest_match;
use super::renamed_keys::rename_last_part;
use super::value_path::{is_within, join};

impl ConfigDocument {
    /// Removes the value at the path `key`, such as `data.train_limit` or `arms.random_mask`. A key that the
    /// configuration may have but does not have is accepted.
    ///
    /// # Errors
    /// Fails if `key` is not a path, or if no configuration has this key.
    pub(super) fn unset(&mut self, key: &str, tables: &UserKeyTables) -> Result<(), String> {
        let wrong = |what: &str, hint: String| {
            let (what, hint) = (shortened(what, MAX_MESSAGE), shortened(&hint, MAX_MESSAGE));
            format!("error: {what}\n  --> --unset {}\n\nhint: {hint}", shortened(key, MAX_SHOWN))
        };
        if let Some((name, _)) = key.split_once('=') {
            return Err(wrong("expected a key without a value", format!("write `--unset {}`", name.trim())));
        }
        if let Some((list, _)) = key.split_once('[') {
            return Err(wrong(
                "a part of a list cannot be removed",
                format!("give the whole list: `--set '{list}=[…]'`"),
            ));
        }
        let Some(parts) = split_path(key).map(|parts| rename_last_part(tables.join_parts(parts))) else {
            return Err(wrong("expected the path of a key", "such as `--unset data.train_limit`".to_owned()));
        };
        let Some((last, table)) = parts.split_last() else { return Ok(()) };
        let path = parts.join(".");
        let around = table.iter().try_fold(&mut self.root, |value, part| value.get_mut(part.as_str()));
        let removed = around.and_then(|value| value.as_object_mut()?.shift_remove(last));
        let known = key_paths();
        // A name that the user chooses, such as that of an arm, is known only if the configuration has it.
        let is_known = known.iter().any(|key| key.matches(&parts) && !key.path.ends_with("NAME"));
        if removed.is_none() && !is_known {
            return Err(wrong(&format!("there is no key `{path}`"), self.suggest_key(table, last, &known)));
        }
        self.origins.retain(|key, _| !is_within(key, &path));
        self.origins.insert(path, Origin::Unset(key.to_owned()));
        Ok(())
    }

    /// Returns the hint for the unknown key `name` in the table at the path `table`: the key that is probably meant, or
    /// all keys that the table has.
    fn suggest_key(&self, table: &[String], name: &str, known: &[KeyPath]) -> String {
        let path = table.join(".");
        let around = table.iter().try_fold(&self.root, |value, part| value.get(part.as_str()));
        let present = around.and_then(Value::as_object).into_iter().flat_map(|map| map.keys().cloned());
        let child = |key: &KeyPath| {
            let (parent, last) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
            let is_child = if table.is_empty() {
                parent.is_empty()
            } else {
                KeyPath { path: parent.to_owned(), ..key.clone() }.matches(table)
            };
            (is_child && last != "NAME").then(|| last.to_owned())
        };
        let mut names: Vec<String> = present.chain(known.iter().filter_map(child)).collect();
        names.dedup();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if let Some(nearest) = closest_match(name, &names) {
            return format!("did you mean `--unset {}`?", join(&path, nearest));
        }
        // The key may belong to another table.
        let elsewhere = known.iter().find(|key| key.path.rsplit('.').next() == Some(name));
        match elsewhere {
            Some(key) => format!("did you mean `--unset {}`?", key.path),
            None if names.is_empty() => "`lth check` lists the keys of an experiment".to_owned(),
            None => format!("one of: {}", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::Override;

    const FILE: &str =
        "[data]\ntrain_limit = 5\n[train]\nlr = 1\n[arms.a]\nmask = 'iterative'\n[arms.b]\nmask = 'dense'\n";

    fn document(overrides: &[Override]) -> Result<ConfigDocument, String> {
        ConfigDocument::parse_with("e.toml", FILE, overrides)
    }

    fn set(text: &str) -> Override {
        Override::Set(text.to_owned())
    }

    fn unset(text: &str) -> Override {
        Override::Unset(text.to_owned())
    }

    #[test]
    fn unset_removes_values_and_tables_in_the_order_of_options() {
        let removed = document(&[unset("data.train_limit"), unset("arms.b"), unset("seed")]).unwrap();
        assert_eq!(removed.root["data"], serde_json::json!({}));
        assert!(removed.root["arms"].get("b").is_none() && removed.root["arms"].get("a").is_some());
        assert_eq!(removed.unset_keys().collect::<Vec<_>>(), ["arms.b", "data.train_limit", "seed"]);
        let again = document(&[unset("train.lr"), set("train.lr=3")]).unwrap();
        assert_eq!((again.root["train"]["lr"].as_u64(), again.unset_keys().count()), (Some(3), 0));
        let last = document(&[set("train.lr=3"), unset("train.lr")]).unwrap();
        assert_eq!(last.exact_origin("train.lr"), Some(&Origin::Unset("train.lr".to_owned())));
        assert!(last.root["train"].get("lr").is_none());
    }

    #[test]
    fn unset_of_unknown_key_has_a_suggestion() {
        let hint = |key: &str| {
            let message = document(&[unset(key)]).unwrap_err();
            message.rsplit_once("\n\nhint: ").map(|(_, hint)| hint.to_owned()).unwrap_or(message)
        };
        assert_eq!(hint("data.train_limt"), "did you mean `--unset data.train_limit`?");
        assert_eq!(hint("train_limit"), "did you mean `--unset data.train_limit`?");
        assert_eq!(hint("arms.c"), "one of: a, b");
        assert_eq!(hint("arms.random_mask"), "one of: a, b");
        assert_eq!(hint("train.lr=3"), "write `--unset train.lr`");
        assert_eq!(hint("a..b"), "such as `--unset data.train_limit`");
    }
}
