//! The length of a training run, in iterations or epochs.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scalar::{self, FromScalar};
use super::training_time::TrainingTime;

/// The length of a training run: a number of iterations, or a text such as `20ep`. A length without epochs is written
/// as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrainingLength {
    /// A number of epochs.
    pub(super) epochs: u64,
    /// Iterations after these epochs.
    pub(super) iterations: u64,
}

impl TrainingLength {
    /// Returns the number of iterations; `None` for a length in epochs.
    pub(super) fn in_iterations(self) -> Option<u64> {
        (self.epochs == 0).then_some(self.iterations)
    }
}

impl From<TrainingTime> for TrainingLength {
    fn from(time: TrainingTime) -> Self {
        let iterations = time.to_iterations(0);
        Self { epochs: time.to_iterations(1) - iterations, iterations }
    }
}

impl Serialize for TrainingLength {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (self.epochs, self.iterations) {
            (0, iterations) => serializer.serialize_u64(iterations),
            (epochs, 0) => serializer.collect_str(&format_args!("{epochs}ep")),
            (epochs, iterations) => serializer.collect_str(&format_args!("{epochs}ep{iterations}it")),
        }
    }
}

impl FromScalar for TrainingLength {
    const EXPECTED: &'static str = "a whole number from 0, or a time such as \"20ep\"";

    fn from_number<E: Error>(number: u64) -> Result<Self, E> {
        Ok(Self { epochs: 0, iterations: number })
    }

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        let time =
            text.parse::<TrainingTime>().map_err(|()| E::invalid_value(Unexpected::Str(text), &Self::EXPECTED))?;
        Ok(time.into())
    }
}

impl<'de> Deserialize<'de> for TrainingLength {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl JsonSchema for TrainingLength {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TrainingLength".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^([0-9]+ep)?([0-9]+it)?$" },
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_length_is_a_number_or_a_time() {
        for (json, epochs, iterations) in
            [("300", 0, 300), ("\"20ep\"", 20, 0), ("\"2ep50it\"", 2, 50), ("\"50it\"", 0, 50)]
        {
            let length: TrainingLength = serde_json::from_str(json).unwrap();
            assert_eq!(length, TrainingLength { epochs, iterations }, "{json}");
            let written = serde_json::to_string(&length).unwrap();
            assert_eq!(written, if json == "\"50it\"" { "50" } else { json });
        }
        assert_eq!(TrainingLength { epochs: 0, iterations: 7 }.in_iterations(), Some(7));
        assert_eq!(TrainingLength { epochs: 2, iterations: 0 }.in_iterations(), None);
    }
}
