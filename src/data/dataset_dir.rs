//! The folder of a data set, and where in it a file lies: by its name or another one it goes by, in a folder or an
//! archive of the set, in its binary form or that of Python.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::builtin::{BuiltinDataset, FileFormat, python_name};
use super::cifar_python;
use super::container::{decompress, unpack};
use super::names;
use super::names::{PathContent, content};
use super::not_found::NotFound;

/// The folder of a data set.
pub(super) struct DatasetDir {
    folder: PathBuf,
    /// The built-in data set that lies there, if it is one.
    set: Option<&'static BuiltinDataset>,
    /// What stands in front of the names of own files.
    prefix: Option<String>,
    /// The folders that were looked into before `folder` was chosen.
    looked_into: Vec<PathBuf>,
    /// The files of the archive that was unpacked last, by name; one that was asked for is gone.
    unpacked: Option<(PathBuf, BTreeMap<String, Vec<u8>>)>,
}

/// How the records of CIFAR are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordEncoding {
    /// As the pinned sums have them.
    Binary,
    /// As a pickle of Python.
    Python,
}

/// An archive of all files of a data set, and the folder in it that they lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ArchiveLocation {
    name: &'static str,
    folder: &'static str,
    coding: RecordEncoding,
}

/// Where a file lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileLocation {
    /// The file, or the archive that has it.
    pub(super) path: PathBuf,
    pub(super) coding: RecordEncoding,
    /// The archive, where it is inside one.
    bundle: Option<ArchiveLocation>,
}

/// The decompressed bytes of a file in its binary form, and what to call it.
pub(super) struct DataFile {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl FileLocation {
    fn plain_file(path: PathBuf, coding: RecordEncoding) -> Self {
        Self { path, coding, bundle: None }
    }

    /// Whether it is a file of its own.
    pub(super) fn is_plain_file(&self) -> bool {
        self.bundle.is_none()
    }
}

impl DatasetDir {
    /// The folder that a person keeps own files in.
    pub(super) fn own(folder: &Path, prefix: Option<&str>) -> Self {
        let (folder, prefix) = (folder.to_owned(), prefix.map(str::to_owned));
        Self { looked_into: vec![folder.clone()], folder, set: None, prefix, unpacked: None }
    }

    /// The folder of a built-in data set, `folder/<name>` or `folder`: the first that has all files, else the first
    /// that has any with content, else the first that has an empty one, else `folder/<name>`.
    pub(super) fn of(set: &'static BuiltinDataset, folder: &Path) -> Self {
        let looked_into = vec![folder.join(set.name), folder.to_owned()];
        let shelves = || looked_into.iter().map(|folder| Self::at(set, folder.clone()));
        let contents =
            |shelf: &Self| set.files.iter().map(|file| shelf.content(file.name)).collect::<Vec<PathContent>>();
        let chosen = shelves()
            .find(|shelf| contents(shelf).iter().all(|&content| content == PathContent::File))
            .or_else(|| shelves().find(|shelf| contents(shelf).contains(&PathContent::File)))
            .or_else(|| shelves().find(|shelf| contents(shelf).contains(&PathContent::Empty)));
        chosen.unwrap_or_else(|| Self { looked_into: looked_into.clone(), ..Self::at(set, looked_into[0].clone()) })
    }

    /// The folder of a built-in data set, whatever is in it.
    pub(super) fn at(set: &'static BuiltinDataset, folder: PathBuf) -> Self {
        Self { looked_into: vec![folder.clone()], folder, set: Some(set), prefix: None, unpacked: None }
    }

    /// Where files are looked for.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The archives that may have the files: that of the binary form, then that of Python's.
    fn bundles(&self) -> Vec<ArchiveLocation> {
        let Some(set) = self.set else { return Vec::new() };
        let binary =
            set.archive.map(|it| ArchiveLocation { name: it.name, folder: it.folder, coding: RecordEncoding::Binary });
        let python = set.python.map(|it| ArchiveLocation {
            name: it.archive,
            folder: it.folder,
            coding: RecordEncoding::Python,
        });
        binary.into_iter().chain(python).collect()
    }

    /// The names that the file goes by in a form.
    fn names(&self, name: &str, coding: RecordEncoding) -> Vec<String> {
        match coding {
            RecordEncoding::Binary => names::idx(name, self.set.is_none(), self.prefix.as_deref()),
            RecordEncoding::Python => vec![python_name(name).to_owned()],
        }
    }

    /// The places where the file `name` may lie, in the order in which they count: as a file in the folder or in that of
    /// the unpacked archive, then in the archive; first in the binary form, then in Python's.
    fn places(&self, name: &str) -> Vec<FileLocation> {
        let bundles = self.bundles();
        if bundles.is_empty() {
            let paths = names::paths(&self.folder, &self.names(name, RecordEncoding::Binary));
            return paths.into_iter().map(|path| FileLocation::plain_file(path, RecordEncoding::Binary)).collect();
        }
        let of_bundle = |bundle: ArchiveLocation| {
            let (names, whole) = (self.names(name, bundle.coding), self.folder.join(bundle.name));
            // Some systems unpack an archive into a folder of its own name.
            let unpacked = [self.folder.join(bundle.folder), whole.join(bundle.folder), whole.clone()];
            // `train` and `test`, as CIFAR-100 calls its files for Python, may be anything in a folder of several data sets.
            let is_plain_word =
                bundle.coding == RecordEncoding::Python && ["train", "test"].contains(&python_name(name));
            let own = [self.set.map_or("", |set| set.name), bundle.folder].map(|own| self.folder.ends_with(own));
            let direct = (!is_plain_word || own.contains(&true)).then(|| self.folder.clone());
            let folders = direct.into_iter().chain(unpacked);
            let loose = folders.flat_map(|folder| names::paths(&folder, &names)).collect::<Vec<PathBuf>>();
            let loose = loose.into_iter().map(move |path| FileLocation::plain_file(path, bundle.coding));
            loose.chain([FileLocation { path: whole, coding: bundle.coding, bundle: Some(bundle) }])
        };
        bundles.into_iter().flat_map(of_bundle).collect()
    }

    /// What lies there of the file `name`.
    fn content(&self, name: &str) -> PathContent {
        self.find(name).map_or(PathContent::Nothing, |place| content(&place.path))
    }

    /// Where the file `name` lies: the first place that has content, else the first with an empty file.
    pub(super) fn find(&self, name: &str) -> Option<FileLocation> {
        let mut empty = None;
        for place in self.places(name) {
            match content(&place.path) {
                PathContent::File => return Some(place),
                PathContent::Empty => empty = empty.or(Some(place)),
                PathContent::Nothing => {}
            }
        }
        empty
    }

    /// The decompressed bytes of the file `name`; what lies there as a pickle is given in the binary form.
    ///
    /// # Errors
    /// [`NotFound`], [`super::container::BadContainer`], or what is wrong with a pickle.
    pub(super) fn open(&mut self, name: &str) -> Result<DataFile> {
        let Some(place) = self.find(name) else { return Err(self.not_found(name).into()) };
        let opened = match place.bundle {
            None => DataFile { name: place.path.display().to_string(), bytes: decompress(&place.path)? },
            Some(bundle) => self.open_packed(name, &place.path, bundle)?,
        };
        match (place.coding, self.set.map(|set| set.form)) {
            (RecordEncoding::Python, Some(FileFormat::Cifar { labels, .. })) => {
                let records = cifar_python::records(&opened.bytes, labels);
                let bytes = records.with_context(|| format!("`{}` is not usable", opened.name))?;
                Ok(DataFile { bytes, ..opened })
            }
            _ => Ok(opened),
        }
    }

    fn open_packed(&mut self, name: &str, archive: &Path, bundle: ArchiveLocation) -> Result<DataFile> {
        let in_form = |name| if bundle.coding == RecordEncoding::Python { python_name(name) } else { name };
        let name = in_form(name);
        let inside = format!("{}/{}/{name}", archive.display(), bundle.folder);
        let is_unpacked = self.unpacked.as_ref().is_some_and(|(path, _)| path == archive);
        if !is_unpacked {
            let files = self.set.map_or(&[][..], |set| set.files);
            let names: Vec<&str> = files.iter().map(|file| in_form(file.name)).collect();
            self.unpacked = Some((archive.to_owned(), unpack(archive, bundle.folder, &names)?));
        }
        let bytes = self.unpacked.as_mut().and_then(|(_, files)| files.remove(name));
        Ok(DataFile { bytes: bytes.with_context(|| format!("`{inside}` is not in the archive"))?, name: inside })
    }

    fn not_found(&self, name: &str) -> NotFound {
        let mut tried = self.names(name, RecordEncoding::Binary);
        for bundle in self.bundles() {
            let name = if bundle.coding == RecordEncoding::Python { python_name(name) } else { name };
            tried.extend([format!("{}/{name}", bundle.folder), bundle.name.to_owned()]);
        }
        NotFound::new(self.looked_into.clone(), tried, self.set.map(|set| set.name))
    }
}

#[cfg(test)]
mod tests;
