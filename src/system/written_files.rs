//! Distinguishes this program's files from the user's in a folder that may hold both, such as that of a report. A list
//! in the folder has the SHA-256 of each file that this program wrote. A file that is not on the list, or was changed
//! since, is the user's ("foreign").

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use super::files;
use super::files::sha256_of_file;
use crate::base::key::sha256;

/// The name of the list. It has the format of `sha256sum`: a line for each file, with its SHA-256, two spaces, and its
/// name in the folder.
const LIST_FILE: &str = ".written-by-lth";

/// The files that this program wrote into a folder.
pub struct WrittenFiles {
    folder: PathBuf,
    /// Whether the folder has a list. Folders that older versions wrote have none.
    has_list: bool,
    /// The listed files, each as (name, SHA-256).
    listed: BTreeSet<(String, String)>,
}

impl WrittenFiles {
    /// Reads the list of `folder`; an empty list if the folder has none. Names that lead out of the folder are left
    /// out: this program writes none.
    ///
    /// # Errors
    /// Fails if the list exists and cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let bytes = files::read_if_present(&folder.join(LIST_FILE))?;
        let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default());
        let is_inside = |name: &str| Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        let listed = text.lines().filter_map(|line| line.split_once("  ")).filter(|(_, name)| is_inside(name));
        let listed = listed.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect();
        Ok(Self { folder: folder.to_owned(), has_list: bytes.is_some(), listed })
    }

    /// Returns whether the list has files, but not one called `name`.
    pub fn lacks(&self, name: &str) -> bool {
        !self.listed.is_empty() && self.listed.iter().all(|(listed, _)| listed != name)
    }

    /// Returns the paths of the files among `names` that exist and are foreign. In a folder without a list, all of them
    /// are.
    pub fn foreign<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<PathBuf> {
        let paths = names.into_iter().map(|name| (name, self.folder.join(name)));
        let foreign = paths.filter(|(name, path)| path.symlink_metadata().is_ok() && !self.has(name, path));
        foreign.map(|(_, path)| path).collect()
    }

    /// Renames the foreign files among `names` to `NAME.old-<n>`, with the smallest free n, and returns their new
    /// paths. Unlike [`foreign`](Self::foreign), takes every file for one of this program in a folder without a list,
    /// which an older version wrote: its files are to be replaced, not archived.
    ///
    /// # Errors
    /// Fails if a file cannot be renamed.
    pub fn archive_foreign<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Vec<PathBuf>> {
        let foreign = if self.has_list { self.foreign(names) } else { Vec::new() };
        let mut renamed = Vec::new();
        for path in foreign {
            let archived = |n: u32| {
                let mut name = path.clone().into_os_string();
                name.push(format!(".old-{n}"));
                PathBuf::from(name)
            };
            let to = archived(files::next_free_number(|n| archived(n).symlink_metadata().is_ok()));
            files::rename(&path, &to)?;
            renamed.push(to);
        }
        Ok(renamed)
    }

    /// Writes `files`, each as (name, bytes), and removes the listed files that are not among them, unless they are
    /// foreign by now.
    ///
    /// # Errors
    /// Fails if a file cannot be written or removed.
    pub fn replace(self, files: &[(String, Vec<u8>)]) -> Result<()> {
        let new: BTreeSet<(String, String)> = files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect();
        // The list of old and new checksums is written first, so that a process killed meanwhile leaves no unlisted
        // file.
        self.write_list(&self.listed.union(&new).cloned().collect())?;
        for (name, bytes) in files {
            files::write(&self.folder.join(name), bytes)?;
        }
        for (name, _) in self.listed.iter().filter(|(name, _)| !files.iter().any(|(kept, _)| kept == name)) {
            let path = self.folder.join(name);
            if self.has(name, &path) {
                files::remove(&path)?;
            }
        }
        self.write_list(&new)
    }

    /// Removes the listed files that are not foreign by now, the list, and the folders that are empty then.
    ///
    /// # Errors
    /// Fails if a file or folder cannot be removed.
    pub fn remove(self) -> Result<()> {
        let folder = self.folder.clone();
        let subfolders: BTreeSet<PathBuf> =
            self.listed.iter().filter_map(|(name, _)| Some(folder.join(name).parent()?.to_owned())).collect();
        self.replace(&[])?;
        files::remove(&folder.join(LIST_FILE))?;
        // In reverse order a folder comes after those inside it.
        for folder in subfolders.iter().rev().chain([&folder]) {
            if folder.is_dir() && files::list(folder)?.is_empty() {
                std::fs::remove_dir(folder).with_context(|| format!("could not remove `{}`", folder.display()))?;
            }
        }
        Ok(())
    }

    /// Returns whether the file at `path` has the bytes that this program wrote under `name`.
    fn has(&self, name: &str, path: &Path) -> bool {
        let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
        is_file && sha256_of_file(path).is_ok_and(|sum| self.listed.contains(&(name.to_owned(), sum)))
    }

    fn write_list(&self, listed: &BTreeSet<(String, String)>) -> Result<()> {
        let lines: Vec<String> = listed.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
        Ok(files::write(&self.folder.join(LIST_FILE), lines.concat().as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let paths = files::list(folder).unwrap();
        paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn written_files_are_replaced_and_removed_and_foreign_stay() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let file = |name: &str, text: &str| (name.to_owned(), text.as_bytes().to_vec());
        WrittenFiles::read(folder).unwrap().replace(&[file("a", "1"), file("b", "1"), file("c", "1")]).unwrap();
        files::write(&folder.join("mine"), b"of the user").unwrap();
        files::write(&folder.join("c"), b"listed, changed by the user").unwrap();
        assert_eq!(
            WrittenFiles::read(folder).unwrap().foreign(["a", "c", "mine", "new"]),
            [folder.join("c"), folder.join("mine")]
        );
        WrittenFiles::read(folder).unwrap().replace(&[file("a", "2")]).unwrap();
        assert_eq!(names(folder), [LIST_FILE, "a", "c", "mine"], "b was listed and is not written any more");
        assert_eq!(files::read(&folder.join("a")).unwrap(), b"2");
        assert!(WrittenFiles::read(folder).unwrap().foreign(["a"]).is_empty());
    }

    #[test]
    fn written_files_changed_by_user_are_archived() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        files::write(&folder.join("a"), b"of a version without lists").unwrap();
        assert!(WrittenFiles::read(folder).unwrap().archive_foreign(["a"]).unwrap().is_empty());
        WrittenFiles::read(folder).unwrap().replace(&[("a".into(), b"1".to_vec())]).unwrap();
        for (text, old) in [(b"mine", "a.old-1"), (b"also", "a.old-2")] {
            files::write(&folder.join("a"), text).unwrap();
            assert_eq!(WrittenFiles::read(folder).unwrap().archive_foreign(["a", "b"]).unwrap(), [folder.join(old)]);
            assert_eq!(files::read(&folder.join(old)).unwrap(), text);
            WrittenFiles::read(folder).unwrap().replace(&[("a".into(), b"1".to_vec())]).unwrap();
        }
    }

    #[test]
    fn files_written_before_a_kill_are_not_foreign() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        WrittenFiles::read(folder)
            .unwrap()
            .replace(&[("a".into(), b"1".to_vec()), ("b".into(), b"1".to_vec())])
            .unwrap();
        let owned = WrittenFiles::read(folder).unwrap();
        let new = ["a", "b"].map(|name| (name.to_owned(), sha256(b"2"))).into();
        owned.write_list(&owned.listed.union(&new).cloned().collect()).unwrap();
        files::write(&folder.join("a"), b"2").unwrap();
        assert!(WrittenFiles::read(folder).unwrap().foreign(["a", "b"]).is_empty());
    }
}
