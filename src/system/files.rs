//! Files that appear whole or not at all: written aside, synced, renamed.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// The name of a file being written is this and so many random letters and digits; one found later was left by a process
/// that was killed.
const TEMPORARY: (&str, usize) = (".tmp-lth-", 6);

/// Whether a name is that of a file being written by this program.
pub fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(TEMPORARY.0).unwrap_or_default();
    random.len() == TEMPORARY.1 && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A file or folder could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write `{}`", path.display())]
pub struct WriteError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// The file system of a folder has no file locks, which keep two processes from training the same network.
#[derive(Debug, thiserror::Error)]
#[error("the file system of `{}` has no file locks", path.display())]
pub struct LocksUnsupported {
    /// The file, or the folder, that was to be locked.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

/// Writes `bytes` to `path` by way of a temporary file in the same folder, which it makes if need be.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    try_write(path, bytes).map_err(|source| WriteError { path: path.to_owned(), source })
}

fn try_write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // The parent of a bare name is the empty path, which nothing can be opened at.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).rand_bytes(TEMPORARY.1);
    // Temporary files are private to their owner; results are for everybody, as far as the umask lets them.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // The rename itself must survive a power cut, so the folder is synced as well.
    File::open(folder)?.sync_all()
}

/// Gives a whole file its name, replacing what had it; both are in the same folder.
pub fn rename(from: &Path, to: &Path) -> Result<(), WriteError> {
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::rename(from, to)
        .and_then(|()| File::open(folder)?.sync_all())
        .map_err(|source| WriteError { path: to.to_owned(), source })
}

/// The bytes of a file, or what is wrong with it and where it is.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("could not read `{}`", path.display()))
}

/// Removes what killed processes left half-written in `folder`. Call it with the folder's lock held.
pub fn remove_stale_temporaries(folder: &Path) -> Result<()> {
    for path in list(folder)? {
        if is_temporary(&path.file_name().unwrap_or_default().to_string_lossy()) && path.is_file() {
            remove(&path)?;
        }
    }
    Ok(())
}

/// What is in a folder, by name; nothing where there is no such folder.
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

/// Bytes of a file, or of all files in a folder; what cannot be looked at counts nothing.
pub fn size(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => list(path).unwrap_or_default().iter().map(|path| size(path)).sum(),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    }
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

/// Linux's codes for a file system without locks: "No locks available", "Function not implemented" (Lustre without `-o
/// flock`), "Operation not supported".
const ENOLCK: i32 = 37;
const ENOSYS: i32 = 38;
const EOPNOTSUPP: i32 = 95;

/// A lock of the operating system on a file; it ends with the process, however that ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, or gives `None` where another holds it. The file names its holder.
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

    /// Takes the lock at `path`, waiting for its holder: for locks that are held for moments. Ends without it when
    /// `give_up` says so.
    pub fn exclusive_unless(path: &Path, give_up: impl Fn() -> bool) -> Result<Self> {
        loop {
            if let Some(lock) = Self::try_exclusive(path)? {
                return Ok(lock);
            }
            ensure!(!give_up(), "`{}` is held by {}", path.display(), Self::holder(path));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Takes the lock at `path` together with all others who share it; none can have it alone meanwhile.
    pub fn shared(path: &Path) -> Result<Self> {
        let file = Self::open(path)?;
        loop {
            match file.lock_shared() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(source) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Self::refused(path, source)),
            }
        }
    }

    /// Whether anybody holds the lock at `path`, alone or shared; leaves no trace.
    pub fn is_held(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Who holds the lock at `path`, by its own words.
    pub fn holder(path: &Path) -> String {
        let mut text = String::new();
        let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
        if read.is_ok() && !text.trim().is_empty() { text.trim().to_owned() } else { "another process".to_owned() }
    }

    fn open(path: &Path) -> Result<File> {
        let make = path.parent().map_or(Ok(()), fs::create_dir_all);
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        make.and_then(|()| open()).map_err(|source| Self::broken(path, source))
    }

    /// Tries whether files can be locked in `folder`, or in the nearest folder above it that exists; leaves nothing there.
    ///
    /// # Errors
    /// [`NoLocks`], or that nothing can be written there.
    pub fn probe(folder: &Path) -> Result<()> {
        let existing = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(TEMPORARY.0).rand_bytes(TEMPORARY.1).tempfile_in(existing);
        let file = file.map_err(|source| Self::broken(existing, source))?;
        match file.as_file().try_lock() {
            Err(TryLockError::Error(source)) => Err(Self::refused(existing, source)),
            _ => Ok(()),
        }
    }

    /// The system refuses to lock: with one of these codes, because the file system has no locks.
    fn refused(path: &Path, source: io::Error) -> anyhow::Error {
        let is_code = matches!(source.raw_os_error(), Some(ENOLCK | ENOSYS | EOPNOTSUPP));
        if cfg!(target_os = "linux") && is_code || source.kind() == io::ErrorKind::Unsupported {
            return LocksUnsupported { path: path.to_owned(), source }.into();
        }
        Self::broken(path, source)
    }

    fn broken(path: &Path, source: io::Error) -> anyhow::Error {
        WriteError { path: path.to_owned(), source }.into()
    }

    fn sign(mut file: File, path: &Path) -> Result<Self> {
        let holder = format!("process {} on {}\n", std::process::id(), super::env::host());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(holder.as_bytes()))
            .map_err(|source| Self::broken(path, source))?;
        Ok(Self { _file: file })
    }
}

/// Whether `file` is still what lies at `path`: its folder may have been renamed before the lock was had.
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

/// The first number from 1 that is not taken.
pub fn next_free_number(taken: impl Fn(u32) -> bool) -> u32 {
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
        for name in [".tmp-lth-aB3xyZ", ".tmp-backup", "whole"] {
            write(&folder.path().join(name), b"text").unwrap();
        }
        remove_stale_temporaries(folder.path()).unwrap();
        let left: Vec<_> =
            list(folder.path()).unwrap().into_iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(left, [".tmp-backup", "whole"]);
    }

    #[test]
    fn a_lock_keeps_others_out_and_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::try_exclusive(&path).unwrap().unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        assert!(Lock::is_held(&path) && !Lock::is_held(&folder.path().join("none")));
        assert!(Lock::holder(&path).starts_with(&format!("process {} on ", std::process::id())));
        assert!(Lock::exclusive_unless(&path, || true).unwrap_err().to_string().contains("is held by process"));
        drop(held);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_system_without_locks_is_named() {
        for code in [ENOLCK, ENOSYS, EOPNOTSUPP] {
            let error = Lock::refused(Path::new("runs/.locks/gate"), io::Error::from_raw_os_error(code));
            assert_eq!(error.to_string(), "the file system of `runs/.locks/gate` has no file locks", "{code}");
            assert!(error.is::<LocksUnsupported>());
        }
        let denied = Lock::refused(Path::new("lock"), io::Error::from_raw_os_error(13));
        assert!(denied.is::<WriteError>(), "{denied}");
    }

    #[test]
    fn a_lock_is_probed_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        Lock::probe(&folder.path().join("not/there")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn who_shares_a_lock_keeps_others_from_having_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = (Lock::shared(&path).unwrap(), Lock::shared(&path).unwrap());
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
    }

    #[test]
    fn a_lock_is_not_taken_on_a_file_that_was_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there) = (folder.path().join("here"), folder.path().join("there"));
        let held = Lock::try_exclusive(&here.join("lock")).unwrap();
        let waiting = {
            let path = here.join("lock");
            std::thread::spawn(move || Lock::exclusive_unless(&path, || false).unwrap())
        };
        std::thread::sleep(std::time::Duration::from_millis(50));
        fs::rename(&here, &there).unwrap();
        drop(held);
        let _taken = waiting.join().unwrap();
        assert!(here.join("lock").exists(), "the lock was taken anew at its place");
        assert!(Lock::try_exclusive(&here.join("lock")).unwrap().is_none());
    }
}
