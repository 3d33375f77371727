//! From a configuration to a data set in memory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::dataset::{Dataset, Inputs};
use super::known::{Pinned, Source};
use super::{idx, split, strokes};
use crate::base::env;
use crate::config::Data;

/// Pixels of an image of `strokes`.
const PIXELS: usize = 28 * 28;

/// Test images of `strokes` are drawn from here on: no training set reaches so far.
const TEST_OFFSET: u64 = 1 << 32;

/// The folder that files are looked for in: `given` (`--data-dir`), else `data.dir`, else `LTH_DATA_DIR`, else `data`.
pub fn folder(data: &Data, given: Option<&Path>) -> PathBuf {
    let other = || data.dir.clone().or_else(|| env::folder(env::DATA)).unwrap_or_else(|| PathBuf::from("data"));
    given.map_or_else(other, Path::to_owned)
}

/// Loads the data set that `data` names, splits it with `seed`, and verifies every file. `folder` is as in [`folder`].
///
/// # Errors
/// What is wrong with which file, or which folder has none.
pub fn load(data: &Data, folder: Option<&Path>, seed: u64) -> Result<Dataset> {
    let source = Source::new(data);
    let (images, labels) = match source.files {
        Some(files) => {
            let folder = self::folder(data, folder);
            read_files(&source, &files, &folder)
                .with_context(|| format!("could not read the data set `{}` from `{}`", source.name, folder.display()))?
        }
        None => draw(&source),
    };
    let sizes = source.sizes(data).map_err(|problem| anyhow::anyhow!(problem.message))?;
    let parts = split::split(&labels, source.train, source.classes, data.validation, sizes, seed);
    let pixels = source.shape.iter().product();
    Ok(Dataset {
        shape: source.shape,
        classes: source.classes,
        inputs: Inputs::new(data.normalize, source.mean_std, &images, pixels),
        images,
        labels,
        train: parts.train,
        validation: parts.validation,
        test: parts.test,
    })
}

/// Reads the four IDX files of `folder/<name>/`, or of `folder` itself where they lie there.
fn read_files(source: &Source, files: &[Pinned; 4], folder: &Path) -> Result<(Vec<u8>, Vec<u8>)> {
    let inner = folder.join(source.name);
    let has_files = files.iter().any(|file| idx::is_in(folder, *file));
    let folder = if inner.is_dir() || !has_files { inner } else { folder.to_owned() };
    let mut images = idx::images(&folder, files[0], source.train, source.shape)?;
    let mut labels = idx::labels(&folder, files[1], source.train, source.classes)?;
    images.extend(idx::images(&folder, files[2], source.test, source.shape)?);
    labels.extend(idx::labels(&folder, files[3], source.test, source.classes)?);
    Ok((images, labels))
}

/// Draws the images of `strokes` on all cores; each is a function of its index alone, so the cores change nothing.
fn draw(source: &Source) -> (Vec<u8>, Vec<u8>) {
    let count = source.train as usize + source.test as usize;
    let mut images = vec![[0_u8; PIXELS]; count];
    let mut labels = vec![0_u8; count];
    let chunk = count.div_ceil(env::cores()).max(1);
    std::thread::scope(|scope| {
        for (n, (images, labels)) in images.chunks_mut(chunk).zip(labels.chunks_mut(chunk)).enumerate() {
            scope.spawn(move || {
                for (i, (image, label)) in images.iter_mut().zip(labels).enumerate() {
                    let index = (n * chunk + i) as u64;
                    let train = u64::from(source.train);
                    let index = if index < train { index } else { TEST_OFFSET + index - train };
                    *label = strokes::draw(source.draw_seed, index, image);
                }
            });
        }
    });
    (images.into_flattened(), labels)
}
