//! The correction of a mistake of syntax: a replacement of a token with which the text was read and is accepted.

use std::ops::Range;

use super::super::document::MAX_TRIED;
use super::replacement::{Replacement, Syntax, TokenFault, is_invisible, replacements};

/// Largest number of mistakes that are corrected in one text.
const MAX_FIXES: usize = 100;

/// A token of a text and its replacement.
#[derive(Clone, Debug)]
pub(in crate::config) struct SyntaxFix {
    /// The byte range of the token.
    pub(in crate::config) token: Range<usize>,
    /// The replacement of the token.
    pub(in crate::config) replacement: Replacement,
    /// The text with this mistake and all later ones corrected; `None` if some mistake has no replacement.
    pub(in crate::config) whole: Option<String>,
}

/// The parser of a text.
pub(in crate::config) struct Grammar<'a> {
    /// The syntax of the text.
    pub(in crate::config) syntax: Syntax,
    /// Returns the byte at which the first mistake of a text begins; `None` if there is none.
    pub(in crate::config) mistake: &'a dyn Fn(&str) -> Option<usize>,
}

/// A replacement of a token after which the next mistake of syntax comes later.
struct Candidate {
    /// The byte range of the token in the old text.
    token: Range<usize>,
    /// The replacement of the token.
    replacement: Replacement,
    /// The text with the replacement.
    text: String,
}

/// Returns the first replacement that corrects the mistake at byte `position` of `text`; `None` if there is none, or the
/// text is longer than [`MAX_TRIED`].
///
/// `accepts(text, byte)` returns whether the experiment accepts the value that begins at `byte` of a text without
/// mistakes of syntax; `None` if no value begins there.
pub(in crate::config) fn find_fix(
    text: &str,
    position: usize,
    grammar: &Grammar<'_>,
    accepts: &dyn Fn(&str, usize) -> Option<bool>,
) -> Option<SyntaxFix> {
    if text.len() > MAX_TRIED {
        return None;
    }
    for Candidate { token, replacement, text } in candidates(text, position, grammar) {
        let whole = fix_rest(text, grammar);
        // Whether a word or a text fits depends on its key, which cannot be looked up while the text has mistakes.
        let is_sure = !matches!(replacement.fault, TokenFault::Word | TokenFault::Text);
        if whole.as_deref().and_then(|whole| accepts(whole, token.start)).unwrap_or(is_sure) {
            return Some(SyntaxFix { token, replacement, whole });
        }
    }
    None
}

/// Returns the text with every mistake corrected; `None` if some mistake has no replacement.
fn fix_rest(mut text: String, grammar: &Grammar<'_>) -> Option<String> {
    for _ in 0..MAX_FIXES {
        let Some(position) = (grammar.mistake)(&text) else { return Some(text) };
        text = candidates(&text, position, grammar).into_iter().next()?.text;
    }
    None
}

/// Returns the replacements for the mistake at byte `position` after which the next mistake comes later.
fn candidates(text: &str, position: usize, grammar: &Grammar<'_>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for token in tokens(text, position) {
        for replacement in replacements(&text[token.clone()], grammar.syntax) {
            let replaced = format!("{}{}{}", &text[..token.start], replacement.text, &text[token.end..]);
            let end = token.start + replacement.text.len();
            // The position of the old mistake in the text with the replacement.
            let shifted = (position + replacement.text.len()).saturating_sub(token.len());
            if (grammar.mistake)(&replaced).is_none_or(|next| next >= end && next > shifted) {
                candidates.push(Candidate { token: token.clone(), replacement, text: replaced });
            }
        }
    }
    candidates
}

/// Returns the byte ranges of the tokens around byte `position`. Four definitions of a token are tried: without spaces
/// and commas, with commas, with spaces, with both. A parser may stop at the delimiter after a token, so the two bytes
/// before `position` are tried as well.
fn tokens(text: &str, position: usize) -> Vec<Range<usize>> {
    let is_delimiter = |c: char| matches!(c, '[' | ']' | '{' | '}' | '=' | ':' | '#' | '\n' | '\r');
    let is_space = |c: char| matches!(c, ' ' | '\t');
    let ends: [&dyn Fn(char) -> bool; 4] = [
        &|c| is_delimiter(c) || is_space(c) || c == ',',
        &|c| is_delimiter(c) || is_space(c),
        &|c| is_delimiter(c) || c == ',',
        &is_delimiter,
    ];
    let mut tokens: Vec<Range<usize>> = Vec::new();
    for is_end in ends {
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
pub(in crate::config) fn describe(token: &str, replacement: &Replacement, syntax: Syntax) -> (String, String) {
    let code = |c: char| format!("U+{:04X}", u32::from(c));
    let write = format!("write `{}`", replacement.text);
    match replacement.fault {
        TokenFault::Quotes => ("these are typographic quotes".to_owned(), write),
        TokenFault::Dash(c) => (format!("`{c}` ({}) is not the minus sign of numbers", code(c)), write),
        TokenFault::Space('\u{feff}') => {
            ("a byte order mark (U+FEFF) stands inside the text".to_owned(), "remove it".to_owned())
        }
        TokenFault::Space(c) if is_invisible(c) => {
            (format!("an invisible character ({}) stands here", code(c)), "remove it".to_owned())
        }
        TokenFault::Space(c) => {
            let name = if c == '\u{a0}' { "a no-break space" } else { "a special space" };
            (format!("{name} ({}) stands here", code(c)), "write a plain space in its place".to_owned())
        }
        TokenFault::Number => (format!("`{token}` is not a number in {}", syntax.name()), write),
        TokenFault::Word => (format!("`{token}` is not a value in {}", syntax.name()), write),
        TokenFault::Text if token.starts_with(['\'', '"']) && !token.ends_with(['\'', '"']) => {
            ("unclosed string".to_owned(), write)
        }
        TokenFault::Text if token.starts_with(['\'', '"', '`']) => {
            (format!("`{token}` is not a string in {}", syntax.name()), write)
        }
        TokenFault::Text => ("string values need quotes".to_owned(), write),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::mistakes::syntax::toml_mistake;

    /// A `--set` of 131,072 bytes took more than a second.
    #[test]
    fn replacements_are_tried_in_short_texts_only() {
        let grammar = Grammar { syntax: Syntax::Toml, mistake: &toml_mistake };
        let fix = |numbers: usize| {
            let text = format!("a = True # {}\n", "1".repeat(numbers));
            find_fix(&text, toml_mistake(&text).unwrap(), &grammar, &|_, _| Some(true))
        };
        assert_eq!(fix(9).unwrap().replacement.text, "true");
        assert!(fix(MAX_TRIED).is_none());
    }
}
