//! The bound on the nesting of values. It is checked before a text is read: after a mistake of syntax, the TOML parser
//! follows open brackets to any depth, and would overflow the stack.

use std::ops::Range;

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::mistakes::syntax::SyntaxError;

/// Largest depth of values in tables and lists: deeper ones would overflow the stack.
pub(super) const MAX_DEPTH: usize = 64;

/// Returns the mistake of a value at `range` that is nested too deep.
pub(super) fn nested_too_deep(range: Range<usize>) -> SyntaxError {
    let message = format!("values are nested more than {MAX_DEPTH} deep");
    SyntaxError::new(message, range).hint("no key needs more than six levels")
}

/// Returns the mistake of a TOML text, valid or not, whose brackets and braces are nested too deep; `None` if they are
/// not. A closing bracket without its opening one is passed over.
pub(super) fn nesting_mistake(text: &str) -> Option<SyntaxError> {
    let mut open = Vec::new();
    for token in Source::new(text).lex() {
        let closes = |opening| open.last() == Some(&opening);
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket if open.len() == MAX_DEPTH => {
                return Some(nested_too_deep(token.span().start()..token.span().end()));
            }
            opening @ (TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket) => open.push(opening),
            TokenKind::RightSquareBracket if closes(TokenKind::LeftSquareBracket) => drop(open.pop()),
            TokenKind::RightCurlyBracket if closes(TokenKind::LeftCurlyBracket) => drop(open.pop()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_of_a_text_may_be_nested_64_deep() {
        let nested = |depth| format!("a = {}{}\n", "[".repeat(depth), "]".repeat(depth));
        assert!(nesting_mistake(&nested(MAX_DEPTH)).is_none());
        assert_eq!(nesting_mistake(&nested(MAX_DEPTH + 1)).unwrap().span, 4 + MAX_DEPTH..5 + MAX_DEPTH);
        // Brackets in texts and comments do not count, nor do many beside each other.
        let flat = "a = '[[[[' # {{{{\n[b]\n[[c]]\nd = { e = [] }\n";
        assert!(nesting_mistake(&flat.repeat(100)).is_none());
        // Where a bracket is closed by the wrong one, it stays open.
        assert!(nesting_mistake(&"a = {]\n".repeat(65)).is_some());
    }
}
