//! The time between two progress snapshots.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scalar::{self, FromScalar};

/// The units, from the largest, each with its milliseconds.
const UNITS: [(&str, u64); 3] = [("h", 3_600_000), ("min", 60_000), ("s", 1000)];

/// The time between two progress snapshots: `5min`, `30s`, `0.5s`, `2h`, or `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotInterval {
    /// This number of milliseconds, at least 1.
    Milliseconds(u64),
    /// No snapshot is written but that at a stop signal.
    Never,
}

impl SnapshotInterval {
    /// Returns the time in seconds; `None` for [`SnapshotInterval::Never`].
    pub fn seconds(self) -> Option<f64> {
        match self {
            Self::Milliseconds(milliseconds) => Some(milliseconds as f64 / 1000.0),
            Self::Never => None,
        }
    }

    /// Reads a number with a unit, or `never`.
    fn parse(text: &str) -> Option<Self> {
        if text == "never" {
            return Some(Self::Never);
        }
        let (number, milliseconds) =
            UNITS.iter().find_map(|(unit, milliseconds)| Some((text.strip_suffix(unit)?, *milliseconds)))?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let number: f64 = if is_number { number.parse().ok()? } else { return None };
        let milliseconds = (number * milliseconds as f64).round();
        // A year is far more than any training run takes.
        (1.0..=3.2e10).contains(&milliseconds).then_some(Self::Milliseconds(milliseconds as u64))
    }
}

impl Default for SnapshotInterval {
    fn default() -> Self {
        Self::Milliseconds(5 * 60_000)
    }
}

impl fmt::Display for SnapshotInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Milliseconds(all) = *self else { return f.write_str("never") };
        match UNITS.iter().find(|(_, milliseconds)| all.is_multiple_of(*milliseconds)) {
            Some((unit, milliseconds)) => write!(f, "{}{unit}", all / milliseconds),
            None => write!(f, "{}s", all as f64 / 1000.0),
        }
    }
}

impl Serialize for SnapshotInterval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromScalar for SnapshotInterval {
    const EXPECTED: &'static str = "a time such as \"5min\", \"30s\" or \"2h\", or \"never\"";

    fn from_text<E: Error>(text: &str) -> Result<Self, E> {
        Self::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &Self::EXPECTED))
    }
}

impl<'de> Deserialize<'de> for SnapshotInterval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl JsonSchema for SnapshotInterval {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "SnapshotInterval".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(never|[0-9.]+(s|min|h))$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_interval_is_read_and_written() {
        let seconds = |text: &str| SnapshotInterval::parse(text).map(SnapshotInterval::seconds);
        assert_eq!(
            [seconds("30s"), seconds("5min"), seconds("2h")],
            [Some(Some(30.0)), Some(Some(300.0)), Some(Some(7200.0))]
        );
        assert_eq!((seconds("0.5s"), seconds("0.5min")), (Some(Some(0.5)), Some(Some(30.0))));
        assert_eq!(seconds("never"), Some(None));
        for wrong in ["", "5", "s", "0s", "-5s", "1e3s", "5 min", "inf s", "5ms", "1.2.3s", "99999999h", "NaNs"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
        for text in ["5min", "90s", "2h", "0.25s", "never"] {
            assert_eq!(SnapshotInterval::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(SnapshotInterval::default().to_string(), "5min");
    }
}
