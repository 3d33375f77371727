//! The binary version of CIFAR: records of one or two label bytes and 3,072 pixels, [channels (red, green, blue), 32,
//! 32].

use anyhow::{Result, ensure};

/// Bytes of an image: three channels of 32×32 pixels.
pub(super) const CIFAR_IMAGE_BYTES: usize = 3 * 32 * 32;

/// The records of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CifarRecords {
    /// Pixels, [records, 3, 32, 32], one byte each.
    pub(super) images: Vec<u8>,
    /// Label of each record.
    pub(super) labels: Vec<u8>,
}

/// Reads records with `label_bytes` labels of one byte each, of which the last is the class: CIFAR-100 has a coarse and
/// a fine label.
///
/// # Errors
/// Fails if a record is cut short or a label is not below `classes`; the error has the byte.
pub(super) fn read(bytes: &[u8], label_bytes: usize, classes: usize) -> Result<CifarRecords> {
    let length = label_bytes + CIFAR_IMAGE_BYTES;
    let count = bytes.len() / length;
    let rest = bytes.len() % length;
    ensure!(
        rest == 0,
        "record {count} is cut: it has {rest} of its {length} bytes, from byte {} to the end at {}",
        count * length,
        bytes.len()
    );
    let mut records =
        CifarRecords { images: Vec::with_capacity(count * CIFAR_IMAGE_BYTES), labels: Vec::with_capacity(count) };
    for (index, record) in bytes.chunks_exact(length).enumerate() {
        let (labels, image) = record.split_at(label_bytes);
        let label = labels[label_bytes - 1];
        let byte = index * length + label_bytes - 1;
        ensure!(
            usize::from(label) < classes,
            "label {label} of record {index}, at byte {byte}, is not below {classes}"
        );
        records.labels.push(label);
        records.images.extend_from_slice(image);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cifar_records_are_read() {
        let mut bytes = vec![7; 2 * (1 + CIFAR_IMAGE_BYTES)];
        (bytes[0], bytes[1], bytes[1 + CIFAR_IMAGE_BYTES]) = (3, 1, 9);
        let records = read(&bytes, 1, 10).unwrap();
        assert_eq!((records.labels, records.images.len()), (vec![3, 9], 2 * CIFAR_IMAGE_BYTES));
        assert_eq!(records.images[..2], [1, 7]);
        let mut fine = vec![0; 2 + CIFAR_IMAGE_BYTES];
        (fine[0], fine[1]) = (19, 99);
        assert_eq!(read(&fine, 2, 100).unwrap().labels, [99]);
    }

    #[test]
    fn cifar_errors_name_cut_record_and_wrong_label_with_byte() {
        let message = |bytes: &[u8], labels, classes| read(bytes, labels, classes).unwrap_err().to_string();
        let cut = message(&[0; 3073 + 5], 1, 10);
        assert_eq!(cut, "record 1 is cut: it has 5 of its 3073 bytes, from byte 3073 to the end at 3078");
        let mut bytes = vec![0; 2 * 3074];
        bytes[3075] = 100;
        assert_eq!(message(&bytes, 2, 100), "label 100 of record 1, at byte 3075, is not below 100");
    }
}
