//! Lists the folder of the store: training runs, those that `--fresh` archived, and files that this program did not
//! write. All code that frees, counts or checks files of the store uses this listing, and so never touches foreign
//! files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Deserialize;

use crate::base::key::ContentHash;
use crate::system::files;
use crate::system::paths::{RunsDir, TrainingDir};

/// The contents of the store's folder: those of this program, and foreign ones.
#[derive(Clone, Debug, Default)]
pub(super) struct Listing {
    /// The folders of training runs, finished or not.
    pub(super) entries: Vec<TrainingDir>,
    /// The folders of training runs that `--fresh` archived.
    pub(super) archived: Vec<TrainingDir>,
    /// Files and folders that this program did not write, also those inside the folders of training runs.
    pub(super) foreign: Vec<PathBuf>,
}

impl Listing {
    /// Lists the store of `runs`; the listing is empty if there is no store.
    ///
    /// # Errors
    /// Fails if a folder of this program cannot be listed.
    pub(super) fn of(runs: &RunsDir) -> Result<Self> {
        let mut listing = Self::default();
        for path in files::list(&runs.store())? {
            if RunsDir::is_archived_store(&path) && path.is_dir() {
                for path in files::list(&path)? {
                    if let Some(entry) = listing.entry_at(path)? {
                        listing.archived.push(entry);
                    }
                }
            } else if let Some(entry) = listing.entry_at(path)? {
                listing.entries.push(entry);
            }
        }
        Ok(listing)
    }

    /// Returns the entry at `path` if this program wrote it; else adds `path` to the foreign files.
    fn entry_at(&mut self, path: PathBuf) -> Result<Option<TrainingDir>> {
        let entry = TrainingDir(path);
        // This program makes no symbolic links here, and the target of one may belong to another store.
        let is_folder = fs::symlink_metadata(&entry.0).is_ok_and(|metadata| metadata.is_dir());
        if !is_named_by_key(&entry.0) || !is_folder {
            self.foreign.push(entry.0);
            return Ok(None);
        }
        let (own, foreign): (Vec<_>, Vec<_>) = files::list(&entry.0)?.into_iter().partition(|path| is_own_file(path));
        // A folder without any file was made by a process that was killed before it wrote the first.
        if own.is_empty() && !foreign.is_empty() {
            self.foreign.push(entry.0);
            return Ok(None);
        }
        self.foreign.extend(foreign);
        Ok(Some(entry))
    }
}

/// Returns the files of an entry that this program wrote.
///
/// # Errors
/// Fails if a folder cannot be listed.
pub(super) fn own_files(entry: &TrainingDir) -> Result<Vec<PathBuf>> {
    Ok(files::list(&entry.0)?.into_iter().filter(|path| is_own_file(path)).collect())
}

/// Returns whether a path in an entry is a regular file with the name of one of this program's files.
fn is_own_file(path: &Path) -> bool {
    TrainingDir::is_known_file(&name(path)) && fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

fn is_named_by_key(path: &Path) -> bool {
    name(path).parse::<ContentHash>().is_ok()
}

/// Returns whether an entry has the files of another training run: the key in its manifest is not the name of its
/// folder. `manifest` is the contents of `done.json`.
pub(super) fn names_another_key(entry: &TrainingDir, manifest: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Named {
        key: ContentHash,
    }
    serde_json::from_slice::<Named>(manifest).is_ok_and(|named| named.key.to_string() != name(&entry.0))
}

/// Returns the last part of a path as text.
pub(super) fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listing_separates_entries_from_foreign_files() {
        let folder = tempfile::tempdir().unwrap();
        let runs = RunsDir(folder.path().to_owned());
        let key = |n: u32| ContentHash::of_json_text(&n.to_string());
        let write = |path: PathBuf, text: &str| files::write(&path, text.as_bytes()).unwrap();
        let done =
            |entry: &TrainingDir, key: &ContentHash| write(entry.manifest_file(), &format!("{{\"key\":\"{key}\"}}"));
        let entry = |n| runs.training_dir(&key(n));
        done(&entry(1), &key(1));
        write(entry(1).file("notes.txt"), "mine");
        write(entry(2).file(".tmp-lth-aB3xyZ"), "half written");
        write(entry(3).file("photo.jpg"), "another program's, under a name that looks like a key");
        done(&entry(4), &key(1));
        std::fs::create_dir_all(&entry(5).0).unwrap();
        done(&TrainingDir(runs.archived_store(1).join(key(6).to_string())), &key(6));
        write(runs.archived_store(1).join("notes.txt"), "mine");
        let store = runs.store();
        for path in [".DS_Store", "my_notes/ideas.txt", "old-notes/2025/final.safetensors", "@eaDir/SYNOINDEX"] {
            write(store.join(path), "mine");
        }
        write(store.join(format!("{}.bak", key(1))).join("done.json"), "a copy");
        write(store.join(key(1).to_string().to_uppercase()).join("done.json"), "no name of ours");
        let elsewhere = TrainingDir(folder.path().join("elsewhere").join(key(7).to_string()));
        done(&elsewhere, &key(7));
        #[cfg(unix)]
        std::os::unix::fs::symlink(&elsewhere.0, entry(7).0).unwrap();

        let listing = Listing::of(&runs).unwrap();
        let names = |entries: &[TrainingDir]| {
            let mut names: Vec<String> = entries.iter().map(|entry| name(&entry.0)).collect();
            names.sort();
            names
        };
        let mut keys: Vec<String> = [1, 2, 4, 5].map(|n| key(n).to_string()).to_vec();
        keys.sort();
        assert_eq!(names(&listing.entries), keys);
        assert_eq!(names(&listing.archived), [key(6).to_string()]);
        let foreign: Vec<String> = listing.foreign.iter().map(|path| name(path)).collect();
        let expected = [".DS_Store", "my_notes", "old-notes", "@eaDir", "notes.txt", &format!("{}.bak", key(1))];
        assert!(expected.iter().all(|name| foreign.iter().any(|found| found == name)), "{foreign:?}");
        assert!(foreign.contains(&key(3).to_string()), "{foreign:?}");
        assert!(cfg!(not(unix)) || foreign.contains(&key(7).to_string()), "a link is not followed: {foreign:?}");
        let is_copy = |n| names_another_key(&entry(n), &files::read(&entry(n).manifest_file()).unwrap());
        assert_eq!([1, 4].map(is_copy), [false, true]);
        assert_eq!(own_files(&entry(1)).unwrap(), [entry(1).manifest_file()]);
    }
}
