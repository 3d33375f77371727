//! A file of a data set as it may lie there: plain, gzip'd, or inside the archive it is handed out in.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::official::{Archive, Official, Pinned};
use crate::base::files;

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// A file of a data set is not there.
#[derive(Debug, thiserror::Error)]
pub struct NotFound {
    plain: PathBuf,
    archive: Option<&'static str>,
    /// The built-in data set it belongs to.
    pub set: Option<&'static str>,
}

impl std::fmt::Display for NotFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.plain.file_name().unwrap_or_default().to_string_lossy();
        match self.archive {
            None => write!(f, "neither `{}` nor `{name}.gz` found", self.plain.display()),
            Some(archive) => write!(f, "none of `{}`, `{name}.gz` and `{archive}` found", self.plain.display()),
        }
    }
}

/// The folder of a data set.
pub(super) struct Shelf {
    folder: PathBuf,
    /// The built-in data set that lies there, if it is one.
    set: Option<&'static Official>,
    /// What was in the archive, by name, once it has been looked into; a file that was asked for is gone.
    unpacked: Option<BTreeMap<String, Vec<u8>>>,
}

/// The decompressed bytes of a file, and what to call it.
pub(super) struct Opened {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

impl Shelf {
    /// The folder that a person keeps own files in.
    pub(super) fn own(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), set: None, unpacked: None }
    }

    /// The folder of a built-in data set: `folder/<name>`, or `folder` itself where its files lie there.
    pub(super) fn of(set: &'static Official, folder: &Path) -> Self {
        let at = |folder: PathBuf| Self { folder, set: Some(set), unpacked: None };
        let (inner, outer) = (folder.join(set.name), at(folder.to_owned()));
        let has_files = set.files.iter().any(|file| outer.loose(file.name).is_some()) || outer.packed().is_some();
        if inner.is_dir() || !has_files { at(inner) } else { outer }
    }

    /// Where files are looked for.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn archive(&self) -> Option<Archive> {
        self.set.and_then(|set| set.archive)
    }

    /// The file `name` or `name.gz`, in the folder or in that of the unpacked archive.
    pub(super) fn loose(&self, name: &str) -> Option<PathBuf> {
        let unpacked = self.archive().map(|archive| self.folder.join(archive.folder));
        let folders = std::iter::once(self.folder.clone()).chain(unpacked);
        let mut paths = folders.flat_map(|folder| [folder.join(name), folder.join(format!("{name}.gz"))]);
        paths.find(|path| path.exists())
    }

    /// The archive, where it is there.
    pub(super) fn packed(&self) -> Option<PathBuf> {
        self.archive().map(|archive| self.folder.join(archive.name)).filter(|path| path.exists())
    }

    /// The decompressed bytes of the file `name`.
    pub(super) fn open(&mut self, name: &str) -> Result<Opened> {
        if let Some(path) = self.loose(name) {
            return Ok(Opened { name: path.display().to_string(), bytes: decompress(&path)? });
        }
        let (Some(path), Some(set), Some(archive)) = (self.packed(), self.set, self.archive()) else {
            let archive = self.archive().map(|archive| archive.name);
            return Err(NotFound { plain: self.folder.join(name), archive, set: self.set.map(|set| set.name) }.into());
        };
        let inside = format!("{}/{}/{name}", path.display(), archive.folder);
        let unpacked = match &mut self.unpacked {
            Some(unpacked) => unpacked,
            None => self.unpacked.insert(unpack(&path, archive.folder, set.files)?),
        };
        let bytes = unpacked.remove(name).with_context(|| format!("`{inside}` is not in the archive"))?;
        Ok(Opened { name: inside, bytes })
    }
}

/// The bytes of a file, decompressed if it is gzip'd, whatever its name.
pub(super) fn decompress(path: &Path) -> Result<Vec<u8>> {
    let bytes = files::read(path)?;
    ensure!(!bytes.is_empty(), "`{}` is empty", path.display());
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice())
        .read_to_end(&mut plain)
        .with_context(|| format!("`{}` could not be decompressed: it is cut short or damaged", path.display()))?;
    Ok(plain)
}

/// Those of the files that an archive has in `folder`, by name.
pub(super) fn unpack(path: &Path, folder: &str, files: &[Pinned]) -> Result<BTreeMap<String, Vec<u8>>> {
    let broken = || format!("`{}` could not be unpacked: it is cut short or damaged", path.display());
    let file = std::fs::File::open(path).with_context(|| format!("could not read `{}`", path.display()))?;
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(std::io::BufReader::new(file)));
    let mut unpacked = BTreeMap::new();
    for entry in archive.entries().with_context(broken)? {
        let mut entry = entry.with_context(broken)?;
        let inner = entry.path().with_context(broken)?.into_owned();
        let name = inner.strip_prefix(folder).ok().and_then(Path::to_str);
        let name = name.filter(|name| files.iter().any(|file| file.name == *name));
        if let Some(name) = name.map(str::to_owned) {
            // No size is taken from the header in advance: it may be anything in a damaged file.
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).with_context(broken)?;
            unpacked.insert(name, bytes);
        }
    }
    Ok(unpacked)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::super::official::CIFAR100;
    use super::*;

    pub(in super::super) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_file_is_found_plain_gzipped_and_in_the_archive() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("cifar100");
        let open = |name: &str| Shelf::of(&CIFAR100, folder.path()).open(name);
        let missing = open("train.bin").err().unwrap();
        assert!(missing.to_string().contains("train.bin.gz` and `cifar-100-binary.tar.gz` found"), "{missing}");
        assert_eq!(missing.downcast_ref::<NotFound>().unwrap().set, Some("cifar100"));

        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        tar.append_data(&mut header, "cifar-100-binary/train.bin", &b"tar"[..]).unwrap();
        let packed = gzip(&tar.into_inner().unwrap());
        files::write(&inner.join("cifar-100-binary.tar.gz"), &packed).unwrap();
        assert_eq!(open("train.bin").unwrap().bytes, b"tar");
        assert!(open("test.bin").err().unwrap().to_string().contains("is not in the archive"));

        files::write(&inner.join("cifar-100-binary/train.bin.gz"), &gzip(b"zip")).unwrap();
        assert_eq!(open("train.bin").unwrap().bytes, b"zip");
        files::write(&inner.join("train.bin"), b"plain").unwrap();
        assert_eq!(open("train.bin").unwrap().bytes, b"plain");

        files::write(&inner.join("cifar-100-binary.tar.gz"), &packed[..packed.len() / 2]).unwrap();
        assert!(open("test.bin").err().unwrap().to_string().contains("could not be unpacked"));
        // Files that lie in the folder of all data sets, as somebody may have put them.
        assert_eq!(Shelf::of(&CIFAR100, &inner).open("train.bin").unwrap().bytes, b"plain");
    }
}
