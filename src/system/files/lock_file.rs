//! The files of locks: opening them, what they say of their holder, and the errors of the system for them. Used for locks
//! and for the claims that take their place.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::super::machine;
use super::write::WriteError;

/// The error for a file system without file locks. This program needs them to keep two processes from training the same
/// network.
#[derive(Debug, thiserror::Error)]
#[error("the file system of `{}` has no file locks", path.display())]
pub struct LocksUnsupported {
    /// The file or folder that was to be locked.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

/// Error code of Linux for a file system without locks: "No locks available". [`ENOSYS`] ("Function not implemented",
/// Lustre without `-o flock`) and [`EOPNOTSUPP`] ("Operation not supported") mean the same.
const ENOLCK: i32 = 37;
const ENOSYS: i32 = 38;
const EOPNOTSUPP: i32 = 95;

/// The holder of a lock whose file is empty.
pub(super) const UNKNOWN: &str = "another process";

/// Returns the id of this process and its machine, as text.
pub(super) fn this_process() -> String {
    format!("process {} on {}", std::process::id(), machine::host())
}

/// Returns the first line of the file of a lock or claim, which names its holder; `another process` if it is empty.
pub(super) fn signature(path: &Path) -> String {
    let mut text = String::new();
    let _ = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    text.lines().next().map(str::trim).filter(|line| !line.is_empty()).unwrap_or(UNKNOWN).to_owned()
}

/// Opens the file of a lock for reading and writing, and makes it if it does not exist.
pub(super) fn open(path: &Path) -> Result<File> {
    // The target of a link may be a file of the user, and a lock is written.
    if path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
        bail!("the lock `{}` is a symbolic link; lth makes none and writes through none: remove it", path.display());
    }
    let created = path.parent().map_or(Ok(()), fs::create_dir_all);
    let opened = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    created.and_then(|()| opened()).map_err(|source| write_error(path, source))
}

/// Returns the error of a lock that the system refused: [`LocksUnsupported`] for the codes that mean so, else
/// [`WriteError`].
pub(super) fn refused(path: &Path, source: io::Error) -> anyhow::Error {
    let is_code = matches!(source.raw_os_error(), Some(ENOLCK | ENOSYS | EOPNOTSUPP));
    if cfg!(target_os = "linux") && is_code || source.kind() == io::ErrorKind::Unsupported {
        return LocksUnsupported { path: path.to_owned(), source }.into();
    }
    write_error(path, source)
}

/// Returns whether a process holds the lock of the operating system at `path`.
pub(super) fn is_locked(path: &Path) -> bool {
    // NFS refuses to lock a file that is open for reading only.
    let opened = OpenOptions::new().read(true).write(true).open(path).or_else(|_| File::open(path));
    opened.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Returns whether an error says that the disk is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

pub(super) fn write_error(path: &Path, source: io::Error) -> anyhow::Error {
    WriteError { path: path.to_owned(), source }.into()
}

/// Returns whether `file` is still the file at `path`: its folder may have been renamed before the lock was taken.
#[cfg(unix)]
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().map(identity).ok() == fs::metadata(path).map(identity).ok()
}

#[cfg(not(unix))]
pub(super) fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn lock_error_names_file_system_without_locks() {
        for code in [ENOLCK, ENOSYS, EOPNOTSUPP] {
            let error = refused(Path::new("runs/.locks/gate"), io::Error::from_raw_os_error(code));
            assert_eq!(error.to_string(), "the file system of `runs/.locks/gate` has no file locks", "{code}");
            assert!(error.is::<LocksUnsupported>());
        }
        let denied = refused(Path::new("lock"), io::Error::from_raw_os_error(13));
        assert!(denied.is::<WriteError>(), "{denied}");
    }
}
