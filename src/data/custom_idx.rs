//! Custom data in four IDX files of any size, read with the options of `data.dataset.idx`.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::dataset_dir::{DataFile, DatasetDir};
use super::idx;
use super::idx::{BYTES, INTEGERS, NAMES, unusable};
use super::names;
use crate::base::key::sha256_of_parts;

/// Columns of the labels of QMNIST, of which the first is the class.
const QMNIST_COLUMNS: u32 = 8;

/// Options for reading the files.
#[derive(Clone, Copy, Debug)]
pub(super) struct IdxOptions<'a> {
    /// Number of classes.
    pub(super) classes: u32,
    /// The label of the first class.
    pub(super) first_label: u32,
    /// Whether to exchange rows and columns of the images.
    pub(super) transpose: bool,
    /// Prefix of the names of the files.
    pub(super) prefix: Option<&'a str>,
}

/// Images and labels of the four files.
#[derive(Debug)]
pub(super) struct IdxFiles {
    /// Height of an image, in pixels.
    pub(super) height: usize,
    /// Width of an image, in pixels.
    pub(super) width: usize,
    /// Number of training images.
    pub(super) train_images: u32,
    /// Number of test images.
    pub(super) test_images: u32,
    /// Pixels, [images, height, width], one byte each; training images first.
    pub(super) images: Vec<u8>,
    /// The class of each image, from 0.
    pub(super) labels: Vec<u8>,
    /// SHA-256 of the four decompressed files one after another.
    pub(super) sha256: String,
}

/// The error for a label outside of the classes.
#[derive(Debug, thiserror::Error)]
pub(super) struct LabelOutside {
    /// The label.
    label: i64,
    /// Index of the image in its file.
    image: usize,
    /// Label of the first class.
    first: u32,
    /// Number of classes.
    classes: u32,
    /// Smallest and largest label of the file.
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
    /// Returns the hint: the option to set if the labels are right.
    pub(super) fn hint(&self) -> String {
        let (min, max) = self.range;
        let classes = i64::from(self.classes);
        let first = i64::from(self.first);
        if min < 0 {
            return "labels are whole numbers from 0".to_owned();
        }
        if max - min + 1 == classes {
            return format!("the labels of this file are from {min} to {max}: set `first_label = {min}`");
        }
        let needed = max + 1 - first;
        if min >= first && needed <= 256 {
            return format!("labels count from {first}; set `classes` to {needed} or more, if they are right");
        }
        format!("the labels of this file are from {min} to {max}, more than `classes` allows")
    }
}

/// The error for a folder whose files have several prefixes, of which the configuration chooses none.
#[derive(Debug, thiserror::Error)]
#[error("the files in `{folder}` have several prefixes: {}", quoted_list(.prefixes))]
pub(super) struct ManyPrefixes {
    /// Path of the folder.
    folder: String,
    /// The prefixes, sorted.
    pub(super) prefixes: Vec<String>,
}

fn quoted_list(prefixes: &[String]) -> String {
    prefixes.iter().map(|prefix| format!("`{prefix}`")).collect::<Vec<_>>().join(", ")
}

/// Returns the prefixes of the files of training images in `folder`, sorted.
pub(super) fn prefixes(folder: &Path) -> Vec<String> {
    names::prefixes(folder, &names::idx(NAMES[0], true, None))
}

/// Reads the four files in `folder`.
///
/// # Errors
/// Fails if a file is missing, cut short, of another format or inconsistent with another file. Returns [`LabelOutside`]
/// for a label outside of the classes, and [`ManyPrefixes`] if no prefix is chosen and the files have several.
pub(super) fn read(folder: &Path, options: IdxOptions<'_>) -> Result<IdxFiles> {
    let only_prefix = if options.prefix.is_none() { only_prefix(folder)? } else { None };
    let mut dir = DatasetDir::custom(folder, options.prefix.or(only_prefix.as_deref()));
    let mut files = Vec::new();
    let mut images = Vec::new();
    let mut labels = Vec::new();
    let mut sizes = Vec::new();
    let mut counts = Vec::new();
    for names in NAMES.chunks_exact(2) {
        let image_file = dir.open(names[0])?;
        let [count, height, width] = image_sizes(&image_file)?;
        counts.push(count);
        sizes.push([height, width]);
        ensure!(
            sizes[0] == [height, width],
            "`{}` has images of {height}×{width} pixels, those for training have {}×{}",
            image_file.name,
            sizes[0][0],
            sizes[0][1]
        );
        let label_file = dir.open(names[1])?;
        let values = label_values(&label_file.bytes).with_context(|| unusable(&label_file))?;
        ensure!(
            values.len() == count as usize,
            "`{}` has {} labels, `{}` {count} images",
            label_file.name,
            values.len(),
            image_file.name
        );
        labels.extend(classes(&values, options).with_context(|| unusable(&label_file))?);
        images.extend_from_slice(&image_file.bytes[idx::header_length(3)..]);
        files.extend([image_file.bytes, label_file.bytes]);
    }
    let contents: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let sha256 = sha256_of_parts(&contents);
    let [mut height, mut width] = sizes[0].map(|size| size as usize);
    if options.transpose {
        images = transposed(&images, height, width);
        (height, width) = (width, height);
    }
    Ok(IdxFiles { height, width, train_images: counts[0], test_images: counts[1], images, labels, sha256 })
}

/// Returns the prefix that all files of training images in `folder` share; `None` if a file without prefix exists.
///
/// # Errors
/// Returns [`ManyPrefixes`] if there are several prefixes.
fn only_prefix(folder: &Path) -> Result<Option<String>> {
    if DatasetDir::custom(folder, None).locate(NAMES[0]).is_some() {
        return Ok(None);
    }
    let mut prefixes = prefixes(folder);
    ensure!(prefixes.len() < 2, ManyPrefixes { folder: folder.display().to_string(), prefixes });
    Ok(prefixes.pop())
}

/// Returns [images, height, width] of a file, after checking that it has the number of bytes that these give.
fn image_sizes(file: &DataFile) -> Result<[u32; 3]> {
    let read = || -> Result<[u32; 3]> {
        let sizes: [u32; 3] = idx::byte_header(&file.bytes)?;
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
    read().with_context(|| unusable(file))
}

/// Returns the labels in a file of unsigned bytes, of 32-bit integers, or of the eight columns of these in QMNIST.
fn label_values(bytes: &[u8]) -> Result<Vec<i64>> {
    let integer = |chunk: &[u8]| chunk.first_chunk().map_or(0, |&chunk| i64::from(i32::from_be_bytes(chunk)));
    match idx::kind(bytes) {
        Some((INTEGERS, 1)) => {
            let [count] = idx::header(bytes, INTEGERS)?;
            let start = idx::check_body(bytes, &[count], 4)?;
            Ok(bytes[start..].chunks_exact(4).map(integer).collect())
        }
        Some((INTEGERS, 2)) => {
            let [count, columns] = idx::header(bytes, INTEGERS)?;
            ensure!(
                columns == QMNIST_COLUMNS,
                "it has {columns} columns of labels; 1 and QMNIST's {QMNIST_COLUMNS} are read"
            );
            let start = idx::check_body(bytes, &[count, columns], 4)?;
            Ok(bytes[start..].chunks_exact(4 * columns as usize).map(integer).collect())
        }
        _ => {
            let [count] = idx::header(bytes, BYTES)?;
            let start = idx::check_body(bytes, &[count], 1)?;
            Ok(bytes[start..].iter().map(|&label| i64::from(label)).collect())
        }
    }
}

/// Returns the class of each label, from 0.
fn classes(labels: &[i64], options: IdxOptions<'_>) -> Result<Vec<u8>, LabelOutside> {
    let IdxOptions { classes, first_label: first, .. } = options;
    let class = |(image, &label): (usize, &i64)| {
        let class = label - i64::from(first);
        if (0..i64::from(classes)).contains(&class) {
            return Ok(class as u8);
        }
        let range = labels.iter().fold((label, label), |(min, max), &label| (min.min(label), max.max(label)));
        Err(LabelOutside { label, image, first, classes, range })
    };
    labels.iter().enumerate().map(class).collect()
}

/// Returns `images`, [images, height, width], with rows and columns exchanged: [images, width, height].
fn transposed(images: &[u8], height: usize, width: usize) -> Vec<u8> {
    let mut transposed = Vec::with_capacity(images.len());
    for image in images.chunks_exact(height * width) {
        transposed.extend((0..width).flat_map(|x| image.iter().skip(x).step_by(width)));
    }
    transposed
}

#[cfg(test)]
mod tests;
