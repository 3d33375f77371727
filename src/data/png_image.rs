//! Decoding of PNG files to 8 bits per channel. Independent of folders and classes.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use png::{BitDepth, ColorType, Transformations};

/// The fault of a file that cannot be decoded.
const NO_PNG: &str = "it is no PNG file, cut short, or damaged";

/// Largest number of pixels of an image: 4096×4096. A file of 1 MB may hold a thousand times as many bytes.
const MAX_PIXELS: usize = 1 << 24;

/// The header of a PNG file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PngHeader {
    /// [height, width] in pixels.
    pub(super) size: [usize; 2],
    /// The colour type.
    colour: ColourType,
}

/// The colour type of a PNG file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ColourType {
    /// One channel.
    Grey,
    /// A palette with greys only.
    GreyPalette,
    /// Three channels, even if they are equal.
    Rgb,
    /// A palette with a colour.
    Palette,
}

impl PngHeader {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not PNG, or would lose information with 8 bits per channel.
    pub(super) fn read(path: &Path) -> Result<Self> {
        Ok(open(BufReader::new(File::open(path).context("it could not be read")?))?.1)
    }

    /// Returns whether the image needs three channels.
    pub(super) fn is_coloured(&self) -> bool {
        matches!(self.colour, ColourType::Rgb | ColourType::Palette)
    }
}

impl fmt::Display for PngHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colour = match self.colour {
            ColourType::Grey => "grey",
            ColourType::GreyPalette => "grey (a palette)",
            ColourType::Rgb => "in colour",
            ColourType::Palette => "in colour (a palette)",
        };
        write!(f, "{}×{} {colour}", self.size[0], self.size[1])
    }
}

/// Returns the decoder and the header of a file.
fn open<R: BufRead + Seek>(file: R) -> Result<(png::Reader<R>, PngHeader)> {
    let mut decoder = png::Decoder::new(file);
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let reader = decoder.read_info().context(NO_PNG)?;
    let info = reader.info();
    ensure!(info.bit_depth != BitDepth::Sixteen, "it has 16 bits a channel, of which 8 would be lost: save it with 8");
    ensure!(info.animation_control.is_none(), "it is an animation: save its frames as files");
    let size = [info.height as usize, info.width as usize];
    let pixels = size[0].saturating_mul(size[1]);
    ensure!(pixels <= MAX_PIXELS, "it has {}×{} pixels; {MAX_PIXELS} are the most: scale it down", size[0], size[1]);
    let colour = match info.color_type {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => ColourType::Grey,
        ColorType::Rgb | ColorType::Rgba => ColourType::Rgb,
        ColorType::Indexed => {
            let palette = info.palette.as_deref().unwrap_or_default();
            // `png` 0.18 panics where such a palette is expanded.
            ensure!(palette.len().is_multiple_of(3), "its palette is damaged: {} bytes are no colours", palette.len());
            let is_grey = palette.chunks_exact(3).all(|colour| colour[0] == colour[1] && colour[1] == colour[2]);
            if is_grey { ColourType::GreyPalette } else { ColourType::Palette }
        }
    };
    let header = PngHeader { size, colour };
    Ok((reader, header))
}

/// Decodes a file to [channels, height, width] with 8 bits per channel. Conversions without loss are made (palettes,
/// fewer bits, an alpha channel that is opaque everywhere, a grey image to three equal channels); others are refused.
///
/// # Errors
/// Fails if the file cannot be decoded, has transparent pixels, or does not have `shape`.
pub(super) fn decode(file: impl BufRead + Seek, shape: [usize; 3]) -> Result<Vec<u8>> {
    let (mut reader, header) = open(file)?;
    let [channels, height, width] = shape;
    let fits = header.size == [height, width] && (channels == 3 || !header.is_coloured());
    ensure!(fits, "the file changed while it was read");
    let size = reader.output_buffer_size().context("it is too large")?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).context(NO_PNG)?;
    pixels.truncate(frame.buffer_size());
    let samples = frame.color_type.samples();
    let is_opaque = matches!(samples, 1 | 3) || pixels.chunks_exact(samples).all(|pixel| pixel[samples - 1] == u8::MAX);
    let location =
        if matches!(header.colour, ColourType::GreyPalette | ColourType::Palette) { " in its palette" } else { "" };
    ensure!(
        is_opaque,
        "it has transparent pixels{location}, and nothing says what is behind them: save it without alpha"
    );
    // A grey image has one channel for all; a palette has been expanded to three channels.
    let source = |channel: usize| if samples < 3 { 0 } else { channel };
    let plane = |channel: usize| pixels.iter().skip(source(channel)).step_by(samples).copied();
    Ok((0..channels).flat_map(plane).collect())
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Cursor;

    use super::*;

    pub(crate) fn encode(
        size: [u32; 2],
        colour: ColorType,
        depth: BitDepth,
        palette: Option<&[u8]>,
        pixels: &[u8],
    ) -> Vec<u8> {
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

    /// An image of 1×2 pixels with a palette.
    pub(crate) fn palette(colours: &[u8], pixels: &[u8]) -> Vec<u8> {
        encode([1, 2], ColorType::Indexed, BitDepth::Eight, Some(colours), pixels)
    }

    fn decoded(colour: ColorType, depth: BitDepth, pixels: &[u8]) -> Result<Vec<u8>> {
        let bytes = encode([1, 2], colour, depth, None, pixels);
        let channels = if open(Cursor::new(&bytes))?.1.is_coloured() { 3 } else { 1 };
        decode(Cursor::new(bytes), [channels, 1, 2])
    }

    #[test]
    fn png_conversions_without_loss_are_made() {
        use ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
        let eight = |colour, pixels: &[u8]| decoded(colour, BitDepth::Eight, pixels).unwrap();
        assert_eq!(eight(Grayscale, &[1, 2]), [1, 2]);
        assert_eq!(eight(GrayscaleAlpha, &[1, 255, 2, 255]), [1, 2]);
        assert_eq!(eight(Rgb, &[1, 2, 3, 4, 5, 6]), [1, 4, 2, 5, 3, 6]);
        assert_eq!(eight(Rgba, &[1, 2, 3, 255, 4, 5, 6, 255]), [1, 4, 2, 5, 3, 6]);
        assert_eq!(decode(Cursor::new(palette(&[9, 8, 7, 6, 5, 4], &[1, 0])), [3, 1, 2]).unwrap(), [6, 9, 5, 8, 4, 7]);
        assert_eq!(decoded(Grayscale, BitDepth::One, &[0b0100_0000]).unwrap(), [0, 255]);
        let grey = || encode([1, 2], GrayscaleAlpha, BitDepth::Eight, None, &[1, 255, 2, 255]);
        assert_eq!(decode(Cursor::new(grey()), [3, 1, 2]).unwrap(), [1, 2, 1, 2, 1, 2]);
        assert_eq!(decode(Cursor::new(palette(&[9, 9, 9, 6, 6, 6], &[1, 0])), [1, 1, 2]).unwrap(), [6, 9]);
        assert!(decode(Cursor::new(grey()), [1, 2, 1]).is_err(), "another size");
    }

    #[test]
    fn png_conversions_with_loss_are_refused() {
        let message = |picture: Result<Vec<u8>>| picture.unwrap_err().to_string();
        let sixteen = decoded(ColorType::Grayscale, BitDepth::Sixteen, &[0, 1, 0, 2]);
        assert!(message(sixteen).contains("16 bits a channel"));
        let alpha = decoded(ColorType::GrayscaleAlpha, BitDepth::Eight, &[1, 255, 2, 254]);
        assert!(message(alpha).contains("transparent pixels, and"));
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(ColorType::Indexed);
        encoder.set_palette(vec![9, 9, 9, 6, 6, 6]);
        encoder.set_trns(vec![255, 0]);
        encoder.write_header().unwrap().write_image_data(&[0, 1]).unwrap();
        assert!(message(decode(Cursor::new(bytes), [1, 1, 2])).contains("transparent pixels in its palette"));
        assert!(decode(Cursor::new(b"no image"), [1, 1, 2]).is_err());
        let whole = encode([1, 2], ColorType::Grayscale, BitDepth::Eight, None, &[1, 2]);
        assert!(decode(Cursor::new(&whole[..whole.len() - 20]), [1, 1, 2]).is_err());
    }

    /// Returns `bytes` with other content in the first chunk `name`, and its checksum.
    fn with_chunk(bytes: &[u8], name: &[u8], content: &[u8]) -> Vec<u8> {
        let start = bytes.windows(4).position(|window| window == name).unwrap() - 4;
        let length = u32::from_be_bytes(*bytes[start..].first_chunk().unwrap()) as usize;
        let mut crc = flate2::Crc::new();
        crc.update(name);
        crc.update(content);
        let chunk = [&(content.len() as u32).to_be_bytes(), name, content, &crc.sum().to_be_bytes()].concat();
        [&bytes[..start], &chunk, &bytes[start + 12 + length..]].concat()
    }

    // regression: `png` 0.18.1 panicked at a palette that ends within a colour, and the file was not named
    #[test]
    fn png_palette_that_ends_within_a_colour_is_refused() {
        let bytes = with_chunk(&palette(&[9, 8, 7, 6, 5, 4], &[1, 0]), b"PLTE", &[9, 8, 7, 6, 5]);
        let error = decode(Cursor::new(bytes), [3, 1, 2]).unwrap_err().to_string();
        assert_eq!(error, "its palette is damaged: 5 bytes are no colours");
    }

    // regression: 69 bytes made the program ask for 140 TB, and end
    #[test]
    fn png_size_is_checked_before_memory_is_taken() {
        let whole = encode([1, 2], ColorType::Grayscale, BitDepth::Eight, None, &[1, 2]);
        let sized = |width: u32, height: u32| {
            let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
            let bytes = with_chunk(&whole, b"IHDR", &header);
            decode(Cursor::new(bytes), [3, height as usize, width as usize]).unwrap_err().to_string()
        };
        let error = sized(65_535, (1 << 31) - 1);
        assert_eq!(error, "it has 2147483647×65535 pixels; 16777216 are the most: scale it down");
        assert_eq!(sized(4096, 4096), NO_PNG, "the size is allowed, and the pixels are missing");
    }
}
