//! Files that operating systems, file managers and editors leave in data folders.

use std::path::Path;

/// Names that are ignored, in upper or lower case. Names that begin with a dot (`.DS_Store`, `._*`, `.directory`,
/// `.ipynb_checkpoints`) are ignored too and need no entry.
const NAMES: [&str; 10] = [
    // Windows Explorer.
    "thumbs.db",
    "ehthumbs.db",
    "ehthumbs_vista.db",
    "desktop.ini",
    "$recycle.bin",
    "system volume information",
    // macOS: resource forks in archives.
    "__macosx",
    // Network storage of Synology and QNAP.
    "@eadir",
    "#recycle",
    // ext file systems.
    "lost+found",
];

/// Returns whether an entry of a data folder is not data, by its name.
pub(super) fn is_junk(path: &Path) -> bool {
    let Some(name) = path.file_name() else { return false };
    // The folder icon of the macOS Finder has a name that ends with a carriage return.
    name.as_encoded_bytes().starts_with(b".")
        || name == "Icon\r"
        || NAMES.iter().any(|junk| name.eq_ignore_ascii_case(junk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk_is_recognized_by_name() {
        for name in [".DS_Store", "._1.png", "Thumbs.db", "THUMBS.DB", "desktop.ini", "__MACOSX", "@eaDir", "Icon\r"] {
            assert!(is_junk(&Path::new("a/class").join(name)), "{name}");
        }
        for name in ["thumbs.png", "macosx", "labels.csv", "Icon", "recycle", "1.png"] {
            assert!(!is_junk(Path::new(name)), "{name}");
        }
    }
}
