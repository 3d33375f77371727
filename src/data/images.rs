//! Own images: PNG files in a folder for each class. Knows no split and no network.

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use png::{BitDepth, ColorType, Transformations};
use serde_json::json;

use crate::base::key::sha256_of;
use crate::base::{env, files};

/// A label is a byte.
const MOST_CLASSES: usize = 256;

/// More than this is a slip, such as photographs nobody has made small; it would end the memory before the work.
const MOST_BYTES: usize = 1 << 33;

const NO_PNG: &str = "it is no PNG file, cut short, or damaged";

/// The images of a folder.
#[derive(Debug)]
pub(super) struct Folder {
    /// Channels, height, width.
    pub(super) shape: [usize; 3],
    /// The classes by name; a label is a place in this list.
    pub(super) classes: Vec<String>,
    pub(super) train: u32,
    pub(super) test: u32,
    /// Training images first; within a part class by class, by the names of the files.
    pub(super) images: Vec<u8>,
    pub(super) labels: Vec<u8>,
    /// SHA-256 of shape, classes and sizes as JSON, of the labels, and of the images.
    pub(super) sum: String,
}

/// A file that cannot be taken as it is; its cause says why, and what would do.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is not usable", .0.display())]
pub(super) struct Unusable(PathBuf);

/// Channels, height, width.
type Shape = [usize; 3];

/// A decoded image, channel by channel.
struct Picture {
    shape: Shape,
    bytes: Vec<u8>,
}

/// Reads `dir/train/<class>/*.png` and `dir/test/<class>/*.png`.
pub(super) fn read(dir: &Path) -> Result<Folder> {
    let Part { classes, files: train } = part(&dir.join("train"))?;
    ensure!(classes.len() > 1, "`{}` has only one class, `{}`", dir.join("train").display(), classes[0]);
    ensure!(
        classes.len() <= MOST_CLASSES,
        "`{}` has {} classes; {MOST_CLASSES} are the most",
        dir.join("train").display(),
        classes.len()
    );
    let Part { classes: tested, files: test } = part(&dir.join("test"))?;
    if let Some(class) = tested.iter().find(|class| !classes.contains(class)) {
        bail!(
            "class `{class}` is only in `{}`: there is no `{}` to learn it from",
            dir.join("test").display(),
            dir.join("train").join(class).display()
        );
    }
    let label = |class: &String| classes.iter().position(|other| other == class).unwrap_or_default() as u8;
    let own = |classes: &[String], files: &[(usize, PathBuf)]| -> Vec<u8> {
        files.iter().map(|(class, _)| label(&classes[*class])).collect()
    };
    let labels = [own(&classes, &train), own(&tested, &test)].concat();
    let (train_count, test_count) = (train.len() as u32, test.len() as u32);
    let paths: Vec<PathBuf> = train.into_iter().chain(test).map(|(_, path)| path).collect();
    let (shape, images) = decode_all(&paths)?;
    let head = json!({ "shape": shape, "classes": classes, "train": train_count, "test": test_count }).to_string();
    let sum = sha256_of(&[head.as_bytes(), &labels, &images]);
    Ok(Folder { shape, classes, train: train_count, test: test_count, images, labels, sum })
}

/// A part: its classes, and its files with their class; both sorted by name, so that the order is the same everywhere.
struct Part {
    classes: Vec<String>,
    files: Vec<(usize, PathBuf)>,
}

fn part(folder: &Path) -> Result<Part> {
    ensure!(folder.is_dir(), "there is no folder `{}`", folder.display());
    let (mut classes, mut files) = (Vec::new(), Vec::new());
    for path in entries(folder)? {
        ensure!(path.is_dir(), "`{}` is in no class: a class is a folder of PNG files", path.display());
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.with_context(|| format!("the name of the folder `{}` is not text in UTF-8", path.display()))?;
        let inside = entries(&path)?;
        ensure!(!inside.is_empty(), "the folder `{}` is empty", path.display());
        for file in inside {
            let is_png = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
            ensure!(is_png && !file.is_dir(), "`{}` is no PNG file", file.display());
            files.push((classes.len(), file));
        }
        classes.push(name.to_owned());
    }
    ensure!(!classes.is_empty(), "the folder `{}` is empty", folder.display());
    Ok(Part { classes, files })
}

/// What is in a folder, sorted by name; what file managers leave there (`.DS_Store`) has names that begin with a point.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = || {
        let all: io::Result<Vec<PathBuf>> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect();
        all
    };
    let mut all = list().with_context(|| format!("could not list `{}`", folder.display()))?;
    let hidden = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    all.retain(|path| !hidden(path));
    all.sort();
    Ok(all)
}

/// Decodes all files on all cores. The first tells what shape all must have.
fn decode_all(paths: &[PathBuf]) -> Result<(Shape, Vec<u8>)> {
    let shape = decode(&paths[0])?.shape;
    let size: usize = shape.iter().product();
    let whole = size.saturating_mul(paths.len());
    ensure!(
        whole <= MOST_BYTES,
        "{} images like `{}`, {}, take {:.1} GB; {:.1} are the most",
        paths.len(),
        paths[0].display(),
        words(shape),
        whole as f64 / 1e9,
        MOST_BYTES as f64 / 1e9
    );
    let mut images = vec![0; whole];
    let chunk = paths.len().div_ceil(env::cores()).max(1);
    let results: Vec<Result<()>> = std::thread::scope(|scope| {
        let chunks = paths.chunks(chunk).zip(images.chunks_mut(chunk * size));
        let workers: Vec<_> =
            chunks.map(|(own, images)| scope.spawn(move || decode_into(images, own, shape, &paths[0]))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a defect in decoding"))).collect()
    });
    // The first mistake in the order of the files, whichever thread met its own first.
    results.into_iter().collect::<Result<()>>()?;
    Ok((shape, images))
}

/// Decodes `paths` one after another; each must have the shape of the `first` file.
fn decode_into(images: &mut [u8], paths: &[PathBuf], shape: Shape, first: &Path) -> Result<()> {
    for (path, image) in paths.iter().zip(images.chunks_exact_mut(shape.iter().product())) {
        let picture = decode(path)?;
        ensure!(
            picture.shape == shape,
            "`{}` is {}, `{}` is {}: all images must be alike",
            path.display(),
            words(picture.shape),
            first.display(),
            words(shape)
        );
        image.copy_from_slice(&picture.bytes);
    }
    Ok(())
}

/// A shape as a person says it.
fn words([channels, height, width]: Shape) -> String {
    format!("{height}×{width} {}", if channels == 1 { "grey" } else { "in colour" })
}

/// Decodes a file to 8 bits a channel. What loses nothing is converted (palettes, fewer bits, an alpha channel that is
/// opaque everywhere); what would lose something is refused.
fn decode(path: &Path) -> Result<Picture> {
    let bytes = files::read(path)?;
    decode_bytes(bytes).with_context(|| Unusable(path.to_owned()))
}

fn decode_bytes(bytes: Vec<u8>) -> Result<Picture> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().context(NO_PNG)?;
    let info = reader.info();
    ensure!(info.bit_depth != BitDepth::Sixteen, "it has 16 bits a channel, of which 8 would be lost: save it with 8");
    ensure!(info.animation_control.is_none(), "it is an animation: save its frames as files");
    let size = reader.output_buffer_size().context("it is too large")?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).context(NO_PNG)?;
    pixels.truncate(frame.buffer_size());
    let (samples, channels) = match frame.color_type {
        ColorType::Grayscale => (1, 1),
        ColorType::GrayscaleAlpha => (2, 1),
        ColorType::Rgba => (4, 3),
        // A palette has been expanded.
        ColorType::Rgb | ColorType::Indexed => (3, 3),
    };
    let is_opaque = samples == channels || pixels.chunks_exact(samples).all(|pixel| pixel[samples - 1] == u8::MAX);
    ensure!(is_opaque, "it has transparent pixels, and nothing says what is behind them: save it without alpha");
    let plane = |channel: usize| pixels.iter().skip(channel).step_by(samples).copied();
    Ok(Picture {
        shape: [channels, frame.height as usize, frame.width as usize],
        bytes: (0..channels).flat_map(plane).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(size: [u32; 2], colour: ColorType, depth: BitDepth, palette: Option<&[u8]>, pixels: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, size[1], size[0]);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if let Some(palette) = palette {
            encoder.set_palette(palette.to_vec());
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(pixels).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn decoded(colour: ColorType, depth: BitDepth, palette: Option<&[u8]>, pixels: &[u8]) -> Result<Picture> {
        decode_bytes(encode([1, 2], colour, depth, palette, pixels))
    }

    #[test]
    fn what_loses_nothing_is_converted() {
        use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
        let eight = |colour, pixels: &[u8]| decoded(colour, BitDepth::Eight, None, pixels).unwrap();
        assert_eq!((eight(Grayscale, &[1, 2]).shape, eight(Grayscale, &[1, 2]).bytes), ([1, 1, 2], vec![1, 2]));
        assert_eq!(eight(GrayscaleAlpha, &[1, 255, 2, 255]).bytes, [1, 2]);
        let colour = eight(Rgb, &[1, 2, 3, 4, 5, 6]);
        assert_eq!((colour.shape, colour.bytes), ([3, 1, 2], vec![1, 4, 2, 5, 3, 6]));
        assert_eq!(eight(Rgba, &[1, 2, 3, 255, 4, 5, 6, 255]).bytes, [1, 4, 2, 5, 3, 6]);
        let palette = decoded(Indexed, BitDepth::Eight, Some(&[9, 8, 7, 6, 5, 4]), &[1, 0]).unwrap();
        assert_eq!(palette.bytes, [6, 9, 5, 8, 4, 7]);
        assert_eq!(decoded(Grayscale, BitDepth::One, None, &[0b0100_0000]).unwrap().bytes, [0, 255]);
    }

    #[test]
    fn what_would_lose_something_is_refused() {
        let message = |picture: Result<Picture>| picture.err().unwrap().to_string();
        let sixteen = decoded(ColorType::Grayscale, BitDepth::Sixteen, None, &[0, 1, 0, 2]);
        assert!(message(sixteen).contains("16 bits a channel"));
        let alpha = decoded(ColorType::GrayscaleAlpha, BitDepth::Eight, None, &[1, 255, 2, 254]);
        assert!(message(alpha).contains("transparent pixels"));
        assert!(decode_bytes(b"no image".to_vec()).is_err());
        let whole = encode([1, 2], ColorType::Grayscale, BitDepth::Eight, None, &[1, 2]);
        assert!(decode_bytes(whole[..whole.len() - 20].to_vec()).is_err());
    }

    #[test]
    fn folders_are_read_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let put = |path: &str, pixel: u8| {
            let bytes = encode([1, 2], ColorType::Grayscale, BitDepth::Eight, None, &[pixel, 0]);
            files::write(&folder.path().join(path), &bytes).unwrap();
        };
        put("train/b/1.png", 1);
        put("train/a/2.PNG", 2);
        put("train/a/10.png", 3);
        put("test/b/1.png", 4);
        put("train/a/.hidden", 0);
        let images = read(folder.path()).unwrap();
        assert_eq!((images.classes, images.train, images.test), (vec!["a".to_owned(), "b".to_owned()], 3, 1));
        assert_eq!((images.images, images.labels), (vec![3, 0, 2, 0, 1, 0, 4, 0], vec![0, 0, 1, 1]));
        let again = read(folder.path()).unwrap().sum;
        assert_eq!(again, images.sum);
        // The name of a file is not in the sum but by the order; that of a class is.
        std::fs::rename(folder.path().join("train/b/1.png"), folder.path().join("train/b/3.png")).unwrap();
        assert_eq!(read(folder.path()).unwrap().sum, again);
        put("test/b/1.png", 5);
        assert_ne!(read(folder.path()).unwrap().sum, again);
    }
}
