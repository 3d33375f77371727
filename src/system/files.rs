//! Files and file locks. A file appears whole or not at all: it is written under a temporary name, synced and renamed.

mod claims;
mod lock;
mod lock_file;
mod write;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::paths::{RunDir, RunsDir, is_temporary};
use crate::base::key::ContentHash;

pub use claims::ClaimLost;
pub use lock::{Lock, LockHeld, WaitOptions};
pub use lock_file::LocksUnsupported;
pub use write::{WriteError, rename, write};

/// Returns the bytes of a file.
///
/// # Errors
/// Fails if the file cannot be read; the message names it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read `{}`", path.display()))
}

/// Returns the bytes of a file; `None` if there is none.
///
/// # Errors
/// Fails if the file exists and cannot be read; the message names it.
pub fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("could not read `{}`", path.display())),
    }
}

/// Returns the SHA-256 of the file at `path` as 64 hexadecimal digits, reading 64 KiB at a time.
///
/// # Errors
/// Fails if the file cannot be read; the message names it.
pub fn sha256_of_file(path: &Path) -> Result<String> {
    let hash = File::open(path).and_then(|mut file| sha256_of(&mut file));
    hash.with_context(|| format!("could not read `{}`", path.display()))
}

/// Returns the SHA-256 of an open file, from its present position to its end, as 64 hexadecimal digits.
///
/// # Errors
/// Fails if the file cannot be read.
pub fn sha256_of(file: &mut File) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(ContentHash::from_digest(hasher.finalize().into()).to_string()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes the temporary files that killed processes left in `folder`. The caller must hold the lock of the folder.
///
/// # Errors
/// Fails if the folder cannot be listed or a file cannot be removed.
pub fn remove_stale_temporaries(folder: &Path) -> Result<()> {
    for path in list(folder)? {
        if is_temporary(&path.file_name().unwrap_or_default().to_string_lossy()) && path.is_file() {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Returns the paths in a folder, sorted by name; none if the folder does not exist.
///
/// # Errors
/// Fails if the folder cannot be listed.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = entries.with_context(|| format!("could not list `{}`", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Returns the runs in `runs` for which a process has created a run lock or a claim on it, also those without a folder;
/// none if the folder of locks cannot be listed.
pub fn registered_runs(runs: &RunsDir) -> Vec<RunDir> {
    let entries = fs::read_dir(runs.locks()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let names: BTreeSet<String> = names.chain(claims::claimed_locks(&runs.claims())).collect();
    names.iter().filter_map(|name| runs.run_of_lock(name)).collect()
}

/// Returns the bytes of a file, or of all files in a folder and its subfolders; entries that cannot be read count 0.
pub fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => list(path).unwrap_or_default().iter().map(|path| size(path)).sum(),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    }
}

/// Removes a file. A file that does not exist is not an error.
///
/// # Errors
/// Fails if the file cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("could not remove `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

/// Returns the smallest number ≥ 1 for which `is_taken` returns false.
pub fn next_free_number(is_taken: impl Fn(u32) -> bool) -> u32 {
    (1..u32::MAX).find(|&n| !is_taken(n)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_temporaries_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".tmp-lth-aB3xyZ", ".tmp-backup", "whole"] {
            write(&folder.path().join(name), b"text").unwrap();
        }
        remove_stale_temporaries(folder.path()).unwrap();
        let remaining: Vec<_> =
            list(folder.path()).unwrap().into_iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(remaining, [".tmp-backup", "whole"]);
    }
}
