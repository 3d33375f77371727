//! Mean and standard deviation of pixels.

/// Returns `(mean, standard deviation)` of the bytes / 255, per channel. `images` is [images, channels,
/// `plane_size`], where `plane_size` is height · width. The sums are integers, so that the result is the same on every
/// machine.
pub(super) fn mean_std(images: &[u8], channels: usize, plane_size: usize) -> Vec<(f64, f64)> {
    let mut sums = vec![(0_u128, 0_u128); channels];
    for (index, plane) in images.chunks_exact(plane_size).enumerate() {
        // A plane has less than 2³² pixels, whose squares are below 2¹⁶.
        let plane_sum: u64 = plane.iter().map(|&byte| u64::from(byte)).sum();
        let plane_squares: u64 = plane.iter().map(|&byte| u64::from(byte) * u64::from(byte)).sum();
        let (sum, squares) = &mut sums[index % channels];
        *sum += u128::from(plane_sum);
        *squares += u128::from(plane_squares);
    }
    let count = (images.len() / channels) as u128;
    let stats = |&(sum, squares): &(u128, u128)| {
        let variance = (count * squares - sum * sum) as f64 / (count * count) as f64;
        (sum as f64 / count as f64 / 255.0, variance.sqrt() / 255.0)
    };
    sums.iter().map(stats).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_std_by_hand() {
        // Two images of two channels with two pixels each.
        let images = [0, 255, 51, 51, 255, 0, 51, 51];
        assert_eq!(mean_std(&images, 2, 2), [(0.5, 0.5), (0.2, 0.0)]);
    }
}
