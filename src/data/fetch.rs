//! Fetches a built-in data set from its mirrors. Each file is verified before it gets its name. Only this
//! module and `download.rs` use the network.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::bounded::TooLong;
use super::builtin;
use super::builtin::{Archive, BuiltinDataset, PinnedFile};
use super::container::{ArchivedFile, Extent, decompress, unpack};
use super::dataset_dir::DatasetDir;
use super::download::{Limits, download};
use super::status::{DatasetReport, DatasetStatus, FileStatus, report_at, report_of};
use crate::base::key::sha256;
use crate::system::files;
use crate::system::files::{Lock, WriteError, sha256_of_file};

/// Options of [`fetch`].
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// Folder of all data sets.
    pub folder: PathBuf,
    /// Base URLs that are tried before the default mirrors; the name of a file is appended to each.
    pub mirrors: Vec<String>,
    /// Whether to try the default mirrors.
    pub use_default_mirrors: bool,
    /// Time without bytes after which a download from a server fails.
    pub stall: Duration,
}

/// A progress event of [`fetch`].
#[derive(Clone, Copy, Debug)]
pub enum FetchProgress<'a> {
    /// A file is requested from a mirror.
    Requested {
        /// Name of the file.
        file: &'a str,
        /// Base URL of the mirror.
        mirror: &'a str,
        /// Bytes received earlier, after which the download continues.
        received: u64,
    },
    /// Bytes were received.
    Received {
        /// Bytes received so far.
        received: u64,
        /// Bytes in total; `None` if the server does not report it.
        total: Option<u64>,
    },
    /// A mirror did not deliver a file.
    Failed {
        /// Base URL of the mirror.
        mirror: &'a str,
        /// The reason.
        cause: &'a str,
    },
    /// A file is verified and has its name.
    Installed {
        /// Name of the file.
        file: &'a str,
        /// Bytes of the file as it was downloaded.
        bytes: u64,
    },
}

/// The result of [`fetch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Folder of the data set.
    pub folder: PathBuf,
    /// Number of files that were downloaded; 0 if all were complete already.
    pub files: usize,
}

/// The error for a file that no mirror delivered.
#[derive(Debug, thiserror::Error)]
pub struct NoMirror {
    /// Name of the file.
    file: String,
    /// Each mirror with the reason of its failure.
    causes: Vec<(String, String)>,
    /// Folder that the user may copy the files to.
    pub folder: PathBuf,
}

impl fmt::Display for NoMirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no mirror gave `{}`", self.file)?;
        self.causes.iter().try_for_each(|(mirror, cause)| write!(f, "\n    {mirror}: {cause}"))
    }
}

/// A file to download.
#[derive(Clone, Copy)]
enum Download {
    /// One file, compressed with gzip, and its number of bytes, decompressed.
    Single(PinnedFile, u64),
    /// An archive of all files, and their number of bytes, decompressed.
    Packed(Archive, u64),
}

/// Downloads the files of the data set `name` that are missing or damaged.
///
/// # Errors
/// Fails if no mirror delivers a file ([`NoMirror`]), if the folder cannot be written, and if another process fetches
/// into it.
pub fn fetch(name: &str, options: &FetchOptions, on_progress: &dyn Fn(FetchProgress<'_>)) -> Result<Fetched> {
    let builtin = builtin::ALL.into_iter().find(|builtin| builtin.name == name);
    let builtin = builtin.with_context(|| format!("`{name}` is no data set that can be fetched"))?;
    fetch_set(builtin, options, on_progress)
}

fn fetch_set(
    builtin: &'static BuiltinDataset,
    options: &FetchOptions,
    on_progress: &dyn Fn(FetchProgress<'_>),
) -> Result<Fetched> {
    let before = report_of_target(builtin, &options.folder);
    let folder = before.folder.clone();
    if before.status == DatasetStatus::Complete {
        return Ok(Fetched { folder, files: 0 });
    }
    let default_mirrors: &[&str] = if options.use_default_mirrors { builtin.mirrors } else { &[] };
    let given_mirrors = options.mirrors.iter().map(String::as_str);
    let mirrors: Vec<String> = given_mirrors.chain(default_mirrors.iter().copied()).map(with_slash).collect();
    ensure!(!mirrors.is_empty(), "there is no place to fetch `{}` from", builtin.name);
    let new_folders: Vec<&Path> = folder.ancestors().take_while(|folder| !folder.exists()).collect();
    let files = fetch_missing(builtin, &before, &mirrors, options.stall, on_progress);
    if files.is_err() {
        // Only empty folders are removed: a partial file is kept for the next fetch.
        new_folders.iter().take_while(|folder| std::fs::remove_dir(folder).is_ok()).count();
    }
    let files = files?;
    let after = report_of(builtin, &options.folder);
    ensure!(
        after.status == DatasetStatus::Complete,
        "what was fetched into `{}` is not there any more",
        folder.display()
    );
    Ok(Fetched { folder, files })
}

/// Returns the report on the data set in the folder that the fetch completes. If files directly in the folder of all
/// data sets have the right names, but none has the right content, they belong to another data set: they are not
/// changed, and a subfolder is used.
fn report_of_target(builtin: &'static BuiltinDataset, folder: &Path) -> DatasetReport {
    let report = report_of(builtin, folder);
    let is_of_another_set = report.status == DatasetStatus::Damaged
        && report.folder == folder
        && report.files.iter().all(|file| matches!(file.status, FileStatus::Damaged(_) | FileStatus::Missing));
    if is_of_another_set { report_at(builtin, DatasetDir::at(builtin, folder.join(builtin.name))) } else { report }
}

/// Downloads the missing and damaged files into the folder of `before` and returns their number. The folder is locked
/// meanwhile; the lock file is removed at the end.
fn fetch_missing(
    builtin: &BuiltinDataset,
    before: &DatasetReport,
    mirrors: &[String],
    stall: Duration,
    on_progress: &dyn Fn(FetchProgress<'_>),
) -> Result<usize> {
    let folder = &before.folder;
    let lock = folder.join(".fetching");
    let Some(_lock) = Lock::try_exclusive(&lock)? else {
        bail!("`{}` is being fetched by {}", folder.display(), Lock::holder(&lock));
    };
    let needed = (0..builtin.files.len()).filter(|&index| before.files[index].status != FileStatus::Verified);
    let downloads: Vec<Download> = match builtin.archive {
        Some(archive) => vec![Download::Packed(archive, builtin.all_bytes())],
        None => needed.map(|index| Download::Single(builtin.files[index], builtin.file_bytes(index))).collect(),
    };
    let download_all = || -> Result<()> {
        for download in &downloads {
            let part = download_part(download, folder, mirrors, stall, on_progress)?;
            // A damaged file that would be read instead of the new one is renamed.
            for damaged in before.files.iter().filter(|file| matches!(file.status, FileStatus::Damaged(_))) {
                rename_damaged(folder, damaged.name, download)?;
            }
            install(builtin, download, folder, &part, on_progress)?;
        }
        Ok(())
    };
    let result = download_all();
    files::remove(&lock)?;
    result.map(|()| downloads.len())
}

fn with_slash(mirror: &str) -> String {
    format!("{}/", mirror.trim_end_matches('/'))
}

impl Download {
    /// Returns the name of the file at a mirror.
    fn name(&self) -> String {
        match self {
            Self::Single(file, _) => format!("{}.gz", file.name),
            Self::Packed(archive, _) => archive.name.to_owned(),
        }
    }

    /// Returns the largest number of bytes that a mirror may send. The content is known, but not how well it is
    /// compressed: data that cannot be compressed become 0.03 % longer, and a tar archive has headers and notes.
    fn max_bytes(&self) -> u64 {
        let (Self::Single(_, bytes) | Self::Packed(_, bytes)) = self;
        bytes + bytes / 100 + (1 << 20)
    }

    /// Checks that `part` has the pinned checksum.
    ///
    /// # Errors
    /// Fails if the file is cut short, damaged or another one.
    fn verify(&self, part: &Path) -> Result<()> {
        let (hash, pinned) = match self {
            Self::Single(file, bytes) => {
                // Another file may be longer, and has another checksum.
                let excess = TooLong { limit: 2 * bytes + (1 << 20), limit_source: "the official file has" };
                let content = decompress(part, |_| Ok(Extent::Whole(excess)));
                (content.map(|bytes| sha256(&bytes)), file.sha256)
            }
            Self::Packed(archive, _) => (sha256_of_file(part), archive.sha256),
        };
        let found = hash.ok().context("what came is cut short or damaged")?;
        ensure!(found == pinned, "what came is another file: its SHA-256 is {found} instead of {pinned}");
        Ok(())
    }
}

/// Largest number of passes over all mirrors. Another pass follows as long as bytes are received, so that an unstable
/// connection delivers a file in the end.
const MAX_PASSES: usize = 10;

/// Downloads a file as `<name>.part` into `folder`, verifies it, and returns its path.
fn download_part(
    file: &Download,
    folder: &Path,
    mirrors: &[String],
    stall: Duration,
    on_progress: &dyn Fn(FetchProgress<'_>),
) -> Result<PathBuf> {
    let name = file.name();
    let part = folder.join(format!("{name}.part"));
    let received = || part.metadata().map_or(0, |metadata| metadata.len());
    let mut causes = Vec::new();
    for _ in 0..MAX_PASSES {
        causes.clear();
        let before = received();
        for mirror in mirrors {
            match try_mirror(file, &format!("{mirror}{name}"), &part, stall, on_progress, mirror) {
                Ok(()) => return Ok(part),
                // Another mirror does not help against a full disk.
                Err(error) if error.is::<WriteError>() => return Err(error),
                Err(error) => {
                    let cause = format!("{error:#}");
                    on_progress(FetchProgress::Failed { mirror, cause: &cause });
                    causes.push((mirror.clone(), cause));
                }
            }
        }
        if received() <= before {
            break;
        }
    }
    if received() == 0 {
        files::remove(&part)?;
    }
    Err(NoMirror { file: name, causes, folder: folder.to_owned() }.into())
}

/// Downloads a file from one mirror and verifies it. A partial file may come from a mirror with other bytes (the same
/// content, compressed by another program): if the completed file is wrong, the whole file is requested again.
fn try_mirror(
    file: &Download,
    url: &str,
    part: &Path,
    stall: Duration,
    on_progress: &dyn Fn(FetchProgress<'_>),
    mirror: &str,
) -> Result<()> {
    loop {
        let before = part.metadata().map_or(0, |metadata| metadata.len());
        on_progress(FetchProgress::Requested { file: &file.name(), mirror, received: before });
        let limits = Limits { stall, bytes: file.max_bytes() };
        download(url, part, limits, &|received, total| on_progress(FetchProgress::Received { received, total }))?;
        let Err(wrong) = file.verify(part) else { return Ok(()) };
        files::remove(part)?;
        if before == 0 {
            return Err(wrong);
        }
    }
}

/// Renames the damaged file `name` to `NAME.damaged` if it would be read instead of the file that `download` installs.
fn rename_damaged(folder: &Path, name: &str, download: &Download) -> Result<()> {
    let plain = folder.join(name);
    let zipped = folder.join(format!("{name}.gz"));
    let is_read_first = match download {
        Download::Single(file, _) => file.name == name,
        // The files of an archive are written plain, and replace those of the same name.
        Download::Packed(..) => false,
    };
    if is_read_first && plain.exists() {
        files::rename(&plain, &folder.join(format!("{name}.damaged")))?;
    } else if is_read_first && zipped.exists() {
        files::rename(&zipped, &folder.join(format!("{name}.gz.damaged")))?;
    }
    Ok(())
}

/// Gives the verified file `part` its name, or unpacks it if it is an archive.
fn install(
    builtin: &BuiltinDataset,
    download: &Download,
    folder: &Path,
    part: &Path,
    on_progress: &dyn Fn(FetchProgress<'_>),
) -> Result<()> {
    let bytes = part.metadata().map_or(0, |metadata| metadata.len());
    let name = download.name();
    match download {
        Download::Single(..) => files::rename(part, &folder.join(&name))?,
        Download::Packed(archive, _) => {
            // The archive is complete and verified, so it may get its name before it is unpacked: readers find all
            // files in it.
            let path = folder.join(archive.name);
            if path.is_dir() {
                // Some systems unpack an archive into a folder of its own name, which a file cannot replace.
                let renamed = |n: u32| folder.join(format!("{}.damaged-{n}", archive.name));
                files::rename(&path, &renamed(files::next_free_number(|n| renamed(n).exists())))?;
            }
            files::rename(part, &path)?;
            let excess = |index| TooLong { limit: builtin.file_bytes(index), limit_source: "the official file has" };
            let archived: Vec<ArchivedFile<'_>> =
                builtin.files.iter().enumerate().map(|(index, file)| (file.name, excess(index))).collect();
            for (name, bytes) in unpack(&path, archive.folder, &archived)? {
                files::write(&folder.join(name), &bytes)?;
            }
            files::remove(&path)?;
        }
    }
    on_progress(FetchProgress::Installed { file: &name, bytes });
    Ok(())
}

#[cfg(test)]
mod tests;
