//! Replacements of tokens in the notation of other programs and languages by the notation of TOML and JSON. Independent
//! of the key: the caller checks whether a replacement is accepted as its value.

/// The syntax of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Syntax {
    /// TOML, in a file or in a `--set`.
    Toml,
    /// JavaScript Object Notation.
    Json,
}

impl Syntax {
    /// Returns the name of the syntax in messages.
    pub(in crate::config) fn name(self) -> &'static str {
        match self {
            Self::Toml => "TOML",
            Self::Json => "JSON",
        }
    }
}

/// The fault of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum TokenFault {
    /// Typographic quotes.
    Quotes,
    /// A Unicode dash in place of a minus sign.
    Dash(char),
    /// A Unicode space that the syntax does not accept, or an invisible character.
    Space(char),
    /// A number in another notation.
    Number,
    /// Another word for `true` or `false`.
    Word,
    /// A text without quotes, or with the quotes of another programming language.
    Text,
}

/// The replacement of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Replacement {
    /// The fault of the token.
    pub(in crate::config) fault: TokenFault,
    /// The text to write in place of the token.
    pub(in crate::config) text: String,
}

/// Dashes that stand for a minus sign: hyphens, en and em dash, minus.
const DASHES: [char; 7] = ['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2212}', '\u{ff0d}'];

/// Unicode spaces that TOML and JSON do not accept as spaces.
const SPACES: [char; 9] =
    ['\u{a0}', '\u{1680}', '\u{2002}', '\u{2003}', '\u{2007}', '\u{2009}', '\u{200a}', '\u{202f}', '\u{3000}'];

/// Invisible characters.
const INVISIBLE: [char; 6] = ['\u{feff}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{ad}'];

/// Quotes of typography and of other languages.
const QUOTES: [char; 13] = ['“', '”', '„', '‟', '‘', '’', '‚', '‛', '«', '»', '‹', '›', '＂'];

/// Returns whether a character is invisible.
pub(in crate::config) fn is_invisible(c: char) -> bool {
    INVISIBLE.contains(&c)
}

/// Returns the replacements of `token`, the likeliest first.
pub(in crate::config) fn replacements(token: &str, syntax: Syntax) -> Vec<Replacement> {
    let mut replacements: Vec<Replacement> = Vec::new();
    let mut add = |fault: TokenFault, text: String| {
        if text != token && !replacements.iter().any(|other| other.text == text) {
            replacements.push(Replacement { fault, text });
        }
    };
    let first_of = |set: &[char]| token.chars().find(|c| set.contains(c));
    if let Some(inner) = inside_quotes(token) {
        add(TokenFault::Quotes, quoted(inner));
        return replacements;
    }
    let plain: String = token.chars().map(|c| if DASHES.contains(&c) { '-' } else { c }).collect();
    for number in number_readings(&plain, syntax) {
        add(first_of(&DASHES).map_or(TokenFault::Number, TokenFault::Dash), number);
    }
    if let Some(c) = first_of(&SPACES).or_else(|| first_of(&INVISIBLE)) {
        let cleaned = |c: char| if SPACES.contains(&c) { Some(' ') } else { (!INVISIBLE.contains(&c)).then_some(c) };
        add(TokenFault::Space(c), token.chars().filter_map(cleaned).collect());
    }
    if let Some(word) = boolean(token) {
        add(TokenFault::Word, word.to_string());
    }
    let straight = token.trim_matches(['\'', '"', '`', '´']);
    if !straight.is_empty() && !straight.contains(['\'', '"', '\n', '\\']) {
        add(TokenFault::Text, quoted(straight));
    }
    replacements
}

/// Returns the text inside quotes, at least one of which is typographic.
pub(in crate::config) fn inside_quotes(token: &str) -> Option<&str> {
    let is_quote = |c: char| QUOTES.contains(&c) || c == '"' || c == '\'';
    let (first, last) = (token.chars().next()?, token.chars().next_back()?);
    let fits = is_quote(first) && is_quote(last) && (QUOTES.contains(&first) || QUOTES.contains(&last));
    (fits && token.chars().count() > 1).then(|| token.trim_matches(is_quote).trim_matches(['\u{a0}', '\u{202f}']))
}

/// Returns a text in quotes as TOML and JSON both write it.
pub(in crate::config) fn quoted(text: &str) -> String {
    // JSON and TOML write texts the same way, except that TOML does not allow DEL.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

/// Returns the boolean that a word such as `yes`, `On` or `F` stands for.
fn boolean(token: &str) -> Option<bool> {
    match token.trim_matches(['\'', '"']).to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
        _ => None,
    }
}

/// Returns the numbers that a token may mean, the likeliest first. Read are digits in groups, a decimal comma, a
/// missing digit beside the point, leading zeros, per cent, suffixes of programming languages, and, in JSON (TOML has
/// its own), hexadecimal, octal and binary integers.
fn number_readings(token: &str, syntax: Syntax) -> Vec<String> {
    let token = token.trim();
    if let Some(number) = radix_integer(token).filter(|_| syntax == Syntax::Json) {
        return vec![number];
    }
    if let Some(share) = token.strip_suffix('%') {
        // Shifted as text: 33.3 / 100 is not 0.333 in binary.
        let shifted = |number: String| format!("{number}e-2").parse::<f64>().ok();
        return readings_without_suffix(share.trim_end())
            .into_iter()
            .filter_map(shifted)
            .map(|x| format!("{x:?}"))
            .collect();
    }
    let is_suffix = |c: char| matches!(c, 'f' | 'F' | 'd' | 'D' | 'l' | 'L' | 'u' | 'U');
    let bare = token.trim_end_matches(is_suffix);
    readings_without_suffix(if bare.ends_with(|c: char| c.is_ascii_digit() || c == '.') { bare } else { token })
}

/// Returns an integer in hexadecimal, octal or binary notation as a decimal one.
fn radix_integer(token: &str) -> Option<String> {
    let (digits, radix) = match token.get(..2)? {
        "0x" | "0X" => (&token[2..], 16),
        "0o" => (&token[2..], 8),
        "0b" => (&token[2..], 2),
        _ => return None,
    };
    u64::from_str_radix(&digits.replace('_', ""), radix).ok().map(|number| number.to_string())
}

/// Returns the readings of a number without suffix: separators are removed, and commas are read as points or separators.
fn readings_without_suffix(text: &str) -> Vec<String> {
    let is_separator = |c: char| matches!(c, '\'' | '’' | '_' | ' ') || SPACES.contains(&c);
    if text.starts_with(is_separator) || text.ends_with(is_separator) {
        return Vec::new();
    }
    let joined: String = text.chars().filter(|c| !is_separator(*c)).collect();
    let is_grouped = |separator: char| {
        let mut parts = joined.trim_start_matches(['-', '+']).split(separator);
        let first = parts.next().unwrap_or_default();
        let fits = (1..=3).contains(&first.len()) && !first.starts_with('0');
        fits && parts.all(|part| part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let commas = joined.matches(',').count();
    let readings = match (commas, joined.contains('.')) {
        (0, _) => vec![joined],
        // A comma is the decimal point, or it separates groups of three digits.
        (1, false) if is_grouped(',') => vec![joined.replace(',', ""), joined.replace(',', ".")],
        (1, false) => vec![joined.replace(',', ".")],
        (_, false) if is_grouped(',') => vec![joined.replace(',', "")],
        _ => vec![],
    };
    readings.iter().flat_map(|reading| normalized(reading)).collect()
}

/// Returns a decimal number with digits on both sides of its point and without leading zeros; for `1.` also the whole number.
/// Empty if the text is not a number.
fn normalized(text: &str) -> Vec<String> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = match exponent {
        None => String::new(),
        Some(digits) => {
            let bare = digits.trim_start_matches(['-', '+']);
            if bare.is_empty() || !is_number(bare) || digits.len() > bare.len() + 1 {
                return Vec::new();
            }
            format!("e{digits}")
        }
    };
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(a, b)| (a, Some(b)));
    if !is_number(whole) || !fraction.is_none_or(is_number) || whole.len() + fraction.map_or(0, str::len) == 0 {
        return Vec::new();
    }
    let digits = whole.trim_start_matches('0');
    let whole = if digits.is_empty() { "0" } else { digits };
    match fraction {
        None => vec![format!("{sign}{whole}{exponent}")],
        Some("") => vec![format!("{sign}{whole}.0{exponent}"), format!("{sign}{whole}{exponent}")],
        Some(fraction) => vec![format!("{sign}{whole}.{fraction}{exponent}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(token: &str) -> Option<String> {
        replacements(token, Syntax::Toml).into_iter().next().map(|replacement| replacement.text)
    }

    #[test]
    fn replacements_for_numbers_of_other_notations() {
        for (token, number) in [
            (".1", "0.1"),
            ("-.5e3", "-0.5e3"),
            ("1.", "1.0"),
            ("007", "7"),
            ("00.5", "0.5"),
            ("1,5", "1.5"),
            ("0,002", "0.002"),
            ("1,000", "1000"),
            ("1,000,000", "1000000"),
            ("1'000", "1000"),
            ("1 000", "1000"),
            ("1\u{202f}000", "1000"),
            ("0.1f", "0.1"),
            ("20L", "20"),
            ("50%", "0.5"),
            ("33.3 %", "0.333"),
            ("1e−3", "1e-3"),
            ("–1", "-1"),
        ] {
            assert_eq!(first(token).as_deref(), Some(number), "{token}");
        }
        let json = |token: &str| replacements(token, Syntax::Json)[0].text.clone();
        assert_eq!((json("0x10"), json("1_000"), json("+5")), ("16".into(), "1000".into(), "5".into()));
        for none in ["1e", "e5", ".", "-", "1.2.3", "1,2,3", "1e5e5", "12ab"] {
            assert_eq!(
                replacements(none, Syntax::Toml).iter().find(|replacement| replacement.fault != TokenFault::Text),
                None,
                "{none}"
            );
        }
    }

    #[test]
    fn replacements_for_quotes_and_words_of_other_languages() {
        for token in ["“a b”", "‘a b’", "«a b»", "«\u{a0}a b\u{a0}»", "„a b“", "“a b\"", "'a b'", "`a b`"]
        {
            assert_eq!(first(token).as_deref(), Some("\"a b\""), "{token}");
        }
        for (token, word) in [("True", "true"), ("TRUE", "true"), ("yes", "true"), ("off", "false"), ("No", "false")] {
            assert_eq!(first(token).as_deref(), Some(word), "{token}");
        }
        assert_eq!(first("strokes").as_deref(), Some("\"strokes\""));
        assert_eq!(first("\u{a0}\u{a0}lr").as_deref(), Some("  lr"));
        assert_eq!(first("\u{feff}lr").as_deref(), Some("lr"));
    }
}
