//! Own data in four IDX files, whose sizes are their own. Knows the options of `data.dataset.idx`, but no configuration.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::dataset_dir::{DataFile, DatasetDir};
use super::idx;
use super::idx::{BYTES, INTEGERS, NAMES, unusable};
use super::names;
use crate::base::key::sha256_of;

/// Columns of QMNIST's labels, of which the first is the class.
const COLUMNS: u32 = 8;

/// How the files are to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdxOptions<'a> {
    /// Number of classes.
    pub(super) classes: u32,
    /// The label of the first class.
    pub(super) first_label: u32,
    /// Whether rows and columns of the images change places.
    pub(super) transpose: bool,
    /// What stands in front of the names.
    pub(super) prefix: Option<&'a str>,
}

/// The images and labels of the four files.
#[derive(Debug)]
pub(super) struct IdxFiles {
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
        format!("the labels of this file are from {least} to {greatest}, more than `classes` allows")
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
pub(super) fn read(folder: &Path, options: IdxOptions<'_>) -> Result<IdxFiles> {
    let only = if options.prefix.is_none() { only_prefix(folder)? } else { None };
    let mut shelf = DatasetDir::own(folder, options.prefix.or(only.as_deref()));
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
    Ok(IdxFiles { height, width, train: counts[0], test: counts[1], images, labels, sum })
}

/// The only prefix in `folder`, where training images have none without.
fn only_prefix(folder: &Path) -> Result<Option<String>> {
    if DatasetDir::own(folder, None).find(NAMES[0]).is_some() {
        return Ok(None);
    }
    let mut prefixes = prefixes(folder);
    ensure!(prefixes.len() < 2, ManyPrefixes { folder: folder.display().to_string(), prefixes });
    Ok(prefixes.pop())
}

/// Number, height and width of the images in a file, which holds as many bytes as these say.
fn image_sizes(file: &DataFile) -> Result<[u32; 3]> {
    let check = || -> Result<[u32; 3]> {
        let sizes: [u32; 3] = idx::header(&file.bytes)?;
        ensure!(
            sizes.iter().all(|&size| size > 0),
            "its header says {} images of {}×{} pixels; all three must be above 0",
            sizes[0],
            sizes[1],
            sizes[2]
        );
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
fn classes(labels: &[i64], options: IdxOptions<'_>) -> Result<Vec<u8>, LabelOutside> {
    let IdxOptions { classes, first_label: first, .. } = options;
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
mod tests;
