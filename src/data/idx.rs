//! The IDX format of the MNIST family. Every check says which file and which byte.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::packed::{Opened, Shelf};
use crate::base::key::{sha256, sha256_of};

/// The four files: training images, training labels, test images, test labels.
pub(super) const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// What four files hold, whose sizes are their own.
#[derive(Debug)]
pub(super) struct Four {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) train: u32,
    pub(super) test: u32,
    /// Training images first.
    pub(super) images: Vec<u8>,
    pub(super) labels: Vec<u8>,
    /// SHA-256 of the four files one after another.
    pub(super) sum: String,
}

/// A label that is not below the number of classes.
#[derive(Debug, thiserror::Error)]
#[error("label {label} of image {image} is not below {classes}")]
pub(super) struct LabelTooLarge {
    pub(super) label: u8,
    image: usize,
    classes: usize,
}

/// The images in `file`: `count` of `shape`, which the sum of the file vouches for.
pub(super) fn images(file: &Opened, count: u32, shape: [usize; 3], sum: &str) -> Result<Vec<u8>> {
    let sizes = [count, shape[1] as u32, shape[2] as u32];
    let check = || -> Result<Vec<u8>> {
        let body = check(&file.bytes, &sizes)?;
        verify(&file.bytes, sum)?;
        Ok(file.bytes[body..].to_vec())
    };
    check().with_context(|| unusable(file))
}

/// The labels in `file`: `count` below `classes`, which the sum of the file vouches for.
pub(super) fn labels(file: &Opened, count: u32, classes: usize, sum: &str) -> Result<Vec<u8>> {
    let check = || -> Result<Vec<u8>> {
        let body = check(&file.bytes, &[count])?;
        below(&file.bytes[body..], classes)?;
        verify(&file.bytes, sum)?;
        Ok(file.bytes[body..].to_vec())
    };
    check().with_context(|| unusable(file))
}

/// Reads four files in `folder` whose sizes stand in their headers.
pub(super) fn read_own(folder: &Path, classes: usize) -> Result<Four> {
    let mut shelf = Shelf::own(folder);
    let mut all = Vec::new();
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    let (mut sizes, mut counts) = (Vec::new(), Vec::new());
    for part in NAMES.chunks_exact(2) {
        let pictures = shelf.open(part[0])?;
        let [count, height, width] = own_sizes(&pictures)?;
        counts.push(count);
        sizes.push([height, width]);
        ensure!(
            sizes[0] == [height, width],
            "`{}` has images of {height}×{width} pixels, those for training have {}×{}",
            pictures.name,
            sizes[0][0],
            sizes[0][1]
        );
        let names = shelf.open(part[1])?;
        let [found] = header(&names.bytes).with_context(|| unusable(&names))?;
        ensure!(found == count, "`{}` has {found} labels, `{}` {count} images", names.name, pictures.name);
        let start = check(&names.bytes, &[count]).with_context(|| unusable(&names))?;
        below(&names.bytes[start..], classes).with_context(|| unusable(&names))?;
        images.extend_from_slice(&pictures.bytes[16..]);
        labels.extend_from_slice(&names.bytes[start..]);
        all.extend([pictures.bytes, names.bytes]);
    }
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    let sum = sha256_of(&all);
    let [height, width] = sizes[0].map(|size| size as usize);
    Ok(Four { height, width, train: counts[0], test: counts[1], images, labels, sum })
}

/// Number, height and width of the images in a file, which holds as many bytes as these say.
fn own_sizes(file: &Opened) -> Result<[u32; 3]> {
    let check = || -> Result<[u32; 3]> {
        let sizes: [u32; 3] = header(&file.bytes)?;
        ensure!(sizes.iter().all(|&size| size > 0), "its header tells of {}×{}×{} bytes", sizes[0], sizes[1], sizes[2]);
        check(&file.bytes, &sizes)?;
        Ok(sizes)
    };
    check().with_context(|| unusable(file))
}

fn unusable(file: &Opened) -> String {
    format!("`{}` is not usable", file.name)
}

fn below(labels: &[u8], classes: usize) -> Result<()> {
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        Some(image) => bail!(LabelTooLarge { label: labels[image], image, classes }),
        None => Ok(()),
    }
}

/// The sizes in the header of a file with `N` dimensions.
fn header<const N: usize>(bytes: &[u8]) -> Result<[u32; N]> {
    let length = 4 + 4 * N;
    ensure!(bytes.len() >= length, "it has {} bytes; the header alone has {length}", bytes.len());
    let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    // 0x08 stands for unsigned bytes; the last byte counts the dimensions.
    let (magic, right) = (number(0), 0x0800 + N as u32);
    ensure!(magic == right, "its magic number is {magic:#010x} instead of {right:#010x}: no IDX file of this kind");
    Ok(std::array::from_fn(|i| number(4 + 4 * i)))
}

/// Checks magic number and sizes against `expected`; gives the offset of the body.
fn check<const N: usize>(bytes: &[u8], expected: &[u32; N]) -> Result<usize> {
    let found = header::<N>(bytes)?;
    for (i, (found, size)) in found.into_iter().zip(expected).enumerate() {
        ensure!(found == *size, "dimension {} is {found} instead of {size}", i + 1);
    }
    let start = 4 + 4 * N;
    // In 128 bits, which three sizes of 32 bits cannot overflow.
    let body: u128 = expected.iter().map(|&size| u128::from(size)).product();
    let found = bytes.len() - start;
    ensure!(found as u128 == body, "it holds {found} bytes after the header instead of {body}");
    Ok(start)
}

/// Checks the SHA-256 of `bytes`.
pub(super) fn verify(bytes: &[u8], sum: &str) -> Result<()> {
    let found = sha256(bytes);
    ensure!(found == sum, "its SHA-256 is {found} instead of {sum}: these are not the official bytes");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::files;

    fn file(sizes: &[u32], body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        for size in sizes {
            bytes.extend(size.to_be_bytes());
        }
        bytes.extend(body);
        bytes
    }

    #[test]
    fn headers_are_checked() {
        assert_eq!(check(&file(&[3], &[1, 2, 3]), &[3]).unwrap(), 8);
        let message = |bytes: &[u8]| check(bytes, &[3]).unwrap_err().to_string();
        assert!(message(&file(&[3], &[1, 2])).contains("2 bytes after the header instead of 3"));
        assert!(message(&file(&[4], &[1, 2, 3, 4])).contains("dimension 1 is 4 instead of 3"));
        assert!(message(&file(&[3, 1, 1], &[1, 2, 3])).contains("0x00000803 instead of 0x00000801"));
        assert!(message(&[0, 0, 8]).contains("3 bytes"));
        let huge = file(&[u32::MAX; 3], &[0; 7]);
        assert!(check(&huge, &[u32::MAX; 3]).unwrap_err().to_string().contains("7 bytes after the header"));
    }

    #[test]
    fn own_files_have_their_own_sizes() {
        let folder = tempfile::tempdir().unwrap();
        let put = |n: usize, bytes: &[u8]| files::write(&folder.path().join(NAMES[n]), bytes).unwrap();
        put(0, &file(&[2, 1, 3], &[1, 2, 3, 4, 5, 6]));
        put(1, &file(&[2], &[1, 0]));
        put(2, &file(&[1, 1, 3], &[7, 8, 9]));
        put(3, &file(&[1], &[1]));
        let four = read_own(folder.path(), 2).unwrap();
        assert_eq!((four.height, four.width, four.train, four.test), (1, 3, 2, 1));
        assert_eq!((four.images, four.labels), ((1..10).collect(), vec![1, 0, 1]));
        let message = || format!("{:#}", read_own(folder.path(), 2).unwrap_err());
        put(3, &file(&[1], &[2]));
        assert!(message().ends_with("is not usable: label 2 of image 0 is not below 2"), "{}", message());
        put(3, &file(&[2], &[1, 1]));
        assert!(message().contains("has 2 labels, `") && message().ends_with("1 images"), "{}", message());
        put(2, &file(&[1, 3, 1], &[7, 8, 9]));
        assert!(message().ends_with("has images of 3×1 pixels, those for training have 1×3"), "{}", message());
        put(0, &file(&[0, 1, 3], &[]));
        assert!(message().ends_with("its header tells of 0×1×3 bytes"), "{}", message());
    }
}
