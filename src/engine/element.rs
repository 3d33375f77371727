//! The arithmetic types: just what the engines need of them.

use std::ops::{Add, Mul, Neg, Sub};

/// float32 or float64.
pub(super) trait Element:
    Copy
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// Rounds to the nearest.
    fn from_f64(x: f64) -> Self;
    /// Rounds to the nearest.
    fn from_f32(x: f32) -> Self;
    /// Exact.
    fn from_u8(x: u8) -> Self;
    /// Exact.
    fn to_f64(self) -> f64;
    /// Rounds to the nearest.
    fn to_f32(self) -> f32;
    /// self / (√`square` · `root` + `eps`), where `square` ≥ 0: Adam's direction.
    fn over_root(self, square: Self, root: Self, eps: Self) -> Self;
    /// The magnitude.
    fn abs(self) -> Self;
    /// self · `factor` + `summand`, rounded once.
    fn mul_add(self, factor: Self, summand: Self) -> Self;
}

macro_rules! element {
    ($float:ty) => {
        #[inline(always)]
        fn from_f64(x: f64) -> Self {
            x as $float
        }
        #[inline(always)]
        fn from_f32(x: f32) -> Self {
            x as $float
        }
        #[inline(always)]
        fn from_u8(x: u8) -> Self {
            <$float>::from(x)
        }
        #[inline(always)]
        fn to_f64(self) -> f64 {
            f64::from(self)
        }
        #[inline(always)]
        fn to_f32(self) -> f32 {
            self as f32
        }
        #[inline(always)]
        fn abs(self) -> Self {
            self.abs()
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, summand: Self) -> Self {
            self.mul_add(factor, summand)
        }
    };
}

impl Element for f32 {
    element!(f32);

    /// By iterations that triple the exact digits, from guesses that are read off the bits, to about 2 units in the last
    /// place: a root and a division each stop a processor's vectors for 16 cycles and more, which was a quarter of a dense
    /// step. Additions and multiplications only, so the same bits on every processor.
    #[inline(always)]
    fn over_root(self, square: Self, root: Self, eps: Self) -> Self {
        // 1/√x: with e = 1 − x·y², y ← y·(1 + e/2 + 3e²/8).
        let mut inverse = f32::from_bits(0x5f37_5a86_u32.wrapping_sub(square.to_bits() >> 1));
        for _ in 0..2 {
            let error = (-square * inverse).mul_add(inverse, 1.0);
            inverse = (error * inverse).mul_add(error.mul_add(0.375, 0.5), inverse);
        }
        let below = (square * inverse).mul_add(root, eps);
        // 1/x: with e = 1 − x·y, y ← y·(1 + e + e²).
        let mut quotient = f32::from_bits(0x7ef3_11c3_u32.wrapping_sub(below.to_bits()));
        for _ in 0..2 {
            let error = (-below).mul_add(quotient, 1.0);
            quotient = (error * quotient).mul_add(error + 1.0, quotient);
        }
        self * quotient
    }
}

impl Element for f64 {
    element!(f64);

    #[inline(always)]
    fn over_root(self, square: Self, root: Self, eps: Self) -> Self {
        self / (square.sqrt() * root + eps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_root_is_as_exact_as_float32_allows() {
        for i in 0..400_000_u32 {
            let at = f64::from(i) / 400_000.0;
            // Squares from 1e-30 (below that a moment counts as 0) to 1e10, roots from 1 to 32.
            let (x, square) = (libm::sin(1e4 * at), libm::pow(10.0, 40.0 * at - 30.0));
            let (x, square, root) = (x as f32, square as f32, 1.0 + (i % 32) as f32);
            let exact = f64::from(x) / (f64::from(square).sqrt() * f64::from(root) + 1e-8);
            let error = (f64::from(x.over_root(square, root, 1e-8)) - exact).abs() / exact.abs().max(1e-300);
            assert!(error < 4e-7, "{x} over √{square}: off by {error:e}");
        }
        let nothing = 0.0_f32.over_root(0.0, 1.0, 1e-8);
        assert_eq!(nothing, 0.0);
        assert!((1e-9_f32.over_root(0.0, 31.6, 1e-8) - 0.1).abs() < 1e-7);
        assert!(1.0_f32.over_root(f32::NAN, 1.0, 1e-8).is_nan() && f32::NAN.over_root(1.0, 1.0, 1e-8).is_nan());
    }
}
