//! Decoding of PNG files to 8 bits per channel. Independent of folders and classes.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use png::{BitDepth, ColorType, Transformations};

/// The fault of a file that cannot be decoded.
const NO_PNG: &str = "it is no PNG file, cut short, or damaged";

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
    let reader = decoder.read_info().context(NO_PNG)?;
    let info = reader.info();
    ensure!(info.bit_depth != BitDepth::Sixteen, "it has 16 bits a channel, of which 8 would be lost: save it with 8");
    ensure!(info.animation_control.is_none(), "it is an animation: save its frames as files");
    let colour = match info.color_type {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => ColourType::Grey,
        ColorType::Rgb | ColorType::Rgba => ColourType::Rgb,
        ColorType::Indexed => {
            let palette = info.palette.as_deref().unwrap_or_default();
            let is_grey = palette.chunks_exact(3).all(|colour| colour[0] == colour[1] && colour[1] == colour[2]);
            if is_grey { ColourType::GreyPalette } else { ColourType::Palette }
        }
    };
    let header = PngHeader { size: [info.height as usize, info.width as usize], colour };
    Ok((reader, header))
}

/// Decodes a file to [channels, height, width] with 8 bits per channel. Conversions without loss are made (palettes,
/// fewer bits, an alpha channel that is opaque everywhere, a grey image to three equal channels); others are refused.
///
/// # Errors
/// Fails if the file cannot be decoded, has transparent pixels, or does not have `shape`.
pub(super) fn decode(bytes: Vec<u8>, shape: [usize; 3]) -> Result<Vec<u8>> {
    let (mut reader, header) = open(Cursor::new(bytes))?;
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
        decode(bytes, [channels, 1, 2])
    }

    #[test]
    fn png_conversions_without_loss_are_made() {
        use ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
        let eight = |colour, pixels: &[u8]| decoded(colour, BitDepth::Eight, pixels).unwrap();
        assert_eq!(eight(Grayscale, &[1, 2]), [1, 2]);
        assert_eq!(eight(GrayscaleAlpha, &[1, 255, 2, 255]), [1, 2]);
        assert_eq!(eight(Rgb, &[1, 2, 3, 4, 5, 6]), [1, 4, 2, 5, 3, 6]);
        assert_eq!(eight(Rgba, &[1, 2, 3, 255, 4, 5, 6, 255]), [1, 4, 2, 5, 3, 6]);
        assert_eq!(decode(palette(&[9, 8, 7, 6, 5, 4], &[1, 0]), [3, 1, 2]).unwrap(), [6, 9, 5, 8, 4, 7]);
        assert_eq!(decoded(Grayscale, BitDepth::One, &[0b0100_0000]).unwrap(), [0, 255]);
        let grey = || encode([1, 2], GrayscaleAlpha, BitDepth::Eight, None, &[1, 255, 2, 255]);
        assert_eq!(decode(grey(), [3, 1, 2]).unwrap(), [1, 2, 1, 2, 1, 2]);
        assert_eq!(decode(palette(&[9, 9, 9, 6, 6, 6], &[1, 0]), [1, 1, 2]).unwrap(), [6, 9]);
        assert!(decode(grey(), [1, 2, 1]).is_err(), "another size");
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
        assert!(message(decode(bytes, [1, 1, 2])).contains("transparent pixels in its palette"));
        assert!(decode(b"no image".to_vec(), [1, 1, 2]).is_err());
        let whole = encode([1, 2], ColorType::Grayscale, BitDepth::Eight, None, &[1, 2]);
        assert!(decode(whole[..whole.len() - 20].to_vec(), [1, 1, 2]).is_err());
    }
}
