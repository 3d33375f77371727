//! Files that appear whole or not at all: written aside, synced, renamed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Files being written start with this; one found later was left by a process that was killed.
const TEMPORARY: &str = ".tmp-";

/// Writes `bytes` to `path` by way of a temporary file in the same folder, which it makes if need be.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let place = || format!("could not write `{}`", path.display());
    fs::create_dir_all(folder).with_context(place)?;
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(folder).with_context(place)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).with_context(place)?;
    set_ordinary_permissions(file.as_file()).with_context(place)?;
    file.persist(path).map_err(|e| e.error).with_context(place)?;
    // The rename itself must survive a power cut, so the folder is synced as well.
    File::open(folder).and_then(|folder| folder.sync_all()).with_context(place)
}

/// Temporary files are private to their owner; results are for the group, as far as the umask lets them.
#[cfg(unix)]
fn set_ordinary_permissions(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_ordinary_permissions(_: &File) -> std::io::Result<()> {
    Ok(())
}

/// The bytes of a file, or what is wrong with it and where it is.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read `{}`", path.display()))
}

/// Removes what killed processes left half-written in `folder`. Call it with the folder's lock held.
pub fn sweep(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("could not list `{}`", folder.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file; one that is gone already is no error.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("could not remove `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

/// A lock of the operating system on a file; it ends with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, or gives `None` where another holds it. The file names its holder.
    pub fn attempt(path: &Path) -> Result<Option<Self>> {
        let file = Self::open(path)?;
        match file.try_lock() {
            Ok(()) => Self::sign(file, path).map(Some),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e).with_context(|| format!("could not lock `{}`", path.display())),
        }
    }

    /// Takes the lock at `path`, waiting for its holder: for locks that are held for moments.
    pub fn wait(path: &Path) -> Result<Self> {
        let file = Self::open(path)?;
        file.lock().with_context(|| format!("could not lock `{}`", path.display()))?;
        Self::sign(file, path)
    }

    /// Who holds the lock at `path`, by its own words.
    pub fn holder(path: &Path) -> String {
        let mut text = String::new();
        let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
        if read.is_ok() && !text.trim().is_empty() { text.trim().to_owned() } else { "another process".to_owned() }
    }

    fn open(path: &Path) -> Result<File> {
        let place = || format!("could not open the lock `{}`", path.display());
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(place)?;
        }
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).with_context(place)
    }

    fn sign(mut file: File, path: &Path) -> Result<Self> {
        let holder = format!("process {} on {}\n", std::process::id(), super::env::host());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .with_context(|| format!("could not write the lock `{}`", path.display()))?;
        Ok(Self { _file: file })
    }
}

/// The first number from 1 that is not taken.
pub fn first_free(taken: impl Fn(u32) -> bool) -> u32 {
    (1..u32::MAX).find(|&n| !taken(n)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join(".tmp-abc"), b"half").unwrap();
        write(&folder.path().join("whole"), b"whole").unwrap();
        sweep(folder.path()).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["whole"]);
    }

    #[test]
    fn a_lock_keeps_others_out_and_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::attempt(&path).unwrap().unwrap();
        assert!(Lock::attempt(&path).unwrap().is_none());
        assert!(Lock::holder(&path).starts_with(&format!("process {} on ", std::process::id())));
        drop(held);
        assert!(Lock::attempt(&path).unwrap().is_some());
    }
}
