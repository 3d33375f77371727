//! Brings a built-in data set here: mirror after mirror, each file verified before it takes its place. The only part of
//! the program that uses the network.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::builtin;
use super::builtin::{Archive, BuiltinDataset, PinnedFile};
use super::container::{decompress, unpack};
use super::dataset_dir::DatasetDir;
use super::download::download;
use super::status::{Availability, DatasetStatus, FileStatus, status_at, status_of};
use crate::base::key::sha256;
use crate::system::files;
use crate::system::files::{Lock, WriteError, sha256_of_file};

/// What a person may choose.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// The folder of all data sets.
    pub folder: PathBuf,
    /// Places that are tried before the usual ones: a file is looked for behind each.
    pub mirrors: Vec<String>,
    /// Whether the usual places are tried at all.
    pub use_default_mirrors: bool,
    /// A server that sends nothing for so long is given up.
    pub stall: Duration,
}

/// What happens meanwhile.
#[derive(Clone, Copy, Debug)]
pub enum FetchProgress<'a> {
    /// A file is asked for.
    Asked {
        /// The file.
        file: &'a str,
        /// Where.
        mirror: &'a str,
        /// Bytes that are here already.
        here: u64,
    },
    /// Bytes have come.
    Came {
        /// Bytes here.
        here: u64,
        /// Bytes in all, where that is known.
        total: Option<u64>,
    },
    /// A mirror did not give a file.
    Failed {
        /// Where.
        mirror: &'a str,
        /// Why.
        cause: &'a str,
    },
    /// A file is verified and in its place.
    Installed {
        /// The file.
        file: &'a str,
        /// Its bytes.
        bytes: u64,
    },
}

/// What fetching came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where the data set is.
    pub folder: PathBuf,
    /// Files that were brought; none where all were there already.
    pub files: usize,
}

/// No mirror gave a file.
#[derive(Debug, thiserror::Error)]
pub struct NoMirror {
    file: String,
    /// Each mirror with what was wrong there.
    causes: Vec<(String, String)>,
    /// Where files may be put by hand.
    pub folder: PathBuf,
}

impl fmt::Display for NoMirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no mirror gave `{}`", self.file)?;
        self.causes.iter().try_for_each(|(mirror, cause)| write!(f, "\n    {mirror}: {cause}"))
    }
}

/// A file to be brought.
#[derive(Clone, Copy)]
enum Download {
    /// One file, gzip'd.
    Single(PinnedFile),
    /// All files in one.
    Packed(Archive),
}

/// Brings what of the data set `name` is not here.
///
/// # Errors
/// Where no mirror gives a file, or the folder cannot be written.
pub fn fetch(name: &str, fetch: &FetchOptions, tell: &dyn Fn(FetchProgress<'_>)) -> Result<Fetched> {
    let set = builtin::ALL.into_iter().find(|set| set.name == name);
    let set = set.with_context(|| format!("`{name}` is no data set that can be fetched"))?;
    fetch_set(set, fetch, tell)
}

fn fetch_set(set: &'static BuiltinDataset, fetch: &FetchOptions, tell: &dyn Fn(FetchProgress<'_>)) -> Result<Fetched> {
    let before = survey_before(set, &fetch.folder);
    let folder = before.folder.clone();
    if before.state == Availability::Complete {
        return Ok(Fetched { folder, files: 0 });
    }
    let usual: &[&str] = if fetch.use_default_mirrors { set.mirrors } else { &[] };
    let mirrors: Vec<String> =
        fetch.mirrors.iter().map(String::as_str).chain(usual.iter().copied()).map(slash).collect();
    ensure!(!mirrors.is_empty(), "there is no place to fetch `{}` from", set.name);
    let new_folders: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    let files = fetch_missing(set, &before, &mirrors, fetch.stall, tell);
    if files.is_err() {
        // Only folders that are empty are removed: a part that has come is kept for the next time.
        new_folders.iter().take_while(|folder| std::fs::remove_dir(folder).is_ok()).count();
    }
    let files = files?;
    let after = status_of(set, &fetch.folder);
    ensure!(
        after.state == Availability::Complete,
        "what was fetched into `{}` is not there any more",
        folder.display()
    );
    Ok(Fetched { folder, files })
}

/// What is there of the set in the folder that is to be completed. Files in the folder of all data sets of which none is
/// right are of another data set, and stay as they are.
fn survey_before(set: &'static BuiltinDataset, folder: &Path) -> DatasetStatus {
    let found = status_of(set, folder);
    let is_of_another = found.state == Availability::Damaged
        && found.folder == folder
        && found.files.iter().all(|file| matches!(file.condition, FileStatus::Damaged(_) | FileStatus::Missing));
    if is_of_another { status_at(set, DatasetDir::at(set, folder.join(set.name))) } else { found }
}

/// Brings what is missing or damaged into the folder of the survey `before`; the number of files that came. The lock is
/// gone when it ends.
fn fetch_missing(
    set: &BuiltinDataset,
    before: &DatasetStatus,
    mirrors: &[String],
    stall: Duration,
    tell: &dyn Fn(FetchProgress<'_>),
) -> Result<usize> {
    let folder = &before.folder;
    let lock = folder.join(".fetching");
    let Some(_lock) = Lock::try_exclusive(&lock)? else {
        bail!("`{}` is being fetched by {}", folder.display(), Lock::holder(&lock));
    };
    let wanted = before.files.iter().zip(set.files).filter(|(file, _)| file.condition != FileStatus::Verified);
    let items: Vec<Download> = match set.archive {
        Some(archive) => vec![Download::Packed(archive)],
        None => wanted.map(|(_, pinned)| Download::Single(*pinned)).collect(),
    };
    let bring_all = || -> Result<()> {
        for item in &items {
            let part = bring(item, folder, mirrors, stall, tell)?;
            // What is damaged would be found before what has come.
            for damaged in before.files.iter().filter(|file| matches!(file.condition, FileStatus::Damaged(_))) {
                set_aside(folder, damaged.name, item)?;
            }
            install(set, item, folder, &part, tell)?;
        }
        Ok(())
    };
    let brought = bring_all();
    files::remove(&lock)?;
    brought.map(|()| items.len())
}

fn slash(mirror: &str) -> String {
    format!("{}/", mirror.trim_end_matches('/'))
}

impl Download {
    /// Its name at a mirror.
    fn name(&self) -> String {
        match self {
            Self::Single(file) => format!("{}.gz", file.name),
            Self::Packed(archive) => archive.name.to_owned(),
        }
    }

    /// Checks that `part` is the file.
    fn verify(&self, part: &Path) -> Result<()> {
        let (found, pinned) = match self {
            Self::Single(file) => (decompress(part).map(|bytes| sha256(&bytes)), file.sha256),
            Self::Packed(archive) => (sha256_of_file(part), archive.sha256),
        };
        let found = found.ok().context("what came is cut short or damaged")?;
        ensure!(found == pinned, "what came is another file: its SHA-256 is {found} instead of {pinned}");
        Ok(())
    }
}

/// A pass over the mirrors is followed by another as long as bytes come, so that one poor line gives a file in the end;
/// but not for ever.
const MAX_PASSES: usize = 10;

/// Brings a file into a partial one beside its place, and verifies it.
fn bring(
    item: &Download,
    folder: &Path,
    mirrors: &[String],
    stall: Duration,
    tell: &dyn Fn(FetchProgress<'_>),
) -> Result<PathBuf> {
    let name = item.name();
    let part = folder.join(format!("{name}.part"));
    let here = || part.metadata().map_or(0, |metadata| metadata.len());
    let mut causes = Vec::new();
    for _ in 0..MAX_PASSES {
        causes.clear();
        let before = here();
        for mirror in mirrors {
            match try_mirror(item, &format!("{mirror}{name}"), &part, stall, tell, mirror) {
                Ok(()) => return Ok(part),
                // No mirror can help against a full disk.
                Err(error) if error.is::<WriteError>() => return Err(error),
                Err(error) => {
                    let cause = format!("{error:#}");
                    tell(FetchProgress::Failed { mirror, cause: &cause });
                    causes.push((mirror.clone(), cause));
                }
            }
        }
        if here() <= before {
            break;
        }
    }
    if here() == 0 {
        files::remove(&part)?;
    }
    Err(NoMirror { file: name, causes, folder: folder.to_owned() }.into())
}

/// One mirror. A partial file may be of other bytes than this mirror's (the same content, packed by another program): if
/// what comes of it is wrong, the mirror is asked for the whole.
fn try_mirror(
    item: &Download,
    url: &str,
    part: &Path,
    stall: Duration,
    tell: &dyn Fn(FetchProgress<'_>),
    mirror: &str,
) -> Result<()> {
    loop {
        let here = part.metadata().map_or(0, |metadata| metadata.len());
        tell(FetchProgress::Asked { file: &item.name(), mirror, here });
        download(url, part, stall, &|here, total| tell(FetchProgress::Came { here, total }))?;
        let Err(wrong) = item.verify(part) else { return Ok(()) };
        files::remove(part)?;
        if here == 0 {
            return Err(wrong);
        }
    }
}

/// Renames a damaged file that would stand before what `item` brings.
fn set_aside(folder: &Path, name: &str, item: &Download) -> Result<()> {
    let (plain, zipped) = (folder.join(name), folder.join(format!("{name}.gz")));
    let is_meant = match item {
        Download::Single(file) => file.name == name,
        // The files of an archive are written plain, and replace what is there.
        Download::Packed(_) => false,
    };
    if is_meant && plain.exists() {
        files::rename(&plain, &folder.join(format!("{name}.damaged")))?;
    } else if is_meant && zipped.exists() {
        files::rename(&zipped, &folder.join(format!("{name}.gz.damaged")))?;
    }
    Ok(())
}

/// Puts what came in its place.
fn install(
    set: &BuiltinDataset,
    item: &Download,
    folder: &Path,
    part: &Path,
    tell: &dyn Fn(FetchProgress<'_>),
) -> Result<()> {
    let bytes = part.metadata().map_or(0, |metadata| metadata.len());
    let name = item.name();
    match item {
        Download::Single(_) => files::rename(part, &folder.join(&name))?,
        Download::Packed(archive) => {
            // Whole and verified, it may already stand under its name: who reads now finds everything.
            let whole = folder.join(archive.name);
            if whole.is_dir() {
                // Some systems unpack an archive into a folder of its own name; a file cannot take its place.
                let aside = |n: u32| folder.join(format!("{}.damaged-{n}", archive.name));
                files::rename(&whole, &aside(files::next_free_number(|n| aside(n).exists())))?;
            }
            files::rename(part, &whole)?;
            let names: Vec<&str> = set.files.iter().map(|file| file.name).collect();
            for (name, bytes) in unpack(&whole, archive.folder, &names)? {
                files::write(&folder.join(name), &bytes)?;
            }
            files::remove(&whole)?;
        }
    }
    tell(FetchProgress::Installed { file: &name, bytes });
    Ok(())
}

#[cfg(test)]
mod tests;
