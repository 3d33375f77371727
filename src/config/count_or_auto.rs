//! A number that may be left to the program: `"auto"` or a whole number from 1.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scalar::{self, FromScalar};

/// A number from 1, or the choice of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountOrAuto {
    /// The number that suits the machine on which the program runs.
    #[default]
    Auto,
    /// A fixed number, at least 1.
    Number(u32),
}

impl CountOrAuto {
    /// Returns the number; `auto` if it is left to the program.
    pub fn unwrap_or(self, auto: usize) -> usize {
        match self {
            Self::Auto => auto,
            Self::Number(n) => n as usize,
        }
    }
}

impl Serialize for CountOrAuto {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Number(n) => serializer.serialize_u32(*n),
        }
    }
}

impl FromScalar for CountOrAuto {
    const EXPECTED: &'static str = "`auto` or a whole number from 1";

    fn from_number<E: Error>(number: u64) -> Result<Self, E> {
        let count = u32::try_from(number).ok().filter(|&count| count > 0);
        count.map(Self::Number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &Self::EXPECTED))
    }

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        if text == "auto" { Ok(Self::Auto) } else { Err(E::invalid_value(Unexpected::Str(text), &Self::EXPECTED)) }
    }
}

impl<'de> Deserialize<'de> for CountOrAuto {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl JsonSchema for CountOrAuto {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "auto" }, { "type": "integer", "minimum": 1 }] })
    }
}
