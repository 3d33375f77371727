//! The operations the engines need of a floating-point type.

use std::ops::{Add, Div, Mul, Sub};

/// A floating-point type: float32 or float64.
pub(super) trait Element:
    Copy
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// Converts from float64, rounding to the nearest.
    fn from_f64(x: f64) -> Self;
    /// Converts exactly: every type here holds all float32 values.
    fn from_f32(x: f32) -> Self;
    /// Converts exactly from an integer in 0..=255.
    fn from_u8(x: u8) -> Self;
    /// Converts exactly: float64 holds all values of the types here.
    fn to_f64(self) -> f64;
    /// Converts to float32, rounding to the nearest.
    fn to_f32(self) -> f32;
    /// Returns the square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// Returns the magnitude.
    fn abs(self) -> Self;
}

macro_rules! element {
    ($float:ty) => {
        impl Element for $float {
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
            fn sqrt(self) -> Self {
                self.sqrt()
            }
            #[inline(always)]
            fn abs(self) -> Self {
                self.abs()
            }
        }
    };
}

element!(f32);
element!(f64);
