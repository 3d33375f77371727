//! Placeholders in paths: names in braces that stand for values, such as `{round}`.

/// Returns the first placeholder of `text` that is not one of `known`, with its braces.
pub fn unknown_placeholder<'a>(text: &'a str, known: &[&str]) -> Option<&'a str> {
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let end = start + rest[start..].find('}')? + 1;
        let placeholder = &rest[start..end];
        if !known.contains(&placeholder) {
            return Some(placeholder);
        }
        rest = &rest[end..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unknown_placeholders_are_found() {
        let known = ["{arm}", "{round}"];
        assert_eq!(unknown_placeholder("a/{arm}_{round}", &known), None);
        assert_eq!(unknown_placeholder("{arm}_{rond}_{x}", &known), Some("{rond}"));
        assert_eq!(unknown_placeholder("open { and }", &known), Some("{ and }"));
        assert_eq!(unknown_placeholder("no end {", &known), None);
    }
}
