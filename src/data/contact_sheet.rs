//! A contact sheet: a PNG with a row of example images for each class.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Result;

use super::Dataset;

/// Keyword and text of the PNG text chunk that marks a contact sheet of this program: a marked file may be replaced.
const MARK: (&str, &str) = ("Software", "lth");

/// Number of examples of each class.
const COLUMNS: usize = 16;
/// Number of pixels between two images.
const GAP: usize = 2;
/// Grey value around the images, visible beside black and beside white.
const BACKGROUND: u8 = 96;
/// Smallest side of a shown image in pixels: smaller images are enlarged by an integer factor.
const MIN_SIDE: usize = 48;
/// Largest side of a shown image in pixels: larger images are reduced by an integer factor.
const MAX_SIDE: usize = 128;

/// The scaling of an image: pixels are repeated `up` times, or averaged over squares of `down` × `down`.
struct Scaling {
    up: usize,
    down: usize,
}

/// Returns the PNG with the first training images of each class, one row per class.
///
/// # Errors
/// Fails if the PNG encoder fails.
pub fn contact_sheet(dataset: &Dataset) -> Result<Vec<u8>> {
    let [channels, height, width] = dataset.shape;
    let scale = Scaling { up: MIN_SIDE.div_ceil(height.max(width)), down: height.max(width).div_ceil(MAX_SIDE) };
    let [shown_height, shown_width] = [height, width].map(|size| size.div_ceil(scale.down) * scale.up);
    let sheet = [dataset.classes * (shown_height + GAP) + GAP, COLUMNS * (shown_width + GAP) + GAP];
    let mut pixels = vec![BACKGROUND; sheet[0] * sheet[1] * channels];
    for (row, images) in examples(dataset).into_iter().enumerate() {
        for (column, image) in images.into_iter().enumerate() {
            let corner = [row * (shown_height + GAP) + GAP, column * (shown_width + GAP) + GAP];
            for y in 0..shown_height {
                for x in 0..shown_width {
                    let first = ((corner[0] + y) * sheet[1] + corner[1] + x) * channels;
                    for (channel, pixel) in pixels[first..first + channels].iter_mut().enumerate() {
                        let plane = &dataset.image(image)[channel * height * width..][..height * width];
                        *pixel = scale.pixel(plane, [height, width], [y, x]);
                    }
                }
            }
        }
    }
    encode(sheet, channels, &pixels)
}

/// Returns whether the file at `path` is a contact sheet of this program: a PNG with its mark.
pub fn is_contact_sheet(path: &Path) -> bool {
    let header = |file| png::Decoder::new(BufReader::new(file)).read_info().ok();
    let is_file = path.metadata().is_ok_and(|metadata| metadata.is_file());
    let reader = File::open(path).ok().filter(|_| is_file).and_then(header);
    let is_mark = |text: &png::text_metadata::TEXtChunk| (text.keyword.as_str(), text.text.as_str()) == MARK;
    reader.is_some_and(|reader| reader.info().uncompressed_latin1_text.iter().any(is_mark))
}

/// Returns the indices of the images to show, one list per class in the order of the labels.
fn examples(dataset: &Dataset) -> Vec<Vec<u32>> {
    let mut rows = vec![Vec::new(); dataset.classes];
    for &image in &dataset.train {
        let row: &mut Vec<u32> = &mut rows[usize::from(dataset.labels[image as usize])];
        if row.len() < COLUMNS {
            row.push(image);
        }
    }
    rows
}

impl Scaling {
    /// Returns the pixel at [y, x] of the scaled image; `plane` is [height, width].
    fn pixel(&self, plane: &[u8], [height, width]: [usize; 2], [y, x]: [usize; 2]) -> u8 {
        let [top, left] = [y, x].map(|position| position / self.up * self.down);
        let bottom = (top + self.down).min(height);
        let right = (left + self.down).min(width);
        let sum: usize = (top..bottom)
            .map(|y| plane[y * width + left..y * width + right].iter().map(|&b| usize::from(b)).sum::<usize>())
            .sum();
        (sum / ((bottom - top) * (right - left))) as u8
    }
}

fn encode([height, width]: [usize; 2], channels: usize, pixels: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(if channels == 1 { png::ColorType::Grayscale } else { png::ColorType::Rgb });
    encoder.add_text_chunk(MARK.0.to_owned(), MARK.1.to_owned())?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Normalization;

    fn dataset(shape: [usize; 3], images: Vec<u8>, labels: Vec<u8>) -> Dataset {
        let train = (0..labels.len() as u32).collect();
        let normalization = Normalization::Affine { scale: 1.0, offset: 0.0 };
        Dataset { shape, classes: 2, images, labels, train, validation: vec![], test: vec![], normalization }
    }

    /// Returns [height, width] and pixels of a sheet.
    fn decoded(dataset: &Dataset) -> ([usize; 2], Vec<u8>) {
        let bytes = contact_sheet(dataset).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut pixels).unwrap();
        ([frame.height as usize, frame.width as usize], pixels)
    }

    #[test]
    fn contact_sheet_has_row_per_class_and_enlarges_small_images() {
        let (size, pixels) = decoded(&dataset([3, 1, 2], vec![1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16], vec![1, 0]));
        assert_eq!(size, [2 * (24 + GAP) + GAP, COLUMNS * (48 + GAP) + GAP]);
        let pixel = |y: usize, x: usize| &pixels[(y * size[1] + x) * 3..][..3];
        assert_eq!(
            (pixel(0, 0), pixel(GAP, GAP), pixel(GAP, GAP + 24)),
            (&[BACKGROUND; 3][..], &[11, 13, 15][..], &[12, 14, 16][..])
        );
        assert_eq!(pixel(GAP + 24 + GAP, GAP), [1, 3, 5]);
        assert_eq!(pixel(GAP, GAP + 48 + GAP), [BACKGROUND; 3], "there is no second image of this class");
    }

    #[test]
    fn contact_sheet_is_recognized_by_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sheet.png");
        let is_sheet_with = |bytes: &[u8]| {
            crate::system::files::write(&path, bytes).unwrap();
            is_contact_sheet(&path)
        };
        assert!(is_sheet_with(&contact_sheet(&dataset([1, 1, 1], vec![1, 2], vec![0, 1])).unwrap()));
        let mut photo = Vec::new();
        let encoder = png::Encoder::new(&mut photo, 1, 1);
        encoder.write_header().unwrap().write_image_data(&[7]).unwrap();
        for other in [&photo[..], b"arm,round\n", b""] {
            assert!(!is_sheet_with(other));
        }
        assert!(!is_contact_sheet(folder.path()) && !is_contact_sheet(&folder.path().join("none")));
    }

    #[test]
    fn contact_sheet_averages_large_images() {
        let images: Vec<u8> = (0..2 * 200 * 300).map(|index| if index % 3 == 0 { 90 } else { 30 }).collect();
        let (size, pixels) = decoded(&dataset([1, 200, 300], images, vec![0, 1]));
        assert_eq!(size, [2 * (67 + GAP) + GAP, COLUMNS * (100 + GAP) + GAP]);
        assert_eq!(pixels[GAP * size[1] + GAP], 50, "3×3 pixels, of which one column is bright");
    }
}
