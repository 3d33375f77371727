//! Numbers as text for tables, messages and reports.

use super::stats::SummaryStats;

/// Formats a share in percent with three significant digits, but at most three decimals: 0.2107 as `21.1%`, 1 as
/// `100%`, 0 as `0%`.
pub fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    let digits = match percent {
        _ if percent >= 99.95 || percent == 0.0 => 0,
        _ if percent >= 9.995 => 1,
        _ if percent >= 0.9995 => 2,
        _ => 3,
    };
    format!("{percent:.digits$}%")
}

/// Formats a share in percent with two decimals and without a sign: 0.97654 as `97.65`.
pub fn accuracy(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

/// Formats a number with three significant digits: 12.345 as `12.3`, 0 as `0`; as a power of ten below 0.001, and from
/// a million on.
pub fn three_digits(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value == 0.0 => "0".to_owned(),
        _ if !(0.001..1e6).contains(&size) => format!("{value:.2e}"),
        _ => {
            // The power of ten of the rounded number: 9.996 is 10.0.
            let power: i32 =
                format!("{size:.2e}").split_once('e').and_then(|(_, power)| power.parse().ok()).unwrap_or(0);
            format!("{value:.digits$}", digits = (2 - power).max(0) as usize)
        }
    }
}

/// Formats a count with separators of thousands: 50000 as `50,000`.
pub fn with_thousands(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

/// Formats a number of bytes with a decimal unit: 1234567 as `1.2 MB`. There is one decimal below 10 units of kB, MB
/// and GB, and for every number of TB; otherwise none.
pub fn bytes(n: u64) -> String {
    let mut size = n as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if size < 1000.0 {
            let digits = usize::from(size < 10.0 && unit != "B");
            return format!("{size:.digits$} {unit}");
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// Formats seconds: below an hour in minutes, rounded up (seconds below a minute); below two days in hours and minutes,
/// rounded down (4000 as `1 h 6 min`); then in days, rounded up.
pub fn duration(seconds: f64) -> String {
    let s = seconds.round() as u64;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s.div_ceil(60)),
        3600..172_800 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} days", s.div_ceil(86_400)),
    }
}

/// Formats a count with its noun: `1 training`, `2 trainings`.
pub fn count_of(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", with_thousands(n), if n == 1 { "" } else { "s" })
}

/// Returns `text` with a capital first letter: `some words` becomes `Some words`.
pub fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Formats values as `mean (minimum–maximum)`: one value alone as itself, and no value as a dash. `show` formats a
/// number.
pub fn mean_and_range(values: &[f64], show: impl Fn(f64) -> String) -> String {
    match SummaryStats::of(values) {
        None => "–".to_owned(),
        Some(SummaryStats { n: 1, mean, .. }) => show(mean),
        Some(SummaryStats { mean, min, max, .. }) => format!("{} ({}–{})", show(mean), show(min), show(max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_formatted_for_tables() {
        assert_eq!(
            [1.0, 0.2107, 0.09999, 0.0358, 0.00472, 0.0].map(percent),
            ["100%", "21.1%", "10.0%", "3.58%", "0.472%", "0%"]
        );
        assert_eq!(
            [12.345, -0.012_345, 9.996, 1234.5, 0.0, 0.000_123_4, 2e6].map(three_digits),
            ["12.3", "-0.0123", "10.0", "1234", "0", "1.23e-4", "2.00e6"]
        );
        assert_eq!([bytes(12), bytes(1_234), bytes(1_234_567)], ["12 B", "1.2 kB", "1.2 MB"]);
        assert_eq!([duration(59.0), duration(61.0), duration(4000.0)], ["59 s", "2 min", "1 h 6 min"]);
        assert_eq!(
            [with_thousands(0), with_thousands(999), with_thousands(1000), with_thousands(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([count_of(1, "training"), count_of(1200, "training")], ["1 training", "1,200 trainings"]);
    }
}
