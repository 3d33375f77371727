//! A time in training, in iterations or epochs.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scalar::{self, FromScalar};

/// A time in a training run, counted from its start: `500it` (iterations), `2ep` (epochs), or `2ep50it` (50 iterations
/// after the end of epoch 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainingTime {
    epochs: u64,
    iterations: u64,
}

impl TrainingTime {
    /// Returns a time in iterations only.
    pub fn of_iterations(iterations: u64) -> Self {
        Self { epochs: 0, iterations }
    }

    /// Returns the number of iterations until this time. `per_epoch`: iterations in an epoch.
    pub fn to_iterations(self, per_epoch: u64) -> u64 {
        self.epochs.saturating_mul(per_epoch).saturating_add(self.iterations)
    }

    /// Returns a time in epochs only.
    pub fn of_epochs(epochs: u64) -> Self {
        Self { epochs, iterations: 0 }
    }

    /// Returns a multiple of the time.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        let [epochs, iterations] = [self.epochs, self.iterations].map(|n| n.saturating_mul(u64::from(factor)));
        Self { epochs, iterations }
    }

    /// Returns the same time, written in iterations only. `per_epoch`: iterations in an epoch.
    #[must_use]
    pub fn without_epochs(self, per_epoch: u64) -> Self {
        Self::of_iterations(self.to_iterations(per_epoch))
    }
}

impl FromStr for TrainingTime {
    type Err = ();

    /// Reads `<n>ep`, `<n>it` or `<n>ep<n>it`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { digits.parse().map_err(|_| ()) } else { Err(()) }
        };
        let (epochs, rest) = text.split_once("ep").map_or((None, text), |(epochs, rest)| (Some(epochs), rest));
        let iterations =
            if rest.is_empty() && epochs.is_some() { None } else { Some(rest.strip_suffix("it").ok_or(())?) };
        Ok(Self { epochs: epochs.map_or(Ok(0), number)?, iterations: iterations.map_or(Ok(0), number)? })
    }
}

impl fmt::Display for TrainingTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.epochs, self.iterations) {
            (0, iterations) => write!(f, "{iterations}it"),
            (epochs, 0) => write!(f, "{epochs}ep"),
            (epochs, iterations) => write!(f, "{epochs}ep{iterations}it"),
        }
    }
}

impl Serialize for TrainingTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromScalar for TrainingTime {
    const EXPECTED: &'static str = "iterations such as \"500it\", or epochs such as \"2ep\"";

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        text.parse().map_err(|()| E::invalid_value(Unexpected::Str(text), &Self::EXPECTED))
    }
}

impl<'de> Deserialize<'de> for TrainingTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl JsonSchema for TrainingTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([0-9]+ep)?([0-9]+it)?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_time_is_read_in_iterations_and_epochs() {
        let iterations = |text: &str| text.parse::<TrainingTime>().map(|time| time.to_iterations(100));
        assert_eq!([iterations("500it"), iterations("2ep"), iterations("2ep50it")], [Ok(500), Ok(200), Ok(250)]);
        for wrong in ["", "it", "ep", "500", "-5it", "1.5ep", "2ep50", "50it2ep", "+1it", "99999999999999999999it"] {
            assert_eq!(iterations(wrong), Err(()), "{wrong}");
        }
        for text in ["500it", "2ep", "2ep50it", "0it"] {
            assert_eq!(text.parse::<TrainingTime>().unwrap().to_string(), text);
        }
    }
}
