//! A mistake of syntax, with the value that would be accepted in its place. Nothing is proposed that was not tried.

use std::ops::Range;

use super::repair::{Repair, Syntax, TokenFault, proposals};

/// Repairs that are tried in one text, one mistake after another.
const MAX_REPAIRS: usize = 100;

/// A token of a text and what to write in its place.
#[derive(Clone, Debug)]
pub(super) struct SyntaxFix {
    /// Where the token stands, in bytes.
    pub(super) token: Range<usize>,
    /// What to write.
    pub(super) repair: Repair,
    /// The text with this mistake and all behind it repaired; `None` where that does not succeed.
    pub(super) whole: Option<String>,
}

/// How a text is parsed.
pub(super) struct Grammar<'a> {
    /// Its syntax.
    pub(super) syntax: Syntax,
    /// Where the first mistake of a text begins; `None` where there is none.
    pub(super) mistake: &'a dyn Fn(&str) -> Option<usize>,
}

/// The repair of the mistake at byte `at` of `text`. `accepts` says whether a text without mistakes is understood at the
/// byte where the repaired token begins; `None` where no value stands there.
pub(super) fn find_fix(
    text: &str,
    at: usize,
    grammar: &Grammar<'_>,
    accepts: &dyn Fn(&str, usize) -> Option<bool>,
) -> Option<SyntaxFix> {
    for (token, repair, repaired) in repairs(text, at, grammar) {
        let whole = rest(repaired, grammar);
        // What is a word or a text depends on the key; without a value in a whole text the key is not known.
        let is_sure = !matches!(repair.fault, TokenFault::Word | TokenFault::Text);
        if whole.as_deref().and_then(|whole| accepts(whole, token.start)).unwrap_or(is_sure) {
            return Some(SyntaxFix { token, repair, whole });
        }
    }
    None
}

/// Repairs every other mistake; `None` where that does not succeed.
fn rest(mut text: String, grammar: &Grammar<'_>) -> Option<String> {
    for _ in 0..MAX_REPAIRS {
        let Some(at) = (grammar.mistake)(&text) else { return Some(text) };
        (_, _, text) = repairs(&text, at, grammar).into_iter().next()?;
    }
    None
}

/// The repairs of the mistake at `at` behind which the next mistake comes later, each with the repaired text.
fn repairs(text: &str, at: usize, grammar: &Grammar<'_>) -> Vec<(Range<usize>, Repair, String)> {
    let mut all = Vec::new();
    for token in tokens(text, at) {
        for repair in proposals(&text[token.clone()], grammar.syntax) {
            let repaired = format!("{}{}{}", &text[..token.start], repair.text, &text[token.end..]);
            let end = token.start + repair.text.len();
            // What stood at `at` stands here now.
            let shifted = (at + repair.text.len()).saturating_sub(token.len());
            if (grammar.mistake)(&repaired).is_none_or(|next| next >= end && next > shifted) {
                all.push((token.clone(), repair, repaired));
            }
        }
    }
    all
}

/// The tokens around byte `at`: up to a delimiter; with commas inside; with spaces inside. A parser may stop at the
/// delimiter behind a token, so the byte before is looked at as well.
fn tokens(text: &str, at: usize) -> Vec<Range<usize>> {
    let is_bracket = |c: char| matches!(c, '[' | ']' | '{' | '}' | '=' | ':' | '#' | '\n' | '\r');
    let is_space = |c: char| matches!(c, ' ' | '\t');
    let kinds: [&dyn Fn(char) -> bool; 4] = [
        &|c| is_bracket(c) || is_space(c) || c == ',',
        &|c| is_bracket(c) || is_space(c),
        &|c| is_bracket(c) || c == ',',
        &is_bracket,
    ];
    let mut all: Vec<Range<usize>> = Vec::new();
    for is_end in kinds {
        for at in [at, at.saturating_sub(1), at.saturating_sub(2)] {
            let Some((before, behind)) = text.split_at_checked(at.min(text.len())) else { continue };
            let start = before.rfind(is_end).map_or(0, |found| found + 1);
            let end = at + behind.find(is_end).unwrap_or(behind.len());
            if end <= start {
                continue;
            }
            let part = &text[start..end];
            let trimmed = part.trim_matches([' ', '\t', ',']);
            let start = start + (part.len() - part.trim_start_matches([' ', '\t', ',']).len());
            let token = start..start + trimmed.len();
            if !token.is_empty() && !all.contains(&token) {
                all.push(token);
            }
        }
    }
    all
}

/// What is wrong with `token` and what to do, for a person.
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
