//! The clock. No other module reads it, and no number of a training run depends on it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Returns the seconds since 1970-01-01 00:00 UTC.
#[expect(clippy::disallowed_methods, reason = "`.clippy.toml` bans this function everywhere but here")]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Returns a time in seconds since 1970-01-01 00:00 UTC as ISO 8601, such as `2026-11-26T06:08:54Z`.
pub fn iso_utc(seconds: u64) -> String {
    timestamp(seconds).to_string()
}

/// Returns a time in seconds since 1970-01-01 00:00 UTC as a timestamp; the last second of the year 9999 if it is later.
pub(super) fn timestamp(seconds: u64) -> Timestamp {
    let last = Timestamp::MAX.as_second();
    let seconds = i64::try_from(seconds).map_or(last, |seconds| seconds.min(last));
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

/// Returns the present time as ISO 8601 in UTC: see [`iso_utc`].
pub fn now_iso() -> String {
    iso_utc(unix_seconds())
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

    #[test]
    fn iso_utc_of_known_times() {
        // `date -u -d @SECONDS +%FT%TZ`
        assert_eq!(iso_utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(iso_utc(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(iso_utc(1_795_637_671), "2026-11-25T20:14:31Z");
        assert_eq!(iso_utc(4_107_542_400), "2100-03-01T00:00:00Z");
    }
}
