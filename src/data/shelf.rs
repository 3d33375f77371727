//! The folder of a data set, and where in it a file lies: by its name or another one it goes by, in a folder or an
//! archive of the set, in its binary form or that of Python.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cifar_python;
use super::names::{self, Content, content};
use super::not_found::NotFound;
use super::official::{Form, Official, python_name};
use super::packed::{decompress, unpack};

/// The folder of a data set.
pub(super) struct Shelf {
    folder: PathBuf,
    /// The built-in data set that lies there, if it is one.
    set: Option<&'static Official>,
    /// What stands in front of the names of own files.
    prefix: Option<String>,
    /// The folders that were looked into before `folder` was chosen.
    looked_into: Vec<PathBuf>,
    /// The files of the archive that was unpacked last, by name; one that was asked for is gone.
    unpacked: Option<(PathBuf, BTreeMap<String, Vec<u8>>)>,
}

/// How the records of CIFAR are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// As the pinned sums have them.
    Binary,
    /// As a pickle of Python.
    Python,
}

/// An archive of all files of a data set, and the folder in it that they lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bundle {
    name: &'static str,
    folder: &'static str,
    coding: Coding,
}

/// Where a file lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The file, or the archive that has it.
    pub(super) path: PathBuf,
    pub(super) coding: Coding,
    /// The archive, where it is inside one.
    bundle: Option<Bundle>,
}

/// The decompressed bytes of a file in its binary form, and what to call it.
pub(super) struct Opened {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl Place {
    fn loose(path: PathBuf, coding: Coding) -> Self {
        Self { path, coding, bundle: None }
    }

    /// Whether it is a file of its own.
    pub(super) fn is_loose(&self) -> bool {
        self.bundle.is_none()
    }
}

impl Shelf {
    /// The folder that a person keeps own files in.
    pub(super) fn own(folder: &Path, prefix: Option<&str>) -> Self {
        let (folder, prefix) = (folder.to_owned(), prefix.map(str::to_owned));
        Self { looked_into: vec![folder.clone()], folder, set: None, prefix, unpacked: None }
    }

    /// The folder of a built-in data set, `folder/<name>` or `folder`: the first that has all files, else the first
    /// that has any with content, else the first that has an empty one, else `folder/<name>`.
    pub(super) fn of(set: &'static Official, folder: &Path) -> Self {
        let looked_into = vec![folder.join(set.name), folder.to_owned()];
        let shelves = || looked_into.iter().map(|folder| Self::at(set, folder.clone()));
        let contents = |shelf: &Self| set.files.iter().map(|file| shelf.content(file.name)).collect::<Vec<Content>>();
        let chosen = shelves()
            .find(|shelf| contents(shelf).iter().all(|&content| content == Content::File))
            .or_else(|| shelves().find(|shelf| contents(shelf).contains(&Content::File)))
            .or_else(|| shelves().find(|shelf| contents(shelf).contains(&Content::Empty)));
        chosen.unwrap_or_else(|| Self { looked_into: looked_into.clone(), ..Self::at(set, looked_into[0].clone()) })
    }

    /// The folder of a built-in data set, whatever is in it.
    pub(super) fn at(set: &'static Official, folder: PathBuf) -> Self {
        Self { looked_into: vec![folder.clone()], folder, set: Some(set), prefix: None, unpacked: None }
    }

    /// Where files are looked for.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The archives that may have the files: that of the binary form, then that of Python's.
    fn bundles(&self) -> Vec<Bundle> {
        let Some(set) = self.set else { return Vec::new() };
        let binary = set.archive.map(|it| Bundle { name: it.name, folder: it.folder, coding: Coding::Binary });
        let python = set.python.map(|it| Bundle { name: it.archive, folder: it.folder, coding: Coding::Python });
        binary.into_iter().chain(python).collect()
    }

    /// The names that the file goes by in a form.
    fn names(&self, name: &str, coding: Coding) -> Vec<String> {
        match coding {
            Coding::Binary => names::idx(name, self.set.is_none(), self.prefix.as_deref()),
            Coding::Python => vec![python_name(name).to_owned()],
        }
    }

    /// The places where the file `name` may lie, in the order in which they count: as a file in the folder or in that of
    /// the unpacked archive, then in the archive; first in the binary form, then in Python's.
    fn places(&self, name: &str) -> Vec<Place> {
        let bundles = self.bundles();
        if bundles.is_empty() {
            let paths = names::paths(&self.folder, &self.names(name, Coding::Binary));
            return paths.into_iter().map(|path| Place::loose(path, Coding::Binary)).collect();
        }
        let of_bundle = |bundle: Bundle| {
            let (names, whole) = (self.names(name, bundle.coding), self.folder.join(bundle.name));
            // Some systems unpack an archive into a folder of its own name.
            let unpacked = [self.folder.join(bundle.folder), whole.join(bundle.folder), whole.clone()];
            let folders = std::iter::once(self.folder.clone()).chain(unpacked);
            let loose = folders.flat_map(|folder| names::paths(&folder, &names)).collect::<Vec<PathBuf>>();
            let loose = loose.into_iter().map(move |path| Place::loose(path, bundle.coding));
            loose.chain([Place { path: whole, coding: bundle.coding, bundle: Some(bundle) }])
        };
        bundles.into_iter().flat_map(of_bundle).collect()
    }

    /// What lies there of the file `name`.
    fn content(&self, name: &str) -> Content {
        self.find(name).map_or(Content::Nothing, |place| content(&place.path))
    }

    /// Where the file `name` lies: the first place that has content, else the first with an empty file.
    pub(super) fn find(&self, name: &str) -> Option<Place> {
        let mut empty = None;
        for place in self.places(name) {
            match content(&place.path) {
                Content::File => return Some(place),
                Content::Empty => empty = empty.or(Some(place)),
                Content::Nothing => {}
            }
        }
        empty
    }

    /// The decompressed bytes of the file `name`; what lies there as a pickle is given in the binary form.
    ///
    /// # Errors
    /// [`NotFound`], [`super::packed::BadContainer`], or what is wrong with a pickle.
    pub(super) fn open(&mut self, name: &str) -> Result<Opened> {
        let Some(place) = self.find(name) else { return Err(self.not_found(name).into()) };
        let opened = match place.bundle {
            None => Opened { name: place.path.display().to_string(), bytes: decompress(&place.path)? },
            Some(bundle) => self.open_packed(name, &place.path, bundle)?,
        };
        match (place.coding, self.set.map(|set| set.form)) {
            (Coding::Python, Some(Form::Cifar { labels, .. })) => {
                let records = cifar_python::records(&opened.bytes, labels);
                let bytes = records.with_context(|| format!("`{}` is not usable", opened.name))?;
                Ok(Opened { bytes, ..opened })
            }
            _ => Ok(opened),
        }
    }

    fn open_packed(&mut self, name: &str, archive: &Path, bundle: Bundle) -> Result<Opened> {
        let in_form = |name| if bundle.coding == Coding::Python { python_name(name) } else { name };
        let name = in_form(name);
        let inside = format!("{}/{}/{name}", archive.display(), bundle.folder);
        let is_unpacked = self.unpacked.as_ref().is_some_and(|(path, _)| path == archive);
        if !is_unpacked {
            let files = self.set.map_or(&[][..], |set| set.files);
            let names: Vec<&str> = files.iter().map(|file| in_form(file.name)).collect();
            self.unpacked = Some((archive.to_owned(), unpack(archive, bundle.folder, &names)?));
        }
        let bytes = self.unpacked.as_mut().and_then(|(_, files)| files.remove(name));
        Ok(Opened { bytes: bytes.with_context(|| format!("`{inside}` is not in the archive"))?, name: inside })
    }

    fn not_found(&self, name: &str) -> NotFound {
        let mut tried = self.names(name, Coding::Binary);
        for bundle in self.bundles() {
            let name = if bundle.coding == Coding::Python { python_name(name) } else { name };
            tried.extend([format!("{}/{name}", bundle.folder), bundle.name.to_owned()]);
        }
        NotFound::new(self.looked_into.clone(), tried, self.set.map(|set| set.name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::official::{CIFAR100, MNIST};
    use super::*;
    use crate::base::files;
    use crate::data::packed::tests::{gzip, tar};

    const IMAGES: &str = "train-images-idx3-ubyte";

    fn put(path: &Path, bytes: &[u8]) {
        files::write(path, bytes).unwrap();
    }

    #[test]
    fn a_file_is_found_plain_gzipped_and_in_the_archive() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("cifar100");
        let open = |name: &str| Shelf::of(&CIFAR100, folder.path()).open(name);
        let missing = open("train.bin").err().unwrap();
        let said = missing.to_string();
        for name in ["none of `train.bin`", "`cifar-100-binary.tar.gz`", "`cifar-100-python/train`"] {
            assert!(said.contains(name), "{said}");
        }
        assert_eq!(missing.downcast_ref::<NotFound>().unwrap().set, Some("cifar100"));

        let packed = gzip(&tar("cifar-100-binary/train.bin", b"tar"));
        put(&inner.join("cifar-100-binary.tar.gz"), &packed);
        assert_eq!(open("train.bin").unwrap().bytes, b"tar");
        assert!(open("test.bin").err().unwrap().to_string().contains("is not in the archive"));

        put(&inner.join("cifar-100-binary/train.bin.gz"), &gzip(b"zip"));
        assert_eq!(open("train.bin").unwrap().bytes, b"zip");
        put(&inner.join("train.bin"), b"plain");
        assert_eq!(open("train.bin").unwrap().bytes, b"plain");

        put(&inner.join("cifar-100-binary.tar.gz"), &packed[..packed.len() / 2]);
        assert!(open("test.bin").err().unwrap().to_string().contains("could not be unpacked"));
        // Files that lie in the folder of all data sets.
        assert_eq!(Shelf::of(&CIFAR100, &inner).open("train.bin").unwrap().bytes, b"plain");
    }

    #[test]
    fn an_archive_that_is_a_folder_is_looked_into() {
        let folder = tempfile::tempdir().unwrap();
        let archive = folder.path().join("cifar100/cifar-100-binary.tar.gz");
        put(&archive.join("cifar-100-binary/train.bin"), b"inner");
        put(&archive.join("test.bin"), b"outer");
        let open = |name: &str| Shelf::of(&CIFAR100, folder.path()).open(name).unwrap().bytes;
        assert_eq!((open("train.bin"), open("test.bin")), (b"inner".to_vec(), b"outer".to_vec()));
    }

    #[test]
    fn idx_files_are_found_by_their_other_names_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Shelf::own(folder.path(), None).open(IMAGES).unwrap().bytes;
        let last = folder.path().join("train-images.idx3-ubyte.gz");
        for (name, bytes) in [
            ("train-images.idx3-ubyte.gz", gzip(b"4")),
            ("train-images.idx3-ubyte/train-images-idx3-ubyte", b"3".to_vec()),
            ("train-images-idx3-ubyte.gz", gzip(b"2")),
            ("train-images-idx3-ubyte/train-images.idx3-ubyte", b"1".to_vec()),
        ] {
            put(&folder.path().join(name), &bytes);
            let plain = if bytes.len() == 1 { bytes } else { decompress(&folder.path().join(name)).unwrap() };
            assert_eq!(open(), plain, "{name}");
        }
        assert!(last.exists());
    }

    #[test]
    fn an_empty_file_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Shelf::own(folder.path(), None).open(IMAGES);
        put(&folder.path().join(IMAGES), b"");
        assert!(open().err().unwrap().to_string().ends_with("train-images-idx3-ubyte` is empty"));
        put(&folder.path().join("train-images-idx3-ubyte.gz"), &gzip(b"whole"));
        assert_eq!(open().unwrap().bytes, b"whole");
    }

    #[test]
    fn the_folder_that_has_the_files_is_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let (outer, inner) = (folder.path().to_owned(), folder.path().join("mnist"));
        let chosen = || Shelf::of(&MNIST, &outer).folder().to_owned();
        assert_eq!(chosen(), inner, "where nothing is found");
        for file in MNIST.files {
            put(&outer.join(file.name), b"1");
        }
        put(&inner.join("notes.txt"), b"mine");
        assert_eq!(chosen(), outer);
        put(&inner.join(IMAGES), b"");
        assert_eq!(chosen(), outer, "an empty file is no content");
        put(&inner.join(IMAGES), b"1");
        assert_eq!(chosen(), outer, "one of four files is not all");
        std::fs::remove_file(outer.join(IMAGES)).unwrap();
        assert_eq!(chosen(), inner, "neither has all");
        put(&outer.join(IMAGES), b"1");
        for file in MNIST.files {
            put(&inner.join(file.name), b"1");
        }
        assert_eq!(chosen(), inner, "both have all");
    }
}
