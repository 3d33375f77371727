//! Locks between processes: file locks of the operating system, or [claims](super::claims) in their place.

use std::fs::{File, TryLockError};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::super::paths::{ClaimPlace, RunsDir, TEMPORARY_PREFIX, TEMPORARY_RANDOM};
use super::claims::{self, Claim, Kind};
use super::lock_file::{UNKNOWN, is_at, is_full, is_locked, open, refused, signature, this_process, write_error};

/// The error for a lock that another process holds, where the waiting process gave up.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is held by {holder}", path.display())]
pub struct LockHeld {
    /// The file of the lock.
    pub path: PathBuf,
    /// The process that holds it, and its machine.
    pub holder: String,
}

/// A lock. It is released when it is dropped, or the process ends, however it ends; a claim of a killed
/// process goes stale.
#[derive(Debug)]
pub struct Lock(Held);

#[derive(Debug)]
enum Held {
    /// A file lock of the operating system.
    File(#[expect(dead_code, reason = "the lock lasts as long as the file is open")] File),
    Claim(Claim),
}

/// The time after which a process that waits for a lock says so.
const ANNOUNCE_AFTER: Duration = Duration::from_secs(1);
/// The pauses between two attempts at a lock and at a claim, which needs several requests to a file server.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(100)];

/// The behaviour of a process while it waits for a lock.
pub struct WaitOptions<'a> {
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
    /// Returns [`LocksUnsupported`](super::LocksUnsupported) if the file system has no locks, and
    /// [`WriteError`](super::WriteError) if the file cannot be written.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        Self::try_take(path, Kind::Exclusive)
    }

    fn try_take(path: &Path, kind: Kind) -> Result<Option<Self>> {
        let place = ClaimPlace::of(path);
        loop {
            if claims::are_used_or_turned_on(&place, path)? {
                return Ok(Claim::try_new(&place, kind)?.map(|claim| Self(Held::Claim(claim))));
            }
            let file = match open(path) {
                // Another process has turned claims on.
                Err(_) if claims::are_used(&place.folder) => continue,
                file => file?,
            };
            let locked = match kind {
                Kind::Exclusive => file.try_lock(),
                Kind::Shared => file.try_lock_shared(),
            };
            match locked {
                Ok(()) if !is_at(&file, path) => {}
                Ok(()) if kind == Kind::Exclusive => return Self::sign(file, path).map(Some),
                Ok(()) => return Ok(Some(Self(Held::File(file)))),
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(source)) => return Err(refused(path, source)),
            }
        }
    }

    /// Takes the exclusive lock at `path`, trying again until it is free or the process gives up. Meant for locks
    /// that processes hold only briefly.
    ///
    /// # Errors
    /// Fails like [`try_exclusive`](Self::try_exclusive), and with [`LockHeld`] if the process gives up.
    pub fn wait_exclusive(path: &Path, wait_options: &WaitOptions<'_>) -> Result<Self> {
        Self::wait(path, wait_options, Self::try_exclusive)
    }

    /// Takes the lock at `path` shared with other processes; returns `None` if a process holds it exclusively. While it
    /// is shared, no process can take it exclusively.
    ///
    /// # Errors
    /// Fails like [`try_exclusive`](Self::try_exclusive).
    pub fn try_shared(path: &Path) -> Result<Option<Self>> {
        Self::try_take(path, Kind::Shared)
    }

    /// Like [`try_shared`](Self::try_shared), but tries again until the lock is free or the process gives up.
    ///
    /// # Errors
    /// Fails like [`try_exclusive`](Self::try_exclusive), and with [`LockHeld`] if the process gives up.
    pub fn wait_shared(path: &Path, wait_options: &WaitOptions<'_>) -> Result<Self> {
        Self::wait(path, wait_options, Self::try_shared)
    }

    fn wait(path: &Path, wait_options: &WaitOptions<'_>, take: impl Fn(&Path) -> Result<Option<Self>>) -> Result<Self> {
        let mut since = Some(Instant::now());
        let [for_lock, for_claim] = PAUSES;
        let pause = if claims::are_used(&ClaimPlace::of(path).folder) { for_claim } else { for_lock };
        loop {
            if let Some(lock) = take(path)? {
                return Ok(lock);
            }
            if (wait_options.gives_up)() {
                return Err(LockHeld { path: path.to_owned(), holder: Self::holder(path) }.into());
            }
            if since.is_some_and(|since| since.elapsed() >= ANNOUNCE_AFTER) {
                since = None;
                let holder = Self::holder(path);
                (wait_options.announce)(&format!("waiting for {holder}, which holds `{}`", path.display()));
            }
            std::thread::sleep(pause);
        }
    }

    /// Returns whether a process holds the lock at `path`, exclusive or shared. Changes no file. Holds the lock for a
    /// moment if no process does. A claim of a process that was killed on another host counts until it is stale: see
    /// [`remove_stale_claims`](Self::remove_stale_claims).
    pub fn is_held(path: &Path) -> bool {
        let place = ClaimPlace::of(path);
        if claims::are_used(&place.folder) { claims::holder(&place).is_some() } else { is_locked(path) }
    }

    /// Returns the holder of the lock at `path` as written in the file, `another process` if the file is empty.
    pub fn holder(path: &Path) -> String {
        let place = ClaimPlace::of(path);
        if claims::are_used(&place.folder) {
            claims::holder(&place).unwrap_or_else(|| UNKNOWN.to_owned())
        } else {
            signature(path)
        }
    }

    /// Returns whether this process was seen to have lost its claim: it was suspended, and another process has taken
    /// the claim over. Locks of the operating system cannot be lost. Does not access the disk.
    pub fn is_lost(&self) -> bool {
        match &self.0 {
            Held::File(_) => false,
            Held::Claim(claim) => claim.is_lost(),
        }
    }

    /// Checks that this process still holds the lock, before it writes something that another process may be writing
    /// otherwise.
    ///
    /// # Errors
    /// Returns [`ClaimLost`](super::ClaimLost) if another process has taken the claim over.
    pub fn check(&self) -> Result<()> {
        match &self.0 {
            Held::File(_) => Ok(()),
            Held::Claim(claim) => claim.check(),
        }
    }

    /// Returns whether the processes on a folder of runs use claims in place of locks.
    pub fn uses_claims(runs: &RunsDir) -> bool {
        claims::are_used(&runs.claims())
    }

    /// Waits until it is known of each claim in a folder of runs whether its process is at work, and removes those that
    /// are stale: [`is_held`](Self::is_held) is exact then. Does nothing where locks are used.
    ///
    /// # Errors
    /// Fails if a claim cannot be removed, and with [`LockHeld`] if the process gives up.
    pub fn remove_stale_claims(runs: &RunsDir, wait_options: &WaitOptions<'_>) -> Result<()> {
        if !Self::uses_claims(runs) {
            return Ok(());
        }
        let mut since = Some(Instant::now());
        while let Some(holder) = claims::remove_stale(&runs.claims())? {
            if (wait_options.gives_up)() {
                return Err(LockHeld { path: runs.claims(), holder }.into());
            }
            if since.take_if(|since| since.elapsed() >= ANNOUNCE_AFTER).is_some() {
                (wait_options.announce)(&format!("waiting for a heartbeat of {holder}, or a minute without"));
            }
            std::thread::sleep(PAUSES[1]);
        }
        Ok(())
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
            Err(TryLockError::Error(source)) => Err(refused(existing, source)),
            _ => Ok(()),
        }
    }

    /// Writes the id of this process and its machine into the lock file. On a full disk the file stays empty: the text
    /// is for display only, and `lth clean` needs locks to make room.
    fn sign(mut file: File, path: &Path) -> Result<Self> {
        let holder = format!("{}\n", this_process());
        let signed = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes()));
        match signed {
            Err(source) if is_full(&source) => {
                let _ = file.set_len(0);
            }
            signed => signed.map_err(|source| write_error(path, source))?,
        }
        Ok(Self(Held::File(file)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::write::write;
    use super::*;

    #[test]
    fn lock_excludes_others_and_names_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::try_exclusive(&path).unwrap().unwrap();
        assert!(Lock::try_exclusive(&path).unwrap().is_none());
        assert!(Lock::is_held(&path) && !Lock::is_held(&folder.path().join("none")));
        assert!(Lock::holder(&path).starts_with(&format!("process {} on ", std::process::id())));
        let gives_up = WaitOptions { gives_up: &|| true, announce: &|_| {} };
        assert!(Lock::wait_exclusive(&path, &gives_up).unwrap_err().to_string().contains("is held by process"));
        assert!(Lock::wait_shared(&path, &gives_up).unwrap_err().is::<LockHeld>());
        drop(held);
        assert!(Lock::try_exclusive(&path).unwrap().is_some());
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
        assert!(Lock::wait_shared(&path, &WaitOptions { gives_up: &gives_up, announce: &announce }).is_err());
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
            let wait_options = || WaitOptions { gives_up: &|| false, announce: &|_| {} };
            std::thread::spawn(move || Lock::wait_exclusive(&path, &wait_options()).unwrap())
        };
        std::thread::sleep(std::time::Duration::from_millis(50));
        fs::rename(&original, &moved).unwrap();
        drop(held);
        let _taken = waiting.join().unwrap();
        assert!(original.join("lock").exists(), "the lock was taken on a new file");
        assert!(Lock::try_exclusive(&original.join("lock")).unwrap().is_none());
    }
}
