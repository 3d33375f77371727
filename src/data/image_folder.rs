//! Custom data in PNG files, with a folder for each class. Independent of the validation split and of networks.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::bounded::MAX_BYTES;
use super::junk::is_junk;
use super::png_image;
use super::png_image::PngHeader;
use crate::base::key::sha256_of_parts;
use crate::system::machine;
use crate::system::parallel::run_in_parallel;

/// Largest number of classes: a label is a byte.
const MAX_CLASSES: usize = 256;

/// The images of a folder.
#[derive(Debug)]
pub(super) struct ImageFolder {
    /// Shape of an image: [channels, height, width].
    pub(super) shape: [usize; 3],
    /// Names of the classes, sorted; a label is an index of this list.
    pub(super) classes: Vec<String>,
    /// Number of training images.
    pub(super) train_images: u32,
    /// Number of test images.
    pub(super) test_images: u32,
    /// Pixels, [images, channels, height, width], one byte each. Training images come first; each split is sorted by
    /// class and file name.
    pub(super) images: Vec<u8>,
    /// Class of each image.
    pub(super) labels: Vec<u8>,
    /// SHA-256 of three parts one after another: shape, classes and numbers of images as JSON; the labels; the images.
    pub(super) sha256: String,
}

/// The error for an image that cannot be used; its cause says why and how to change the image.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is not usable", .0.display())]
pub(super) struct UnusableImage(PathBuf);

/// Shape of an image: [channels, height, width].
type Shape = [usize; 3];

/// Reads `dir/train/<class>/*.png` and `dir/test/<class>/*.png`.
///
/// # Errors
/// Fails if a folder is missing or empty, if a file is not PNG, and if the images have different sizes; returns
/// [`UnusableImage`] for an image that would lose information.
pub(super) fn read(dir: &Path) -> Result<ImageFolder> {
    let SplitFolder { classes, files: train } = split_folder(&dir.join("train"))?;
    ensure!(classes.len() > 1, "`{}` has only one class, `{}`", dir.join("train").display(), classes[0]);
    ensure!(
        classes.len() <= MAX_CLASSES,
        "`{}` has {} classes; {MAX_CLASSES} are the most",
        dir.join("train").display(),
        classes.len()
    );
    let SplitFolder { classes: test_classes, files: test } = split_folder(&dir.join("test"))?;
    if let Some(class) = test_classes.iter().find(|class| !classes.contains(class)) {
        bail!(
            "class `{class}` is only in `{}`: there is no `{}` to learn it from",
            dir.join("test").display(),
            dir.join("train").join(class).display()
        );
    }
    let label = |class: &String| classes.iter().position(|other| other == class).unwrap_or_default() as u8;
    let labels_of = |classes: &[String], files: &[(usize, PathBuf)]| -> Vec<u8> {
        files.iter().map(|(class, _)| label(&classes[*class])).collect()
    };
    let labels = [labels_of(&classes, &train), labels_of(&test_classes, &test)].concat();
    let train_images = train.len() as u32;
    let test_images = test.len() as u32;
    let paths: Vec<PathBuf> = train.into_iter().chain(test).map(|(_, path)| path).collect();
    let (shape, images) = decode_all(&paths)?;
    let head = json!({ "shape": shape, "classes": classes, "train": train_images, "test": test_images }).to_string();
    let sha256 = sha256_of_parts(&[head.as_bytes(), &labels, &images]);
    Ok(ImageFolder { shape, classes, train_images, test_images, images, labels, sha256 })
}

/// The folder of a split. Classes and files are sorted by name, so that the order is the same on all machines.
struct SplitFolder {
    /// Names of the classes.
    classes: Vec<String>,
    /// Index of the class and path of each file.
    files: Vec<(usize, PathBuf)>,
}

/// Lists the classes and files of the folder of a split.
fn split_folder(folder: &Path) -> Result<SplitFolder> {
    ensure!(folder.is_dir(), "there is no folder `{}`", folder.display());
    let mut classes = Vec::new();
    let mut files = Vec::new();
    for path in entries(folder)? {
        ensure!(path.is_dir(), "`{}` is in no class: a class is a folder of PNG files", path.display());
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("the name of the folder `{}` is not text in UTF-8", path.display()))?;
        let inside = entries(&path)?;
        ensure!(!inside.is_empty(), "the folder `{}` has no images", path.display());
        for file in inside {
            let is_png = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
            // A pipe without a writer would never open, and a device such as `/dev/zero` never end.
            ensure!(is_png && file.is_file(), "`{}` is no PNG file", file.display());
            files.push((classes.len(), file));
        }
        classes.push(name.to_owned());
    }
    ensure!(!classes.is_empty(), "the folder `{}` has no classes", folder.display());
    Ok(SplitFolder { classes, files })
}

/// Returns the paths in a folder, sorted by name, without [junk](is_junk).
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || -> io::Result<Vec<PathBuf>> { fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect() };
    let mut paths = list().with_context(|| format!("could not list `{}`", folder.display()))?;
    paths.retain(|path| !is_junk(path));
    paths.sort();
    Ok(paths)
}

/// Decodes all files on all cores. If any file is in colour, all images get three channels; a grey file then gets three
/// equal channels, which loses nothing.
fn decode_all(paths: &[PathBuf]) -> Result<(Shape, Vec<u8>)> {
    let headers = headers(paths)?;
    let first = headers[0];
    let channels = if headers.iter().any(PngHeader::is_coloured) { 3 } else { 1 };
    for (path, header) in paths.iter().zip(&headers) {
        ensure!(
            header.size == first.size,
            "`{}` is {header}, `{}` is {first}: all images must have one size",
            path.display(),
            paths[0].display()
        );
    }
    let shape = [channels, first.size[0], first.size[1]];
    let image_bytes = shape.iter().try_fold(1_usize, |bytes, &size| bytes.checked_mul(size)).unwrap_or(usize::MAX);
    let total = image_bytes.saturating_mul(paths.len());
    ensure!(
        total as u64 <= MAX_BYTES,
        "{} images like `{}`, {first}, take {:.1} GB; {:.1} are the most",
        paths.len(),
        paths[0].display(),
        total as f64 / 1e9,
        MAX_BYTES as f64 / 1e9
    );
    let mut images = Vec::new();
    let no_memory = || format!("there is no memory for {} images, {:.1} GB", paths.len(), total as f64 / 1e9);
    images.try_reserve_exact(total).with_context(no_memory)?;
    images.resize(total, 0);
    let files_per_core = files_per_core(paths);
    let chunks = paths.chunks(files_per_core).zip(images.chunks_mut(files_per_core * image_bytes));
    on_all_cores(chunks.map(|(paths, images)| {
        move || {
            paths
                .iter()
                .zip(images.chunks_exact_mut(image_bytes))
                .try_for_each(|(path, image)| decode_into(image, path, shape))
        }
    }))?;
    Ok((shape, images))
}

/// Reads the headers of all files on all cores. Returns them in the order of the files.
fn headers(paths: &[PathBuf]) -> Result<Vec<PngHeader>> {
    let header =
        |path: &PathBuf| panics_as_errors(|| PngHeader::read(path)).with_context(|| UnusableImage(path.clone()));
    let chunks = paths.chunks(files_per_core(paths));
    let headers =
        on_all_cores(chunks.map(|paths| move || paths.iter().map(header).collect::<Result<Vec<PngHeader>>>()))?;
    Ok(headers.concat())
}

/// Returns the number of files that each core decodes, at least 1.
fn files_per_core(paths: &[PathBuf]) -> usize {
    paths.len().div_ceil(machine::cores()).max(1)
}

/// Runs each job in a thread and returns the results in the order of the jobs, or the first error in this order, so
/// that the same files always give the same error.
fn on_all_cores<T: Send, F: FnOnce() -> Result<T> + Send>(jobs: impl Iterator<Item = F>) -> Result<Vec<T>> {
    run_in_parallel(jobs).into_iter().collect()
}

/// Decodes a file into `image`, which has the bytes of `shape`; a grey file fills all channels.
fn decode_into(image: &mut [u8], path: &Path, shape: Shape) -> Result<()> {
    let decode = || {
        let file = File::open(path).context("it could not be read")?;
        png_image::decode(BufReader::new(file), shape)
    };
    let decoded = panics_as_errors(decode).with_context(|| UnusableImage(path.to_owned()))?;
    image.copy_from_slice(&decoded);
    Ok(())
}

/// Calls `decode`, and converts a panic of the decoder into an error, so that the file is named.
fn panics_as_errors<T>(decode: impl Fn() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| bail!("the decoder failed: it is damaged"))
}

#[cfg(test)]
mod tests {
    use png::{BitDepth, ColorType};

    use super::png_image::tests::{encode, palette};
    use super::*;
    use crate::system::files;

    #[test]
    fn image_folder_is_read_in_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, pixel: u8| {
            let bytes = encode([1, 2], ColorType::Grayscale, BitDepth::Eight, None, &[pixel, 0]);
            files::write(&folder.path().join(path), &bytes).unwrap();
        };
        put("train/b/1.png", 1);
        put("train/a/2.PNG", 2);
        put("train/a/10.png", 3);
        put("test/b/1.png", 4);
        for junk in ["a/.hidden", "a/Thumbs.db", "a/@eaDir/1.png", "desktop.ini", "__MACOSX/._a", "lost+found/2.png"] {
            put(&format!("train/{junk}"), 0);
        }
        let images = read(folder.path()).unwrap();
        assert_eq!(
            (images.classes, images.train_images, images.test_images),
            (vec!["a".to_owned(), "b".to_owned()], 3, 1)
        );
        assert_eq!((images.images, images.labels), (vec![3, 0, 2, 0, 1, 0, 4, 0], vec![0, 0, 1, 1]));
        let again = read(folder.path()).unwrap().sha256;
        assert_eq!(again, images.sha256);
        // The checksum depends on the order of the file names, but not on the names; it depends on the names of the
        // classes.
        std::fs::rename(folder.path().join("train/b/1.png"), folder.path().join("train/b/3.png")).unwrap();
        assert_eq!(read(folder.path()).unwrap().sha256, again);
        put("test/b/1.png", 5);
        assert_ne!(read(folder.path()).unwrap().sha256, again);
    }

    /// Returns a data set of two training images of 1×2 pixels and a test image.
    fn small_folder(first: &[u8], second: &[u8], test: &[u8]) -> Result<ImageFolder> {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in [("train/a/1.png", first), ("train/b/1.png", second), ("test/a/1.png", test)] {
            files::write(&folder.path().join(path), bytes).unwrap();
        }
        read(folder.path())
    }

    #[test]
    fn image_folder_is_in_colour_if_any_image_is() {
        let eight = |colour, pixels: &[u8]| encode([1, 2], colour, BitDepth::Eight, None, pixels);
        let grey = eight(ColorType::Grayscale, &[1, 2]);
        let rgb = eight(ColorType::Rgb, &[1, 1, 1, 4, 4, 4]);
        let greys = palette(&[9, 9, 9, 7, 7, 7], &[1, 0]);
        let colours = palette(&[9, 8, 7, 7, 7, 7], &[1, 1]);
        let images = |first: &[u8], second: &[u8], test: &[u8]| {
            let set = small_folder(first, second, test).unwrap();
            (set.shape[0], set.images)
        };
        assert_eq!(images(&grey, &greys, &grey), (1, vec![1, 2, 7, 9, 1, 2]));
        assert_eq!(images(&greys, &greys, &grey), (1, vec![7, 9, 7, 9, 1, 2]));
        assert_eq!(images(&greys, &greys, &greys), (1, vec![7, 9, 7, 9, 7, 9]));
        let colour = [1, 2, 1, 2, 1, 2, 7, 9, 7, 9, 7, 9];
        assert_eq!(images(&grey, &greys, &rgb), (3, [&colour[..], &[1, 4, 1, 4, 1, 4]].concat()));
        assert_eq!(
            images(&grey, &greys, &colours),
            (3, [&colour[..], &[7; 6]].concat()),
            "by its type, not its pixels"
        );
    }

    #[test]
    fn image_folder_checksums_are_pinned() {
        let eight = |colour, pixels: &[u8]| encode([1, 2], colour, BitDepth::Eight, None, pixels);
        let grey = eight(ColorType::Grayscale, &[1, 2]);
        assert_eq!(
            small_folder(&grey, &grey, &grey).unwrap().sha256,
            "57445218b5ecb232c07b73e795cff73e372a4135c0ca4ae8b9f849f5371567fe"
        );
        let rgb = eight(ColorType::Rgb, &[1, 2, 3, 4, 5, 6]);
        assert_eq!(
            small_folder(&rgb, &rgb, &rgb).unwrap().sha256,
            "023c67201f14c10eca9b4addafc4711657f73bd175f97797b0939967ee0ab0a8"
        );
    }

    #[test]
    fn image_folder_error_names_other_size_with_palette() {
        let grey = encode([1, 2], ColorType::Grayscale, BitDepth::Eight, None, &[1, 2]);
        let other = encode([2, 1], ColorType::Indexed, BitDepth::Eight, Some(&[9, 8, 7]), &[0, 0]);
        let text = small_folder(&grey, &other, &grey).unwrap_err().to_string();
        assert!(text.contains("b/1.png` is 2×1 in colour (a palette), `"), "{text}");
        assert!(text.ends_with("a/1.png` is 1×2 grey: all images must have one size"), "{text}");
    }
}
