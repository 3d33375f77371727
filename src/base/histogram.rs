//! A histogram with bins of equal width.

use serde::{Deserialize, Serialize};

/// Counts in bins of equal width. Values outside of the bins count in the total only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Lower end of the first bin, in the unit of the values.
    pub low: f64,
    /// Width of a bin.
    pub width: f64,
    /// Number of values in each bin, lowest bin first.
    pub counts: Vec<u64>,
    /// Number of all values, those outside of the bins included.
    pub total: u64,
}

impl Histogram {
    /// Returns the histogram of `values` in `bin_count` bins of `width`, of which the first begins at `low`.
    pub fn of(values: impl Iterator<Item = f64>, low: f64, width: f64, bin_count: usize) -> Self {
        let mut histogram = Self { low, width, counts: vec![0; bin_count], total: 0 };
        for value in values {
            let bin = ((value - low) / width).floor();
            if bin >= 0.0 && bin < bin_count as f64 {
                histogram.counts[bin as usize] += 1;
            }
            histogram.total += 1;
        }
        histogram
    }

    /// Adds the counts of `other`, which must have the same bins.
    pub fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, n)| *sum += n);
    }

    /// Returns `(middle, density)` of each bin, without the empty bins at either end. Densities integrate to the share
    /// of the values that lie in bins.
    pub fn density(&self) -> Vec<(f64, f64)> {
        let first = self.counts.iter().position(|&n| n > 0).unwrap_or(0);
        let last = self.counts.iter().rposition(|&n| n > 0).map_or(first, |last| last + 1);
        let middle = |bin: usize| self.low + (bin as f64 + 0.5) * self.width;
        let density = |n: u64| n as f64 / (self.total as f64 * self.width);
        (first..last).map(|bin| (middle(bin), density(self.counts[bin]))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histogram_counts_and_adds() {
        let mut one = Histogram::of([-2.0, -0.5, 0.0, 0.4, 9.0].into_iter(), -1.0, 0.5, 4);
        assert_eq!((one.counts.clone(), one.total), (vec![0, 1, 2, 0], 5), "bins begin at -1, -0.5, 0 and 0.5");
        one.add(&Histogram::of([0.1].into_iter(), -1.0, 0.5, 4));
        assert_eq!(one.density(), [(-0.25, 1.0 / 3.0), (0.25, 1.0)], "1 and 3 of 6, over a width of 0.5");
    }
}
