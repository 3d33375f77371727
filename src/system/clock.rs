//! The clock. No other module reads it, and no number of a training run depends on it.

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time to the second. Its text, also in JSON, is ISO 8601 in UTC, such as `2026-11-26T06:08:54Z`.
///
/// Files of earlier versions have the number of seconds since 1970-01-01 00:00 UTC instead, which is read too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UtcTime(Timestamp);

impl UtcTime {
    /// Returns the present time.
    #[expect(clippy::disallowed_methods, reason = "`.clippy.toml` bans this function everywhere but here")]
    pub fn now() -> Self {
        Self::to_the_second(Timestamp::now())
    }

    /// Returns a time without its fraction of a second.
    fn to_the_second(time: Timestamp) -> Self {
        let fraction = SignedDuration::from_nanos(time.subsec_nanosecond().into());
        Self(time.checked_sub(fraction).unwrap_or(time))
    }

    /// Returns the day in UTC, such as `2026-11-26`.
    pub fn day(self) -> String {
        self.0.strftime("%F").to_string()
    }

    /// Returns the seconds from `earlier` to this time; 0 if `earlier` is later.
    pub fn seconds_since(self, earlier: Self) -> u64 {
        self.0.duration_since(earlier.0).as_secs().try_into().unwrap_or(0)
    }

    /// Returns the time as the type of the library for dates.
    pub(super) fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl fmt::Display for UtcTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for UtcTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Recorded {
            Seconds(i64),
            Text(String),
        }
        let time = match Recorded::deserialize(deserializer)? {
            Recorded::Seconds(seconds) => Timestamp::from_second(seconds),
            Recorded::Text(text) => text.parse(),
        };
        time.map(Self::to_the_second).map_err(D::Error::custom)
    }
}

impl JsonSchema for UtcTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "UtcTime".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A running measurement of elapsed time.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts the measurement.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the time in a JSON value.
    fn read(json: &str) -> Result<UtcTime, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn utc_time_is_read_from_text_and_from_seconds() {
        // `date -u -d @SECONDS +%FT%TZ`
        for (seconds, text) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("951827696", "2000-02-29T12:34:56Z"),
            ("1795637671", "2026-11-25T20:14:31Z"),
            ("4107542400", "2100-03-01T00:00:00Z"),
        ] {
            let time = read(seconds).unwrap();
            assert_eq!((time.to_string().as_str(), time.day().as_str()), (text, &text[..10]));
            assert_eq!(serde_json::to_string(&time).unwrap(), format!("\"{text}\""));
            assert_eq!(read(&format!("\"{text}\"")).unwrap(), time);
        }
        assert_eq!(read("\"2026-11-25T21:14:31.9+01:00\"").unwrap(), read("1795637671").unwrap());
        for wrong in ["\"yesterday\"", "1e300", "99999999999999", "null"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_between_times_are_never_negative() {
        let [early, late] = ["100", "160"].map(|seconds| read(seconds).unwrap());
        assert_eq!((late.seconds_since(early), early.seconds_since(late)), (60, 0));
        let now = UtcTime::now();
        assert_eq!(read(&serde_json::to_string(&now).unwrap()).unwrap(), now, "without a fraction of a second");
    }
}
