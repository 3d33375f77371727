//! A device, by its name in `PyTorch`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scalar::{self, FromScalar};

/// A device, or the choice of the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// An NVIDIA GPU where CUDA is available, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU with this index, from 0.
    Cuda(u32),
}

impl FromStr for DeviceChoice {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            other => {
                let number = other.strip_prefix("cuda:").ok_or(())?;
                let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
                if is_number { number.parse().map(Self::Cuda).map_err(|_| ()) } else { Err(()) }
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(0) => f.write_str("cuda"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
        }
    }
}

impl Serialize for DeviceChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The names without a number.
const NAMES: [&str; 3] = ["auto", "cpu", "cuda"];

impl FromScalar for DeviceChoice {
    const EXPECTED: &'static str = "\"auto\", \"cpu\", \"cuda\", or a GPU by its number such as \"cuda:1\"";

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        // A single word may be the name of a device in another program: for the message of serde about an unknown name
        // there is a hint with the nearest known one.
        let is_word = text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_unknown_name = is_word && !NAMES.contains(&text);
        text.parse().map_err(|()| {
            if is_unknown_name {
                E::unknown_variant(text, &NAMES)
            } else {
                E::invalid_value(Unexpected::Str(text), &Self::EXPECTED)
            }
        })
    }
}

impl<'de> Deserialize<'de> for DeviceChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl JsonSchema for DeviceChoice {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Device".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(auto|cpu|cuda(:[0-9]+)?)$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_are_read_and_written() {
        for (text, device) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda", DeviceChoice::Cuda(0)),
            ("cuda:3", DeviceChoice::Cuda(3)),
        ] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string(), text);
        }
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:+1", "CUDA", "cuda:99999999999"] {
            assert_eq!(wrong.parse::<DeviceChoice>(), Err(()), "{wrong}");
        }
    }
}
