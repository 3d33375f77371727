//! Own data in four IDX files, whose sizes are their own. Knows the options of `data.dataset.idx`, but no configuration.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::idx::{self, BYTES, INTEGERS, NAMES, unusable};
use super::names;
use super::shelf::{Opened, Shelf};
use crate::base::key::sha256_of;

/// Columns of QMNIST's labels, of which the first is the class.
const COLUMNS: u32 = 8;

/// How the files are to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a> {
    /// Number of classes.
    pub(super) classes: u32,
    /// The label of the first class.
    pub(super) first_label: u32,
    /// Whether rows and columns of the images change places.
    pub(super) transpose: bool,
    /// What stands in front of the names.
    pub(super) prefix: Option<&'a str>,
}

/// What four files hold.
#[derive(Debug)]
pub(super) struct Four {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) train: u32,
    pub(super) test: u32,
    /// One byte a pixel, row by row; training images first.
    pub(super) images: Vec<u8>,
    /// The class of each image, from 0.
    pub(super) labels: Vec<u8>,
    /// SHA-256 of the four files one after another, as they are.
    pub(super) sum: String,
}

/// A label of no class.
#[derive(Debug, thiserror::Error)]
pub(super) struct LabelOutside {
    label: i64,
    image: usize,
    first: u32,
    classes: u32,
    /// The least and the greatest label of the file.
    range: (i64, i64),
}

impl std::fmt::Display for LabelOutside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { label, image, first, classes, .. } = *self;
        match first {
            0 if label >= 0 => write!(f, "label {label} of image {image} is not below {classes}"),
            _ => write!(f, "label {label} of image {image} is not from {first} to {}", first + classes - 1),
        }
    }
}

impl LabelOutside {
    /// What to set where the labels are right.
    pub(super) fn hint(&self) -> String {
        let ((least, greatest), classes) = (self.range, i64::from(self.classes));
        if least < 0 {
            return "labels are whole numbers from 0".to_owned();
        }
        if greatest - least + 1 == classes {
            return format!("the labels of this file are from {least} to {greatest}: set `first_label = {least}`");
        }
        let (first, most) = (i64::from(self.first), greatest + 1 - i64::from(self.first));
        if least >= first && most <= 256 {
            return format!("labels count from {first}; set `classes` to {most} or more, if they are right");
        }
        format!("the labels of this file are from {least} to {greatest}, which are more than `classes` has")
    }
}

/// Several prefixes stand in front of the names of files, and none was chosen.
#[derive(Debug, thiserror::Error)]
#[error("the files in `{folder}` have several prefixes: {}", list(.prefixes))]
pub(super) struct ManyPrefixes {
    folder: String,
    pub(super) prefixes: Vec<String>,
}

fn list(prefixes: &[String]) -> String {
    prefixes.iter().map(|prefix| format!("`{prefix}`")).collect::<Vec<_>>().join(", ")
}

/// The prefixes of training images in `folder`, sorted.
pub(super) fn prefixes(folder: &Path) -> Vec<String> {
    names::prefixes(folder, &names::idx(NAMES[0], true, None))
}

/// Reads the four files in `folder`.
///
/// # Errors
/// A file that is missing, cut, of another kind or at odds with another; [`LabelOutside`], [`ManyPrefixes`].
pub(super) fn read(folder: &Path, options: Options<'_>) -> Result<Four> {
    let only = if options.prefix.is_none() { only_prefix(folder)? } else { None };
    let mut shelf = Shelf::own(folder, options.prefix.or(only.as_deref()));
    let mut whole = Vec::new();
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    let (mut sizes, mut counts) = (Vec::new(), Vec::new());
    for part in NAMES.chunks_exact(2) {
        let pictures = shelf.open(part[0])?;
        let [count, height, width] = image_sizes(&pictures)?;
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
        let found = label_values(&names.bytes).with_context(|| unusable(&names))?;
        ensure!(
            found.len() == count as usize,
            "`{}` has {} labels, `{}` {count} images",
            names.name,
            found.len(),
            pictures.name
        );
        labels.extend(classes(&found, options).with_context(|| unusable(&names))?);
        images.extend_from_slice(&pictures.bytes[16..]);
        whole.extend([pictures.bytes, names.bytes]);
    }
    let whole: Vec<&[u8]> = whole.iter().map(Vec::as_slice).collect();
    let sum = sha256_of(&whole);
    let [mut height, mut width] = sizes[0].map(|size| size as usize);
    if options.transpose {
        images = transposed(&images, height, width);
        (height, width) = (width, height);
    }
    Ok(Four { height, width, train: counts[0], test: counts[1], images, labels, sum })
}

/// The only prefix in `folder`, where training images have none without.
fn only_prefix(folder: &Path) -> Result<Option<String>> {
    if Shelf::own(folder, None).find(NAMES[0]).is_some() {
        return Ok(None);
    }
    let mut prefixes = prefixes(folder);
    ensure!(prefixes.len() < 2, ManyPrefixes { folder: folder.display().to_string(), prefixes });
    Ok(prefixes.pop())
}

/// Number, height and width of the images in a file, which holds as many bytes as these say.
fn image_sizes(file: &Opened) -> Result<[u32; 3]> {
    let check = || -> Result<[u32; 3]> {
        let sizes: [u32; 3] = idx::header(&file.bytes)?;
        ensure!(sizes.iter().all(|&size| size > 0), "its header tells of {}×{}×{} bytes", sizes[0], sizes[1], sizes[2]);
        idx::check_body(&file.bytes, &sizes, 1)?;
        Ok(sizes)
    };
    check().with_context(|| unusable(file))
}

/// The labels in a file: unsigned bytes, 32-bit integers, or QMNIST's eight columns of these.
fn label_values(bytes: &[u8]) -> Result<Vec<i64>> {
    let integer = |chunk: &[u8]| chunk.first_chunk().map_or(0, |&chunk| i64::from(i32::from_be_bytes(chunk)));
    match idx::kind(bytes) {
        Some((INTEGERS, 1)) => {
            let [count] = idx::header_of(bytes, INTEGERS)?;
            let start = idx::check_body(bytes, &[count], 4)?;
            Ok(bytes[start..].chunks_exact(4).map(integer).collect())
        }
        Some((INTEGERS, 2)) => {
            let [count, columns] = idx::header_of(bytes, INTEGERS)?;
            ensure!(columns == COLUMNS, "it has {columns} columns of labels; 1 and QMNIST's {COLUMNS} are read");
            let start = idx::check_body(bytes, &[count, columns], 4)?;
            Ok(bytes[start..].chunks_exact(4 * columns as usize).map(integer).collect())
        }
        _ => {
            let [count] = idx::header_of(bytes, BYTES)?;
            let start = idx::check_body(bytes, &[count], 1)?;
            Ok(bytes[start..].iter().map(|&label| i64::from(label)).collect())
        }
    }
}

/// The class of each label, from 0.
fn classes(labels: &[i64], options: Options<'_>) -> Result<Vec<u8>, LabelOutside> {
    let Options { classes, first_label: first, .. } = options;
    let class = |(image, &label): (usize, &i64)| {
        let class = label - i64::from(first);
        if (0..i64::from(classes)).contains(&class) {
            return Ok(class as u8);
        }
        let range = labels.iter().fold((label, label), |(least, most), &label| (least.min(label), most.max(label)));
        Err(LabelOutside { label, image, first, classes, range })
    };
    labels.iter().enumerate().map(class).collect()
}

/// The images with rows and columns exchanged; each is `height`×`width` before.
fn transposed(images: &[u8], height: usize, width: usize) -> Vec<u8> {
    let mut turned = Vec::with_capacity(images.len());
    for image in images.chunks_exact(height * width) {
        turned.extend((0..width).flat_map(|x| image.iter().skip(x).step_by(width)));
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::super::idx::tests::file;
    use super::*;
    use crate::base::files;

    const PLAIN: Options<'_> = Options { classes: 2, first_label: 0, transpose: false, prefix: None };

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

    fn message(folder: &Path, options: Options<'_>) -> String {
        format!("{:#}", read(folder, options).unwrap_err())
    }

    fn hint(folder: &Path, options: Options<'_>) -> String {
        read(folder, options).unwrap_err().downcast_ref::<LabelOutside>().unwrap().hint()
    }

    #[test]
    fn own_files_have_their_own_sizes() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        whole(at, NAMES);
        let four = read(at, PLAIN).unwrap();
        assert_eq!((four.height, four.width, four.train, four.test), (1, 3, 2, 1));
        assert_eq!((four.images, four.labels), ((1..10).collect(), vec![1, 0, 1]));
        let says = |end: &str| assert!(message(at, PLAIN).ends_with(end), "{}", message(at, PLAIN));
        put(at, NAMES[3], &file(&[1], &[2]));
        says("is not usable: label 2 of image 0 is not below 2");
        put(at, NAMES[3], &file(&[2], &[1, 1]));
        says("1 images");
        put(at, NAMES[2], &file(&[1, 3, 1], &[7, 8, 9]));
        says("has images of 3×1 pixels, those for training have 1×3");
        put(at, NAMES[0], &file(&[0, 1, 3], &[]));
        says("its header tells of 0×1×3 bytes");
    }

    #[test]
    fn labels_of_32_bits_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        whole(at, NAMES);
        put(at, NAMES[1], &integers(&[2], &[1, 0]));
        let row = |class: i32| [class, 7, 7, 7, 7, 7, 7, 7];
        std::fs::remove_file(at.join(NAMES[3])).unwrap();
        put(at, "t10k-labels-idx2-int", &integers(&[1, 8], &row(1)));
        assert_eq!(read(at, PLAIN).unwrap().labels, [1, 0, 1]);
        let says = |end: &str| assert!(message(at, PLAIN).ends_with(end), "{}", message(at, PLAIN));
        put(at, NAMES[1], &integers(&[2], &[1, 256]));
        says("label 256 of image 1 is not below 2");
        put(at, NAMES[1], &integers(&[2], &[-1, 1]));
        says("label -1 of image 0 is not from 0 to 1");
        put(at, NAMES[1], &integers(&[2, 2], &[1, 1, 0, 0]));
        says("it has 2 columns of labels; 1 and QMNIST's 8 are read");
        put(at, NAMES[1], &integers(&[3], &[1, 0]));
        says("it holds 8 bytes after the header instead of 12");
        let mut floats = integers(&[2], &[0, 0]);
        floats[2] = 0x0D;
        put(at, NAMES[1], &floats);
        says("it holds 32-bit floats in 1 dimension");
    }

    #[test]
    fn labels_count_from_the_first_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        whole(at, NAMES);
        let letters = Options { first_label: 1, ..PLAIN };
        put(at, NAMES[1], &file(&[2], &[2, 1]));
        assert_eq!(message(at, PLAIN).rsplit(": ").next().unwrap(), "label 2 of image 0 is not below 2");
        assert_eq!(hint(at, PLAIN), "the labels of this file are from 1 to 2: set `first_label = 1`");
        assert_eq!(read(at, letters).unwrap().labels, [1, 0, 0]);
        put(at, NAMES[1], &file(&[2], &[2, 0]));
        assert!(message(at, letters).ends_with("label 0 of image 1 is not from 1 to 2"));
        assert_eq!(hint(at, PLAIN), "labels count from 0; set `classes` to 3 or more, if they are right");
        put(at, NAMES[1], &integers(&[2], &[0, i32::MIN]));
        assert_eq!(hint(at, PLAIN), "labels are whole numbers from 0");
        put(at, NAMES[1], &integers(&[2], &[0, i32::MAX]));
        assert!(hint(at, PLAIN).ends_with("from 0 to 2147483647, which are more than `classes` has"));
    }

    #[test]
    fn transposed_images_change_rows_and_columns() {
        assert_eq!(
            transposed(&[1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16], 2, 3),
            [1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16]
        );
        let folder = tempfile::tempdir().unwrap();
        whole(folder.path(), NAMES);
        let plain = read(folder.path(), PLAIN).unwrap();
        let turned = read(folder.path(), Options { transpose: true, ..PLAIN }).unwrap();
        assert_eq!((turned.height, turned.width, turned.sum), (3, 1, plain.sum), "the sum is of the files as they are");
    }

    #[test]
    fn prefix_is_found_where_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let emnist = |set: &str| NAMES.map(|name| format!("emnist-{set}-{}", name.replace("t10k", "test")));
        let letters = emnist("letters");
        whole(at, letters.each_ref().map(String::as_str));
        assert_eq!(read(at, PLAIN).unwrap().labels, [1, 0, 1]);
        let digits = emnist("digits");
        whole(at, digits.each_ref().map(String::as_str));
        let many = message(at, PLAIN);
        assert!(many.ends_with("have several prefixes: `emnist-digits`, `emnist-letters`"), "{many}");
        assert_eq!(read(at, Options { prefix: Some("emnist-letters"), ..PLAIN }).unwrap().train, 2);
        let missing = message(at, Options { prefix: Some("emnist"), ..PLAIN });
        assert!(missing.starts_with("neither `emnist-train-images-idx3-ubyte` nor"), "{missing}");
        whole(at, NAMES);
        assert_eq!(read(at, PLAIN).unwrap().train, 2, "names without a prefix come first");
    }
}
