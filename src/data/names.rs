//! The names that a file of a data set may have, and the entries of a folder with similar names. Reads no file.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::junk::is_junk;
use crate::system::files;

/// The state of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathState {
    /// No file, or a folder.
    Nothing,
    /// A file of 0 bytes.
    Empty,
    /// A file with content, or a file whose size cannot be read.
    File,
}

/// Returns the state of `path`.
pub(super) fn path_state(path: &Path) -> PathState {
    match fs::metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => PathState::Nothing,
        Ok(metadata) if metadata.is_dir() => PathState::Nothing,
        Ok(metadata) if metadata.is_file() && metadata.len() == 0 => PathState::Empty,
        Ok(_) | Err(_) => PathState::File,
    }
}

/// Returns the names that an IDX file may have, in order of precedence. The first is the official one, such as
/// `t10k-labels-idx1-ubyte`; others have a dot for the hyphen before `idx` (Kaggle). Custom data may also have `test`
/// for `t10k` (EMNIST), `idx2-int` for labels (QMNIST), and a prefix of all names.
pub(super) fn idx(official: &str, is_custom: bool, prefix: Option<&str>) -> Vec<String> {
    let Some((stem, suffix)) = official.split_once("-idx") else { return vec![official.to_owned()] };
    let mut names = Vec::new();
    let test = stem.strip_prefix("t10k-").filter(|_| is_custom).map(|kind| format!("test-{kind}"));
    for stem in std::iter::once(stem.to_owned()).chain(test) {
        let stem = prefix.map_or_else(|| stem.clone(), |prefix| format!("{prefix}-{stem}"));
        names.extend([format!("{stem}-idx{suffix}"), format!("{stem}.idx{suffix}")]);
        if is_custom && suffix == "1-ubyte" {
            names.push(format!("{stem}-idx2-int"));
        }
    }
    names
}

/// Returns `name` plain and with `.gz`.
pub(super) fn plain_or_zipped(name: &str) -> [String; 2] {
    [name.to_owned(), format!("{name}.gz")]
}

/// Returns the paths in `folder` that a file with one of `names` may have, in the order of the names. A path that is a
/// folder is replaced by the paths in it.
pub(super) fn paths(folder: &Path, names: &[String]) -> Vec<PathBuf> {
    let file_names = || names.iter().flat_map(|name| plain_or_zipped(name));
    let expand = |path: PathBuf| {
        if path.is_dir() { file_names().map(|name| path.join(name)).collect() } else { vec![path] }
    };
    file_names().flat_map(|name| expand(folder.join(name))).collect()
}

/// Returns the prefixes `p` for which `folder` has a file `p-<name>` with one of `names`, sorted.
pub(super) fn prefixes(folder: &Path, names: &[String]) -> Vec<String> {
    let prefix = |entry: &String| {
        let plain = entry.strip_suffix(".gz").unwrap_or(entry);
        let prefix = names.iter().find_map(|name| plain.strip_suffix(name.as_str())?.strip_suffix('-'))?;
        Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty())
    };
    let prefixes: BTreeSet<String> = entries(folder).iter().filter_map(prefix).collect();
    prefixes.into_iter().collect()
}

/// Returns the names in a folder that are UTF-8 and not [junk](is_junk), sorted; none if the folder cannot be listed.
fn entries(folder: &Path) -> Vec<String> {
    let paths = files::list(folder).unwrap_or_default().into_iter();
    let name = |path: PathBuf| Some(path.file_name()?.to_str()?.to_owned());
    paths.filter(|path| !is_junk(path)).filter_map(name).collect()
}

/// Extensions of files that must be unpacked.
const PACKED: [&str; 7] = [".zip", ".7z", ".rar", ".xz", ".bz2", ".tar", ".tgz"];

/// Extensions that files of several formats have.
const ENDINGS: [&str; 5] = [".gz", ".bin", ".txt", ".dat", ".idx"];

/// Returns advice on the entries of `folder` whose names are similar to one of `names`, at most three.
pub(super) fn near_misses(folder: &Path, names: &[String]) -> Vec<String> {
    let advice = |entry: &String| {
        let path = folder.join(entry);
        let ends = |ending: &&str| entry.to_lowercase().ends_with(*ending);
        let is_remnant = [".part", ".damaged"].iter().any(ends);
        let name = names.iter().find(|name| !is_remnant && is_similar(entry, name))?;
        let path_text = path.display();
        if !path.exists()
            && let Ok(target) = fs::read_link(&path)
        {
            return Some(format!("`{path_text}` is a link to `{}`, which is not there", target.display()));
        }
        Some(if path.is_dir() {
            format!("the folder `{path_text}` does not have it")
        } else if PACKED.iter().any(ends) {
            format!("there is `{path_text}`: unpack it")
        } else {
            format!("there is `{path_text}`: rename it to `{name}`")
        })
    };
    entries(folder).iter().filter_map(advice).take(3).collect()
}

/// Returns whether a file `entry` is probably the file `name` under another name: its letters and digits are those of
/// `name` apart from case, extensions, the kind of IDX (`idx3-ubyte`), and the word `copy` or a number at the end.
fn is_similar(entry: &str, name: &str) -> bool {
    let entry = alphanumeric_stem(entry);
    let name = alphanumeric_stem(name);
    let stem = name.split("idx").next().unwrap_or(&name);
    let without_suffixes = |rest: &str| rest.replace("idx", "").replace("ubyte", "").replace("copy", "");
    entry.strip_prefix(stem).is_some_and(|rest| without_suffixes(rest).chars().all(|c| c.is_ascii_digit()))
}

/// Returns the letters and digits of a name in lower case, without its extensions.
fn alphanumeric_stem(name: &str) -> String {
    let mut name = name.to_lowercase();
    while let Some(stem) = PACKED.iter().chain(&ENDINGS).find_map(|ending| name.strip_suffix(ending)) {
        name.truncate(stem.len());
    }
    name.retain(char::is_alphanumeric);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::files;

    #[test]
    fn names_of_idx_files_by_hand() {
        assert_eq!(idx("train-images-idx3-ubyte", false, None), ["train-images-idx3-ubyte", "train-images.idx3-ubyte"]);
        assert_eq!(
            idx("t10k-labels-idx1-ubyte", true, Some("emnist-letters")),
            [
                "emnist-letters-t10k-labels-idx1-ubyte",
                "emnist-letters-t10k-labels.idx1-ubyte",
                "emnist-letters-t10k-labels-idx2-int",
                "emnist-letters-test-labels-idx1-ubyte",
                "emnist-letters-test-labels.idx1-ubyte",
                "emnist-letters-test-labels-idx2-int",
            ]
        );
        assert_eq!(idx("test_batch.bin", true, None), ["test_batch.bin"]);
    }

    #[test]
    fn names_have_prefixes_of_the_given_file() {
        let folder = tempfile::tempdir().unwrap();
        let names = idx("train-images-idx3-ubyte", true, None);
        for name in ["b-train-images-idx3-ubyte.gz", "a-train-images.idx3-ubyte", "c-train-labels-idx1-ubyte"] {
            files::write(&folder.path().join(name), b"1").unwrap();
        }
        assert_eq!(prefixes(folder.path(), &names), ["a", "b"]);
        assert!(prefixes(&folder.path().join("none"), &names).is_empty());
    }

    #[test]
    fn near_misses_give_advice() {
        let folder = tempfile::tempdir().unwrap();
        let text = |entry: &str, name: &str| {
            let folder = tempfile::tempdir_in(&folder).unwrap();
            files::write(&folder.path().join(entry), b"1").unwrap();
            let advice = near_misses(folder.path(), &idx(name, true, None)).join("; ");
            advice.replace(&format!("{}/", folder.path().display()), "")
        };
        let images = "train-images-idx3-ubyte";
        assert_eq!(text("Train_Images.idx", images), format!("there is `Train_Images.idx`: rename it to `{images}`"));
        assert_eq!(text("train-images-idx3-ubyte.zip", images), "there is `train-images-idx3-ubyte.zip`: unpack it");
        assert!(text("train-images-idx3-ubyte (1).gz", images).ends_with("rename it to `train-images-idx3-ubyte`"));
        for other in ["train-labels-idx1-ubyte", "train-images-idx3-ubyte.gz.part", "._train-images-idx3-ubyte"] {
            assert_eq!(text(other, images), "");
        }
        assert_eq!(text("training.bin", "train.bin"), "");
        assert_eq!(text("data_batch_1.mat", "data_batch_1.bin"), "", "another format");
        assert_eq!(text("Train.bin", "train.bin"), "there is `Train.bin`: rename it to `train.bin`");
    }

    #[cfg(unix)]
    #[test]
    fn near_misses_name_dangling_links() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("train.bin");
        std::os::unix::fs::symlink("/nowhere/train.bin", &link).unwrap();
        assert_eq!(path_state(&link), PathState::Nothing);
        let text = near_misses(folder.path(), &["train.bin".to_owned()]);
        assert_eq!(text, [format!("`{}` is a link to `/nowhere/train.bin`, which is not there", link.display())]);
    }
}
