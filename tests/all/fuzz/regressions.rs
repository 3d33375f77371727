//! Inputs that broke a reader, found by the mutations.

use lth::config::{ConfigDocument, UsageError};

use super::super::support::smoke_document;

#[test]
fn control_characters_of_an_override_do_not_reach_the_terminal() {
    let set = "t\u{1b}2{\u{15}2n{nn".to_owned();
    let error = ConfigDocument::parse("a.toml", &smoke_document(&[]).text, &[set]).unwrap_err();
    let shown = UsageError::from_text(&error).to_string();
    assert!(shown.contains("--> --set t\u{fffd}2{\u{fffd}2n{nn\n"), "{shown:?}");
}
