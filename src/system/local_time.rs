//! Dates and times for tables, in the time zone of the user.

use jiff::tz::TimeZone;

use super::clock::UtcTime;

/// Returns a time as date and time to the minute: `2026-11-26 06:08` in the time zone of the user, or
/// `2026-11-26 06:08Z` in UTC, if that is the time zone or none is known.
pub fn date_and_minute(time: UtcTime) -> String {
    date_and_minute_in(TimeZone::system(), time)
}

/// Like [`date_and_minute`], but in `zone`.
fn date_and_minute_in(zone: TimeZone, time: UtcTime) -> String {
    let local = time.timestamp().to_zoned_datetime(zone);
    let mark = if local.offset().is_zero() { "Z" } else { "" };
    format!("{}{mark}", local.strftime("%Y-%m-%d %H:%M"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_and_minute_is_local_and_marks_utc() {
        let time = |text: &str| serde_json::from_value(text.into()).unwrap();
        let text = |zone: &str, at: &str| date_and_minute_in(TimeZone::posix(zone).unwrap(), time(at));
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        // `TZ=Europe/Berlin date -d TIME`
        assert_eq!(text(berlin, "2026-11-26T06:08:54Z"), "2026-11-26 07:08");
        assert_eq!(text(berlin, "2026-07-01T00:00:00Z"), "2026-07-01 02:00", "summer time");
        assert_eq!(text("UTC0", "2026-11-26T06:08:54Z"), "2026-11-26 06:08Z");
        assert_eq!(text("EST5", "2025-12-31T23:59:59Z"), "2025-12-31 18:59", "the day before");
        let here = date_and_minute(time("2026-11-26T06:08:54Z"));
        assert!(here.starts_with("2026-11-2") && [16, 17].contains(&here.len()), "{here}");
    }
}
