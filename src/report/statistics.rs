//! What a few replicates say about all there could be: Student's t on differences. Knows no run.

use std::f64::consts::{FRAC_PI_2, PI};

use serde::Serialize;

use crate::base::stats::SummaryStats;

/// How sure a bound is: of 100 such bounds, 5 are on the wrong side of the truth.
pub(super) const LEVEL: f64 = 0.95;

/// Beyond so many degrees of freedom nothing changes that anybody reads.
const MAX_DEGREES: usize = 10_000;

/// A mean with its lower and its upper bound. Each bound is one-sided: the truth lies below `low` in 5 % of all
/// experiments, and above `high` in another 5 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The mean over the replicates.
    pub mean: f64,
    /// The lower 95 % bound.
    pub low: f64,
    /// The upper 95 % bound.
    pub high: f64,
    /// Replicates.
    pub n: usize,
}

/// The mean of `values`, one per replicate, between its one-sided bounds at `level`.
///
/// Their deviation is taken to be `least` where it is smaller: what is measured in steps may come out alike in every
/// replicate and yet be known to a step only, and without a spread every difference would be certain. None where fewer
/// than two values say nothing about their spread, or all are equal and no step is known.
pub(super) fn interval(values: &[f64], least: f64, level: f64) -> Option<Interval> {
    let SummaryStats { n, mean, std, .. } = SummaryStats::of(values)?;
    let deviation = std?.max(least);
    if deviation <= 0.0 {
        return None;
    }
    let reach = student_quantile(level, n - 1) * deviation / libm::sqrt(n as f64);
    Some(Interval { mean, low: mean - reach, high: mean + reach, n })
}

/// The deviation that rounding to steps of `step` alone gives a difference of two numbers: each is off by a uniform
/// error of variance step²/12.
pub(super) fn rounding(step: f64) -> f64 {
    step / libm::sqrt(6.0)
}

/// The point that Student's t with so many degrees of freedom stays below with this probability, from ½ to 1.
pub(super) fn student_quantile(probability: f64, degrees: usize) -> f64 {
    let degrees = degrees.clamp(1, MAX_DEGREES);
    let wanted = 2.0 * probability - 1.0;
    // P(|T| ≤ t) rises with the angle θ = atan(t / √ν): halving finds it to the last bit.
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return libm::sqrt(degrees as f64) * libm::tan(middle);
        }
        if within(middle, degrees) < wanted { low = middle } else { high = middle }
    }
}

/// P(|T| ≤ √ν · tan θ) as the finite sum that it is for whole degrees of freedom ν (Abramowitz & Stegun 26.7.3–4).
fn within(angle: f64, degrees: usize) -> f64 {
    let (sine, cosine) = (libm::sin(angle), libm::cos(angle));
    let odd = degrees % 2 == 1;
    // Odd ν: cos θ, then 2/3, 4/5, … times cos² θ; even ν: 1, then 1/2, 3/4, … times cos² θ.
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = if degrees == 1 { 0.0 } else { term };
    let mut at = if odd { 3 } else { 2 };
    while at + 2 <= degrees {
        term *= (at - 1) as f64 / at as f64 * cosine * cosine;
        sum += term;
        at += 2;
    }
    if odd { 2.0 / PI * (angle + sine * sum) } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantiles_are_those_of_the_tables() {
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
            let found = student_quantile(probability, degrees);
            assert!((found - t).abs() < 5.1e-5, "t({probability}, {degrees}) = {found}, and {t} in the table");
        }
        assert!((student_quantile(0.95, 1_000_000) - 1.645).abs() < 1e-3, "the normal distribution's");
    }

    #[test]
    fn an_interval_one_can_check() {
        let found = interval(&[1.0, 2.0, 3.0], 0.0, LEVEL).unwrap();
        // Mean 2, deviation 1: 2 ± 2.92 / √3.
        assert_eq!((found.mean, found.n), (2.0, 3));
        assert!((found.low - (2.0 - 1.6859)).abs() < 1e-4 && (found.high - 3.6859).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn one_value_or_none_has_no_interval() {
        assert_eq!(interval(&[], 1.0, LEVEL), None);
        assert_eq!(interval(&[1.0], 1.0, LEVEL), None);
    }

    #[test]
    fn values_that_are_all_equal_are_known_to_a_step_only() {
        assert_eq!(interval(&[5.0, 5.0], 0.0, LEVEL), None, "nothing is known of their spread");
        let found = interval(&[-100.0; 3], rounding(100.0), LEVEL).unwrap();
        // 2.92 · (100 / √6) / √3 = 68.8.
        assert!((found.low + 168.8).abs() < 0.1 && (found.high + 31.2).abs() < 0.1, "{found:?}");
        let wide = [0.0, 1000.0];
        assert_eq!(interval(&wide, rounding(100.0), LEVEL), interval(&wide, 0.0, LEVEL), "a spread of their own");
    }
}
