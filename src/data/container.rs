//! The bytes of files that are plain, compressed with gzip, or in a tar archive.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::bounded::{BoundedReader, TooLong};
use super::gzip::{MAGIC, MemberReader, Trailing};

/// Number of bytes at the beginning of the content that decide how much of it is read: the length of the longest header
/// of an IDX file that is read.
pub(super) const HEAD: usize = 16;

/// How much of the content of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it, at most this number of bytes; longer content is an error.
    Whole(TooLong),
    /// Only its first [`HEAD`] bytes, for which it will be refused.
    Head,
}

/// The action of a plain file.
const READ: &str = "read";

/// The error for a gzip or tar file that cannot be unpacked, whatever its content, and for a plain file that is too long.
#[derive(Debug, thiserror::Error)]
#[error("`{}` could not be {action}: {fault}", path.display())]
pub(super) struct BadContainer {
    path: PathBuf,
    /// The action that failed, for the message: `decompressed`, `unpacked` or [`READ`].
    action: &'static str,
    /// The fault, for the message.
    fault: String,
    source: Option<io::Error>,
}

impl BadContainer {
    /// Returns whether the file is compressed or an archive, rather than a plain file that is too long.
    pub(super) fn is_packed(&self) -> bool {
        self.action != READ
    }

    /// Returns the error for the container at `path`, whose reader failed with `error`.
    fn of(path: &Path, action: &'static str, error: io::Error) -> anyhow::Error {
        let fault = cause::<Trailing>(&error).map(ToString::to_string);
        let fault = fault.or_else(|| cause::<TooLong>(&error).map(ToString::to_string));
        let path = path.to_owned();
        match fault {
            Some(fault) => Self { path, action, fault, source: None }.into(),
            None => Self { path, action, fault: "it is cut short or damaged".to_owned(), source: Some(error) }.into(),
        }
    }
}

/// First bytes of packed formats that a file must not have after decompression, with the fault to report. Gzip is one
/// of them: its data have then been compressed twice.
const STILL_PACKED: [(&[u8], &str); 7] = [
    (&MAGIC, "it is compressed twice with gzip"),
    (b"PK\x03\x04", "it is a zip archive"),
    (b"BZh", "it is compressed with bzip2"),
    (b"\xFD7zXZ\0", "it is compressed with xz"),
    (b"7z\xBC\xAF\x27\x1C", "it is a 7z archive"),
    (b"\x28\xB5\x2F\xFD", "it is compressed with zstd"),
    (b"Rar!\x1A\x07", "it is a RAR archive"),
];

/// Returns `error` or an error inside it as an `E`; `None` if none is one.
fn cause<E: std::error::Error + 'static>(error: &io::Error) -> Option<&E> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // The source of an `io::Error` is that of the error in it, so the error in it is looked at first.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = inner.map(|inner| inner as _).or_else(|| error.source());
    }
    None
}

/// Returns the context of an error of the operating system about a file.
fn unreadable(path: &Path) -> String {
    format!("could not read `{}`", path.display())
}

/// Returns a reader of a file, decompressed if its content is gzip, whatever its name; and whether it is.
///
/// # Errors
/// Fails if the file cannot be read, is empty, or is a device, a pipe or a folder.
fn open(path: &Path) -> Result<(Box<dyn Read>, bool)> {
    let unreadable = || unreadable(path);
    // A pipe without a writer would never open, and a device such as `/dev/zero` never end.
    let metadata = fs::metadata(path).with_context(unreadable)?;
    ensure!(metadata.is_file(), "`{}` is no regular file", path.display());
    let mut file = BufReader::new(File::open(path).with_context(unreadable)?);
    let head = file.fill_buf().with_context(unreadable)?;
    ensure!(!head.is_empty(), "`{}` is empty", path.display());
    let is_gzip = head.starts_with(&MAGIC);
    Ok((if is_gzip { Box::new(MemberReader::new(file)) } else { Box::new(file) }, is_gzip))
}

/// Returns the bytes of a file, decompressed if its content is gzip, whatever its name. `extent` gets the first bytes of
/// the content, at most [`HEAD`], and returns how much of the content is read.
///
/// # Errors
/// Fails if the file cannot be read or is empty, and with the error of `extent`; returns [`BadContainer`] for an
/// incomplete gzip file, for content that is too long, and for another packed format.
pub(super) fn decompress(path: &Path, extent: impl Fn(&[u8]) -> Result<Extent>) -> Result<Vec<u8>> {
    let (mut reader, is_gzip) = open(path)?;
    let action = if is_gzip { "decompressed" } else { READ };
    let failed = |error| {
        let is_unreadable = !is_gzip && cause::<TooLong>(&error).is_none();
        if is_unreadable {
            anyhow::Error::new(error).context(unreadable(path))
        } else {
            BadContainer::of(path, action, error)
        }
    };
    let mut content = Vec::new();
    reader.by_ref().take(HEAD as u64).read_to_end(&mut content).map_err(failed)?;
    if let Some((_, fault)) = STILL_PACKED.iter().find(|(magic, _)| content.starts_with(magic)) {
        let (path, fault) = (path.to_owned(), (*fault).to_owned());
        return Err(BadContainer { path, action: "decompressed", fault, source: None }.into());
    }
    match extent(&content).with_context(|| format!("`{}` is not usable", path.display()))? {
        Extent::Head => {}
        Extent::Whole(excess) => {
            let head = std::mem::take(&mut content);
            let whole = head.as_slice().chain(reader);
            BoundedReader::new(whole, excess).read_to_end(&mut content).map_err(failed)?;
        }
    }
    Ok(content)
}

/// A file of an archive: its name in the folder, and the largest number of bytes that it may have.
pub(super) type ArchivedFile<'a> = (&'a str, TooLong);

/// Largest number of bytes of an archive beside the files that are read from it: headers, padding and notes.
const ARCHIVE_OVERHEAD: u64 = 1 << 24;

/// Returns the files among `files` that a tar archive, plain or compressed with gzip, has in `folder`; by name. Nothing
/// is written: links, absolute paths and `..` in an archive have no effect.
///
/// # Errors
/// Fails if the archive cannot be read or is empty; returns [`BadContainer`] for an incomplete archive, and if it or a
/// file in it is too long.
pub(super) fn unpack(path: &Path, folder: &str, files: &[ArchivedFile<'_>]) -> Result<BTreeMap<String, Vec<u8>>> {
    let (reader, _) = open(path)?;
    let limit = files.iter().map(|(_, excess)| excess.limit).sum::<u64>() + ARCHIVE_OVERHEAD;
    let excess = TooLong { limit, limit_source: "its files may have" };
    let unpacked = entries(BoundedReader::new(reader, excess), folder, files);
    unpacked.map_err(|error| BadContainer::of(path, "unpacked", error))
}

fn entries(reader: impl Read, folder: &str, files: &[ArchivedFile<'_>]) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut archive = tar::Archive::new(reader);
    let mut unpacked = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let path = path.strip_prefix(".").unwrap_or(&path);
        let name = path.strip_prefix(folder).ok().and_then(Path::to_str);
        if let Some((name, excess)) = files.iter().find(|(file, _)| Some(*file) == name) {
            // The size in the header allocates nothing: in a damaged file it may be any number.
            let mut bytes = Vec::new();
            BoundedReader::new(&mut entry, *excess).read_to_end(&mut bytes)?;
            unpacked.insert((*name).to_owned(), bytes);
        }
    }
    // The end of the archive is not the end of the compressed data, which is checked as well.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(unpacked)
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;
    use crate::system::files;

    /// An extent that no test file exceeds.
    pub(crate) const WHOLE: TooLong = TooLong { limit: 1 << 20, limit_source: "the test allows" };

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A tar archive of one file.
    pub(crate) fn tar(path: &str, bytes: &[u8]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, path, bytes).unwrap();
        tar.into_inner().unwrap()
    }

    fn message(error: &anyhow::Error) -> String {
        assert!(error.is::<BadContainer>(), "{error:#}");
        format!("{error:#}")
    }

    #[test]
    fn decompress_depends_on_content_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.gz");
        let put = |bytes: &[u8]| files::write(&path, bytes).unwrap();
        for bytes in [b"plain".to_vec(), gzip(b"plain"), [gzip(b"plain"), vec![0; 512]].concat()] {
            put(&bytes);
            assert_eq!(decompress(&path, |_| Ok(Extent::Whole(WHOLE))).unwrap(), b"plain");
        }
        put(&[gzip(b"plain"), b"twelve bytes".to_vec()].concat());
        let error = message(&decompress(&path, |_| Ok(Extent::Whole(WHOLE))).unwrap_err());
        assert!(error.contains("file.gz` could not be decompressed: 12 bytes that are no gzip data follow"), "{error}");
        for (bytes, fault) in
            [(gzip(&gzip(b"plain")), "twice with gzip"), (b"PK\x03\x04more".to_vec(), "a zip archive")]
        {
            put(&bytes);
            let error = message(&decompress(&path, |_| Ok(Extent::Whole(WHOLE))).unwrap_err());
            assert!(error.ends_with(fault), "{error}");
        }
        put(&gzip(b"plain")[..12]);
        let error = message(&decompress(&path, |_| Ok(Extent::Whole(WHOLE))).unwrap_err());
        assert!(error.contains("could not be decompressed: it is cut short or damaged: "), "{error}");
    }

    #[test]
    fn unpack_reads_archive_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.tar.gz");
        let unpack = |bytes: &[u8]| {
            files::write(&path, bytes).unwrap();
            unpack(&path, "inner", &[("a", WHOLE), ("b", WHOLE)])
        };
        let (whole, dotted) = (tar("inner/a", b"content"), gzip(&tar("./inner/a", b"content")));
        for bytes in [gzip(&whole), [gzip(&whole), vec![0; 100_000]].concat(), whole.clone(), dotted] {
            let unpacked = unpack(&bytes).unwrap();
            assert_eq!(unpacked.into_iter().collect::<Vec<_>>(), [("a".to_owned(), b"content".to_vec())]);
        }
        let error = message(&unpack(&[gzip(&whole), b"more".to_vec()].concat()).unwrap_err());
        assert!(error.contains("could not be unpacked: 4 bytes that are no gzip data follow the end"), "{error}");
        let cut = gzip(&whole);
        let error = message(&unpack(&cut[..cut.len() - 9]).unwrap_err());
        assert!(error.contains("could not be unpacked: it is cut short or damaged"), "{error}");
        assert!(unpack(b"").unwrap_err().to_string().ends_with("is empty"));
    }

    // regression: 10 MB of gzip data became 10 GB in memory
    #[test]
    fn decompression_stops_beyond_the_size_that_the_head_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.gz");
        for bytes in [gzip(&vec![7; 1 << 22]), vec![7; 1 << 22]] {
            files::write(&path, &bytes).unwrap();
            let error = message(&decompress(&path, |_| Ok(Extent::Whole(WHOLE))).unwrap_err());
            assert!(error.ends_with("it holds more than the 1048576 bytes that the test allows"), "{error}");
            assert_eq!(
                decompress(&path, |head| Ok(Extent::Head).inspect(|_| assert_eq!(head, [7; HEAD]))).unwrap(),
                [7; HEAD]
            );
        }
    }

    #[test]
    fn unpack_stops_beyond_the_sizes_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.tar.gz");
        let small = TooLong { limit: 5, ..WHOLE };
        let unpack = |bytes: &[u8]| {
            files::write(&path, &gzip(bytes)).unwrap();
            message(&unpack(&path, "inner", &[("a", small)]).unwrap_err())
        };
        let error = unpack(&tar("inner/a", b"longer"));
        assert!(
            error.ends_with("could not be unpacked: it holds more than the 5 bytes that the test allows"),
            "{error}"
        );
        let error = unpack(&tar("inner/other", &vec![0; ARCHIVE_OVERHEAD as usize + 1]));
        assert!(error.ends_with("bytes that its files may have"), "{error}");
    }

    #[test]
    fn unpack_takes_nothing_from_outside_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hostile.tar");
        for name in ["../a", "inner/../a", "inner/../../a", "/inner/a", "other/a"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(4);
            // `set_path` refuses such paths, so that the bytes are written themselves.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            let mut archive = tar::Builder::new(Vec::new());
            archive.append(&header, &b"evil"[..]).unwrap();
            files::write(&path, &archive.into_inner().unwrap()).unwrap();
            let unpacked = unpack(&path, "inner", &[("a", WHOLE)]).unwrap();
            assert!(unpacked.is_empty() || name == "/inner/a", "{name}");
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "{name}");
        }
    }

    #[test]
    fn devices_and_pipes_are_refused() {
        for device in ["/dev/zero", "/dev/null", "/"] {
            let error = decompress(Path::new(device), |_| Ok(Extent::Whole(WHOLE))).unwrap_err().to_string();
            assert_eq!(error, format!("`{device}` is no regular file"));
        }
    }
}
