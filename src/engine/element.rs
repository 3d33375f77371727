//! The operations the engines need of a floating-point type.

use std::ops::{Add, Div, Mul, Sub};

use crate::base::tensors::Float;

/// A floating-point type: float32 or float64.
pub(super) trait Element:
    Float
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// Converts exactly from an integer in 0..=255.
    fn from_u8(x: u8) -> Self;
    /// Returns the square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// Returns the magnitude.
    fn abs(self) -> Self;
}

macro_rules! element {
    ($float:ty) => {
        impl Element for $float {
            #[inline(always)]
            fn from_u8(x: u8) -> Self {
                <$float>::from(x)
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
