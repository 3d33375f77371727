//! Folders with files in every location and under every name that is searched.

use super::super::builtin::{CIFAR10, CIFAR100, MNIST};
use super::super::container::tests::{WHOLE, gzip, tar};
use super::*;
use crate::system::files;

const IMAGES: &str = "train-images-idx3-ubyte";

fn put(path: &Path, bytes: &[u8]) {
    files::write(path, bytes).unwrap();
}

#[test]
fn file_is_found_plain_gzipped_and_in_archive() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("cifar100");
    let open = |name: &str| DatasetDir::find(&CIFAR100, folder.path()).open(name);
    let missing = open("train.bin").err().unwrap();
    let text = missing.to_string();
    for name in ["none of `train.bin`", "`cifar-100-binary.tar.gz`", "`cifar-100-python/train`"] {
        assert!(text.contains(name), "{text}");
    }
    assert_eq!(missing.downcast_ref::<NotFound>().unwrap().builtin, Some("cifar100"));

    let packed = gzip(&tar("cifar-100-binary/train.bin", b"tar"));
    put(&inner.join("cifar-100-binary.tar.gz"), &packed);
    assert_eq!(open("train.bin").unwrap().bytes, b"tar");
    assert!(open("test.bin").err().unwrap().to_string().contains("is not in the archive"));

    put(&inner.join("cifar-100-binary/train.bin.gz"), &gzip(b"zip"));
    assert_eq!(open("train.bin").unwrap().bytes, b"zip");
    put(&inner.join("train.bin"), b"plain");
    assert_eq!(open("train.bin").unwrap().bytes, b"plain");

    put(&inner.join("cifar-100-binary.tar.gz"), &packed[..packed.len() / 2]);
    assert!(open("test.bin").err().unwrap().to_string().contains("could not be unpacked"));
    // Files that lie in the folder of all data sets.
    assert_eq!(DatasetDir::find(&CIFAR100, &inner).open("train.bin").unwrap().bytes, b"plain");
}

#[test]
fn python_version_is_opened_as_binary_records() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("cifar10");
    let image = vec![7; 3072];
    let batch = |label: u8| cifar_python::tests::batch(&image, &[("labels", &[label])]);
    let record = |label: u8| [&[label][..], &image].concat();
    let open = |name: &str| DatasetDir::find(&CIFAR10, folder.path()).open(name).unwrap();
    let archive = gzip(&tar("cifar-10-batches-py/data_batch_1", &batch(1)));
    put(&inner.join("cifar-10-python.tar.gz"), &archive);
    assert_eq!(open("data_batch_1.bin").bytes, record(1));
    put(&inner.join("cifar-10-batches-py/data_batch_1"), &batch(2));
    assert_eq!(open("data_batch_1.bin").bytes, record(2));
    assert!(open("data_batch_1.bin").name.ends_with("cifar-10-batches-py/data_batch_1"));
    put(&inner.join("data_batch_1.gz"), &gzip(&batch(3)));
    assert_eq!(open("data_batch_1.bin").bytes, record(3));
    put(&inner.join("data_batch_1.bin"), &record(4));
    assert_eq!(open("data_batch_1.bin").bytes, record(4), "the binary version takes precedence");
    put(&inner.join("data_batch_2"), b"cos\nsystem\n(S'true'\ntR.");
    let error = DatasetDir::find(&CIFAR10, folder.path()).open("data_batch_2.bin").err().unwrap();
    assert!(
        format!("{error:#}").contains("data_batch_2` is not usable: opcode 0x63 (`c`) at byte 0: it names `os system`")
    );
}

#[test]
fn archive_unpacked_to_folder_of_its_name_is_searched() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("cifar100/cifar-100-binary.tar.gz");
    put(&archive.join("cifar-100-binary/train.bin"), b"inner");
    put(&archive.join("test.bin"), b"outer");
    let open = |name: &str| DatasetDir::find(&CIFAR100, folder.path()).open(name).unwrap().bytes;
    assert_eq!((open("train.bin"), open("test.bin")), (b"inner".to_vec(), b"outer".to_vec()));
}

#[test]
fn idx_files_are_found_by_alternative_names_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let open = || DatasetDir::custom(folder.path(), None).open(IMAGES).unwrap().bytes;
    let last = folder.path().join("train-images.idx3-ubyte.gz");
    for (name, bytes) in [
        ("train-images.idx3-ubyte.gz", gzip(b"4")),
        ("train-images.idx3-ubyte/train-images-idx3-ubyte", b"3".to_vec()),
        ("train-images-idx3-ubyte.gz", gzip(b"2")),
        ("train-images-idx3-ubyte/train-images.idx3-ubyte", b"1".to_vec()),
    ] {
        put(&folder.path().join(name), &bytes);
        let plain = if bytes.len() == 1 {
            bytes
        } else {
            decompress(&folder.path().join(name), |_| Ok(Extent::Whole(WHOLE))).unwrap()
        };
        assert_eq!(open(), plain, "{name}");
    }
    assert!(last.exists());
}

#[test]
fn empty_file_is_used_only_if_there_is_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let open = || DatasetDir::custom(folder.path(), None).open(IMAGES);
    put(&folder.path().join(IMAGES), b"");
    assert!(open().err().unwrap().to_string().ends_with("train-images-idx3-ubyte` is empty"));
    put(&folder.path().join("train-images-idx3-ubyte.gz"), &gzip(b"whole"));
    assert_eq!(open().unwrap().bytes, b"whole");
}

#[test]
fn folder_with_files_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let (outer, inner) = (folder.path().to_owned(), folder.path().join("mnist"));
    let chosen = || DatasetDir::find(&MNIST, &outer).folder().to_owned();
    assert_eq!(chosen(), inner, "where nothing is found");
    for file in MNIST.files {
        put(&outer.join(file.name), b"1");
    }
    put(&inner.join("notes.txt"), b"mine");
    assert_eq!(chosen(), outer);
    put(&inner.join(IMAGES), b"");
    assert_eq!(chosen(), outer, "an empty file is no content");
    put(&inner.join(IMAGES), b"1");
    assert_eq!(chosen(), outer, "one of four files is not all");
    std::fs::remove_file(outer.join(IMAGES)).unwrap();
    assert_eq!(chosen(), inner, "neither has all");
    put(&outer.join(IMAGES), b"1");
    for file in MNIST.files {
        put(&inner.join(file.name), b"1");
    }
    assert_eq!(chosen(), inner, "both have all");
}
