//! The IDX format of the MNIST family. Every error has the values found and expected; those of [`images`] and
//! [`labels`] also name the file.

use anyhow::{Context, Result, bail, ensure};

use super::bounded::TooLong;
use super::container::Extent;
use super::dataset_dir::DataFile;
use crate::base::key::sha256;

/// The four files: training images, training labels, test images, test labels.
pub(super) const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Returns the images in `file`, [count, height, width], after checking its SHA-256. `shape`: [1, height, width].
///
/// # Errors
/// Fails if the file has another header, length or checksum.
pub(super) fn images(file: &DataFile, count: u32, shape: [usize; 3], checksum: &str) -> Result<Vec<u8>> {
    let sizes = [count, shape[1] as u32, shape[2] as u32];
    let read = || -> Result<Vec<u8>> {
        let body = check(&file.bytes, &sizes)?;
        verify(&file.bytes, checksum)?;
        Ok(file.bytes[body..].to_vec())
    };
    read().with_context(|| unusable(file))
}

/// Returns the `count` labels in `file`, all below `classes`, after checking its SHA-256.
///
/// # Errors
/// Fails if the file has another header, length or checksum, or a label that is not below `classes`.
pub(super) fn labels(file: &DataFile, count: u32, classes: usize, checksum: &str) -> Result<Vec<u8>> {
    let read = || -> Result<Vec<u8>> {
        let body = check(&file.bytes, &[count])?;
        check_labels(&file.bytes[body..], classes)?;
        verify(&file.bytes, checksum)?;
        Ok(file.bytes[body..].to_vec())
    };
    read().with_context(|| unusable(file))
}

/// Returns the context of every error about the content of `file`.
pub(super) fn unusable(file: &DataFile) -> String {
    format!("`{}` is not usable", file.name)
}

fn check_labels(labels: &[u8], classes: usize) -> Result<()> {
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        Some(image) => bail!("label {} of image {image} is not below {classes}", labels[image]),
        None => Ok(()),
    }
}

/// Element type of unsigned bytes in a header.
pub(super) const BYTES: u8 = 0x08;
/// Element type of signed 32-bit big-endian integers in a header.
pub(super) const INTEGERS: u8 = 0x0C;

/// Returns element type and number of dimensions of a header; `None` if `bytes` do not begin with a header.
pub(super) fn kind(bytes: &[u8]) -> Option<(u8, u8)> {
    let [0, 0, element, dimensions] = *bytes.first_chunk()? else { return None };
    element_name(element).map(|_| (element, dimensions))
}

fn element_name(element: u8) -> Option<&'static str> {
    Some(match element {
        BYTES => "unsigned bytes",
        0x09 => "signed bytes",
        0x0B => "16-bit integers",
        INTEGERS => "32-bit integers",
        0x0D => "32-bit floats",
        0x0E => "64-bit floats",
        _ => return None,
    })
}

/// Returns the number of bytes that a file with this header must have, the header included; `None` for a header that no
/// reader of this program accepts.
pub(super) fn file_size(head: &[u8]) -> Option<u128> {
    let (element, dimensions @ 1..=3) = kind(head)? else { return None };
    let element_bytes = match element {
        BYTES => 1,
        INTEGERS => 4,
        _ => return None,
    };
    let length = header_length(dimensions.into());
    let sizes = head.get(4..length)?.chunks_exact(4);
    // In 128 bits, which the product of three 32-bit sizes and a number of bytes cannot overflow.
    let size = |bytes: &[u8]| bytes.iter().fold(0_u128, |size, &byte| size << 8 | u128::from(byte));
    Some(length as u128 + sizes.map(size).product::<u128>() * element_bytes)
}

/// Returns how much of a file with this head is read: as many bytes as its header says, at most `limit`; only the head
/// where it has no header that is read.
///
/// # Errors
/// Fails if the header says more than `limit` bytes.
pub(super) fn extent(head: &[u8], limit: u64) -> Result<Extent> {
    let Some(size) = file_size(head) else { return Ok(Extent::Head) };
    ensure!(size <= u128::from(limit), "its header says {size} bytes; {limit} are the most");
    Ok(Extent::Whole(TooLong { limit: size as u64, limit_source: "its header says" }))
}

/// Returns the number of bytes of a header: 4 for the magic number, then 4 for each size.
pub(super) const fn header_length(dimensions: usize) -> usize {
    4 + 4 * dimensions
}

/// Returns the sizes in the header of a file of unsigned bytes with `N` dimensions.
///
/// # Errors
/// Fails if the header has another element type or number of dimensions, or if the file is shorter than its header.
pub(super) fn byte_header<const N: usize>(bytes: &[u8]) -> Result<[u32; N]> {
    header(bytes, BYTES)
}

/// Like [`byte_header`], but for a file of elements of type `element`.
///
/// # Errors
/// Fails like [`byte_header`].
pub(super) fn header<const N: usize>(bytes: &[u8], element: u8) -> Result<[u32; N]> {
    let length = header_length(N);
    ensure!(bytes.len() >= length, "it has {} bytes; the header alone has {length}", bytes.len());
    let number =
        |start: usize| u32::from_be_bytes([bytes[start], bytes[start + 1], bytes[start + 2], bytes[start + 3]]);
    // The third byte is the type of the elements, the fourth the number of dimensions.
    let magic = number(0);
    let expected = u32::from(element) << 8 | N as u32;
    if magic != expected {
        bail!("its magic number is {magic:#010x} instead of {expected:#010x}: {}", meaning(magic));
    }
    Ok(std::array::from_fn(|i| number(4 + 4 * i)))
}

/// Describes the file that a magic number belongs to.
fn meaning(magic: u32) -> String {
    let named = |magic: u32| kind(&magic.to_be_bytes()).and_then(|(element, n)| Some((element_name(element)?, n)));
    match (named(magic), named(magic.swap_bytes())) {
        (Some((name, 1)), _) => format!("it holds {name} in 1 dimension"),
        (Some((name, n)), _) => format!("it holds {name} in {n} dimensions"),
        (None, Some(_)) => "its numbers have the lowest byte first instead of the highest".to_owned(),
        (None, None) => "no IDX file of this kind".to_owned(),
    }
}

/// Checks the header of a file of unsigned bytes against the sizes `expected` and returns the offset of the body.
///
/// # Errors
/// Fails if the header or the length of the body is another.
pub(super) fn check<const N: usize>(bytes: &[u8], expected: &[u32; N]) -> Result<usize> {
    let found = byte_header::<N>(bytes)?;
    for (i, (found, size)) in found.into_iter().zip(expected).enumerate() {
        ensure!(found == *size, "dimension {} is {found} instead of {size}", i + 1);
    }
    check_body(bytes, expected, 1)
}

/// Checks that the body has as many elements of `element_bytes` bytes as `sizes` say and returns its offset.
///
/// # Errors
/// Fails if the body has another length.
pub(super) fn check_body<const N: usize>(bytes: &[u8], sizes: &[u32; N], element_bytes: u8) -> Result<usize> {
    let start = header_length(N);
    // In 128 bits, which the product of three 32-bit sizes and a number of bytes cannot overflow.
    let body: u128 = sizes.iter().map(|&size| u128::from(size)).product::<u128>() * u128::from(element_bytes);
    let found = bytes.len() - start;
    ensure!(found as u128 == body, "it holds {found} bytes after the header instead of {body}");
    Ok(start)
}

/// Checks that the SHA-256 of `bytes` is `pinned`.
///
/// # Errors
/// Fails if the SHA-256 is another.
pub(super) fn verify(bytes: &[u8], pinned: &str) -> Result<()> {
    let found = sha256(bytes);
    ensure!(found == pinned, "its SHA-256 is {found} instead of {pinned}: these are not the official bytes");
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn file(sizes: &[u32], body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        for size in sizes {
            bytes.extend(size.to_be_bytes());
        }
        bytes.extend(body);
        bytes
    }

    #[test]
    fn idx_headers_are_checked() {
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
    fn idx_file_size_is_that_of_header_and_elements() {
        assert_eq!(file_size(&file(&[3, 2, 5], &[])), Some(16 + 30));
        assert_eq!(file_size(&file(&[7], &[1, 2])), Some(8 + 7));
        assert_eq!(file_size(&[0, 0, INTEGERS, 2, 0, 0, 0, 3, 0, 0, 0, 8]), Some(12 + 96));
        assert_eq!(file_size(&file(&[u32::MAX; 3], &[])), Some(16 + u128::from(u32::MAX).pow(3)));
        for head in [&file(&[1; 4], &[])[..], &[0, 0, 0x0D, 1, 0, 0, 0, 1], &[0, 0, 8, 1, 0, 0], b"PNG"] {
            assert_eq!(file_size(head), None, "{head:?}");
        }
        assert_eq!(extent(b"PNG", 9).unwrap(), Extent::Head);
        let error = extent(&file(&[u32::MAX; 2], &[]), 1 << 33).unwrap_err().to_string();
        assert_eq!(error, "its header says 18446744065119617037 bytes; 8589934592 are the most");
    }

    #[test]
    fn idx_headers_of_other_types_are_named() {
        let message = |magic: [u8; 4]| byte_header::<3>(&[&magic[..], &[0; 12]].concat()).unwrap_err().to_string();
        assert!(
            message([0, 0, 0x0D, 3])
                .ends_with("0x00000d03 instead of 0x00000803: it holds 32-bit floats in 3 dimensions")
        );
        assert!(message([0, 0, 0x0B, 1]).ends_with(": it holds 16-bit integers in 1 dimension"));
        assert!(message([0, 0, 8, 4]).ends_with(": it holds unsigned bytes in 4 dimensions"));
        assert!(message([3, 8, 0, 0]).ends_with(": its numbers have the lowest byte first instead of the highest"));
        assert!(message(*b"\x89PNG").ends_with(": no IDX file of this kind"));
    }
}
