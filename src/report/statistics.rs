//! Confidence bounds from a few replicates: Student's t. Independent of runs.

use std::f64::consts::{FRAC_PI_2, PI};

use serde::Serialize;

use crate::base::stats::SummaryStats;

/// Confidence level of a bound: of 100 such bounds, 5 are expected to lie on the wrong side of the true mean.
pub(super) const LEVEL: f64 = 0.95;

/// Largest number of degrees of freedom that quantiles are computed for; with more, quantiles equal those of the normal
/// distribution in every digit shown.
const MAX_DEGREES: usize = 10_000;

/// A mean with its lower and its upper confidence bound. Each bound is one-sided: the true mean is below `low` in 5 %
/// of all experiments, and above `high` in another 5 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
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

/// Returns the mean of `values`, one per replicate, with its one-sided confidence bounds at `level`.
///
/// The standard deviation is at least `least_deviation`: a metric with a coarse resolution may have equal values in all
/// replicates, although each is known to one step only, and with a deviation of 0 every difference would look certain.
/// Returns `None` if there are fewer than two values, so that their deviation is not known, or if all values are equal
/// and `least_deviation` is 0.
pub(super) fn interval(values: &[f64], least_deviation: f64, level: f64) -> Option<Interval> {
    let SummaryStats { n, mean, std, .. } = SummaryStats::of(values)?;
    let deviation = std?.max(least_deviation);
    if deviation <= 0.0 {
        return None;
    }
    let half_width = student_quantile(level, n - 1) * deviation / libm::sqrt(n as f64);
    Some(Interval { mean, low: mean - half_width, high: mean + half_width, n })
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
