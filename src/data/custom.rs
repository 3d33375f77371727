//! Custom data: the files in the folder that the configuration names, as a data set.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::container::BadContainer;
use super::custom_idx;
use super::custom_idx::{LabelOutside, ManyPrefixes};
use super::image_folder;
use super::info::{DatasetInfo, ImageSource, RawImages};
use super::not_found::NotFound;
use super::pixel_stats::mean_std;
use crate::config::{DataConfig, DatasetSpec, Diagnostic, Normalize};

/// Custom data as read from their folder.
struct Scanned {
    /// Shape of an image: [channels, height, width].
    shape: [usize; 3],
    /// Number of classes.
    classes: usize,
    /// Names of the classes by label; empty for IDX files.
    class_names: Vec<String>,
    /// Number of images in the training files.
    train_images: u32,
    /// Number of images in the test files.
    test_images: u32,
    /// Decoded images and labels.
    raw: RawImages,
    /// SHA-256 of the data.
    sha256: String,
}

/// The configuration of custom data.
struct CustomSpec<'a> {
    /// Folder of the data.
    dir: &'a Path,
    /// SHA-256 that the data must have, if the configuration pins it.
    sha256: Option<&'a String>,
    /// Path of the table in the configuration that has `dir` and `sha256`.
    key: &'static str,
}

/// Reads the custom data that `data` names and returns the facts about them together with the images.
///
/// # Errors
/// Returns a diagnostic if a file is missing or not usable, and if the data have another checksum than the pinned one.
/// Its key is the one to correct, such as that of the folder.
pub(super) fn inspect(data: &DataConfig) -> Result<(DatasetInfo, RawImages), Diagnostic> {
    let scanned = scan(&data.dataset)?;
    let CustomSpec { dir, sha256, key } = custom_spec(&data.dataset);
    if let Some(pinned) = sha256.filter(|pinned| !pinned.eq_ignore_ascii_case(&scanned.sha256)) {
        let message = format!("`{}` holds other data than this: their SHA-256 is {}", dir.display(), scanned.sha256);
        let hint = format!("point `{key}.dir` at the data with {pinned}, or leave `sha256` out to take what is there");
        return Err(Diagnostic::new(format!("{key}.sha256"), message).hint(hint));
    }
    let [channels, height, width] = scanned.shape;
    let train_pixels = &scanned.raw.images[..scanned.train_images as usize * channels * height * width];
    let mean_std = mean_std(train_pixels, channels, height * width);
    if data.normalize == Normalize::MeanStd && mean_std.iter().any(|(_, std)| *std == 0.0) {
        let message = "`mean_std` cannot be computed: in some channel all training pixels are equal";
        return Err(
            Diagnostic::new("data.normalize", message).hint("use `normalize = \"none\"`, or look at the images")
        );
    }
    let identity = identity(&scanned, &data.dataset);
    let info = DatasetInfo {
        name: dir.display().to_string(),
        shape: scanned.shape,
        classes: scanned.classes,
        class_names: scanned.class_names,
        train_images: scanned.train_images,
        test_images: scanned.test_images,
        whole_test_images: scanned.test_images,
        mean_std,
        identity,
        sha256: Some(scanned.sha256),
        note: None,
        selection: None,
        source: ImageSource::Custom { dataset: data.dataset.clone() },
    };
    Ok((info, scanned.raw))
}

/// Returns the JSON that identifies the images and labels: the format with the version of its checksum, the checksum,
/// the number of classes, and the options that are not at their defaults. The folder is not part of it.
fn identity(scanned: &Scanned, dataset: &DatasetSpec) -> Value {
    let format = if scanned.class_names.is_empty() { "idx" } else { "images" };
    let mut identity = json!({ format: 1, "sha256": scanned.sha256, "classes": scanned.classes });
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

/// Reads custom data again after [`inspect`]; `sha256` is the checksum that the data had then.
///
/// # Errors
/// Fails if the data cannot be read any more or have another checksum.
pub(super) fn reload_verified(dataset: &DatasetSpec, sha256: Option<&str>) -> Result<RawImages> {
    let scanned = scan(dataset).map_err(|problem| anyhow::anyhow!(problem.message))?;
    anyhow::ensure!(Some(scanned.sha256.as_str()) == sha256, "the files have changed since they were first read");
    Ok(scanned.raw)
}

/// Returns the configuration of custom data.
fn custom_spec(dataset: &DatasetSpec) -> CustomSpec<'_> {
    match dataset {
        DatasetSpec::Idx { dir, sha256, .. } => CustomSpec { dir, sha256: sha256.as_ref(), key: "data.dataset.idx" },
        DatasetSpec::Images { dir, sha256 } => CustomSpec { dir, sha256: sha256.as_ref(), key: "data.dataset.images" },
        // Not reached: callers pass custom data only.
        _ => CustomSpec { dir: Path::new(""), sha256: None, key: "data.dataset" },
    }
}

/// Reads and decodes the files of custom data.
fn scan(dataset: &DatasetSpec) -> Result<Scanned, Diagnostic> {
    let CustomSpec { dir, key, .. } = custom_spec(dataset);
    let problem_of_dir = |message: String| Diagnostic::new(format!("{key}.dir"), message);
    if !dir.is_dir() {
        let hint = "a relative folder is looked for beside the configuration, then in the working directory";
        return Err(problem_of_dir(format!("there is no folder `{}`", dir.display())).hint(hint));
    }
    if let DatasetSpec::Idx { classes, first_label, transpose, prefix, .. } = dataset {
        let options = custom_idx::IdxOptions {
            classes: *classes,
            first_label: *first_label,
            transpose: *transpose,
            prefix: prefix.as_deref(),
        };
        let files = custom_idx::read(dir, options).map_err(|error| idx_problem(dir, &error, prefix.as_deref()))?;
        return Ok(Scanned {
            shape: [1, files.height, files.width],
            classes: *classes as usize,
            class_names: Vec::new(),
            train_images: files.train_images,
            test_images: files.test_images,
            raw: RawImages { images: files.images, labels: files.labels },
            sha256: files.sha256,
        });
    }
    let folder = image_folder::read(dir).map_err(|error| {
        let problem = problem_of_dir(format!("{error:#}"));
        if error.is::<image_folder::UnusableImage>() { problem } else { problem.hint(IMAGES_HINT) }
    })?;
    Ok(Scanned {
        shape: folder.shape,
        classes: folder.classes.len(),
        class_names: folder.classes,
        train_images: folder.train_images,
        test_images: folder.test_images,
        raw: RawImages { images: folder.images, labels: folder.labels },
        sha256: folder.sha256,
    })
}

/// Converts an error about IDX files in `dir` into a diagnostic with the key to correct and a hint.
fn idx_problem(dir: &Path, error: &anyhow::Error, prefix: Option<&str>) -> Diagnostic {
    let problem_of = |key: &str| Diagnostic::new(format!("data.dataset.idx.{key}"), format!("{error:#}"));
    if let Some(wrong) = error.downcast_ref::<LabelOutside>() {
        return problem_of("classes").hint(wrong.hint());
    }
    if let Some(many) = error.downcast_ref::<ManyPrefixes>() {
        return problem_of("dir").hint(format!("choose one, such as `prefix = \"{}\"`", many.prefixes[0]));
    }
    if error.downcast_ref::<BadContainer>().is_some_and(BadContainer::is_packed) {
        return problem_of("dir").hint(CONTAINER_HINT);
    }
    if !error.is::<NotFound>() {
        return problem_of("dir").hint(IDX_FORMAT_HINT);
    }
    let prefixes = custom_idx::prefixes(dir);
    match (prefix, prefixes.as_slice()) {
        (Some(_), []) => problem_of("prefix").hint("leave it out where the names have none"),
        (Some(_), [one]) => problem_of("prefix").hint(format!("the files there have the prefix `{one}`")),
        (Some(_), several) => {
            problem_of("prefix").hint(format!("the files there have one of the prefixes `{}`", several.join("`, `")))
        }
        (None, _) => problem_of("dir").hint(IDX_NAMES_HINT),
    }
}

const CONTAINER_HINT: &str = "the fault is in the compressed file, not in its content: copy it once more, or unpack it \
                              and leave it there without `.gz`";

const IDX_NAMES_HINT: &str = "the folder needs train-images-idx3-ubyte, train-labels-idx1-ubyte, \
                              t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, plain or with `.gz`";

const IDX_FORMAT_HINT: &str = "an IDX file begins with the bytes 0 0 8 3 for images, 0 0 8 1 for labels; then come \
                               number (height, width) as 4 bytes each, the highest first; then a byte for each pixel \
                               or label. Labels may also be 32-bit integers: 0 0 12 1, or QMNIST's 0 0 12 2";

const IMAGES_HINT: &str = "the folder needs PNG files `train/<class>/*.png` and `test/<class>/*.png`, all of one size, \
                           grey or in colour";
