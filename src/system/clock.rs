//! The clock. No other module reads it, and no number of a training run depends on it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Returns the seconds since 1970-01-01 00:00 UTC.
#[expect(clippy::disallowed_methods, reason = "`.clippy.toml` bans this function everywhere but here")]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Returns a time in seconds since 1970-01-01 00:00 UTC as ISO 8601, such as `2026-11-26T06:08:54Z`.
pub fn iso_utc(seconds: u64) -> String {
    let (hours, minutes, seconds_of_minute) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let (year, month, day) = civil_date(seconds / 86_400);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds_of_minute:02}Z")
}

/// Returns year, month and day of the Gregorian calendar from the number of days since 1970-01-01 (the algorithm
/// `civil_from_days` of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil_date(days: u64) -> (u64, u64, u64) {
    // Days since 0000-03-01, so that a leap day is the last day of a year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
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
