//! Corruptions that move pixels: rotation and translation, with bilinear interpolation.

use super::to_byte;

/// Returns `image` [channels, height, width] turned counter-clockwise by `degrees` around its centre.
pub(super) fn rotate(degrees: f64, shape: [usize; 3], image: &[u8]) -> Vec<u8> {
    let [_, height, width] = shape;
    let (sine, cosine) = sine_cosine(degrees);
    let centre = [(height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0];
    // Rows count downwards: the pixel that a counter-clockwise turn moves to (y, x) is found by the opposite turn.
    let source = |y: f64, x: f64| {
        let [down, right] = [y - centre[0], x - centre[1]];
        [centre[0] + cosine * down + sine * right, centre[1] + cosine * right - sine * down]
    };
    resample(shape, image, source)
}

/// Returns the sine and the cosine of an angle, exact for multiples of 90 degrees.
fn sine_cosine(degrees: f64) -> (f64, f64) {
    let turns = degrees / 90.0;
    if turns == turns.round() {
        return [(0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0)][turns.rem_euclid(4.0) as usize];
    }
    (libm::sin(degrees.to_radians()), libm::cos(degrees.to_radians()))
}

/// Returns `image` [channels, height, width] moved by `pixels` to the right and down.
pub(super) fn translate(pixels: f64, shape: [usize; 3], image: &[u8]) -> Vec<u8> {
    resample(shape, image, |y, x| [y - pixels, x - pixels])
}

/// Returns the image whose pixel at (y, x) is the pixel of `image` at `source(y, x)`, interpolated bilinearly between
/// the four pixels around; pixels outside are 0.
fn resample([channels, height, width]: [usize; 3], image: &[u8], source: impl Fn(f64, f64) -> [f64; 2]) -> Vec<u8> {
    let mut out = Vec::with_capacity(image.len());
    for channel in image.chunks_exact((height * width).max(1)).take(channels) {
        let pixel = |y: f64, x: f64| {
            let is_inside = y >= 0.0 && x >= 0.0 && y < height as f64 && x < width as f64;
            if is_inside { f64::from(channel[y as usize * width + x as usize]) } else { 0.0 }
        };
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let [y, x] = source(y as f64, x as f64);
            let [top, left] = [y.floor(), x.floor()];
            let [down, right] = [y - top, x - left];
            let row = |y: f64| (1.0 - right) * pixel(y, left) + right * pixel(y, left + 1.0);
            out.push(to_byte((1.0 - down) * row(top) + down * row(top + 1.0)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotation_by_90_degrees_of_3x3() {
        #[rustfmt::skip]
        let image = [1, 2, 3,
                     4, 5, 6,
                     7, 8, 9];
        #[rustfmt::skip]
        let turned = [3, 6, 9,
                      2, 5, 8,
                      1, 4, 7];
        assert_eq!(rotate(90.0, [1, 3, 3], &image), turned, "the right column becomes the upper row");
        assert_eq!(rotate(180.0, [1, 3, 3], &image), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(rotate(-90.0, [1, 3, 3], &turned), image);
        assert_eq!(rotate(0.0, [1, 3, 3], &image), image);
        let colour = [image, turned].concat();
        assert_eq!(rotate(90.0, [2, 3, 3], &colour), [turned.to_vec(), rotate(90.0, [1, 3, 3], &turned)].concat());
    }

    #[test]
    fn rotation_by_45_degrees_interpolates() {
        let image = [0, 0, 0, 0, 80, 0, 0, 0, 0];
        let turned = rotate(45.0, [1, 3, 3], &image);
        assert_eq!(turned[4], 80, "the centre stays");
        // The source of a neighbour is at (±0.7071, ±0.7071) from the centre: weight 0.2929² = 0.0858.
        assert_eq!([turned[1], turned[3], turned[5], turned[7]], [7; 4]);
        assert_eq!([turned[0], turned[2], turned[6], turned[8]], [0; 4], "1.41 pixels away");
    }

    #[test]
    fn translation_moves_right_and_down() {
        let image = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        assert_eq!(translate(1.0, [1, 3, 3], &image), [0, 0, 0, 0, 1, 2, 0, 4, 5]);
        assert_eq!(translate(0.0, [1, 3, 3], &image), image);
        // Halves: the mean of the pixel and those to the left, above and both; 0 outside.
        assert_eq!(translate(0.5, [1, 2, 2], &[8, 8, 8, 8]), [2, 4, 4, 8]);
    }
}
