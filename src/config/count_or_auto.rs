//! A number that may be left to the program: `"auto"` or a whole number from 1.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountOrAuto {
    /// As many as fit where the program runs.
    #[default]
    Auto,
    /// So many.
    Number(u32),
}

impl CountOrAuto {
    /// The number, where it is left to the program `auto`.
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

impl<'de> Deserialize<'de> for CountOrAuto {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = CountOrAuto;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`auto` or a whole number from 1")
            }

            fn visit_u64<E: Error>(self, n: u64) -> Result<CountOrAuto, E> {
                let wrong = || E::invalid_value(Unexpected::Unsigned(n), &self);
                u32::try_from(n).ok().filter(|&n| n > 0).map(CountOrAuto::Number).ok_or_else(wrong)
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<CountOrAuto, E> {
                let wrong = || E::invalid_value(Unexpected::Str(word), &self);
                (word == "auto").then_some(CountOrAuto::Auto).ok_or_else(wrong)
            }
        }
        deserializer.deserialize_any(Words)
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
