//! Files and file locks. A file appears whole or not at all: it is written under a temporary name, synced and renamed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::machine;
use super::paths::{RunDir, RunsDir, TEMPORARY_PREFIX, TEMPORARY_RANDOM, is_temporary};
use crate::base::key::ContentHash;

/// The error for a file or folder that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write `{}`", path.display())]
pub struct WriteError {
    /// The file or folder.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

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

/// The error for a lock that another process holds, where the waiting process gave up.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is held by {holder}", path.display())]
pub struct LockHeld {
    /// The file of the lock.
    pub path: PathBuf,
    /// The process that holds it, and its machine.
    pub holder: String,
}

/// Writes `bytes` to `path` through a temporary file in the same folder. The folder is created if it does not exist.
///
/// # Errors
/// Returns [`WriteError`] if the folder cannot be created or the file cannot be written, synced or renamed.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    try_write(path, bytes).map_err(|source| WriteError { path: path.to_owned(), source })
}

fn try_write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // The parent of a bare name is the empty path, which cannot be opened.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX).rand_bytes(TEMPORARY_RANDOM);
    // Temporary files are private to their owner by default; results get the permissions that the umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // The rename must survive a power cut too, so the folder is synced as well.
    File::open(folder)?.sync_all()
}

/// Renames `from` to `to` in the same folder, replacing a file of that name, and syncs the folder.
///
/// # Errors
/// Returns [`WriteError`] if the file cannot be renamed or the folder cannot be synced.
pub fn rename(from: &Path, to: &Path) -> Result<(), WriteError> {
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::rename(from, to)
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|source| WriteError { path: to.to_owned(), source })
}

/// Returns the bytes of a file.
///
/// # Errors
/// Fails if the file cannot be read; the message names it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read `{}`", path.display()))
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

/// Returns the runs in `runs` for which a process has created a run lock, also those without a folder; none if the
/// folder of locks cannot be listed.
pub fn registered_runs(runs: &RunsDir) -> Vec<RunDir> {
    let entries = fs::read_dir(runs.locks()).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| runs.run_of_lock(&name)).collect()
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

/// Error code of Linux for a file system without locks: "No locks available". [`ENOSYS`] ("Function not implemented",
/// Lustre without `-o flock`) and [`EOPNOTSUPP`] ("Operation not supported") mean the same.
const ENOLCK: i32 = 37;
const ENOSYS: i32 = 38;
const EOPNOTSUPP: i32 = 95;

/// A file lock of the operating system. It is released when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The time after which a process that waits for a lock says so.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(1);

/// The behaviour of a process while it waits for a lock.
pub struct Patience<'a> {
    /// Returns whether to stop waiting, for example because of a signal.
    pub gives_up: &'a dyn Fn() -> bool,
    /// Receives one message with the holder of the lock, after a second of waiting.
    pub announce: &'a dyn Fn(&str),
}

impl Lock {
    /// Takes the exclusive lock at `path` and writes the holder into the file; returns `None` if another process holds
    /// it.
    ///
    /// # Errors
    /// Returns [`LocksUnsupported`] if the file system has no locks, and [`WriteError`] if the file cannot be written.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        loop {
            let file = Self::open(path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, path) => return Self::sign(file, path).map(Some),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(source)) => return Err(Self::refused(path, source)),
            }
        }
    }

    /// Takes the exclusive lock at `path`, trying every 20 ms until it is free or the process gives up. Meant for locks
    /// that processes hold only briefly.
    ///
    /// # Errors
    /// Fails like [`try_exclusive`](Self::try_exclusive), and with [`LockHeld`] if the process gives up.
    pub fn wait_exclusive(path: &Path, patience: &Patience<'_>) -> Result<Self> {
        Self::wait(path, patience, Self::try_exclusive)
    }

    /// Takes the lock at `path` shared with other processes; returns `None` if a process holds it exclusively. While it
    /// is shared, no process can take it exclusively.
    ///
    /// # Errors
    /// Fails like [`try_exclusive`](Self::try_exclusive).
    pub fn try_shared(path: &Path) -> Result<Option<Self>> {
        let file = Self::open(path)?;
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(source)) => return Err(Self::refused(path, source)),
            }
        }
    }

    /// Like [`try_shared`](Self::try_shared), but tries every 20 ms until the lock is free or the process gives up.
    ///
    /// # Errors
    /// Fails like [`try_exclusive`](Self::try_exclusive), and with [`LockHeld`] if the process gives up.
    pub fn wait_shared(path: &Path, patience: &Patience<'_>) -> Result<Self> {
        Self::wait(path, patience, Self::try_shared)
    }

    fn wait(path: &Path, patience: &Patience<'_>, take: impl Fn(&Path) -> Result<Option<Self>>) -> Result<Self> {
        let mut since = Some(Instant::now());
        loop {
            if let Some(lock) = take(path)? {
                return Ok(lock);
            }
            if (patience.gives_up)() {
                return Err(LockHeld { path: path.to_owned(), holder: Self::holder(path) }.into());
            }
            if since.is_some_and(|since| since.elapsed() >= ANNOUNCE_AFTER) {
                since = None;
                let holder = Self::holder(path);
                (patience.announce)(&format!("waiting for {holder}, which holds `{}`", path.display()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns whether a process holds the lock at `path`, exclusive or shared. Changes no file.
    pub fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Returns the holder of the lock at `path` as written in the file, `another process` if the file is empty.
    pub fn holder(path: &Path) -> String {
        let mut text = String::new();
        let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
        if read.is_ok() && !text.trim().is_empty() { text.trim().to_owned() } else { "another process".to_owned() }
    }

    fn open(path: &Path) -> Result<File> {
        // The target of a link may be a file of the user, and a lock is written.
        if path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
            bail!(
                "the lock `{}` is a symbolic link; lth makes none and writes through none: remove it",
                path.display()
            );
        }
        let created = path.parent().map_or(Ok(()), fs::create_dir_all);
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        created.and_then(|()| open()).map_err(|source| write_error(path, source))
    }

    /// Checks that files can be locked in `folder`, or in its nearest ancestor that exists. Leaves no file.
    ///
    /// # Errors
    /// Fails like [`try_exclusive`](Self::try_exclusive).
    pub fn check_supported(folder: &Path) -> Result<()> {
        let existing = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).rand_bytes(TEMPORARY_RANDOM).tempfile_in(existing);
        let file = file.map_err(|source| write_error(existing, source))?;
        match file.as_file().try_lock() {
            Err(TryLockError::Error(source)) => Err(Self::refused(existing, source)),
            _ => Ok(()),
        }
    }

    /// Returns the error of a lock that the system refused: [`LocksUnsupported`] for the codes that mean so, else
    /// [`WriteError`].
    fn refused(path: &Path, source: io::Error) -> anyhow::Error {
        let is_code = matches!(source.raw_os_error(), Some(ENOLCK | ENOSYS | EOPNOTSUPP));
        if cfg!(target_os = "linux") && is_code || source.kind() == io::ErrorKind::Unsupported {
            return LocksUnsupported { path: path.to_owned(), source }.into();
        }
        write_error(path, source)
    }

    /// Writes the number of this process and its machine into the lock file.
    fn sign(mut file: File, path: &Path) -> Result<Self> {
        let holder = format!("process {} on {}\n", std::process::id(), machine::host());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(|source| write_error(path, source))?;
        Ok(Self { _file: file })
    }
}

fn write_error(path: &Path, source: io::Error) -> anyhow::Error {
    WriteError { path: path.to_owned(), source }.into()
}

/// Returns whether `file` is still the file at `path`: its folder may have been renamed before the lock was taken.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    file.metadata().map(identity).ok() == fs::metadata(path).map(identity).ok()
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Returns the smallest number ≥ 1 for which `is_taken` returns false.
pub fn next_free_number(is_taken: impl Fn(u32) -> bool) -> u32 {
    (1..u32::MAX).find(|&n| !is_taken(n)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_replaces_whole_file_and_leaves_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

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

    #[test]
    fn lock_excludes_others_and_names_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::try_exclusive(&path).unwrap().unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        assert!(Lock::is_held(&path) && !Lock::is_held(&folder.path().join("none")));
        assert!(Lock::holder(&path).starts_with(&format!("process {} on ", std::process::id())));
        let gives_up = Patience { gives_up: &|| true, announce: &|_| {} };
        assert!(Lock::wait_exclusive(&path, &gives_up).unwrap_err().to_string().contains("is held by process"));
        assert!(Lock::wait_shared(&path, &gives_up).unwrap_err().is::<LockHeld>());
        drop(held);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn lock_error_names_file_system_without_locks() {
        for code in [ENOLCK, ENOSYS, EOPNOTSUPP] {
            let error = Lock::refused(Path::new("runs/.locks/gate"), io::Error::from_raw_os_error(code));
            assert_eq!(error.to_string(), "the file system of `runs/.locks/gate` has no file locks", "{code}");
            assert!(error.is::<LocksUnsupported>());
        }
        let denied = Lock::refused(Path::new("lock"), io::Error::from_raw_os_error(13));
        assert!(denied.is::<WriteError>(), "{denied}");
    }

    #[test]
    fn lock_check_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        Lock::check_supported(&folder.path().join("not/there")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn lock_shared_excludes_exclusive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = [(); 2].map(|()| Lock::try_shared(&path).unwrap().unwrap());
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
    }

    #[test]
    fn lock_wait_names_holder_once_after_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _held = Lock::try_exclusive(&path).unwrap().unwrap();
        let messages = std::cell::RefCell::new(Vec::new());
        let start = Instant::now();
        let gives_up = || start.elapsed() > ANNOUNCE_AFTER + Duration::from_millis(200);
        let announce = |text: &str| messages.borrow_mut().push(text.to_owned());
        assert!(Lock::wait_shared(&path, &Patience { gives_up: &gives_up, announce: &announce }).is_err());
        let messages = messages.into_inner();
        let expected = format!("waiting for process {} on ", std::process::id());
        assert!(messages.len() == 1 && messages[0].starts_with(&expected), "{messages:?}");
    }

    #[cfg(unix)]
    #[test]
    fn lock_is_not_written_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let [target, path] = ["notes", "lock"].map(|name| folder.path().join(name));
        write(&target, b"mine").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let error = Lock::try_exclusive(&path).unwrap_err().to_string();
        assert!(error.contains("is a symbolic link"), "{error}");
        assert_eq!(fs::read(&target).unwrap(), b"mine");
    }

    #[test]
    fn lock_is_not_taken_on_moved_file() {
        let folder = tempfile::tempdir().unwrap();
        let original = folder.path().join("original");
        let moved = folder.path().join("moved");
        let held = Lock::try_exclusive(&original.join("lock")).unwrap();
        let waiting = {
            let path = original.join("lock");
            let patience = || Patience { gives_up: &|| false, announce: &|_| {} };
            std::thread::spawn(move || Lock::wait_exclusive(&path, &patience()).unwrap())
        };
        std::thread::sleep(std::time::Duration::from_millis(50));
        fs::rename(&original, &moved).unwrap();
        drop(held);
        let _taken = waiting.join().unwrap();
        assert!(original.join("lock").exists(), "the lock was taken on a new file");
        assert!(Lock::try_exclusive(&original.join("lock")).unwrap().is_none());
    }
}
