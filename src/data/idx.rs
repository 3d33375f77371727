//! The IDX format of the MNIST family, gzip'd or not. Every check says which file and which byte.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::known::Pinned;
use crate::base::files;
use crate::base::key::sha256;

/// The first bytes of a gzip file.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// A file of a data set is not there.
#[derive(Debug, thiserror::Error)]
#[error("neither `{}` nor `{zipped}` found", plain.display())]
pub struct NotFound {
    plain: PathBuf,
    zipped: String,
}

/// Reads a file of images: `count` × `pixels` bytes.
pub(super) fn images(folder: &Path, file: Pinned, count: u32, shape: [usize; 3]) -> Result<Vec<u8>> {
    let (path, bytes) = open(folder, file)?;
    let body = check(&bytes, 3, &[count, shape[1] as u32, shape[2] as u32])
        .and_then(|body| verify(&bytes, file).map(|()| body))
        .with_context(|| format!("`{}` is not usable", path.display()))?;
    Ok(bytes[body..].to_vec())
}

/// Reads a file of labels: `count` bytes below `classes`.
pub(super) fn labels(folder: &Path, file: Pinned, count: u32, classes: usize) -> Result<Vec<u8>> {
    let (path, bytes) = open(folder, file)?;
    let body = check(&bytes, 1, &[count])
        .and_then(|body| {
            if let Some(at) = bytes[body..].iter().position(|&label| usize::from(label) >= classes) {
                bail!("label {} of image {at} is not below {classes}", bytes[body + at]);
            }
            verify(&bytes, file).map(|()| body)
        })
        .with_context(|| format!("`{}` is not usable", path.display()))?;
    Ok(bytes[body..].to_vec())
}

/// Whether `file` or `file.gz` is in `folder`.
pub(super) fn is_in(folder: &Path, file: Pinned) -> bool {
    folder.join(file.name).exists() || folder.join(format!("{}.gz", file.name)).exists()
}

/// The decompressed bytes of `file` or `file.gz` in `folder`.
fn open(folder: &Path, file: Pinned) -> Result<(PathBuf, Vec<u8>)> {
    let plain = folder.join(file.name);
    let zipped = folder.join(format!("{}.gz", file.name));
    let path = match (plain.exists(), zipped.exists()) {
        (true, _) => plain,
        (false, true) => zipped,
        (false, false) => return Err(NotFound { plain, zipped: format!("{}.gz", file.name) }.into()),
    };
    let bytes = files::read(&path)?;
    ensure!(!bytes.is_empty(), "`{}` is empty", path.display());
    if !bytes.starts_with(&GZIP) {
        return Ok((path, bytes));
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice())
        .read_to_end(&mut plain)
        .with_context(|| format!("`{}` could not be decompressed: it is cut short or damaged", path.display()))?;
    Ok((path, plain))
}

/// Checks magic number and sizes against `expected`; gives the offset of the body.
fn check(bytes: &[u8], dimensions: u8, expected: &[u32]) -> Result<usize> {
    let header = 4 + 4 * usize::from(dimensions);
    ensure!(bytes.len() >= header, "it has {} bytes; the header alone has {header}", bytes.len());
    let magic = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    // 0x08 stands for unsigned bytes; the last byte counts the dimensions.
    let right = 0x0800 + u32::from(dimensions);
    ensure!(magic == right, "its magic number is {magic:#010x} instead of {right:#010x}: no IDX file of this kind");
    for (i, &size) in expected.iter().enumerate() {
        let at = 4 + 4 * i;
        let found = u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        ensure!(found == size, "dimension {} is {found} instead of {size}", i + 1);
    }
    let body: u64 = expected.iter().map(|&size| u64::from(size)).product();
    let found = (bytes.len() - header) as u64;
    ensure!(found == body, "it holds {found} bytes after the header instead of {body}");
    Ok(header)
}

fn verify(bytes: &[u8], file: Pinned) -> Result<()> {
    let found = sha256(bytes);
    ensure!(
        found == file.sha256,
        "its SHA-256 is {found} instead of {}: these are not the official bytes",
        file.sha256
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dimensions: u8, sizes: &[u32], body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dimensions];
        for size in sizes {
            bytes.extend(size.to_be_bytes());
        }
        bytes.extend(body);
        bytes
    }

    #[test]
    fn headers_are_checked() {
        assert_eq!(check(&file(1, &[3], &[1, 2, 3]), 1, &[3]).unwrap(), 8);
        let message = |bytes: &[u8]| check(bytes, 1, &[3]).unwrap_err().to_string();
        assert!(message(&file(1, &[3], &[1, 2])).contains("2 bytes after the header instead of 3"));
        assert!(message(&file(1, &[4], &[1, 2, 3, 4])).contains("dimension 1 is 4 instead of 3"));
        assert!(message(&file(3, &[3], &[1, 2, 3])).contains("0x00000803 instead of 0x00000801"));
        assert!(message(&[0, 0, 8]).contains("3 bytes"));
    }
}
