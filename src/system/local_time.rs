//! Dates and times for tables, in the time zone of the user.

use super::clock;

/// The length of a date with hours and minutes.
const TO_THE_MINUTE: usize = "2026-11-26T06:08".len();

/// Returns a time, in seconds since 1970 (UTC), as date and time to the minute: `2026-11-26 06:08` in the time zone of
/// the user, or `2026-11-26 06:08Z` in UTC, if that is the time zone or none is known.
pub fn date_and_minute(unix_seconds: u64) -> String {
    let offset = utc_offset(unix_seconds);
    let zone = if offset == 0 { "Z" } else { "" };
    let local = clock::iso_utc(unix_seconds.saturating_add_signed(offset)).replace('T', " ");
    format!("{}{zone}", &local[..TO_THE_MINUTE.min(local.len())])
}

/// Returns the seconds by which the user's clock is ahead of UTC at a time; 0 if the time zone is not known.
#[cfg(all(unix, target_pointer_width = "64"))]
#[expect(unsafe_code, reason = "the standard library does not know time zones")]
fn utc_offset(unix_seconds: u64) -> i64 {
    use std::ffi::{c_char, c_int, c_long};

    /// The broken-down time of the C library: nine numbers, then the offset and the name of the time zone.
    #[repr(C)]
    struct BrokenDownTime {
        fields: [c_int; 9],
        offset: c_long,
        zone: *const c_char,
    }
    // SAFETY: the function has this signature on 64-bit Unix systems, and the layout of `struct tm` is that of
    // `BrokenDownTime` in glibc, musl and the BSDs, macOS among them.
    unsafe extern "C" {
        fn localtime_r(time: *const i64, result: *mut BrokenDownTime) -> *mut BrokenDownTime;
    }
    let Ok(time) = i64::try_from(unix_seconds) else { return 0 };
    let mut result = BrokenDownTime { fields: [0; 9], offset: 0, zone: std::ptr::null() };
    // SAFETY: both pointers point to values that live throughout the call, and the call keeps neither.
    let returned = unsafe { localtime_r(&raw const time, &raw mut result) };
    if returned.is_null() { 0 } else { result.offset }
}

/// Returns 0: time zones are not known on this system.
#[cfg(not(all(unix, target_pointer_width = "64")))]
fn utc_offset(_: u64) -> i64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_and_minute_has_sixteen_characters_and_marks_utc() {
        let text = date_and_minute(1_795_673_334);
        assert!(text.starts_with("2026-11-2") && [16, 17].contains(&text.len()), "{text}");
        assert_eq!(text.ends_with('Z'), utc_offset(1_795_673_334) == 0);
    }
}
