//! Custom IDX files written byte by byte.

use super::super::idx::tests::file;
use super::*;
use crate::system::files;

const PLAIN: IdxOptions<'_> = IdxOptions { classes: 2, first_label: 0, transpose: false, prefix: None };

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    files::write(&folder.join(name), bytes).unwrap();
}

/// Two training images of 1×3 pixels of class 1 and 0, and a test image of class 1.
fn whole(folder: &Path, names: [&str; 4]) {
    put(folder, names[0], &file(&[2, 1, 3], &[1, 2, 3, 4, 5, 6]));
    put(folder, names[1], &file(&[2], &[1, 0]));
    put(folder, names[2], &file(&[1, 1, 3], &[7, 8, 9]));
    put(folder, names[3], &file(&[1], &[1]));
}

fn integers(sizes: &[u32], values: &[i32]) -> Vec<u8> {
    let body: Vec<u8> = values.iter().flat_map(|value| value.to_be_bytes()).collect();
    let mut bytes = file(sizes, &body);
    bytes[2] = INTEGERS;
    bytes
}

fn message(folder: &Path, options: IdxOptions<'_>) -> String {
    format!("{:#}", read(folder, options).unwrap_err())
}

fn hint(folder: &Path, options: IdxOptions<'_>) -> String {
    read(folder, options).unwrap_err().downcast_ref::<LabelOutside>().unwrap().hint()
}

#[test]
fn custom_idx_files_have_any_size() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    whole(dir, NAMES);
    let four = read(dir, PLAIN).unwrap();
    assert_eq!((four.height, four.width, four.train_images, four.test_images), (1, 3, 2, 1));
    assert_eq!((four.images, four.labels), ((1..10).collect(), vec![1, 0, 1]));
}

#[test]
fn custom_idx_errors_name_wrong_label_count_and_size() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    whole(dir, NAMES);
    let says = |end: &str| assert!(message(dir, PLAIN).ends_with(end), "{}", message(dir, PLAIN));
    put(dir, NAMES[3], &file(&[1], &[2]));
    says("is not usable: label 2 of image 0 is not below 2");
    put(dir, NAMES[3], &file(&[2], &[1, 1]));
    says("1 images");
    put(dir, NAMES[2], &file(&[1, 3, 1], &[7, 8, 9]));
    says("has images of 3×1 pixels, those for training have 1×3");
    put(dir, NAMES[0], &file(&[0, 1, 3], &[]));
    says("its header says 0 images of 1×3 pixels; all three must be above 0");
}

#[test]
fn custom_idx_reads_labels_of_32_bits() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    whole(dir, NAMES);
    put(dir, NAMES[1], &integers(&[2], &[1, 0]));
    let row = |class: i32| [class, 7, 7, 7, 7, 7, 7, 7];
    std::fs::remove_file(dir.join(NAMES[3])).unwrap();
    put(dir, "t10k-labels-idx2-int", &integers(&[1, 8], &row(1)));
    assert_eq!(read(dir, PLAIN).unwrap().labels, [1, 0, 1]);
    let says = |end: &str| assert!(message(dir, PLAIN).ends_with(end), "{}", message(dir, PLAIN));
    put(dir, NAMES[1], &integers(&[2], &[1, 256]));
    says("label 256 of image 1 is not below 2");
    put(dir, NAMES[1], &integers(&[2], &[-1, 1]));
    says("label -1 of image 0 is not from 0 to 1");
    put(dir, NAMES[1], &integers(&[2, 2], &[1, 1, 0, 0]));
    says("it has 2 columns of labels; 1 and QMNIST's 8 are read");
    put(dir, NAMES[1], &integers(&[3], &[1, 0]));
    says("it holds 8 bytes after the header instead of 12");
    let mut floats = integers(&[2], &[0, 0]);
    floats[2] = 0x0D;
    put(dir, NAMES[1], &floats);
    says("it holds 32-bit floats in 1 dimension");
}

#[test]
fn custom_idx_labels_count_from_first_label() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    whole(dir, NAMES);
    let letters = IdxOptions { first_label: 1, ..PLAIN };
    put(dir, NAMES[1], &file(&[2], &[2, 1]));
    assert_eq!(message(dir, PLAIN).rsplit(": ").next().unwrap(), "label 2 of image 0 is not below 2");
    assert_eq!(hint(dir, PLAIN), "the labels of this file are from 1 to 2: set `first_label = 1`");
    assert_eq!(read(dir, letters).unwrap().labels, [1, 0, 0]);
    put(dir, NAMES[1], &file(&[2], &[2, 0]));
    assert!(message(dir, letters).ends_with("label 0 of image 1 is not from 1 to 2"));
    assert_eq!(hint(dir, PLAIN), "labels count from 0; set `classes` to 3 or more, if they are right");
    put(dir, NAMES[1], &integers(&[2], &[0, i32::MIN]));
    assert_eq!(hint(dir, PLAIN), "labels are whole numbers from 0");
    put(dir, NAMES[1], &integers(&[2], &[0, i32::MAX]));
    assert!(hint(dir, PLAIN).ends_with("from 0 to 2147483647, more than `classes` allows"));
}

#[test]
fn custom_idx_transpose_exchanges_rows_and_columns() {
    assert_eq!(
        transposed(&[1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16], 2, 3),
        [1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16]
    );
    let folder = tempfile::tempdir().unwrap();
    whole(folder.path(), NAMES);
    let plain = read(folder.path(), PLAIN).unwrap();
    let turned = read(folder.path(), IdxOptions { transpose: true, ..PLAIN }).unwrap();
    assert_eq!((turned.height, turned.width, turned.sha256), (3, 1, plain.sha256), "the checksum is that of the files");
}

#[test]
fn custom_idx_finds_the_only_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let emnist = |set: &str| NAMES.map(|name| format!("emnist-{set}-{}", name.replace("t10k", "test")));
    let letters = emnist("letters");
    whole(dir, letters.each_ref().map(String::as_str));
    assert_eq!(read(dir, PLAIN).unwrap().labels, [1, 0, 1]);
    let digits = emnist("digits");
    whole(dir, digits.each_ref().map(String::as_str));
    let many = message(dir, PLAIN);
    assert!(many.ends_with("have several prefixes: `emnist-digits`, `emnist-letters`"), "{many}");
    assert_eq!(read(dir, IdxOptions { prefix: Some("emnist-letters"), ..PLAIN }).unwrap().train_images, 2);
    let missing = message(dir, IdxOptions { prefix: Some("emnist"), ..PLAIN });
    assert!(missing.starts_with("neither `emnist-train-images-idx3-ubyte` nor"), "{missing}");
    whole(dir, NAMES);
    assert_eq!(read(dir, PLAIN).unwrap().train_images, 2, "names without a prefix come first");
}
