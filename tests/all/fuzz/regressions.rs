//! Inputs that broke a reader, found by the mutations.

use lth::config::{ConfigDocument, Override, UsageError};

use super::super::support::smoke_document;

#[test]
fn control_characters_of_an_override_do_not_reach_the_terminal() {
    let set = "t\u{1b}2{\u{15}2n{nn".to_owned();
    let error = ConfigDocument::parse("a.toml", &smoke_document(&[]).text, &[set]).unwrap_err();
    let shown = UsageError::from_text(&error).to_string();
    assert!(shown.contains("--> --set t\u{fffd}2{\u{fffd}2n{nn\n"), "{shown:?}");
}

#[test]
fn errors_about_a_long_override_are_short() {
    let long = "é".repeat(50_000);
    let text = smoke_document(&[]).text;
    let overrides = [
        Override::Unset(long.clone()),
        Override::Unset(format!("{long}=1")),
        Override::Unset(format!("{long}[0]")),
        Override::Set(long.clone()),
        Override::Set(format!("{long}[0]=1")),
        Override::Set(format!("name.{long}=1")),
        Override::Set(format!("train.lr=[{long}")),
    ];
    for change in overrides {
        let error = ConfigDocument::parse_with("a.toml", &text, &[change]).unwrap_err();
        assert!(error.len() < 5_000, "{} bytes: {error:.500}", error.len());
    }
}
