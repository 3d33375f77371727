//! Files of data sets: IDX, gzip, CIFAR (binary and pickled) and PNG, read from a folder as a data set.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use lth::config::{DataConfig, DatasetSpec};
use lth::data;
use png::{BitDepth, ColorType};
use serde_json::json;
use tempfile::TempDir;

use super::{Target, temporary_folder, write};

/// Returns the configuration of the custom data `dataset`.
fn custom(dataset: DatasetSpec) -> DataConfig {
    let base: DataConfig = serde_json::from_value(json!({ "dataset": "strokes", "validation": 1 })).unwrap();
    DataConfig { dataset, ..base }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An IDX file with elements of `element` (8: bytes, 12: 32-bit integers).
fn idx(element: u8, sizes: &[u32], body: &[u8]) -> Vec<u8> {
    let sizes_bytes = sizes.iter().flat_map(|size| size.to_be_bytes());
    [0, 0, element, sizes.len() as u8].into_iter().chain(sizes_bytes).chain(body.iter().copied()).collect()
}

const IDX_NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// A folder of valid IDX files with four images of 2×3 pixels, two of them test images.
fn idx_folder() -> (TempDir, DataConfig) {
    let folder = temporary_folder();
    for (name, bytes) in IDX_NAMES.iter().zip([idx_images(), idx_labels(), idx_images(), idx_labels()]) {
        write(&folder.path().join(name), &bytes);
    }
    let dataset = json!({ "idx": { "dir": folder.path(), "classes": 10 } });
    let data = custom(serde_json::from_value(dataset).unwrap());
    (folder, data)
}

fn idx_images() -> Vec<u8> {
    idx(8, &[2, 2, 3], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 255])
}

fn idx_labels() -> Vec<u8> {
    idx(8, &[2], &[0, 9])
}

/// Reads a mutated file under `name` in a folder of valid IDX files.
fn fuzz_idx(title: &str, name: &str, corpus: Vec<Vec<u8>>, max_memory: u64) {
    let (folder, data) = idx_folder();
    let read = |bytes: &[u8]| {
        write(&folder.path().join(name), bytes);
        data::inspect(&data).is_ok()
    };
    Target { name: title, corpus, read: &read, max_memory, ..Target::default() }.fuzz();
}

#[test]
fn fuzz_idx_images() {
    fuzz_idx("IDX images", IDX_NAMES[0], vec![idx_images(), gzip(&idx_images())], 4 << 20);
}

#[test]
fn fuzz_idx_labels() {
    let integers: Vec<u8> = (0..2_u32).flat_map(u32::to_be_bytes).collect();
    let columns: Vec<u8> = (0..16_u32).flat_map(|n| (n % 8).to_be_bytes()).collect();
    let corpus = vec![idx_labels(), idx(12, &[2], &integers), idx(12, &[2, 8], &columns), gzip(&idx_labels())];
    fuzz_idx("IDX labels", IDX_NAMES[1], corpus, 4 << 20);
}

#[test]
fn fuzz_gzip() {
    let members = [gzip(&idx_images()[..9]), gzip(&idx_images()[9..]), vec![0; 100]].concat();
    fuzz_idx("gzip", IDX_NAMES[2], vec![gzip(&idx_images()), members], 4 << 20);
}

/// A batch of CIFAR-10 with two images as Python 2 pickles it with protocol 2.
fn pickled_batch() -> Vec<u8> {
    let short = |text: &str| [&[b'U', text.len() as u8][..], text.as_bytes()].concat();
    let pixels = [7; 2 * 3072];
    [
        &b"\x80\x02}q\x01("[..],
        &short("batch_label"),
        &short("training batch 1 of 5"),
        &short("labels"),
        b"](K\x06K\x09e",
        &short("data"),
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02M\x00\x0c\x86",
        b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T",
        &(pixels.len() as u32).to_le_bytes(),
        &pixels,
        b"tbu.",
    ]
    .concat()
}

/// A batch with two images in protocol 0, whose pixels are written as text.
fn pickled_text() -> Vec<u8> {
    let pixels = "\\x07".repeat(2 * 3072);
    let text = format!(
        "(dp1\nS'labels'\np2\n(lp3\nI6\naI9\nasS'data'\np4\ncnumpy.core.multiarray\n_reconstruct\np5\n(cnumpy\nndarray\n\
         p6\n(I0\ntp7\nS'b'\np8\ntp9\nRp10\n(I1\n(I2\nI3072\ntp11\ncnumpy\ndtype\np12\n(S'u1'\np13\nI0\nI1\ntp14\nRp15\n\
         (I3\nS'|'\np16\nNNNI-1\nI-1\nI0\ntp17\nbI00\nS'{pixels}'\np18\ntp19\nbs."
    );
    text.into_bytes()
}

/// Reads a mutated file of CIFAR-10 as the program finds it.
fn fuzz_cifar(title: &str, name: &str, corpus: Vec<Vec<u8>>, words: &[&str]) {
    let folder = temporary_folder();
    let read = |bytes: &[u8]| {
        write(&folder.path().join("cifar10").join(name), bytes);
        let report = data::status("cifar10", folder.path()).unwrap();
        report.files.iter().any(|file| file.found.is_some())
    };
    // While a buffer grows it takes up to three times the 30.7 MB of the official file, where decompression stops.
    Target { name: title, corpus, words, read: &read, max_memory: 96 << 20, ..Target::default() }.fuzz();
}

#[test]
fn fuzz_cifar_binary() {
    let record = |label: u8| [&[label][..], &[label; 3072]].concat();
    let two = [record(1), record(9)].concat();
    fuzz_cifar("CIFAR binary", "test_batch.bin", vec![record(3), two.clone(), gzip(&two)], &[]);
}

#[test]
fn fuzz_cifar_pickle() {
    let words = [
        "(",
        ".",
        "}",
        "]",
        "q\x01",
        "h\x01",
        "K\x01",
        "R",
        "b",
        "u",
        "s",
        "cnumpy\nndarray\n",
        "e",
        "t",
        "U\x01a",
        "V\\u0041\n",
        "\u{8a}",
    ];
    fuzz_cifar("CIFAR pickle", "test_batch", vec![pickled_batch(), pickled_text()], &words);
}

/// A tar archive of CIFAR-10 with short files.
fn archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for name in ["data_batch_1.bin", "../test_batch.bin", "test_batch.bin"] {
        let mut header = tar::Header::new_gnu();
        header.set_size(3073);
        let path = format!("cifar-10-batches-bin/{name}");
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        archive.append(&header, &[1; 3073][..]).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Makes the checksum of the first header of a tar archive right.
fn mend_tar(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

#[test]
fn fuzz_tar() {
    let folder = temporary_folder();
    let inner = folder.path().join("cifar10");
    let read = |bytes: &[u8]| {
        write(&inner.join("cifar-10-binary.tar.gz"), bytes);
        let report = data::status("cifar10", folder.path()).unwrap();
        let names: Vec<_> = fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["cifar-10-binary.tar.gz"], "nothing is written");
        report.files.iter().any(|file| file.found.is_some())
    };
    let words = ["../", "/", "cifar-10-batches-bin/", "\0", "777", "L", "x", "2"];
    let corpus = vec![archive(), gzip(&archive())];
    let mend = mend_tar;
    Target { name: "tar", corpus, words: &words, mend, read: &read, max_memory: 64 << 20, ..Target::default() }.fuzz();
}

/// A PNG file of 2×3 pixels.
fn png(colour: ColorType, depth: BitDepth, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 3, 2);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        encoder.set_palette(vec![9, 8, 7, 6, 5, 4]);
        encoder.set_trns(vec![255, 255]);
    }
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    bytes
}

/// Makes the checksums of the chunks of a PNG file right.
fn mend_png(bytes: &mut [u8]) {
    let mut start = 8;
    while let Some(length) = bytes.get(start..).and_then(|rest| rest.first_chunk()) {
        let length = u32::from_be_bytes(*length) as usize;
        let Some(chunk) = bytes.get_mut(start + 4..).and_then(|rest| rest.get_mut(..length + 8)) else { return };
        let mut crc = flate2::Crc::new();
        crc.update(&chunk[..length + 4]);
        chunk[length + 4..].copy_from_slice(&crc.sum().to_be_bytes());
        start += length + 12;
    }
}

/// Reads a folder in which every image is this file.
fn read_images(folder: &Path, data: &DataConfig, bytes: &[u8]) -> bool {
    for image in ["train/a/1.png", "train/b/1.png", "test/a/1.png"] {
        write(&folder.join(image), bytes);
    }
    match data::inspect(data) {
        Ok(_) => true,
        Err(mistake) => {
            assert!(!mistake.message.contains("decoder failed"), "{}", mistake.message);
            false
        }
    }
}

#[test]
fn fuzz_png() {
    use BitDepth::{Eight, Four, One, Two};
    let corpus = vec![
        png(ColorType::Grayscale, Eight, &[1, 2, 3, 4, 5, 6]),
        png(ColorType::Grayscale, One, &[0b1010_0000, 0b0100_0000]),
        png(ColorType::GrayscaleAlpha, Eight, &[1, 255, 2, 255, 3, 255, 4, 255, 5, 255, 6, 255]),
        png(ColorType::Rgb, Eight, &(0..18).collect::<Vec<u8>>()),
        png(ColorType::Rgba, Eight, &(0..24).map(|n| if n % 4 == 3 { 255 } else { n }).collect::<Vec<u8>>()),
        png(ColorType::Indexed, Eight, &[0, 1, 0, 1, 1, 0]),
        png(ColorType::Indexed, Two, &[0b0001_0000, 0b0100_0000]),
        png(ColorType::Indexed, Four, &[0, 0x10, 0x11, 0]),
    ];
    let folder = temporary_folder();
    let dataset = json!({ "images": { "dir": folder.path() } });
    let data = custom(serde_json::from_value(dataset).unwrap());
    let read = |bytes: &[u8]| read_images(folder.path(), &data, bytes);
    let words =
        ["IHDR", "PLTE", "tRNS", "IDAT", "IEND", "acTL", "fcTL", "fdAT", "gAMA", "iCCP", "zTXt", "sBIT", "eXIf"];
    // The images of a data set are decoded in threads, whose memory is not counted here.
    Target {
        name: "PNG",
        corpus,
        words: &words,
        mend: mend_png,
        read: &read,
        max_memory: 256 << 20,
        ..Target::default()
    }
    .fuzz();
}
