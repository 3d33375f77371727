//! Values that are written as a number or as a text, read by one serde visitor.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Unexpected, Visitor};

/// A value that is made from a number or from a text.
pub(super) trait FromScalar: Sized {
    /// The forms that are accepted, for messages.
    const EXPECTED: &'static str;

    /// Returns the value that a number stands for.
    ///
    /// # Errors
    /// Fails if the number stands for no value; by default, none does.
    fn from_number<E: Error>(number: u64) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Unsigned(number), &Self::EXPECTED))
    }

    /// Returns the value that a text stands for.
    ///
    /// # Errors
    /// Fails if the text stands for no value.
    fn from_text<E: Error>(text: &str) -> Result<Self, E>;
}

/// Reads a value from a number or from a text.
///
/// # Errors
/// Fails if the value is neither a number nor a text, or if the type has no value for it.
pub(super) fn deserialize<'de, T: FromScalar, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(ScalarVisitor(PhantomData))
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<T: FromScalar> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text)
    }
}
