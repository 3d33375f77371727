//! The error for a missing file: the folders and names that were tried, and entries with similar names.

use std::fmt;
use std::path::PathBuf;

use super::names::near_misses;

/// The error for a missing file of a data set.
#[derive(Debug, thiserror::Error)]
pub struct NotFound {
    /// The folders that were searched.
    folders: Vec<PathBuf>,
    /// The names that were tried, relative to a folder.
    names: Vec<String>,
    /// Advice on entries with similar names.
    advice: Vec<String>,
    /// The built-in data set of the file; `None` for custom data.
    pub builtin: Option<&'static str>,
}

impl NotFound {
    /// Returns the error, with advice on entries of `folders` that may be the file under another name.
    pub(super) fn new(folders: Vec<PathBuf>, names: Vec<String>, builtin: Option<&'static str>) -> Self {
        let advice = folders.iter().flat_map(|folder| near_misses(folder, &names)).collect();
        Self { folders, names, advice, builtin }
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.names.iter().map(|name| format!("`{name}`")).collect();
        let folders: Vec<String> = self.folders.iter().map(|folder| format!("`{}`", folder.display())).collect();
        let folders = folders.join(" or ");
        match names.as_slice() {
            [one] => write!(f, "{one} not found in {folders}, plain or with `.gz`")?,
            [one, other] => write!(f, "neither {one} nor {other} found in {folders}, plain or with `.gz`")?,
            [first @ .., last] => {
                write!(f, "none of {} and {last} found in {folders}, plain or with `.gz`", first.join(", "))?;
            }
            [] => write!(f, "no file found in {folders}")?,
        }
        self.advice.iter().try_for_each(|advice| write!(f, "; {advice}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_found_lists_names_and_folders() {
        let message = |names: &[&str]| {
            let names = names.iter().map(|&name| name.to_owned()).collect();
            NotFound::new(vec!["data/set".into(), "data".into()], names, None).to_string()
        };
        assert_eq!(message(&["a"]), "`a` not found in `data/set` or `data`, plain or with `.gz`");
        assert_eq!(message(&["a", "b"]), "neither `a` nor `b` found in `data/set` or `data`, plain or with `.gz`");
        assert_eq!(
            message(&["a", "b", "c"]),
            "none of `a`, `b` and `c` found in `data/set` or `data`, plain or with `.gz`"
        );
    }
}
