//! The Python version of CIFAR: a batch is a pickled dictionary with an array of pixels and lists of labels. It is
//! converted to the records of the binary version: the pinned checksums are those of the binary files.

use anyhow::{Result, ensure};

use super::cifar::CIFAR_IMAGE_BYTES;
use super::pickle::Pickle;

/// Returns the records of a pickled batch in the binary version: for each image `label_bytes` labels of one byte
/// each, of which the last is the class, and 3,072 pixels.
///
/// # Errors
/// Fails if the pickle cannot be read or is not a batch of CIFAR.
pub(super) fn records(bytes: &[u8], label_bytes: usize) -> Result<Vec<u8>> {
    let pickle = Pickle::read(bytes)?;
    let keys: &[&str] = if label_bytes == 1 { &["labels"] } else { &["coarse_labels", "fine_labels"] };
    let (shape, pixels) = pickle.array("data")?;
    let is_batch = matches!(shape.as_slice(), [_, 3072] | [_, 3, 32, 32]);
    ensure!(is_batch, "its `data` has the shape {shape:?} instead of [images, 3072]");
    let count = pixels.len() / CIFAR_IMAGE_BYTES;
    let mut labels = Vec::new();
    for &key in keys {
        let numbers = pickle.numbers(key)?;
        ensure!(numbers.len() == count, "its `{key}` has {} labels for {count} images", numbers.len());
        for (image, &label) in numbers.iter().enumerate() {
            ensure!((0..256).contains(&label), "label {label} of image {image} in `{key}` is not from 0 to 255");
        }
        labels.push(numbers);
    }
    let mut records = Vec::with_capacity(count * (label_bytes + CIFAR_IMAGE_BYTES));
    for (image, pixels) in pixels.chunks_exact(CIFAR_IMAGE_BYTES).enumerate() {
        records.extend(labels.iter().map(|labels| labels[image] as u8));
        records.extend_from_slice(pixels);
    }
    Ok(records)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A batch as Python 2 pickles it with protocol 2: `labels` are lists of labels by their key.
    pub(in super::super) fn batch(pixels: &[u8], labels: &[(&str, &[u8])]) -> Vec<u8> {
        let short = |text: &str| [&[b'U', text.len() as u8][..], text.as_bytes()].concat();
        let mut bytes = [&b"\x80\x02}q\x01("[..], &short("batch_label"), &short("training batch 1 of 5")].concat();
        for (key, labels) in labels {
            let list: Vec<u8> = labels.iter().flat_map(|&label| [b'K', label]).collect();
            bytes.extend([&short(key)[..], b"](", &list, b"e"].concat());
        }
        let count = (pixels.len() / CIFAR_IMAGE_BYTES) as u8;
        bytes
            .extend([&short("data")[..], b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"].concat());
        bytes.extend(
            [&b"U\x01b\x87R(K\x01K"[..], &[count], b"M\x00\x0c\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"].concat(),
        );
        bytes.extend(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
        bytes.extend((pixels.len() as u32).to_le_bytes());
        bytes.extend([pixels, b"tbu."].concat());
        bytes
    }

    #[test]
    fn cifar_python_records_equal_binary_records() {
        let pixels: Vec<u8> = (0..2 * CIFAR_IMAGE_BYTES).map(|index| (index % 251) as u8).collect();
        let (first, second) = pixels.split_at(CIFAR_IMAGE_BYTES);
        let one = records(&batch(&pixels, &[("labels", &[6, 9])]), 1).unwrap();
        assert_eq!(one, [&[6], first, &[9], second].concat());
        let two = batch(&pixels, &[("fine_labels", &[66, 99]), ("coarse_labels", &[6, 9])]);
        assert_eq!(records(&two, 2).unwrap(), [&[6, 66], first, &[9, 99], second].concat());
        assert_eq!(records(&batch(&[], &[("labels", &[])]), 1).unwrap(), [0; 0]);
    }

    #[test]
    fn cifar_python_refuses_other_pickles() {
        let message = |pickle: &[u8], labels| records(pickle, labels).unwrap_err().to_string();
        let pixels = [7; 2 * CIFAR_IMAGE_BYTES];
        let ten = batch(&pixels, &[("labels", &[6, 9])]);
        assert_eq!(message(&ten, 2), "it has no `coarse_labels`, but `batch_label`, `labels`, `data`");
        assert_eq!(message(&batch(&pixels, &[("labels", &[6])]), 1), "its `labels` has 1 labels for 2 images");
        let flat = ten.windows(3).position(|window| window == b"M\x00\x0c").unwrap();
        let mut other = ten.clone();
        (other[flat - 1], other[flat + 2]) = (4, 6);
        assert_eq!(message(&other, 1), "its `data` has the shape [4, 1536] instead of [images, 3072]");
    }
}
