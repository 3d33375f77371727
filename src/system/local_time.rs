//! Dates and times for tables, in the time zone of the user.

use jiff::tz::TimeZone;

use super::clock;

/// Returns a time, in seconds since 1970 (UTC), as date and time to the minute: `2026-11-26 06:08` in the time zone of
/// the user, or `2026-11-26 06:08Z` in UTC, if that is the time zone or none is known.
pub fn date_and_minute(unix_seconds: u64) -> String {
    date_and_minute_in(TimeZone::system(), unix_seconds)
}

/// Like [`date_and_minute`], but in `zone`.
fn date_and_minute_in(zone: TimeZone, unix_seconds: u64) -> String {
    let local = clock::timestamp(unix_seconds).to_zoned_datetime(zone);
    let mark = if local.offset().is_zero() { "Z" } else { "" };
    format!("{}{mark}", local.strftime("%Y-%m-%d %H:%M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_and_minute_is_local_and_marks_utc() {
        let text = |zone: &str, seconds| date_and_minute_in(TimeZone::posix(zone).unwrap(), seconds);
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        // `TZ=Europe/Berlin date -d @SECONDS`
        assert_eq!(text(berlin, 1_795_673_334), "2026-11-26 07:08");
        assert_eq!(text(berlin, 1_782_864_000), "2026-07-01 02:00", "summer time");
        assert_eq!(text("UTC0", 1_795_673_334), "2026-11-26 06:08Z");
        assert_eq!(text("EST5", 1_767_225_599), "2025-12-31 18:59", "the day before");
        let here = date_and_minute(1_795_673_334);
        assert!(here.starts_with("2026-11-2") && [16, 17].contains(&here.len()), "{here}");
    }
}
