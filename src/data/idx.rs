//! The IDX format of the MNIST family. Every check says which file and which byte.

use anyhow::{Context, Result, bail, ensure};

use super::dataset_dir::DataFile;
use crate::base::key::sha256;

/// The four files: training images, training labels, test images, test labels.
pub(super) const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// The images in `file`: `count` of `shape`, which the sum of the file vouches for.
pub(super) fn images(file: &DataFile, count: u32, shape: [usize; 3], sum: &str) -> Result<Vec<u8>> {
    let sizes = [count, shape[1] as u32, shape[2] as u32];
    let check = || -> Result<Vec<u8>> {
        let body = check(&file.bytes, &sizes)?;
        verify(&file.bytes, sum)?;
        Ok(file.bytes[body..].to_vec())
    };
    check().with_context(|| unusable(file))
}

/// The labels in `file`: `count` below `classes`, which the sum of the file vouches for.
pub(super) fn labels(file: &DataFile, count: u32, classes: usize, sum: &str) -> Result<Vec<u8>> {
    let check = || -> Result<Vec<u8>> {
        let body = check(&file.bytes, &[count])?;
        below(&file.bytes[body..], classes)?;
        verify(&file.bytes, sum)?;
        Ok(file.bytes[body..].to_vec())
    };
    check().with_context(|| unusable(file))
}

pub(super) fn unusable(file: &DataFile) -> String {
    format!("`{}` is not usable", file.name)
}

fn below(labels: &[u8], classes: usize) -> Result<()> {
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        Some(image) => bail!("label {} of image {image} is not below {classes}", labels[image]),
        None => Ok(()),
    }
}

/// The element type of unsigned bytes in a header.
pub(super) const BYTES: u8 = 0x08;
/// The element type of signed 32-bit integers, big-endian.
pub(super) const INTEGERS: u8 = 0x0C;

/// The element type and the number of dimensions that a header begins with; none where it is no header.
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

/// The sizes in the header of a file of unsigned bytes with `N` dimensions.
pub(super) fn header<const N: usize>(bytes: &[u8]) -> Result<[u32; N]> {
    header_of(bytes, BYTES)
}

/// The sizes in the header of a file of `element`s with `N` dimensions.
pub(super) fn header_of<const N: usize>(bytes: &[u8], element: u8) -> Result<[u32; N]> {
    let length = 4 + 4 * N;
    ensure!(bytes.len() >= length, "it has {} bytes; the header alone has {length}", bytes.len());
    let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    // The third byte stands for the type of the elements, the fourth counts the dimensions.
    let (magic, right) = (number(0), u32::from(element) << 8 | N as u32);
    if magic != right {
        bail!("its magic number is {magic:#010x} instead of {right:#010x}: {}", meaning(magic));
    }
    Ok(std::array::from_fn(|i| number(4 + 4 * i)))
}

/// What a magic number says of a file.
fn meaning(magic: u32) -> String {
    let named = |magic: u32| kind(&magic.to_be_bytes()).and_then(|(element, n)| Some((element_name(element)?, n)));
    match (named(magic), named(magic.swap_bytes())) {
        (Some((name, 1)), _) => format!("it holds {name} in 1 dimension"),
        (Some((name, n)), _) => format!("it holds {name} in {n} dimensions"),
        (None, Some(_)) => "its numbers have the lowest byte first instead of the highest".to_owned(),
        (None, None) => "no IDX file of this kind".to_owned(),
    }
}

/// Checks magic number and sizes of a file of unsigned bytes against `expected`; gives the offset of the body.
pub(super) fn check<const N: usize>(bytes: &[u8], expected: &[u32; N]) -> Result<usize> {
    let found = header::<N>(bytes)?;
    for (i, (found, size)) in found.into_iter().zip(expected).enumerate() {
        ensure!(found == *size, "dimension {} is {found} instead of {size}", i + 1);
    }
    check_body(bytes, expected, 1)
}

/// Checks that the body holds as many elements of `width` bytes as `sizes` say; gives its offset.
pub(super) fn check_body<const N: usize>(bytes: &[u8], sizes: &[u32; N], width: u8) -> Result<usize> {
    let start = 4 + 4 * N;
    // In 128 bits, which three sizes of 32 bits and a width cannot overflow.
    let body: u128 = sizes.iter().map(|&size| u128::from(size)).product::<u128>() * u128::from(width);
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
    fn headers_of_other_types_are_named() {
        let message = |magic: [u8; 4]| header::<3>(&[&magic[..], &[0; 12]].concat()).unwrap_err().to_string();
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
