//! Spearman's rank correlation (Spearman 1904, Am. J. Psychol. 15:72–101). Independent of runs.

/// Least number of pairs that have a rank correlation: two always have 1 or −1.
pub(super) const MIN_PAIRS: usize = 3;

/// Returns Spearman's rank correlation of pairs, −1..=1: Pearson's correlation of their ranks, where equal values share
/// the mean of their ranks. `None` for fewer than [`MIN_PAIRS`] pairs, or if all values of one side are equal.
pub(super) fn rank_correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    if pairs.len() < MIN_PAIRS {
        return None;
    }
    let left = centred_ranks(&pairs.iter().map(|pair| pair.0).collect::<Vec<_>>());
    let right = centred_ranks(&pairs.iter().map(|pair| pair.1).collect::<Vec<_>>());
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let scale = libm::sqrt(product(&left, &left) * product(&right, &right));
    (scale > 0.0).then(|| product(&left, &right) / scale)
}

/// Returns the least difference between two rank correlations of `pairs` pairs without equal values.
pub(super) fn rank_correlation_step(pairs: usize) -> f64 {
    // It is 1 − 6·d / (n³ − n), where d, the sum of squared differences of ranks, is even.
    let n = pairs.max(MIN_PAIRS) as f64;
    12.0 / (n * n * n - n)
}

/// Returns the rank of each value, from the smallest to the largest, minus the mean rank.
fn centred_ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let equal = values.iter().filter(|other| *other == value).count();
        below as f64 + (equal as f64 - 1.0) / 2.0 - (values.len() as f64 - 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rank_correlation_by_hand() {
        let of = |left: &[f64], right: &[f64]| {
            rank_correlation(&left.iter().copied().zip(right.iter().copied()).collect::<Vec<_>>())
        };
        assert_eq!(of(&[1.0, 2.0, 3.0], &[5.0, 50.0, 500.0]), Some(1.0), "any rising function");
        assert_eq!(of(&[1.0, 2.0, 3.0], &[3.0, 2.0, -9.0]), Some(-1.0));
        // Squared differences of ranks 1, 1, 0, 0: 1 − 6·2 / 60.
        assert!((of(&[1.0, 2.0, 3.0, 4.0], &[2.0, 1.0, 3.0, 4.0]).unwrap() - 0.8).abs() < 1e-12);
        assert!((1.0 - rank_correlation_step(4) - 0.8).abs() < 1e-12, "the neighbour of 1");
        // Ranks (1, 2.5, 2.5, 4) and (1, 2, 3, 4): 4.5 / √(4.5 · 5).
        let tied = of(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((tied - 4.5 / 22.5f64.sqrt()).abs() < 1e-12, "{tied}");
        assert_eq!((of(&[1.0, 2.0], &[1.0, 2.0]), of(&[1.0; 3], &[1.0, 2.0, 3.0])), (None, None));
    }
}
