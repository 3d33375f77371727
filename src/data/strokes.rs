//! The procedural data set `strokes`: digits that look handwritten, drawn from stroke skeletons. Independent of
//! splits, files and tensors.

use crate::base::rng::{SplitMix, mix};

/// The mean of pixel / 255 over the images 0 to 59,999 of seed 1.
pub(crate) const MEAN: f64 = 0.1142;
/// The standard deviation of pixel / 255 over the images 0 to 59,999 of seed 1.
pub(crate) const STD: f64 = 0.2604;

/// Pixels along each side of an image.
const SIDE: usize = 28;
/// Pixels of an image.
pub(super) const PIXELS: usize = SIDE * SIDE;

/// A point of a skeleton: x rightwards and y downwards, in hundredths of half the digit's height.
type Knot = (i8, i8);
/// A curve through its knots, in order. Two knots make a straight line, and at a corner one stroke
/// ends and another starts.
type Stroke = &'static [Knot];
/// One way of writing a digit.
type Glyph = &'static [Stroke];

/// A position or an offset in the image, in pixels: x rightwards and y downwards.
type Point2 = [f32; 2];

/// Every way of writing each digit, by label.
// Laid out by hand, because rustfmt would give each knot a line of its own.
#[rustfmt::skip]
const DIGITS: [&[Glyph]; 10] = [
    &[
        &[&[(10, -98), (-38, -76), (-58, -5), (-42, 72), (2, 100), (45, 70), (58, 0), (42, -72),
            (0, -100), (-18, -92)]],
        &[&[(32, -92), (-20, -90), (-58, -20), (-50, 60), (-5, 98), (40, 75), (62, 5), (50, -70),
            (5, -95)]],
        &[&[(0, -100), (-30, -60), (-38, 0), (-28, 65), (2, 100), (30, 62), (38, 0), (28, -65),
            (-4, -99)]],
    ],
    &[
        &[&[(0, -100), (0, 100)]],
        &[&[(-38, -58), (-15, -75), (5, -100)], &[(5, -100), (5, 100)]],
        &[&[(-35, -62), (-12, -78), (2, -100)], &[(2, -100), (2, 98)], &[(-42, 98), (44, 98)]],
    ],
    &[
        &[&[(-52, -58), (-25, -92), (22, -94), (48, -52), (25, 5), (-18, 55), (-58, 96)],
          &[(-58, 96), (62, 94)]],
        &[&[(-50, -62), (-18, -96), (30, -86), (44, -42), (15, 22), (-30, 82), (-58, 82),
            (-48, 54), (-12, 66), (28, 94), (62, 80)]],
        &[&[(-45, -80), (5, -98), (46, -72), (36, -20), (-10, 30), (-48, 88)],
          &[(-48, 88), (-5, 82), (58, 98)]],
    ],
    &[
        &[&[(-48, -74), (-8, -100), (42, -80), (38, -30), (-8, -6)],
          &[(-8, -6), (46, 18), (46, 72), (0, 100), (-52, 76)]],
        &[&[(-46, -94), (46, -94)], &[(46, -94), (-4, -14)],
          &[(-4, -14), (44, 4), (52, 58), (10, 98), (-50, 80)]],
        &[&[(-40, -88), (10, -98), (40, -62), (18, -20), (-14, -4), (22, 2), (50, 42), (24, 90),
            (-22, 98), (-54, 72)]],
    ],
    &[
        &[&[(-46, -90), (-54, -30), (-48, 8), (0, 14), (58, 4)], &[(46, -92), (40, 0), (34, 100)]],
        &[&[(22, -100), (-20, -40), (-62, 30)], &[(-62, 30), (64, 30)], &[(22, -100), (22, 100)]],
        &[&[(-40, -84), (-56, -8)], &[(-56, -8), (62, -2)], &[(36, -72), (20, 10), (12, 100)]],
    ],
    &[
        &[&[(54, -95), (-38, -92)], &[(-38, -92), (-46, -14)],
          &[(-46, -14), (10, -28), (52, 12), (40, 74), (-8, 100), (-54, 80)]],
        &[&[(58, -96), (2, -88), (-34, -58), (-30, -14), (22, 4), (42, 48), (8, 92), (-52, 96)]],
        &[&[(-32, -84), (-40, -20), (8, -24), (44, 14), (34, 72), (-10, 98), (-48, 82)],
          &[(-32, -88), (16, -92), (56, -100)]],
    ],
    &[
        &[&[(34, -96), (-22, -62), (-50, 10), (-44, 76), (0, 100), (44, 72), (40, 22), (0, 6),
            (-44, 40)]],
        &[&[(8, -100), (-26, -40), (-42, 30), (-26, 86), (14, 98), (46, 64), (28, 24), (-10, 30),
            (-38, 62)]],
        &[&[(48, -84), (10, -96), (-36, -60), (-54, 10), (-36, 82), (12, 98), (50, 60), (32, 12),
            (-14, 12), (-50, 44)]],
    ],
    &[
        &[&[(-54, -90), (54, -92)], &[(54, -92), (16, -10), (-12, 100)]],
        &[&[(-54, -92), (56, -94)], &[(56, -94), (14, 0), (-8, 100)], &[(-26, 2), (48, -4)]],
        &[&[(-56, -62), (-48, -90), (-8, -84), (50, -94)],
          &[(50, -94), (36, -40), (8, 20), (2, 100)]],
    ],
    &[
        &[&[(40, -76), (-2, -100), (-42, -70), (-26, -24), (20, 14), (46, 58), (4, 100),
            (-44, 66), (-22, 16), (24, -24), (42, -72), (10, -98)]],
        &[&[(0, -6), (-38, -36), (-30, -86), (6, -100), (38, -78), (34, -28), (0, -6)],
          &[(0, -6), (-46, 28), (-40, 84), (2, 100), (46, 80), (44, 26), (0, -6)]],
        &[&[(36, -92), (-14, -94), (-36, -62), (-8, -18), (24, 18), (30, 72), (-4, 98), (-32, 70),
            (-18, 24), (14, -12), (40, -56), (36, -94)]],
    ],
    &[
        &[&[(44, -64), (6, -98), (-42, -72), (-42, -20), (0, -4), (40, -40)],
          &[(44, -64), (40, 10), (32, 100)]],
        &[&[(46, -60), (8, -98), (-40, -76), (-44, -26), (-2, -6), (42, -44)],
          &[(46, -60), (46, 20), (22, 86), (-20, 98), (-48, 78)]],
        &[&[(36, -84), (-12, -96), (-44, -54), (-22, -10), (22, -26), (40, -80)],
          &[(40, -80), (22, 0), (-8, 100)]],
    ],
];

/// Draws image `index` of the data set `seed`, 28 rows of 28 grey bytes, 0 for paper and 255 for
/// full ink, and returns its digit, 0 to 9. The result depends on nothing else, so that any image can
/// be drawn alone, in any order and to the same bytes on any machine: for this reason the arithmetic
/// uses only operations that IEEE 754 rounds exactly, and sine and cosine come from `libm`.
pub(super) fn draw(seed: u64, index: u64, image: &mut [u8; PIXELS]) -> u8 {
    let mut random = SplitMix::new(mix(seed, index));
    let label = pick(&mut random, DIGITS.len());
    let glyph = DIGITS[label][pick(&mut random, DIGITS[label].len())];
    let pose = Transform::draw(&mut random);
    let mut canvas = Canvas::new();
    let radius = between(&mut random, 0.8, 1.8);
    for stroke in glyph {
        canvas.curve(stroke, &pose, radius);
    }
    canvas.to_bytes(&mut random, image);
    label as u8
}

/// Returns the digit that image `index` of the data set `seed` shows, without drawing it.
pub(super) fn label(seed: u64, index: u64) -> u8 {
    pick(&mut SplitMix::new(mix(seed, index)), DIGITS.len()) as u8
}

/// Draws one of 0 .. `count`, all equally likely.
fn pick(random: &mut SplitMix, count: usize) -> usize {
    (random.unit() * count as f64) as usize
}

/// Draws a uniform number in [`low`, `high`).
fn between(random: &mut SplitMix, low: f32, high: f32) -> f32 {
    low + (high - low) * random.unit() as f32
}

/// Nodes of the warp's grid along each axis.
const GRID: usize = 4;

/// The map from the skeleton of a digit into pixels: an elastic warp, then an affine map.
struct Transform {
    /// Displacements, by row and column, where 1 is half the digit's height.
    warp: [[Point2; GRID]; GRID],
    /// Images of the unit vectors along x and along y, in pixels.
    axes: [Point2; 2],
    /// Centre of the digit, in pixels.
    centre: Point2,
}

impl Transform {
    /// Draws a random transform.
    fn draw(random: &mut SplitMix) -> Self {
        let mut warp = [[[0.0; 2]; GRID]; GRID];
        for offset in warp.as_flattened_mut().as_flattened_mut() {
            *offset = between(random, -0.31, 0.31);
        }
        // The sum of two draws makes upright digits more common than much turned ones.
        let angle = random.range(-0.22, 0.22) + random.range(-0.22, 0.22);
        let (sin, cos) = (libm::sin(angle) as f32, libm::cos(angle) as f32);
        let slant = between(random, -0.35, 0.25);
        let wide = between(random, 6.8, 11.0);
        let tall = between(random, 7.8, 10.2);
        // The y axis is first slanted to `lean` pixels right and `tall` down; then both turn.
        let lean = wide * slant;
        Self {
            warp,
            axes: [[cos * wide, sin * wide], [cos * lean - sin * tall, sin * lean + cos * tall]],
            centre: [between(random, 11.9, 16.1), between(random, 11.9, 16.1)],
        }
    }

    /// Returns the position of a knot in the image, in pixels.
    fn place(&self, knot: Knot) -> Point2 {
        let flat = [f32::from(knot.0) * 0.01, f32::from(knot.1) * 0.01];
        let (column, right) = cell(flat[0]);
        let (row, down) = cell(flat[1]);
        let [upper, lower] = [&self.warp[row], &self.warp[row + 1]];
        let bent: Point2 = std::array::from_fn(|axis| {
            let above = upper[column][axis] * (1.0 - right) + upper[column + 1][axis] * right;
            let below = lower[column][axis] * (1.0 - right) + lower[column + 1][axis] * right;
            flat[axis] + (above * (1.0 - down) + below * down)
        });
        std::array::from_fn(|axis| self.axes[0][axis] * bent[0] + self.axes[1][axis] * bent[1] + self.centre[axis])
    }
}

/// Returns the grid cell of a coordinate in -1..=1, and the position in the cell in 0..=1, smoothed
/// because a linear fraction would leave kinks at the borders of cells.
fn cell(coordinate: f32) -> (usize, f32) {
    let position = (coordinate * 0.5 + 0.5) * (GRID - 1) as f32;
    let cell = (position.max(0.0) as usize).min(GRID - 2);
    let fraction = position - cell as f32;
    (cell, fraction * fraction * (3.0 - 2.0 * fraction))
}

/// Number of straight pieces of a curve between two knots.
const PIECES: usize = 4;
/// Largest number of knots of a stroke.
const KNOTS: usize = 12;

/// The ink on each pixel, 0 to 1.
struct Canvas {
    ink: [f32; PIXELS],
}

impl Canvas {
    fn new() -> Self {
        Self { ink: [0.0; PIXELS] }
    }

    /// Draws a Catmull-Rom spline through the placed knots with a pen of `radius` pixels.
    fn curve(&mut self, stroke: Stroke, pose: &Transform, radius: f32) {
        let mut points = [[0.0; 2]; KNOTS];
        for (point, knot) in points.iter_mut().zip(stroke) {
            *point = pose.place(*knot);
        }
        let last = stroke.len() - 1;
        for i in 0..last {
            let around = [points[i.saturating_sub(1)], points[i], points[i + 1], points[(i + 2).min(last)]];
            let mut from = around[1];
            for piece in 1..=PIECES {
                let to = spline(around, piece as f32 / PIECES as f32);
                self.line(from, to, radius);
                from = to;
            }
        }
    }

    /// Inks all pixels nearer than `radius` to the segment, with an edge that fades over one pixel.
    fn line(&mut self, from: Point2, to: Point2, radius: f32) {
        let reach = radius + 0.5;
        let (dx, dy) = (to[0] - from[0], to[1] - from[1]);
        // The tiny addend keeps a segment of no length from dividing by zero.
        let scale = 1.0 / (dx * dx + dy * dy + 1e-6);
        let (left, right) = pixels(from[0].min(to[0]) - reach, from[0].max(to[0]) + reach);
        let (top, bottom) = pixels(from[1].min(to[1]) - reach, from[1].max(to[1]) + reach);
        for row in top..bottom {
            let y = row as f32 + 0.5 - from[1];
            for column in left..right {
                let x = column as f32 + 0.5 - from[0];
                let along = ((x * dx + y * dy) * scale).clamp(0.0, 1.0);
                let (off_x, off_y) = (x - along * dx, y - along * dy);
                let square = off_x * off_x + off_y * off_y;
                let cover = (reach - square.sqrt()).clamp(0.0, 1.0);
                let ink = &mut self.ink[row * SIDE + column];
                *ink = ink.max(cover);
            }
        }
    }

    /// Converts ink to bytes with a blackness and noise drawn for this image.
    fn to_bytes(&self, random: &mut SplitMix, image: &mut [u8; PIXELS]) {
        let black = between(random, 170.0, 255.0);
        let grain = between(random, 0.0, 0.1);
        for (bytes, inks) in image.chunks_exact_mut(8).zip(self.ink.chunks_exact(8)) {
            let noise = random.next_u64().to_le_bytes();
            for ((byte, ink), noise) in bytes.iter_mut().zip(inks).zip(noise) {
                let signed = f32::from(noise) - 127.5;
                // The cast saturates, so noise below 0 or above 255 is cut off as a scanner would.
                *byte = (ink * black + signed * grain) as u8;
            }
        }
    }
}

/// Returns the range of pixels (first, one past the last) whose centres are between `low` and `high`.
fn pixels(low: f32, high: f32) -> (usize, usize) {
    // A cast of a negative number to an unsigned one saturates at 0, which is the image's edge.
    ((low + 0.5) as usize, ((high + 0.5) as usize).min(SIDE))
}

/// Returns the point of the Catmull-Rom spline from the second point (`time` = 0) to the third
/// (`time` = 1).
fn spline(points: [Point2; 4], time: f32) -> Point2 {
    std::array::from_fn(|axis| {
        let [before, from, to, after] = points.map(|point| point[axis]);
        let square = 2.0 * before - 5.0 * from + 4.0 * to - after;
        let cube = 3.0 * (from - to) + after - before;
        from + 0.5 * time * (to - before + time * (square + time * cube))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(seed: u64, index: u64) -> (u8, [u8; PIXELS]) {
        let mut image = [0; PIXELS];
        (draw(seed, index, &mut image), image)
    }

    #[test]
    fn strokes_depend_on_seed_and_index_only() {
        let first = image(1, 7);
        // What the buffer held before must not show through.
        let mut again = [255; PIXELS];
        assert_eq!((draw(1, 7, &mut again), again), first);
        assert_ne!(image(1, 8).1, first.1);
        assert_ne!(image(2, 7).1, first.1);
        assert_ne!(image(1, 7 + (1 << 32)).1, first.1);
    }

    #[test]
    fn strokes_bytes_are_pinned() {
        let mut hash = 0xCBF2_9CE4_8422_2325_u64;
        for index in (0..200).chain(1 << 32..(1 << 32) + 200).chain([u64::MAX]) {
            let (label, pixels) = image(1, index);
            for byte in pixels.into_iter().chain([label]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            }
        }
        assert_eq!(hash, 0xB487_3F19_D72C_B211);
    }

    #[test]
    fn strokes_labels_are_balanced_and_corners_dark() {
        let (mut counts, mut corners) = ([0; 10], 0);
        for index in 0..5_000 {
            let (label, pixels) = image(3, index);
            counts[usize::from(label)] += 1;
            for at in [0, SIDE - 1, PIXELS - SIDE, PIXELS - 1] {
                corners += u32::from(pixels[at]);
            }
        }
        assert!(counts.iter().all(|count| (400..600).contains(count)), "{counts:?}");
        assert!(corners / (4 * 5_000) < 15, "{corners}");
    }

    #[test]
    fn strokes_mean_and_std_are_those_of_images() {
        let (mut sum, mut squares) = (0.0, 0.0);
        for index in 0..10_000 {
            for byte in image(1, index).1 {
                let value = f64::from(byte) / 255.0;
                sum += value;
                squares += value * value;
            }
        }
        let count = 10_000.0 * PIXELS as f64;
        let mean = sum / count;
        assert!((mean - MEAN).abs() < 2e-3, "{mean}");
        assert!(((squares / count - mean * mean).sqrt() - STD).abs() < 2e-3);
    }

    #[test]
    fn strokes_have_allowed_number_of_knots() {
        for stroke in DIGITS.iter().copied().flatten().copied().flatten() {
            assert!((2..=KNOTS).contains(&stroke.len()), "{stroke:?}");
        }
    }
}
