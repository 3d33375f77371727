//! Corruptions that mix a pixel with its neighbours: blur and pixelation.

use super::to_byte;

/// Returns `image` [channels, height, width] blurred by a Gaussian with a standard deviation of `sigma` pixels.
pub(super) fn blur(sigma: f64, [_, height, width]: [usize; 3], image: &[u8]) -> Vec<u8> {
    let kernel = gaussian(sigma);
    let channel = |pixels: &[u8]| {
        let pixels: Vec<f64> = pixels.iter().map(|&byte| f64::from(byte)).collect();
        let rows = blur_rows(&kernel, width, &pixels);
        let columns = blur_rows(&kernel, height, &transposed(&rows, width));
        transposed(&columns, height).into_iter().map(to_byte).collect::<Vec<_>>()
    };
    image.chunks_exact((height * width).max(1)).flat_map(channel).collect()
}

/// Returns the weights of the neighbours at distances −r..=r, r = ⌈3·sigma⌉; their sum is 1.
fn gaussian(sigma: f64) -> Vec<f64> {
    let radius = (3.0 * sigma).ceil() as i32;
    let weight = |distance: i32| libm::exp(-0.5 * (f64::from(distance) / sigma).powi(2));
    let weights: Vec<f64> = (-radius..=radius).map(weight).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Returns the weighted means along rows of `width` pixels, in which the first and the last pixel are repeated.
fn blur_rows(kernel: &[f64], width: usize, pixels: &[f64]) -> Vec<f64> {
    let radius = kernel.len() / 2;
    let row = |row: &[f64]| {
        let pixel = |x: usize| (x.max(radius) - radius).min(width - 1);
        let mean = |x: usize| kernel.iter().enumerate().map(|(k, weight)| weight * row[pixel(x + k)]).sum::<f64>();
        (0..width).map(mean).collect::<Vec<_>>()
    };
    pixels.chunks_exact(width.max(1)).flat_map(row).collect()
}

/// Returns the matrix with rows of `width` numbers, transposed.
fn transposed(matrix: &[f64], width: usize) -> Vec<f64> {
    (0..width).flat_map(|x| matrix.iter().skip(x).step_by(width).copied()).collect()
}

/// Returns `image` [channels, height, width] with each block of `size` x `size` pixels replaced by its mean. Blocks
/// begin at the upper left corner; those at the right and at the lower edge may be smaller.
pub(super) fn pixelate(size: usize, [channels, height, width]: [usize; 3], image: &[u8]) -> Vec<u8> {
    let mut out = image.to_vec();
    let size = size.max(1);
    for (channel, top) in (0..channels).flat_map(|channel| (0..height).step_by(size).map(move |top| (channel, top))) {
        for left in (0..width).step_by(size) {
            let rows = top..(top + size).min(height);
            let columns = left..(left + size).min(width);
            let indices = rows.flat_map(|y| columns.clone().map(move |x| (channel * height + y) * width + x));
            let count = indices.clone().count();
            let sum: f64 = indices.clone().map(|index| f64::from(image[index])).sum();
            indices.for_each(|index| out[index] = to_byte(sum / count as f64));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixelation_of_3x3_by_hand() {
        let image = [0, 4, 9, 8, 12, 7, 1, 3, 5];
        // Blocks of 2 x 2 (mean 6), 1 x 2 (8), 2 x 1 (2) and 1 x 1.
        assert_eq!(pixelate(2, [1, 3, 3], &image), [6, 6, 8, 6, 6, 8, 2, 2, 5]);
        assert_eq!(pixelate(1, [1, 3, 3], &image), image);
        assert_eq!(pixelate(3, [1, 3, 3], &image), [5; 9], "49 / 9");
        assert_eq!(pixelate(2, [2, 1, 2], &[0, 2, 10, 20]), [1, 1, 15, 15], "channels are apart");
    }

    #[test]
    fn blur_of_a_point_is_the_kernel() {
        // Weights exp(-1/(2·0.25)) = exp(-2) and exp(-8) at distances 1 and 2 for a deviation of 0.5.
        let kernel = gaussian(0.5);
        assert_eq!(kernel.len(), 5);
        let sum = 1.0 + 2.0 * libm::exp(-2.0) + 2.0 * libm::exp(-8.0);
        assert!((kernel[2] - 1.0 / sum).abs() < 1e-15 && (kernel[1] - libm::exp(-2.0) / sum).abs() < 1e-15);
        let mut image = [0; 35];
        image[2 * 7 + 3] = 200;
        let blurred = blur(0.5, [1, 5, 7], &image);
        let at = |y: usize, x: usize| blurred[y * 7 + x];
        assert_eq!(at(2, 3), to_byte(200.0 * kernel[2] * kernel[2]));
        assert_eq!(at(1, 3), to_byte(200.0 * kernel[1] * kernel[2]));
        assert_eq!(at(2, 4), at(1, 3));
        assert_eq!(at(3, 4), to_byte(200.0 * kernel[1] * kernel[1]));
        assert_eq!(at(2, 6), 0);
    }

    #[test]
    fn blur_repeats_edges() {
        assert_eq!(blur(2.0, [2, 3, 4], &[77; 24]), [77; 24], "the weights sum to 1 at the edges too");
    }
}
