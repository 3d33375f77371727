//! Texts in XML.

/// Escapes a text for XML and HTML, inside elements and attributes. Characters that XML 1.0 does not allow, such as
/// escape sequences of terminals, are replaced.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // Section 2.2 of the recommendation; C1 controls are allowed there, but not in HTML.
            '\t' | '\n' | '\r' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_is_well_formed_in_xml() {
        assert_eq!(escaped("a<b & \"c\">'d'"), "a&lt;b &amp; &quot;c&quot;&gt;'d'");
        assert_eq!(
            escaped("x\u{1b}[31m\0\u{7f}\u{9b}\u{ffff}\n\tü"),
            "x\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}\u{fffd}\n\tü"
        );
    }
}
