//! Mistakes in a configuration: as data, as text with their place, and with hints on how to correct them.
//!
//! A mistake is a [`Diagnostic`](diagnostic::Diagnostic), or a [`SyntaxError`](syntax::SyntaxError) while the text
//! cannot be parsed. A hint is the text that says how to correct it. A replacement is a token or value in place of a
//! wrong one; a hint shows one only after the text was read with it and the mistake was gone.
//!
//! - `diagnostic.rs`: a mistake as data; `render.rs`: mistakes as text, with the line of the file.
//! - `serde_errors.rs`: the messages of serde as diagnostics with hints; `suggest.rs`: the known name for a misspelt
//!   one.
//! - `syntax.rs`: the messages of the TOML and JSON parsers in plain words.
//! - `replacement.rs`: the replacements of a token; `syntax_fix.rs` finds the one that corrects a mistake of syntax,
//!   and `value_replacement.rs` the one that corrects a value of the wrong type.

pub(super) mod diagnostic;
pub(super) mod render;
pub(super) mod replacement;
pub(super) mod serde_errors;
pub(super) mod suggest;
pub(super) mod syntax;
pub(super) mod syntax_fix;
pub(super) mod value_replacement;
