//! Own data: what the configuration says of them, and what is found.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use serde_json::{Value, json};

use super::container::BadContainer;
use super::custom_idx;
use super::custom_idx::{LabelOutside, ManyPrefixes};
use super::image_folder;
use super::info::{DatasetInfo, ImageSource, RawImages};
use super::not_found::NotFound;
use crate::config::{DataConfig, DatasetSpec, Diagnostic, Normalize};

/// Own data as found in their folder.
struct Scanned {
    shape: [usize; 3],
    classes: usize,
    class_names: Vec<String>,
    train: u32,
    test: u32,
    raw: RawImages,
    sum: String,
}

/// Reads the data that `data` points to.
///
/// # Errors
/// What is wrong with which file, by the key that names the folder.
pub(super) fn source(data: &DataConfig) -> Result<DatasetInfo, Diagnostic> {
    let found = scan(&data.dataset)?;
    let (dir, pinned, key) = described(&data.dataset);
    if let Some(pinned) = pinned.filter(|pinned| !pinned.eq_ignore_ascii_case(&found.sum)) {
        let message = format!("`{}` holds other data than this: their SHA-256 is {}", dir.display(), found.sum);
        let hint = format!("point `{key}.dir` at the data with {pinned}, or leave `sha256` out to take what is there");
        return Err(Diagnostic::new(format!("{key}.sha256"), message).hint(hint));
    }
    let [channels, height, width] = found.shape;
    let trained = &found.raw.images[..found.train as usize * channels * height * width];
    let mean_std = mean_std(trained, channels, height * width);
    if data.normalize == Normalize::MeanStd && mean_std.iter().any(|(_, std)| *std == 0.0) {
        let message = "`mean_std` cannot be computed: in some channel all training pixels are equal";
        return Err(
            Diagnostic::new("data.normalize", message).hint("use `normalize = \"none\"`, or look at the images")
        );
    }
    let kind = if found.class_names.is_empty() { "idx" } else { "images" };
    let identity = identity(kind, &found, &data.dataset);
    Ok(DatasetInfo {
        name: dir.display().to_string(),
        shape: found.shape,
        classes: found.classes,
        class_names: found.class_names,
        train: found.train,
        test: found.test,
        whole_test: found.test,
        mean_std,
        identity,
        sum: Some(found.sum),
        note: None,
        bytes: ImageSource::Custom { dataset: data.dataset.clone(), read: Arc::new(Mutex::new(Some(found.raw))) },
    })
}

/// What determines the images and labels. The first number is the form of the sum. Where the files lie is no part of what
/// they are; an option that changes nothing is none either.
fn identity(kind: &str, found: &Scanned, dataset: &DatasetSpec) -> Value {
    let mut identity = json!({ kind: 1, "sha256": found.sum, "classes": found.classes });
    if let DatasetSpec::Idx { first_label, transpose, .. } = *dataset {
        if first_label > 0 {
            identity["first_label"] = json!(first_label);
        }
        if transpose {
            identity["transpose"] = json!(true);
        }
    }
    identity
}

/// Reads own data once more, for whoever comes after the first.
///
/// # Errors
/// Where they cannot be read, or are not what they were.
pub(super) fn reload_verified(dataset: &DatasetSpec, sum: Option<&str>) -> Result<RawImages> {
    let found = scan(dataset).map_err(|problem| anyhow::anyhow!(problem.message))?;
    anyhow::ensure!(Some(found.sum.as_str()) == sum, "the files have changed since they were first read");
    Ok(found.raw)
}

/// The folder, the sum that was asked for, and the key of the table with both.
fn described(dataset: &DatasetSpec) -> (&Path, Option<&String>, &'static str) {
    match dataset {
        DatasetSpec::Idx { dir, sha256, .. } => (dir, sha256.as_ref(), "data.dataset.idx"),
        DatasetSpec::Images { dir, sha256 } => (dir, sha256.as_ref(), "data.dataset.images"),
        _ => (Path::new(""), None, "data.dataset"),
    }
}

fn scan(dataset: &DatasetSpec) -> Result<Scanned, Diagnostic> {
    let (dir, _, key) = described(dataset);
    let at_dir = |message: String| Diagnostic::new(format!("{key}.dir"), message);
    if !dir.is_dir() {
        let hint = "a relative folder is looked for where the command is run, not beside the configuration";
        return Err(at_dir(format!("there is no folder `{}`", dir.display())).hint(hint));
    }
    if let DatasetSpec::Idx { classes, first_label, transpose, prefix, .. } = dataset {
        let (classes, first_label, transpose) = (*classes, *first_label, *transpose);
        let options = custom_idx::IdxOptions { classes, first_label, transpose, prefix: prefix.as_deref() };
        let four = custom_idx::read(dir, options).map_err(|error| idx_problem(dir, &error, prefix.as_deref()))?;
        let raw = RawImages { images: four.images, labels: four.labels };
        let (shape, classes) = ([1, four.height, four.width], classes as usize);
        let (train, test, sum) = (four.train, four.test, four.sum);
        return Ok(Scanned { shape, classes, class_names: Vec::new(), train, test, raw, sum });
    }
    let read = image_folder::read(dir).map_err(|error| {
        let problem = at_dir(format!("{error:#}"));
        if error.is::<image_folder::UnusableImage>() { problem } else { problem.hint(IMAGES_HINT) }
    })?;
    let raw = RawImages { images: read.images, labels: read.labels };
    let (train, test, sum) = (read.train, read.test, read.sum);
    Ok(Scanned { shape: read.shape, classes: read.classes.len(), class_names: read.classes, train, test, raw, sum })
}

/// What is wrong with IDX files in `dir`, by its key and with what to do.
fn idx_problem(dir: &Path, error: &anyhow::Error, prefix: Option<&str>) -> Diagnostic {
    let at = |key: &str| Diagnostic::new(format!("data.dataset.idx.{key}"), format!("{error:#}"));
    if let Some(wrong) = error.downcast_ref::<LabelOutside>() {
        return at("classes").hint(wrong.hint());
    }
    if let Some(many) = error.downcast_ref::<ManyPrefixes>() {
        return at("dir").hint(format!("choose one, such as `prefix = \"{}\"`", many.prefixes[0]));
    }
    if error.is::<BadContainer>() {
        return at("dir").hint(CONTAINER);
    }
    if !error.is::<NotFound>() {
        return at("dir").hint(IDX_FORM);
    }
    let prefixes = custom_idx::prefixes(dir);
    match (prefix, prefixes.as_slice()) {
        (Some(_), []) => at("prefix").hint("leave it out where the names have none"),
        (Some(_), [one]) => at("prefix").hint(format!("the files there have the prefix `{one}`")),
        (Some(_), several) => {
            at("prefix").hint(format!("the files there have one of the prefixes `{}`", several.join("`, `")))
        }
        (None, _) => at("dir").hint(IDX_NAMES),
    }
}

const CONTAINER: &str = "the fault is in the compressed file, not in its content: copy it once more, or unpack it and leave it \
                        there without `.gz`";

const IDX_NAMES: &str = "the folder needs train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
                        t10k-labels-idx1-ubyte, plain or with `.gz`";

const IDX_FORM: &str = "an IDX file begins with the bytes 0 0 8 3 for images, 0 0 8 1 for labels; then come number (height, \
                        width) as 4 bytes each, the highest first; then a byte for each pixel or label. Labels may also \
                        be 32-bit integers: 0 0 12 1, or QMNIST's 0 0 12 2";

const IMAGES_HINT: &str = "the folder needs PNG files `train/<class>/*.png` and `test/<class>/*.png`, all of one size, \
                           grey or in colour";

/// Mean and standard deviation of the bytes / 255, channel by channel. The sums are whole numbers, so that the result
/// is the same on every machine.
pub(super) fn mean_std(images: &[u8], channels: usize, plane: usize) -> Vec<(f64, f64)> {
    let mut sums = vec![(0_u128, 0_u128); channels];
    for (at, plane) in images.chunks_exact(plane).enumerate() {
        // A plane has less than 2³² pixels, whose squares are below 2¹⁶.
        let sum: u64 = plane.iter().map(|&byte| u64::from(byte)).sum();
        let squares: u64 = plane.iter().map(|&byte| u64::from(byte) * u64::from(byte)).sum();
        let (all, all_squares) = &mut sums[at % channels];
        (*all, *all_squares) = (*all + u128::from(sum), *all_squares + u128::from(squares));
    }
    let count = (images.len() / channels) as u128;
    let of = |&(sum, squares): &(u128, u128)| {
        let variance = (count * squares - sum * sum) as f64 / (count * count) as f64;
        (sum as f64 / count as f64 / 255.0, variance.sqrt() / 255.0)
    };
    sums.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_by_hand() {
        // Two images of two channels with two pixels each.
        let images = [0, 255, 51, 51, 255, 0, 51, 51];
        assert_eq!(mean_std(&images, 2, 2), [(0.5, 0.5), (0.2, 0.0)]);
    }
}
