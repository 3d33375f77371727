//! Summary statistics of a few numbers: mean, range and standard deviation.

/// Mean, range and standard deviation of some numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SummaryStats {
    /// Number of values, at least 1.
    pub n: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Sample standard deviation (division by n − 1); `None` for a single value.
    pub std: Option<f64>,
}

impl SummaryStats {
    /// Returns the statistics of `values`; `None` if there are no values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let &first = values.first()?;
        let n = values.len();
        // Relative to the first value, so that equal values have exactly this value as the mean, and no deviation.
        let mean = first + values.iter().map(|value| value - first).sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Some(Self {
            n,
            mean,
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            std: (n > 1).then(|| libm::sqrt(squares / (n - 1) as f64)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_stats_by_hand() {
        assert_eq!(SummaryStats::of(&[]), None);
        let one = SummaryStats::of(&[0.3]).unwrap();
        assert_eq!((one.n, one.mean, one.min, one.max, one.std), (1, 0.3, 0.3, 0.3, None));
        let three = SummaryStats::of(&[4.0, 1.0, 1.0]).unwrap();
        assert_eq!((three.mean, three.min, three.max), (2.0, 1.0, 4.0));
        assert_eq!(three.std, Some(3f64.sqrt()), "(4 + 1 + 1) / 2");
        assert_eq!(
            SummaryStats::of(&[0.1; 3]).unwrap().std,
            Some(0.0),
            "equal values have no deviation, to the last bit"
        );
    }
}
