//! Claims: files that take the place of file locks where the file system has none, or none that other hosts see.
//!
//! A claim is a file of its own in the folder `.locks/gate`, with a name that no other claim ever has:
//! `<lock>.<kind>-<random>`. It has the host, the process and a counter, which a thread of its process raises every
//! [`STALE_AFTER`] / [`BEATS`]: the heartbeat. Nothing is needed of the file system but that a file that was renamed to
//! its name is in every listing that begins later. This holds on NFS without locks: a rename is a request to the server,
//! which also makes the client read the folder again.
//!
//! **One holder.** A process makes its claim first and lists the folder then. It holds the lock only if the list has no
//! other claim that excludes its own; else it removes its claim. Of two processes, the one that makes its claim later
//! sees the other's, so both cannot hold the lock. If they see each other before either holds it, the claim whose name
//! is first stays.
//!
//! **Take-over.** A claim is stale when a process has read the same counter for [`STALE_AFTER`], by its own clock: the
//! clocks of two hosts are never compared. The time between two readings counts as one heartbeat at most, so that a
//! process that was suspended itself does not take its own pause for that of the holder. A claim of a process of this
//! host that has ended is stale at once. A stale claim is removed, never replaced: its name is its own, so that a process
//! that is late with the removal finds nothing, and cannot remove the claim of the next holder. Then the processes that
//! want the lock make claims of their own, as above.
//!
//! **A holder that was only suspended** finds its claim missing: at its next heartbeat, and before it publishes a result
//! ([`Claim::check`]). It then stops training. Between that check and the end of writing, it can still write beside the
//! next holder. That does no harm: both write the same bytes, because a training run is a function of its key, and each
//! file appears by rename. Should the bytes differ (two kinds of processors), the checksums in the manifest do not fit
//! and the training run is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::super::paths::ClaimPlace;
use super::super::{env, machine};
use super::lock_file::{self, LocksUnsupported, is_at, is_full, write_error};

/// The time without a heartbeat after which a claim is stale. `LTH_TEST_STALE_SECONDS` shortens it for tests.
static STALE_AFTER: LazyLock<Duration> = LazyLock::new(|| env::test_stale_time().unwrap_or(Duration::from_mins(1)));
/// The number of heartbeats in [`STALE_AFTER`].
const BEATS: u32 = 6;
/// The text between lock and random letters in the name of a claim that is being written, which excludes no other.
const NEW: &str = ".new-";
/// The longest time that the first of several claims, made at the same moment, waits for the removal of the others.
const TIE: Duration = Duration::from_millis(200);

/// The error of a process whose claim was taken over.
#[derive(Debug, thiserror::Error)]
#[error(
    "another process took over the claim `{}`: this process was suspended, or cut off from the file system, for longer \
     than {} seconds", path.display(), STALE_AFTER.as_secs_f64()
)]
pub struct ClaimLost {
    /// The claim.
    pub path: PathBuf,
}

/// The kind of a lock or claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It excludes all others.
    Exclusive,
    /// It excludes exclusive ones.
    Shared,
}

impl Kind {
    /// Returns the name of the kind in the names of claims.
    fn name(self) -> &'static str {
        match self {
            Self::Exclusive => "exclusive",
            Self::Shared => "shared",
        }
    }
}

/// A claim of this process. Dropping it removes the file.
#[derive(Debug)]
pub(super) struct Claim(Arc<Held>);

/// A claim as the thread of the heartbeats sees it.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    kind: Kind,
    beats: AtomicU64,
    is_lost: AtomicBool,
}

/// The claims of this process.
struct Heart {
    claims: Vec<Arc<Held>>,
    /// Whether the thread of the heartbeats was started.
    beats: bool,
}

static HEART: Mutex<Heart> = Mutex::new(Heart { claims: Vec::new(), beats: false });

fn heart() -> MutexGuard<'static, Heart> {
    HEART.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Claim {
    /// Makes a claim on a lock; returns `None` if another process has one that excludes it. Stale claims are removed.
    ///
    /// # Errors
    /// Fails if the folder of claims cannot be listed, or a file in it cannot be made or removed.
    pub(super) fn try_new(place: &ClaimPlace, kind: Kind) -> Result<Option<Self>> {
        if !excluding(place, kind, "")?.is_empty() {
            return Ok(None);
        }
        let claim = Self::announce(place, kind)?;
        let name = claim.0.path.file_name().unwrap_or_default().to_string_lossy();
        let since = Instant::now();
        loop {
            let others = excluding(place, kind, &name)?;
            if others.is_empty() {
                return Ok(Some(claim));
            }
            if since.elapsed() > TIE || others.iter().any(|other| **other < *name) {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Makes the file of a claim, and begins its heartbeat. The file appears whole, so that the claim of a process that
    /// is killed at this moment names its process.
    fn announce(place: &ClaimPlace, kind: Kind) -> Result<Self> {
        let mut builder = tempfile::Builder::new();
        let prefix = format!("{}{NEW}", place.lock);
        builder.prefix(&prefix).rand_bytes(12);
        // Others must be able to read the heartbeat.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(&place.folder).map_err(|source| write_error(&place.folder, source))?;
        let name = file.path().file_name().unwrap_or_default().to_string_lossy();
        let path = place.folder.join(name.replacen(NEW, &format!(".{}-", kind.name()), 1));
        match file.write_all(text(0).as_bytes()).and_then(|()| file.as_file().sync_data()) {
            // `lth clean` needs claims to make room. The text is written with a later heartbeat.
            Err(source) if is_full(&source) => {}
            written => written.map_err(|source| write_error(&path, source))?,
        }
        file.persist(&path).map_err(|error| write_error(&path, error.error))?;
        // Dropped, and so removed, if the next lines fail.
        let held = Held { path, kind, beats: AtomicU64::new(0), is_lost: AtomicBool::new(false) };
        let claim = Self(Arc::new(held));
        let mut heart = heart();
        if !heart.beats {
            let thread = std::thread::Builder::new().name("claims".to_owned());
            thread.spawn(beat_for_ever).map_err(|source| write_error(&claim.0.path, source))?;
            heart.beats = true;
        }
        heart.claims.push(Arc::clone(&claim.0));
        drop(heart);
        Ok(claim)
    }

    /// Returns whether a heartbeat has found the claim missing. Does not access the disk.
    pub(super) fn is_lost(&self) -> bool {
        self.0.is_lost.load(Ordering::Relaxed)
    }

    /// Checks that the claim is still there.
    ///
    /// # Errors
    /// Returns [`ClaimLost`] if it is not, and fails if that cannot be found out.
    pub(super) fn check(&self) -> Result<()> {
        // Opening a file makes an NFS client ask the server, which reading its metadata need not.
        match File::open(&self.0.path) {
            Ok(_) => Ok(()),
            Err(error) if is_gone(&error) => Err(ClaimLost { path: self.0.path.clone() }.into()),
            Err(source) => Err(write_error(&self.0.path, source)),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // A heartbeat of a shared claim would make the file again.
        let mut heart = heart();
        heart.claims.retain(|held| !Arc::ptr_eq(held, &self.0));
        let _ = fs::remove_file(&self.0.path);
    }
}

impl Held {
    /// Writes the text of the claim, with the number of its heartbeats.
    ///
    /// Does not make the file of an exclusive claim again if it was removed. That of a shared claim is made again, so that
    /// the run counts as running: the exclusive claims on its training runs guard what it writes.
    fn write(&self) -> io::Result<()> {
        let again = self.kind == Kind::Shared;
        let mut file = OpenOptions::new().write(true).create(again).truncate(false).open(&self.path)?;
        file.write_all(text(self.beats.load(Ordering::Relaxed)).as_bytes())?;
        file.sync_data()
    }

    /// Does one heartbeat. An error that passes is one heartbeat missed.
    fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
        if self.write().is_err_and(|error| is_gone(&error)) {
            self.is_lost.store(true, Ordering::Relaxed);
        }
    }
}

/// Returns the text of a claim of this process after a number of heartbeats. Its length does not change.
fn text(beats: u64) -> String {
    let mark = machine::process_mark(std::process::id()).unwrap_or_default();
    format!("{}\n{mark}\n{beats:020}\n", lock_file::this_process())
}

/// Does a heartbeat of all claims of this process, again and again.
fn beat_for_ever() {
    loop {
        std::thread::sleep(*STALE_AFTER / BEATS);
        heart().claims.iter().for_each(|held| held.beat());
    }
}

/// Returns whether an error says that a file was removed, on this host or (`ESTALE`, 116 on Linux) another.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::StaleNetworkFileHandle)
}

/// What is known about a claim after a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    /// It was removed.
    Gone,
    /// Its process has ended, or it had no heartbeat for [`STALE_AFTER`].
    Stale,
    /// It had no heartbeat since the first reading.
    Silent,
    /// It had a heartbeat, or its process runs on this host.
    Alive,
}

/// The readings of a claim.
struct Watch {
    text: Vec<u8>,
    last: Instant,
    /// The time for which the text has not changed, without pauses of this process.
    unchanged: Duration,
    has_beaten: bool,
}

impl Watch {
    fn new(text: Vec<u8>, now: Instant) -> Self {
        Self { text, last: now, unchanged: Duration::ZERO, has_beaten: false }
    }

    /// Records a reading, and returns what is known then.
    fn read(&mut self, text: Vec<u8>, now: Instant) -> Sight {
        if text == self.text {
            self.unchanged += (now - self.last).min(*STALE_AFTER / BEATS);
            self.last = now;
        } else {
            *self = Self { has_beaten: true, ..Self::new(text, now) };
        }
        match self {
            Self { unchanged, .. } if *unchanged >= *STALE_AFTER => Sight::Stale,
            Self { has_beaten: true, .. } => Sight::Alive,
            Self { .. } => Sight::Silent,
        }
    }
}

/// The readings of claims by their path.
static WATCHES: Mutex<BTreeMap<PathBuf, Watch>> = Mutex::new(BTreeMap::new());

/// Reads a claim. A claim that cannot be read counts as silent, and the time does not count.
fn look_at(path: &Path) -> Sight {
    let read = fs::read(path);
    let mut watches = WATCHES.lock().unwrap_or_else(PoisonError::into_inner);
    let text = match read {
        Err(error) if is_gone(&error) => {
            watches.remove(path);
            return Sight::Gone;
        }
        Err(_) => return Sight::Silent,
        Ok(text) => text,
    };
    let mark = str::from_utf8(&text).ok().and_then(|text| text.lines().nth(1).map(str::to_owned));
    let has_ended = mark.and_then(|mark| machine::has_ended(&mark));
    let now = Instant::now();
    let sight = watches.entry(path.to_owned()).or_insert_with(|| Watch::new(text.clone(), now)).read(text, now);
    match has_ended {
        Some(true) => Sight::Stale,
        Some(false) if sight == Sight::Silent => Sight::Alive,
        _ => sight,
    }
}

/// Returns the names of the files in a folder of claims; none if there is no folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    let files = super::list(folder)?.into_iter();
    Ok(files.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
}

/// Returns the name of the lock that a claim is for, and whether the claim is exclusive; `None` for other files.
fn parse(name: &str) -> Option<(&str, Kind)> {
    let (lock, kind) = name.rsplit_once('-')?.0.rsplit_once('.')?;
    let kind = [Kind::Exclusive, Kind::Shared].into_iter().find(|known| known.name() == kind)?;
    Some((lock, kind))
}

/// Returns the names of the claims that exclude one of this kind, other than `own`. Removes those that are stale.
fn excluding(place: &ClaimPlace, kind: Kind, own: &str) -> Result<Vec<String>> {
    let mut excluding = Vec::new();
    for name in names(&place.folder)? {
        let excludes = |(lock, other)| lock == place.lock && (kind == Kind::Exclusive || other == Kind::Exclusive);
        if name == own || !parse(&name).is_some_and(excludes) {
            continue;
        }
        let path = place.folder.join(&name);
        match look_at(&path) {
            Sight::Gone => {}
            Sight::Stale => super::remove(&path)?,
            Sight::Silent | Sight::Alive => excluding.push(name),
        }
    }
    Ok(excluding)
}

/// Returns the holder of a claim on a lock, as the claim names it; `None` if there is no claim that may have a holder.
/// Changes no file.
pub(super) fn holder(place: &ClaimPlace) -> Option<String> {
    let is_of_lock = |name: &String| parse(name).is_some_and(|(lock, _)| lock == place.lock);
    let claims = names(&place.folder).unwrap_or_default().into_iter().filter(is_of_lock);
    let mut paths = claims.map(|name| place.folder.join(name));
    paths.find(|path| matches!(look_at(path), Sight::Silent | Sight::Alive)).map(|path| lock_file::signature(&path))
}

/// Returns the names of the locks that have claims in a folder, each once.
pub(super) fn claimed_locks(folder: &Path) -> BTreeSet<String> {
    let names = names(folder).unwrap_or_default();
    names.iter().filter_map(|name| Some(parse(name)?.0.to_owned())).collect()
}

/// Removes the stale claims in a folder, finished ones and others, and returns the holder of a claim of which it is not known yet whether it is
/// stale; `None` if there is no such claim.
///
/// # Errors
/// Fails if the folder cannot be listed or a claim cannot be removed.
pub(super) fn remove_stale(folder: &Path) -> Result<Option<String>> {
    let mut unknown = None;
    for name in names(folder)?.iter().filter(|name| parse(name).is_some() || name.contains(NEW)) {
        let path = folder.join(name);
        match look_at(&path) {
            Sight::Stale => super::remove(&path)?,
            Sight::Silent => unknown = Some(lock_file::signature(&path)),
            Sight::Gone | Sight::Alive => {}
        }
    }
    Ok(unknown)
}

/// Returns whether processes use claims in place of locks: the folder of claims exists.
pub(super) fn are_used(folder: &Path) -> bool {
    folder.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

/// Like [`are_used`], but turns claims on first if `LTH_LOCKS` asks for them. All processes on the folder use claims
/// then: the gate, which each of them needs first, is no file any more that could be locked. A version of this program
/// that does not know claims ends with an error.
///
/// # Errors
/// Fails if `LTH_LOCKS` has another value, the folder cannot be made, or a process holds a lock.
pub(super) fn are_used_or_turned_on(place: &ClaimPlace, path: &Path) -> Result<bool> {
    Ok(are_used(&place.folder) || env::asks_for_claims()? && turn_on(&place.folder, path).map(|()| true)?)
}

/// Makes the folder of claims, in place of the lock file of the gate if there is one. No process may hold a lock
/// meanwhile: that at `path`, the gate, or one in the folder of locks.
fn turn_on(folder: &Path, path: &Path) -> Result<()> {
    let locks = folder.parent().unwrap_or(Path::new("."));
    loop {
        match fs::create_dir_all(locks).and_then(|()| fs::create_dir(folder)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !are_used(folder) => {}
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => return Err(write_error(folder, source)),
            _ => return Ok(()),
        }
        let gate = match lock_file::open(folder) {
            Err(_) if are_used(folder) => return Ok(()),
            gate => gate?,
        };
        let held = match gate.try_lock() {
            Ok(()) if !is_at(&gate, folder) => continue,
            Ok(()) => {
                let mut others = super::list(locks)?.into_iter().chain([path.to_owned()]);
                others.find(|other| other != folder && lock_file::is_locked(other))
            }
            Err(TryLockError::WouldBlock) => Some(folder.to_owned()),
            Err(TryLockError::Error(source)) => match lock_file::refused(folder, source) {
                // Where no process can lock a file, none holds a lock.
                error if error.is::<LocksUnsupported>() => None,
                error => return Err(error),
            },
        };
        if let Some(held) = held {
            bail!(
                "LTH_LOCKS=claims: `{}` is locked by {}\n\nhint: claims can take the place of locks when no process uses \
                 the folder",
                held.display(),
                lock_file::signature(&held)
            );
        }
        match fs::remove_file(folder) {
            Err(source) if !are_used(folder) => return Err(write_error(folder, source)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
