//! Numbers with a unit: shares, rounds, iterations and estimated times. Distinct types, so that the compiler rejects an
//! iteration where a round belongs.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Mul};

use serde::{Deserialize, Serialize};

/// A share of a whole, in 0..=1: a pruning rate, or the weights that a mask removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Fraction(f64);

impl Fraction {
    /// None of the whole.
    pub const ZERO: Self = Self(0.0);

    /// Returns the nearest fraction to `value`: 0 below 0, 1 above 1; 0 for NaN.
    pub fn saturating(value: f64) -> Self {
        if value.is_nan() { Self::ZERO } else { Self(value.clamp(0.0, 1.0)) }
    }

    /// Returns the value, in 0..=1.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Fraction {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&value) { Ok(Self(value)) } else { Err(format!("{value} is not between 0 and 1")) }
    }
}

impl From<Fraction> for f64 {
    fn from(fraction: Fraction) -> Self {
        fraction.0
    }
}

/// The index of a mask size, from 0 (the dense network): the number of prunings with iterative pruning, the number of
/// the entry (from 1) with a grid of sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Round(pub u32);

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of optimizer steps, counted from the replicate's initial weights: iteration 0 is before the first step.
/// A training run that starts at a rewind point starts at the iteration of that point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Iteration(pub u64);

impl Iteration {
    /// Before the first step.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Iteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An estimated time in nanoseconds. Only ratios of estimates are used; the absolute scale comes from recorded times.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Nanoseconds(pub f64);

impl Add for Nanoseconds {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Mul<Nanoseconds> for f64 {
    type Output = Nanoseconds;

    fn mul(self, time: Nanoseconds) -> Nanoseconds {
        Nanoseconds(self * time.0)
    }
}

impl Sum for Nanoseconds {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        Self(times.map(|time| time.0).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fraction_accepts_0_to_1_only() {
        assert_eq!(
            [0.0, 0.25, 1.0].map(|value| Fraction::try_from(value).map(Fraction::get)),
            [Ok(0.0), Ok(0.25), Ok(1.0)]
        );
        assert!([-0.1, 1.1, f64::NAN].into_iter().all(|value| Fraction::try_from(value).is_err()));
        assert_eq!([-0.1, 1.1, f64::NAN, 0.3].map(|value| Fraction::saturating(value).get()), [0.0, 1.0, 0.0, 0.3]);
        assert!(serde_json::from_str::<Fraction>("1.5").is_err());
    }

    #[test]
    fn units_are_plain_numbers_in_json() {
        let fraction = Fraction::saturating(0.2);
        assert_eq!(serde_json::to_string(&(fraction, Round(3), Iteration(500))).unwrap(), "[0.2,3,500]");
        assert_eq!((Round(3).to_string(), Iteration(500).to_string()), ("3".to_owned(), "500".to_owned()));
    }
}
