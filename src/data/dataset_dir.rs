//! The folder of a data set and the location of its files: under their official or alternative names, plain or
//! compressed, in the folder, a subfolder or an archive; those of CIFAR in the binary version or the Python version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::bounded::{MAX_BYTES, TooLong};
use super::builtin::{BuiltinDataset, FileFormat, PinnedFile, python_name};
use super::cifar_python;
use super::container::{ArchivedFile, Extent, decompress, unpack};
use super::idx;
use super::names;
use super::names::{PathState, path_state};
use super::not_found::NotFound;

/// The folder of a data set.
pub(super) struct DatasetDir {
    /// Path of the folder.
    folder: PathBuf,
    /// The built-in data set in the folder; `None` for custom data.
    builtin: Option<&'static BuiltinDataset>,
    /// Prefix of the names of custom files.
    prefix: Option<String>,
    /// The folders that were searched before `folder` was chosen, for messages.
    searched: Vec<PathBuf>,
    /// The archive that was unpacked last, and its files by name; a file is removed when it is opened.
    unpacked: Option<(PathBuf, BTreeMap<String, Vec<u8>>)>,
}

/// The version of the files of CIFAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CifarEncoding {
    /// Binary records; the pinned checksums are those of the binary files.
    Binary,
    /// Pickles of Python.
    Python,
}

/// A tar archive with all files of a data set in one folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ArchiveLocation {
    /// File name of the archive.
    name: &'static str,
    /// Folder of the files in the archive.
    folder: &'static str,
    /// The version of the files in it.
    encoding: CifarEncoding,
}

/// The location of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileLocation {
    /// Path of the file, or of the archive that contains it.
    pub(super) path: PathBuf,
    /// The version of the file.
    pub(super) encoding: CifarEncoding,
    /// The archive; `None` for a file of its own.
    archive: Option<ArchiveLocation>,
}

/// The decompressed bytes of a file. A pickle of CIFAR is converted to binary records.
pub(super) struct DataFile {
    /// Name of the file in messages: its path, inside the archive if it is in one.
    pub(super) name: String,
    /// The content after decompression.
    pub(super) bytes: Vec<u8>,
}

impl FileLocation {
    fn plain_file(path: PathBuf, encoding: CifarEncoding) -> Self {
        Self { path, encoding, archive: None }
    }

    /// Returns whether the file is not in an archive.
    pub(super) fn is_plain_file(&self) -> bool {
        self.archive.is_none()
    }
}

impl DatasetDir {
    /// Returns the folder of custom files whose names begin with `prefix`.
    pub(super) fn custom(folder: &Path, prefix: Option<&str>) -> Self {
        let prefix = prefix.map(str::to_owned);
        Self { searched: vec![folder.to_owned()], folder: folder.to_owned(), builtin: None, prefix, unpacked: None }
    }

    /// Returns the folder of a built-in data set in `folder`, the folder of all data sets: of `folder/<name>`, `folder` and
    /// the folder of Debian's package the first with all files, else the first with a file that has content, else the first with an empty
    /// file, else `folder/<name>`.
    pub(super) fn find(builtin: &'static BuiltinDataset, folder: &Path) -> Self {
        let searched = vec![folder.join(builtin.name), folder.to_owned()];
        let candidates = || searched.iter().map(|folder| Self::at(builtin, folder.clone()));
        let states = |dir: &Self| builtin.files.iter().map(|file| dir.state(file.name)).collect::<Vec<PathState>>();
        let packaged = builtin.debian_folder.map(|folder| Self::at(builtin, PathBuf::from(folder)));
        let chosen = candidates()
            .chain(packaged)
            .find(|dir| states(dir).iter().all(|&state| state == PathState::File))
            .or_else(|| candidates().find(|dir| states(dir).contains(&PathState::File)))
            .or_else(|| candidates().find(|dir| states(dir).contains(&PathState::Empty)));
        chosen.unwrap_or_else(|| Self { searched: searched.clone(), ..Self::at(builtin, searched[0].clone()) })
    }

    /// Returns `folder` as the folder of a built-in data set, whatever it contains.
    pub(super) fn at(builtin: &'static BuiltinDataset, folder: PathBuf) -> Self {
        Self { searched: vec![folder.clone()], folder, builtin: Some(builtin), prefix: None, unpacked: None }
    }

    /// Returns the path of the folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the archives that may contain the files: that of the binary version, then that of the Python version.
    fn archives(&self) -> Vec<ArchiveLocation> {
        let Some(builtin) = self.builtin else { return Vec::new() };
        let binary = builtin.archive.map(|archive| ArchiveLocation {
            name: archive.name,
            folder: archive.folder,
            encoding: CifarEncoding::Binary,
        });
        let python = builtin.python.map(|python| ArchiveLocation {
            name: python.archive,
            folder: python.folder,
            encoding: CifarEncoding::Python,
        });
        binary.into_iter().chain(python).collect()
    }

    /// Returns the names that the file `name` may have in a version.
    fn names(&self, name: &str, encoding: CifarEncoding) -> Vec<String> {
        match encoding {
            CifarEncoding::Binary => names::idx(name, self.builtin.is_none(), self.prefix.as_deref()),
            CifarEncoding::Python => vec![python_name(name).to_owned()],
        }
    }

    /// Returns the locations that the file `name` may have, in order of precedence: as a file in the folder or in the
    /// folder of the unpacked archive, then in the archive; first in the binary version, then in the Python version.
    fn locations(&self, name: &str) -> Vec<FileLocation> {
        let archives = self.archives();
        if archives.is_empty() {
            let paths = names::paths(&self.folder, &self.names(name, CifarEncoding::Binary));
            return paths.into_iter().map(|path| FileLocation::plain_file(path, CifarEncoding::Binary)).collect();
        }
        archives.into_iter().flat_map(|archive| self.locations_by_archive(name, archive)).collect()
    }

    /// Returns the locations of the file `name` in the version of `archive`, in order of precedence.
    fn locations_by_archive(&self, name: &str, archive: ArchiveLocation) -> Vec<FileLocation> {
        let names = self.names(name, archive.encoding);
        let archive_path = self.folder.join(archive.name);
        // Some systems unpack an archive into a folder of its own name.
        let unpacked = [self.folder.join(archive.folder), archive_path.join(archive.folder), archive_path.clone()];
        // The files of CIFAR-100 for Python are called `train` and `test`: in a folder of several data sets, these may
        // be files of another one.
        let is_ambiguous = archive.encoding == CifarEncoding::Python && ["train", "test"].contains(&python_name(name));
        let own_folders = [self.builtin.map_or("", |builtin| builtin.name), archive.folder];
        let is_own_folder = own_folders.into_iter().any(|folder| self.folder.ends_with(folder));
        let direct = (!is_ambiguous || is_own_folder).then(|| self.folder.clone());
        let paths = direct.into_iter().chain(unpacked).flat_map(|folder| names::paths(&folder, &names));
        let mut locations: Vec<FileLocation> =
            paths.map(|path| FileLocation::plain_file(path, archive.encoding)).collect();
        locations.push(FileLocation { path: archive_path, encoding: archive.encoding, archive: Some(archive) });
        locations
    }

    /// Returns the state of the path of the file `name`.
    fn state(&self, name: &str) -> PathState {
        self.locate(name).map_or(PathState::Nothing, |location| path_state(&location.path))
    }

    /// Returns the location of the file `name`: the first with content, else the first with an empty file.
    pub(super) fn locate(&self, name: &str) -> Option<FileLocation> {
        let mut empty = None;
        for location in self.locations(name) {
            match path_state(&location.path) {
                PathState::File => return Some(location),
                PathState::Empty => empty = empty.or(Some(location)),
                PathState::Nothing => {}
            }
        }
        empty
    }

    /// Returns the decompressed bytes of the file `name`; a pickle of CIFAR is converted to binary records.
    ///
    /// # Errors
    /// Returns [`NotFound`] if there is no such file, [`BadContainer`](super::container::BadContainer) if it cannot be
    /// unpacked, and an error if a pickle of CIFAR cannot be converted.
    pub(super) fn open(&mut self, name: &str) -> Result<DataFile> {
        let Some(location) = self.locate(name) else { return Err(self.not_found(name).into()) };
        let file = match location.archive {
            None => {
                let bytes = decompress(&location.path, |head| self.extent(name, location.encoding, head))?;
                DataFile { name: location.path.display().to_string(), bytes }
            }
            Some(archive) => self.open_archived(name, &location.path, archive)?,
        };
        match (location.encoding, self.builtin.map(|builtin| builtin.format)) {
            (CifarEncoding::Python, Some(FileFormat::Cifar { label_bytes, .. })) => {
                let records = cifar_python::records(&file.bytes, label_bytes);
                let bytes = records.with_context(|| format!("`{}` is not usable", file.name))?;
                Ok(DataFile { bytes, ..file })
            }
            _ => Ok(file),
        }
    }

    /// Returns the file `name` of the archive at `path`, which is unpacked once for all files.
    fn open_archived(&mut self, name: &str, path: &Path, archive: ArchiveLocation) -> Result<DataFile> {
        let name = archive.file_name(name);
        let shown_name = format!("{}/{}/{name}", path.display(), archive.folder);
        let is_unpacked = self.unpacked.as_ref().is_some_and(|(unpacked, _)| unpacked == path);
        if !is_unpacked {
            let files = self.builtin.map_or(&[][..], |builtin| builtin.files);
            let archived = |file: &PinnedFile| (archive.file_name(file.name), self.limit(file.name, archive.encoding));
            let files: Vec<ArchivedFile<'_>> = files.iter().map(archived).collect();
            self.unpacked = Some((path.to_owned(), unpack(path, archive.folder, &files)?));
        }
        let bytes = self.unpacked.as_mut().and_then(|(_, files)| files.remove(name));
        let bytes = bytes.with_context(|| format!("`{shown_name}` is not in the archive"))?;
        Ok(DataFile { name: shown_name, bytes })
    }

    /// Returns how much of the file `name` with this head is read.
    ///
    /// # Errors
    /// Fails if the header of a custom file says more bytes than are read.
    fn extent(&self, name: &str, encoding: CifarEncoding, head: &[u8]) -> Result<Extent> {
        let excess = self.limit(name, encoding);
        let is_idx = self.builtin.is_none_or(|builtin| builtin.format == FileFormat::Idx);
        if is_idx && self.builtin.is_none() {
            return idx::extent(head, excess.limit);
        }
        // A header with another size than that of the official file is refused without the rest.
        let is_other = is_idx && idx::file_size(head) != Some(u128::from(excess.limit));
        Ok(if is_other { Extent::Head } else { Extent::Whole(excess) })
    }

    /// Returns the limit of the bytes of the file `name`: those of the official file, or [`MAX_BYTES`] for custom files.
    fn limit(&self, name: &str, encoding: CifarEncoding) -> TooLong {
        let Some(builtin) = self.builtin else { return TooLong { limit: MAX_BYTES, limit_source: "are read" } };
        let index = builtin.files.iter().position(|file| file.name == name);
        let official = index.map_or(0, |index| builtin.file_bytes(index));
        match encoding {
            CifarEncoding::Binary => TooLong { limit: official, limit_source: "the official file has" },
            // In protocol 0 a pixel may have four characters and a label six, and pickles have names of images too.
            CifarEncoding::Python => {
                TooLong { limit: 5 * official + (1 << 20), limit_source: "a pickled batch may have" }
            }
        }
    }

    /// Returns the error for the file `name` with all names that were tried.
    fn not_found(&self, name: &str) -> NotFound {
        let mut tried = self.names(name, CifarEncoding::Binary);
        for archive in self.archives() {
            tried.extend([format!("{}/{}", archive.folder, archive.file_name(name)), archive.name.to_owned()]);
        }
        NotFound::new(self.searched.clone(), tried, self.builtin.map(|builtin| builtin.name))
    }
}

impl ArchiveLocation {
    /// Returns the name in this archive of the file that the binary version calls `name`.
    fn file_name(self, name: &str) -> &str {
        if self.encoding == CifarEncoding::Python { python_name(name) } else { name }
    }
}

#[cfg(test)]
mod tests;
