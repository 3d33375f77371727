//! Confidence bounds from a few replicates: Student's t. Independent of runs.

use std::f64::consts::{FRAC_PI_2, PI};

use serde::Serialize;

use crate::base::stats::SummaryStats;

/// Confidence level of a bound: of 100 such bounds, 5 are expected to lie on the wrong side of the true mean.
pub(super) const LEVEL: f64 = 0.95;

/// Largest number of degrees of freedom that quantiles are computed for; with more, quantiles equal those of the normal
/// distribution in every digit shown.
const MAX_DEGREES: usize = 10_000;

/// Largest number of replicates that [`MeanEstimate::replicates_needed`] returns.
pub(super) const MAX_REPLICATES: usize = 1000;

/// A mean with its lower and its upper confidence bound. Each bound is one-sided: the true mean is below `low` in 5 %
/// of all experiments, and above `high` in another 5 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Interval {
    /// The mean over the replicates.
    pub mean: f64,
    /// The lower 95 % bound.
    pub low: f64,
    /// The upper 95 % bound.
    pub high: f64,
    /// Number of replicates.
    pub n: usize,
}

/// The mean of some values, one per replicate, and what its uncertainty follows from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MeanEstimate {
    /// The mean.
    pub(super) mean: f64,
    /// The standard deviation of the values, above 0.
    deviation: f64,
    /// Number of values, at least 2.
    n: usize,
}

impl MeanEstimate {
    /// Returns the mean of `values`, one per replicate.
    ///
    /// The standard deviation is at least `least_deviation`: a metric with a coarse resolution may have equal values in
    /// all replicates, although each is known to one step only, and with a deviation of 0 every difference would look
    /// certain. Returns `None` if there are fewer than two values, so that their deviation is not known, or if all
    /// values are equal and `least_deviation` is 0.
    pub(super) fn of(values: &[f64], least_deviation: f64) -> Option<Self> {
        let SummaryStats { n, mean, std, .. } = SummaryStats::of(values)?;
        let deviation = std?.max(least_deviation);
        (deviation > 0.0).then_some(Self { mean, deviation, n })
    }

    /// Returns the mean with its one-sided confidence bounds at `level`.
    pub(super) fn interval(&self, level: f64) -> Interval {
        let half_width = half_width(self.deviation, self.n, level);
        let Self { mean, n, .. } = *self;
        Interval { mean, low: mean - half_width, high: mean + half_width, n }
    }

    /// Returns the p-value of the one-sided t test that the true mean is above `limit`: the probability of a mean at
    /// least as far above it if the true mean were equal to it.
    pub(super) fn p_above(&self, limit: f64) -> f64 {
        student_upper_tail(self.t(limit), self.n - 1)
    }

    /// Like [`p_above`](Self::p_above), but of the test that the true mean is below `limit`.
    pub(super) fn p_below(&self, limit: f64) -> f64 {
        student_upper_tail(-self.t(limit), self.n - 1)
    }

    /// Returns the statistic of the t test: the distance of the mean from `limit`, in standard errors.
    fn t(&self, limit: f64) -> f64 {
        (self.mean - limit) / (self.deviation / libm::sqrt(self.n as f64))
    }

    /// Returns the smallest number of replicates whose bound at `level` would exclude `limit`, if mean and deviation
    /// stayed as observed; `None` if [`MAX_REPLICATES`] are too few.
    pub(super) fn replicates_needed(&self, limit: f64, level: f64) -> Option<usize> {
        let distance = (self.mean - limit).abs();
        let is_enough = |n: usize| distance > half_width(self.deviation, n, level);
        if !is_enough(MAX_REPLICATES) {
            return None;
        }
        // The half width falls with n, so that bisection finds the smallest n.
        let (mut too_few, mut enough) = (1, MAX_REPLICATES);
        while enough - too_few > 1 {
            let middle = usize::midpoint(too_few, enough);
            if is_enough(middle) { enough = middle } else { too_few = middle }
        }
        Some(enough)
    }
}

/// Returns the distance of a confidence bound from the mean of `n` values, at least 2, with a standard deviation.
fn half_width(deviation: f64, n: usize, level: f64) -> f64 {
    student_quantile(level, n - 1) * deviation / libm::sqrt(n as f64)
}

/// Returns the mean of `values`, one per replicate, with its one-sided confidence bounds at `level`; `None` as in
/// [`MeanEstimate::of`].
pub(super) fn interval(values: &[f64], least_deviation: f64, level: f64) -> Option<Interval> {
    Some(MeanEstimate::of(values, least_deviation)?.interval(level))
}

/// Returns p-values adjusted by Holm's step-down method (Holm 1979): the k-th smallest of m is multiplied by m − k + 1,
/// and is at least the adjusted value before it and at most 1. If every hypothesis whose adjusted value is below 0.05
/// is rejected, the probability that any true one is among them is at most 5 %.
pub(super) fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max((p_values.len() - rank) as f64 * p_values[index]).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

/// Returns the standard deviation of the difference of two numbers that are rounded to multiples of `step`, and
/// otherwise exact: √(2 · step²/12), because the error of each is uniform over an interval of length `step`.
pub(super) fn rounding_std(step: f64) -> f64 {
    step / libm::sqrt(6.0)
}

/// Returns the quantile of Student's t distribution: the value that T with `degrees` degrees of freedom stays below
/// with `probability`, ½..1.
pub(super) fn student_quantile(probability: f64, degrees: usize) -> f64 {
    let degrees = degrees.clamp(1, MAX_DEGREES);
    let two_sided = 2.0 * probability - 1.0;
    // P(|T| ≤ t) rises with the angle θ = atan(t / √ν): bisection finds it to the last bit.
    let mut low = 0.0;
    let mut high = FRAC_PI_2;
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return libm::sqrt(degrees as f64) * libm::tan(middle);
        }
        if two_sided_probability(middle, degrees) < two_sided { low = middle } else { high = middle }
    }
}

/// Returns P(T ≥ `t`) of Student's t distribution with `degrees` degrees of freedom.
pub(super) fn student_upper_tail(t: f64, degrees: usize) -> f64 {
    let degrees = degrees.clamp(1, MAX_DEGREES);
    let inside = two_sided_probability(libm::atan2(t.abs(), libm::sqrt(degrees as f64)), degrees);
    let tail = 0.5 * (1.0 - inside);
    if t < 0.0 { 1.0 - tail } else { tail }
}

/// Returns P(|T| ≤ √ν · tan θ), with θ = `angle` and ν = `degrees`: a finite sum, because ν is a whole number
/// (Abramowitz & Stegun 26.7.3–4).
fn two_sided_probability(angle: f64, degrees: usize) -> f64 {
    let sine = libm::sin(angle);
    let cosine = libm::cos(angle);
    let is_odd = degrees % 2 == 1;
    // Odd ν: cos θ, then 2/3, 4/5, … times cos² θ; even ν: 1, then 1/2, 3/4, … times cos² θ.
    let mut term = if is_odd { cosine } else { 1.0 };
    let mut sum = if degrees == 1 { 0.0 } else { term };
    let mut denominator = if is_odd { 3 } else { 2 };
    while denominator + 2 <= degrees {
        term *= (denominator - 1) as f64 / denominator as f64 * cosine * cosine;
        sum += term;
        denominator += 2;
    }
    if is_odd { 2.0 / PI * (angle + sine * sum) } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn student_quantile_agrees_with_tables() {
        let table = [
            (0.95, 1, 6.3138),
            (0.95, 2, 2.9200),
            (0.95, 3, 2.3534),
            (0.95, 4, 2.1318),
            (0.95, 10, 1.8125),
            (0.95, 30, 1.6973),
            (0.975, 1, 12.7062),
            (0.975, 5, 2.5706),
            (0.975, 9, 2.2622),
            (0.975, 120, 1.9799),
            (0.995, 6, 3.7074),
            (0.5, 7, 0.0),
        ];
        for (probability, degrees, t) in table {
            let quantile = student_quantile(probability, degrees);
            assert!((quantile - t).abs() < 5.1e-5, "t({probability}, {degrees}) = {quantile}, and {t} in the table");
        }
        assert!((student_quantile(0.95, 1_000_000) - 1.645).abs() < 1e-3, "the normal distribution's");
    }

    #[test]
    fn student_upper_tail_agrees_with_tables() {
        let table = [
            (0.0, 4, 0.5),
            (1.0, 1, 0.25),
            (6.3138, 1, 0.05),
            (2.9200, 2, 0.05),
            (-2.9200, 2, 0.95),
            (2.7764, 4, 0.025),
            (3.3649, 5, 0.01),
            (1.6973, 30, 0.05),
            (3.1595, 120, 0.001),
        ];
        for (t, degrees, probability) in table {
            let tail = student_upper_tail(t, degrees);
            assert!(
                (tail - probability).abs() < 2e-5,
                "P(T({degrees}) > {t}) = {tail}, and {probability} in the table"
            );
        }
    }

    #[test]
    fn p_values_are_below_5_percent_where_bounds_exclude_the_limit() {
        let estimate = MeanEstimate::of(&[1.0, 2.0, 3.0], 0.0).unwrap();
        // The bounds are 0.3141 and 3.6859; t = (2 − 0) / (1 / √3) = 3.464, P(T(2) > 3.464) = 0.0371.
        assert!((estimate.p_above(0.0) - 0.0371).abs() < 1e-4, "{}", estimate.p_above(0.0));
        assert!(estimate.p_above(0.31) < 0.05 && estimate.p_above(0.32) > 0.05);
        assert!(estimate.p_below(3.69) < 0.05 && estimate.p_below(3.68) > 0.05);
        assert!((estimate.p_above(2.5) + estimate.p_below(2.5) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn holm_multiplies_the_smallest_by_the_number_of_hypotheses() {
        // 4 · 0.005 = 0.02, 3 · 0.01 = 0.03, 2 · 0.03 = 0.06; 1 · 0.04 is raised to 0.06.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        let expected = [0.03, 0.06, 0.06, 0.02];
        assert!(adjusted.iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-12), "{adjusted:?}");
        assert_eq!(holm(&[0.6, 0.7]), [1.0, 1.0], "at most 1");
        assert_eq!(holm(&[0.02]), [0.02], "one hypothesis needs no correction");
        assert_eq!(holm(&[]), [0.0; 0]);
    }

    #[test]
    fn replicates_needed_is_the_smallest_number() {
        let estimate = MeanEstimate::of(&[0.0, 1.0, 2.0], 0.0).unwrap();
        // Mean 1, deviation 1: 2.1318 / √5 = 0.953 < 1, but 2.3534 / √4 = 1.177 > 1.
        assert_eq!(estimate.replicates_needed(0.0, LEVEL), Some(5));
        assert_eq!(estimate.replicates_needed(2.0, LEVEL), Some(5), "as far from the other side");
        assert_eq!(estimate.replicates_needed(1.0, LEVEL), None, "the mean is the limit");
        // 1.6464 / √1000 = 0.05206.
        assert!(estimate.replicates_needed(1.0521, LEVEL).is_some_and(|n| n > 990));
        assert_eq!(estimate.replicates_needed(1.05, LEVEL), None);
        assert_eq!(estimate.replicates_needed(-100.0, LEVEL), Some(2), "bounds need two");
    }

    #[test]
    fn interval_of_three_values() {
        let bounds = interval(&[1.0, 2.0, 3.0], 0.0, LEVEL).unwrap();
        // Mean 2, deviation 1: 2 ± 2.92 / √3.
        assert_eq!((bounds.mean, bounds.n), (2.0, 3));
        assert!((bounds.low - (2.0 - 1.6859)).abs() < 1e-4 && (bounds.high - 3.6859).abs() < 1e-4, "{bounds:?}");
    }

    #[test]
    fn interval_needs_two_values() {
        assert_eq!(interval(&[], 1.0, LEVEL), None);
        assert_eq!(interval(&[1.0], 1.0, LEVEL), None);
    }

    #[test]
    fn interval_of_equal_values_has_the_width_of_the_resolution() {
        assert_eq!(interval(&[5.0, 5.0], 0.0, LEVEL), None, "their deviation is not known");
        let bounds = interval(&[-100.0; 3], rounding_std(100.0), LEVEL).unwrap();
        // 2.92 · (100 / √6) / √3 = 68.8.
        assert!((bounds.low + 168.8).abs() < 0.1 && (bounds.high + 31.2).abs() < 0.1, "{bounds:?}");
        let wide = [0.0, 1000.0];
        assert_eq!(
            interval(&wide, rounding_std(100.0), LEVEL),
            interval(&wide, 0.0, LEVEL),
            "the larger deviation counts"
        );
    }
}
