//! The bytes of files that are plain, compressed with gzip, or in a tar archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::gzip::{MAGIC, MemberReader, Trailing};
use crate::system::files;

/// The error for a gzip or tar file that cannot be unpacked, whatever its content.
#[derive(Debug, thiserror::Error)]
#[error("`{}` could not be {action}: {fault}", path.display())]
pub(super) struct BadContainer {
    path: PathBuf,
    /// The action that failed, for the message: `decompressed` or `unpacked`.
    action: &'static str,
    /// The fault, for the message.
    fault: String,
    source: Option<io::Error>,
}

impl BadContainer {
    /// Returns the error for the container at `path`, whose reader failed with `error`.
    fn of(path: &Path, action: &'static str, error: io::Error) -> anyhow::Error {
        let (path, trailing) = (path.to_owned(), trailing(&error).map(ToString::to_string));
        match trailing {
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

/// Returns the bytes after the end of compressed data if these are the cause of `error` or of an error inside it.
fn trailing(error: &io::Error) -> Option<&Trailing> {
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

/// Returns the bytes of a file, decompressed if its content is gzip, whatever its name.
///
/// # Errors
/// Fails if the file cannot be read or is empty; returns [`BadContainer`] for an incomplete gzip file and for another
/// packed format.
pub(super) fn decompress(path: &Path) -> Result<Vec<u8>> {
    let bytes = files::read(path)?;
    ensure!(!bytes.is_empty(), "`{}` is empty", path.display());
    let plain = if bytes.starts_with(&MAGIC) {
        let mut plain = Vec::new();
        let read = MemberReader::new(bytes.as_slice()).read_to_end(&mut plain);
        read.map_err(|error| BadContainer::of(path, "decompressed", error))?;
        plain
    } else {
        bytes
    };
    if let Some((_, fault)) = STILL_PACKED.iter().find(|(magic, _)| plain.starts_with(magic)) {
        let (path, fault) = (path.to_owned(), (*fault).to_owned());
        return Err(BadContainer { path, action: "decompressed", fault, source: None }.into());
    }
    Ok(plain)
}

/// Returns the files among `names` that a tar archive, plain or compressed with gzip, has in `folder`; by name.
///
/// # Errors
/// Fails if the archive cannot be read or is empty; returns [`BadContainer`] for an incomplete archive.
pub(super) fn unpack(path: &Path, folder: &str, names: &[&str]) -> Result<BTreeMap<String, Vec<u8>>> {
    let file = File::open(path).with_context(|| format!("could not read `{}`", path.display()))?;
    let mut file = BufReader::new(file);
    let head = file.fill_buf().with_context(|| format!("could not read `{}`", path.display()))?;
    ensure!(!head.is_empty(), "`{}` is empty", path.display());
    let unpacked = if head.starts_with(&MAGIC) {
        entries(MemberReader::new(file), folder, names)
    } else {
        entries(file, folder, names)
    };
    unpacked.map_err(|error| BadContainer::of(path, "unpacked", error))
}

fn entries(reader: impl Read, folder: &str, names: &[&str]) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut archive = tar::Archive::new(reader);
    let mut unpacked = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let path = path.strip_prefix(".").unwrap_or(&path);
        let name = path.strip_prefix(folder).ok().and_then(Path::to_str).filter(|name| names.contains(name));
        if let Some(name) = name.map(str::to_owned) {
            // The size in the header allocates nothing: in a damaged file it may be any number.
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            unpacked.insert(name, bytes);
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
            assert_eq!(decompress(&path).unwrap(), b"plain");
        }
        put(&[gzip(b"plain"), b"twelve bytes".to_vec()].concat());
        let error = message(&decompress(&path).unwrap_err());
        assert!(error.contains("file.gz` could not be decompressed: 12 bytes that are no gzip data follow"), "{error}");
        for (bytes, fault) in
            [(gzip(&gzip(b"plain")), "twice with gzip"), (b"PK\x03\x04more".to_vec(), "a zip archive")]
        {
            put(&bytes);
            let error = message(&decompress(&path).unwrap_err());
            assert!(error.ends_with(fault), "{error}");
        }
        put(&gzip(b"plain")[..12]);
        let error = message(&decompress(&path).unwrap_err());
        assert!(error.contains("could not be decompressed: it is cut short or damaged: "), "{error}");
    }

    #[test]
    fn unpack_reads_archive_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.tar.gz");
        let unpack = |bytes: &[u8]| {
            files::write(&path, bytes).unwrap();
            unpack(&path, "inner", &["a", "b"])
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
}
