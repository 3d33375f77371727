//! Inputs that broke a reader, found by the mutations.

use std::process::Command;

use lth::config::{ConfigDocument, Override, UsageError};

use super::super::support::{SMOKE, lth, smoke_document, stderr};

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

/// The TOML parser overflowed the stack: after a mistake it has no bound on nesting.
#[test]
fn brackets_that_are_nested_deep_after_a_mistake_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep.toml");
    let refused = |command: &mut Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("values are nested more than 64 deep"), "{}", stderr(&output));
    };
    for pattern in ["[", "{a=", "{mask={ond',at=[2]},f=", "{a={ond',at=[2]},f="] {
        lth::system::files::write(&file, format!("a={}", pattern.repeat(50_000)).as_bytes()).unwrap();
        refused(lth().arg("check").arg(&file));
        let set = format!("arms={}", pattern.repeat(100_000 / pattern.len()));
        refused(lth().args(["check", SMOKE, "--set", &set]));
    }
}
