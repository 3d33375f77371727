//! Values in the notation of other programs and languages, rewritten in the form of a configuration. Knows no key: whether a
//! proposal is accepted at its place is checked by the caller.

/// The syntax of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    /// TOML, in a file or in a `--set`.
    Toml,
    /// JavaScript Object Notation.
    Json,
}

impl Syntax {
    /// Returns the name of the syntax in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Toml => "TOML",
            Self::Json => "JSON",
        }
    }
}

/// The fault of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenFault {
    /// Typographic quotes.
    Quotes,
    /// This dash in place of a minus sign.
    Dash(char),
    /// This space, which is none in the syntax, or this invisible character.
    Space(char),
    /// A number in another notation.
    Number,
    /// Another word for `true` or `false`.
    Word,
    /// A text without quotes, or with those of another language.
    Text,
}

/// The replacement of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Repair {
    /// The fault of the token.
    pub(super) fault: TokenFault,
    /// The text that is written in its place.
    pub(super) text: String,
}

/// Dashes that stand for a minus sign: hyphens, en and em dash, minus.
const DASHES: [char; 7] = ['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2212}', '\u{ff0d}'];

/// Spaces that are none in TOML and JSON.
const SPACES: [char; 9] =
    ['\u{a0}', '\u{1680}', '\u{2002}', '\u{2003}', '\u{2007}', '\u{2009}', '\u{200a}', '\u{202f}', '\u{3000}'];

/// Invisible characters.
const INVISIBLE: [char; 6] = ['\u{feff}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{ad}'];

/// Quotes of typography and of other languages.
const QUOTES: [char; 13] = ['“', '”', '„', '‟', '‘', '’', '‚', '‛', '«', '»', '‹', '›', '＂'];

/// Returns whether a character is invisible.
pub(super) fn is_invisible(c: char) -> bool {
    INVISIBLE.contains(&c)
}

/// Returns the replacements of `token`, the likeliest first.
pub(super) fn proposals(token: &str, syntax: Syntax) -> Vec<Repair> {
    let mut repairs: Vec<Repair> = Vec::new();
    let mut add = |fault: TokenFault, text: String| {
        if text != token && !repairs.iter().any(|other| other.text == text) {
            repairs.push(Repair { fault, text });
        }
    };
    let odd = |known: &[char]| token.chars().find(|c| known.contains(c));
    if let Some(inner) = inside_quotes(token) {
        add(TokenFault::Quotes, quoted(inner));
        return repairs;
    }
    let plain: String = token.chars().map(|c| if DASHES.contains(&c) { '-' } else { c }).collect();
    for number in numbers(&plain, syntax) {
        add(odd(&DASHES).map_or(TokenFault::Number, TokenFault::Dash), number);
    }
    if let Some(c) = odd(&SPACES).or_else(|| odd(&INVISIBLE)) {
        let seen = |c: char| if SPACES.contains(&c) { Some(' ') } else { (!INVISIBLE.contains(&c)).then_some(c) };
        add(TokenFault::Space(c), token.chars().filter_map(seen).collect());
    }
    if let Some(word) = truth(token) {
        add(TokenFault::Word, word.to_string());
    }
    let straight = token.trim_matches(['\'', '"', '`', '´']);
    if !straight.is_empty() && !straight.contains(['\'', '"', '\n', '\\']) {
        add(TokenFault::Text, quoted(straight));
    }
    repairs
}

/// Returns the text inside quotes, at least one of which is typographic.
pub(super) fn inside_quotes(token: &str) -> Option<&str> {
    let is_quote = |c: char| QUOTES.contains(&c) || c == '"' || c == '\'';
    let (first, last) = (token.chars().next()?, token.chars().next_back()?);
    let fits = is_quote(first) && is_quote(last) && (QUOTES.contains(&first) || QUOTES.contains(&last));
    (fits && token.chars().count() > 1).then(|| token.trim_matches(is_quote).trim_matches(['\u{a0}', '\u{202f}']))
}

/// Returns a text in quotes as TOML and JSON both write it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns the truth value that a word of another language stands for.
fn truth(token: &str) -> Option<bool> {
    match token.trim_matches(['\'', '"']).to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
        _ => None,
    }
}

/// Returns the numbers that a token may mean, the likeliest first: digits in groups, a decimal comma, a missing digit beside
/// the point, leading zeros, per cent, and suffixes of programming languages.
fn numbers(token: &str, syntax: Syntax) -> Vec<String> {
    let token = token.trim();
    if let Some(number) = hexadecimal(token).filter(|_| syntax == Syntax::Json) {
        return vec![number];
    }
    if let Some(share) = token.strip_suffix('%') {
        // Shifted as text: 33.3 / 100 is not 0.333 in binary.
        let shifted = |number: String| format!("{number}e-2").parse::<f64>().ok();
        return numbers_of(share.trim_end()).into_iter().filter_map(shifted).map(|x| format!("{x:?}")).collect();
    }
    let is_suffix = |c: char| matches!(c, 'f' | 'F' | 'd' | 'D' | 'l' | 'L' | 'u' | 'U');
    let bare = token.trim_end_matches(is_suffix);
    numbers_of(if bare.ends_with(|c: char| c.is_ascii_digit() || c == '.') { bare } else { token })
}

/// Returns an integer in hexadecimal, octal or binary notation as a decimal one.
fn hexadecimal(token: &str) -> Option<String> {
    let (digits, radix) = match token.get(..2)? {
        "0x" | "0X" => (&token[2..], 16),
        "0o" => (&token[2..], 8),
        "0b" => (&token[2..], 2),
        _ => return None,
    };
    u64::from_str_radix(&digits.replace('_', ""), radix).ok().map(|number| number.to_string())
}

/// Returns the readings of a number without suffix: separators are removed, and commas are read as points or separators.
fn numbers_of(text: &str) -> Vec<String> {
    let is_separator = |c: char| matches!(c, '\'' | '’' | '_' | ' ') || SPACES.contains(&c);
    if text.starts_with(is_separator) || text.ends_with(is_separator) {
        return Vec::new();
    }
    let joined: String = text.chars().filter(|c| !is_separator(*c)).collect();
    let groups = |by: char| {
        let mut parts = joined.trim_start_matches(['-', '+']).split(by);
        let first = parts.next().unwrap_or_default();
        let fits = (1..=3).contains(&first.len()) && !first.starts_with('0');
        fits && parts.all(|part| part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let commas = joined.matches(',').count();
    let readings = match (commas, joined.contains('.')) {
        (0, _) => vec![joined],
        // A comma for the point, or between groups of three digits.
        (1, false) if groups(',') => vec![joined.replace(',', ""), joined.replace(',', ".")],
        (1, false) => vec![joined.replace(',', ".")],
        (_, false) if groups(',') => vec![joined.replace(',', "")],
        _ => vec![],
    };
    readings.iter().flat_map(|reading| canonical(reading)).collect()
}

/// Returns a decimal number with digits on both sides of its point and without leading zeros; for `1.` also the whole number.
/// Empty where the text is no number.
fn canonical(text: &str) -> Vec<String> {
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
        proposals(token, Syntax::Toml).into_iter().next().map(|repair| repair.text)
    }

    #[test]
    fn proposals_for_numbers_of_other_notations() {
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
        let json = |token: &str| proposals(token, Syntax::Json)[0].text.clone();
        assert_eq!((json("0x10"), json("1_000"), json("+5")), ("16".into(), "1000".into(), "5".into()));
        for none in ["1e", "e5", ".", "-", "1.2.3", "1,2,3", "1e5e5", "12ab"] {
            assert_eq!(
                proposals(none, Syntax::Toml).iter().find(|repair| repair.fault != TokenFault::Text),
                None,
                "{none}"
            );
        }
    }

    #[test]
    fn proposals_for_quotes_and_words_of_other_languages() {
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
