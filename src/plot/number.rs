//! Numbers as charts write them.

/// Formats a share of 1 in percent with three significant digits and without a sign: 0.5128 as `51.3`, 0.0472 as
/// `4.72`, and a whole number of two digits or more as `50`.
pub fn axis_percent(share: f64) -> String {
    let percent = 100.0 * share;
    match percent {
        _ if (percent - percent.round()).abs() < 1e-9 && percent >= 10.0 || percent >= 99.95 => format!("{percent:.0}"),
        _ if percent >= 9.995 => format!("{percent:.1}"),
        _ if percent >= 0.9995 => format!("{percent:.2}"),
        _ if percent >= 0.099_95 => format!("{percent:.3}"),
        _ => format!("{percent:.2e}"),
    }
}

/// Formats a length or position in pixels, rounded to a tenth, without trailing zeros.
pub(super) fn pixels(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Formats a count ≥ 0, rounded to a whole number, with a comma between groups of three digits: 50000 as `50,000`.
pub(super) fn count(value: f64) -> String {
    let digits = (value.round() as u64).to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_percent_has_three_significant_digits() {
        let shares = [1.0, 0.5, 0.5128, 0.0358, 0.00472, 0.0001, 0.9999];
        assert_eq!(shares.map(axis_percent), ["100", "50", "51.3", "3.58", "0.472", "1.00e-2", "100"]);
    }

    #[test]
    fn pixels_are_rounded_to_a_tenth() {
        assert_eq!([0.0, -0.01, 3.25, 12.96].map(pixels), ["0", "0", "3.2", "13"]);
    }

    #[test]
    fn count_has_commas_between_thousands() {
        assert_eq!([0.0, 999.4, 1000.0, 1_234_567.0].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
