//! The repair of a mistake of syntax: a value that was tried and is accepted in its place.

use std::ops::Range;

use super::repair::{Repair, Syntax, TokenFault, proposals};

/// Largest number of mistakes that are repaired in one text.
const MAX_REPAIRS: usize = 100;

/// A token of a text and its replacement.
#[derive(Clone, Debug)]
pub(super) struct SyntaxFix {
    /// The byte range of the token.
    pub(super) token: Range<usize>,
    /// The replacement.
    pub(super) repair: Repair,
    /// The text with this mistake and all later ones repaired; `None` where that does not succeed.
    pub(super) whole: Option<String>,
}

/// The parser of a text.
pub(super) struct Grammar<'a> {
    /// The syntax of the text.
    pub(super) syntax: Syntax,
    /// Returns the byte at which the first mistake of a text begins; `None` where there is none.
    pub(super) mistake: &'a dyn Fn(&str) -> Option<usize>,
}

/// Returns the repair of the mistake at byte `position` of `text`. `accepts` returns whether a text without mistakes is
/// accepted at the byte where the repaired token begins; `None` where no value begins there.
pub(super) fn find_fix(
    text: &str,
    position: usize,
    grammar: &Grammar<'_>,
    accepts: &dyn Fn(&str, usize) -> Option<bool>,
) -> Option<SyntaxFix> {
    for (token, repair, repaired) in repairs(text, position, grammar) {
        let whole = repair_rest(repaired, grammar);
        // Whether a token is a word or a text depends on its key, which is not known while the text has mistakes.
        let is_sure = !matches!(repair.fault, TokenFault::Word | TokenFault::Text);
        if whole.as_deref().and_then(|whole| accepts(whole, token.start)).unwrap_or(is_sure) {
            return Some(SyntaxFix { token, repair, whole });
        }
    }
    None
}

/// Returns the text with every mistake repaired; `None` where that does not succeed.
fn repair_rest(mut text: String, grammar: &Grammar<'_>) -> Option<String> {
    for _ in 0..MAX_REPAIRS {
        let Some(position) = (grammar.mistake)(&text) else { return Some(text) };
        (_, _, text) = repairs(&text, position, grammar).into_iter().next()?;
    }
    None
}

/// Returns the repairs of the mistake at byte `position` after which the next mistake comes later, each with its token and the
/// repaired text.
fn repairs(text: &str, position: usize, grammar: &Grammar<'_>) -> Vec<(Range<usize>, Repair, String)> {
    let mut repairs = Vec::new();
    for token in tokens(text, position) {
        for repair in proposals(&text[token.clone()], grammar.syntax) {
            let repaired = format!("{}{}{}", &text[..token.start], repair.text, &text[token.end..]);
            let end = token.start + repair.text.len();
            // The position of the old mistake in the repaired text.
            let shifted = (position + repair.text.len()).saturating_sub(token.len());
            if (grammar.mistake)(&repaired).is_none_or(|next| next >= end && next > shifted) {
                repairs.push((token.clone(), repair, repaired));
            }
        }
    }
    repairs
}

/// Returns the byte ranges of the tokens around byte `position`: up to a delimiter; with commas inside; with spaces inside. A
/// parser may stop at the delimiter after a token, so the two bytes before are tried as well.
fn tokens(text: &str, position: usize) -> Vec<Range<usize>> {
    let is_bracket = |c: char| matches!(c, '[' | ']' | '{' | '}' | '=' | ':' | '#' | '\n' | '\r');
    let is_space = |c: char| matches!(c, ' ' | '\t');
    let kinds: [&dyn Fn(char) -> bool; 4] = [
        &|c| is_bracket(c) || is_space(c) || c == ',',
        &|c| is_bracket(c) || is_space(c),
        &|c| is_bracket(c) || c == ',',
        &is_bracket,
    ];
    let mut tokens: Vec<Range<usize>> = Vec::new();
    for is_end in kinds {
        for byte in [position, position.saturating_sub(1), position.saturating_sub(2)] {
            let Some((before, after)) = text.split_at_checked(byte.min(text.len())) else { continue };
            let start = before.rfind(is_end).map_or(0, |delimiter| delimiter + 1);
            let end = byte + after.find(is_end).unwrap_or(after.len());
            if end <= start {
                continue;
            }
            let part = &text[start..end];
            let trimmed = part.trim_matches([' ', '\t', ',']);
            let start = start + (part.len() - part.trim_start_matches([' ', '\t', ',']).len());
            let token = start..start + trimmed.len();
            if !token.is_empty() && !tokens.contains(&token) {
                tokens.push(token);
            }
        }
    }
    tokens
}

/// Returns the message about the fault of `token`, and the hint with its replacement.
pub(super) fn describe(token: &str, repair: &Repair, syntax: Syntax) -> (String, String) {
    let code = |c: char| format!("U+{:04X}", u32::from(c));
    let write = format!("write `{}`", repair.text);
    match repair.fault {
        TokenFault::Quotes => ("these are typographic quotes".to_owned(), write),
        TokenFault::Dash(c) => (format!("`{c}` ({}) is not the minus sign of numbers", code(c)), write),
        TokenFault::Space('\u{feff}') => {
            ("a byte order mark (U+FEFF) stands inside the text".to_owned(), "remove it".to_owned())
        }
        TokenFault::Space(c) if super::repair::is_invisible(c) => {
            (format!("an invisible character ({}) stands here", code(c)), "remove it".to_owned())
        }
        TokenFault::Space(c) => {
            let name = if c == '\u{a0}' { "a no-break space" } else { "a special space" };
            (format!("{name} ({}) stands here", code(c)), "write a plain space in its place".to_owned())
        }
        TokenFault::Number => (format!("`{token}` is not a number in {}", syntax.name()), write),
        TokenFault::Word => (format!("`{token}` is not a value in {}", syntax.name()), write),
        TokenFault::Text if token.starts_with(['\'', '"']) && !token.ends_with(['\'', '"']) => {
            ("a text is not closed".to_owned(), write)
        }
        TokenFault::Text if token.starts_with(['\'', '"', '`']) => {
            (format!("`{token}` is not a text in {}", syntax.name()), write)
        }
        TokenFault::Text => ("a text needs quotes".to_owned(), write),
    }
}
