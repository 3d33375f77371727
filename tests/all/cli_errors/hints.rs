//! Hints that propose a value: the proposed value is accepted in place of the refused one.

use std::process::Command;

use lth::config::{ConfigDocument, read};

use crate::support::*;

/// Returns the text after "write" in the last hint of a message.
fn proposal(message: Result<(), String>) -> String {
    let message = message.unwrap_err();
    let hint =
        message.lines().rev().find_map(|line| line.strip_prefix("hint: ")).unwrap_or_else(|| panic!("{message}"));
    let behind = hint.strip_prefix("write `").or_else(|| hint.strip_prefix("write it as `"));
    let behind = behind.or_else(|| hint.strip_prefix("without quotes: `"));
    behind.and_then(|rest| rest.split('`').next()).unwrap_or_else(|| panic!("{message}")).to_owned()
}

/// Returns the message of `lth check` about this text in a file called `name`, but for errors that need data.
fn check(name: &str, text: &str, sets: &[String]) -> Result<(), String> {
    let document = ConfigDocument::parse(name, text, sets)?;
    read(&document).map(drop).map_err(|report| report.to_string())
}

/// Like [`check`], on [`SMOKE`] with a `--set`.
fn check_set(set: String) -> Result<(), String> {
    check("smoke.toml", &std::fs::read_to_string(SMOKE).unwrap(), &[set])
}

/// Values as other programs write them: (key of [`SMOKE`], value, proposed value).
const VALUES: [(&str, &str, &str); 22] = [
    ("train.lr", ".1", "0.1"),
    ("train.lr", "1.", "1.0"),
    ("train.lr", "00.5", "0.5"),
    ("train.lr", "0,002", "0.002"),
    ("train.lr", "1e−3", "1e-3"),
    ("train.lr", "1e–3", "1e-3"),
    ("train.lr", "0.1f", "0.1"),
    ("train.lr", "50%", "0.5"),
    ("train.lr", "33.3%", "0.333"),
    ("seed", "007", "7"),
    ("seed", "1'000", "1000"),
    ("seed", "1 000", "1000"),
    ("seed", "1\u{202f}000", "1000"),
    ("seed", "1,000", "1000"),
    ("seed", "20L", "20"),
    ("seed", "1.", "1"),
    ("train.drop_last", "True", "true"),
    ("train.drop_last", "TRUE", "true"),
    ("train.drop_last", "yes", "true"),
    ("train.drop_last", "on", "true"),
    ("train.drop_last", "off", "false"),
    ("train.drop_last", "No", "false"),
];

/// Texts with quotes that TOML and JSON do not use.
const TEXTS: [&str; 5] = ["“strokes”", "‘strokes’", "«strokes»", "„strokes“", "“strokes\""];

/// Returns [`SMOKE`] as TOML or JSON, with the characters of `value` as the value of `key`.
fn file(key: &str, value: &str, is_json: bool) -> String {
    let mut root: toml::Table = std::fs::read_to_string(SMOKE).unwrap().parse().unwrap();
    let (table, leaf) = key.rsplit_once('.').unwrap_or(("", key));
    let table = if table.is_empty() { &mut root } else { root[table].as_table_mut().unwrap() };
    table.insert(leaf.to_owned(), "PLACE".into());
    let text = if is_json { serde_json::to_string_pretty(&root).unwrap() } else { toml::to_string(&root).unwrap() };
    assert!(text.contains("\"PLACE\""), "{text}");
    text.replace("\"PLACE\"", value)
}

#[test]
fn hint_in_toml_and_json_is_accepted() {
    let texts = TEXTS.map(|text| ("data.dataset", text, "\"strokes\""));
    for (key, value, expected) in VALUES.into_iter().chain(texts).chain([("data.dataset", "strokes", "\"strokes\"")]) {
        for name in ["my.toml", "my.json"] {
            let is_json = name == "my.json";
            let proposed = proposal(check(name, &file(key, value, is_json), &[]));
            assert_eq!(proposed, expected, "{name} {key} = {value}");
            assert_eq!(check(name, &file(key, &proposed, is_json), &[]), Ok(()), "{name} {key} = {proposed}");
        }
    }
}

#[test]
fn hint_for_a_text_that_should_be_a_number_is_accepted() {
    for (key, value, expected) in VALUES.into_iter().chain([("seed", "30", "30"), ("train.drop_last", "true", "true")])
    {
        let text = file(key, &format!("\"{value}\""), false);
        assert_eq!(proposal(check("my.toml", &text, &[])), expected, "{key} = \"{value}\"");
    }
}

#[test]
fn hint_for_a_set_is_accepted() {
    let texts = TEXTS.map(|text| ("data.dataset", text, "strokes"));
    for (key, value, expected) in VALUES.into_iter().chain(texts) {
        let proposed = proposal(check_set(format!("{key}={value}")));
        let proposed = proposed.strip_prefix(&format!("--set {key}=")).unwrap_or(&proposed);
        assert_eq!(proposed, expected, "{key}={value}");
        assert_eq!(check_set(format!("{key}={proposed}")), Ok(()), "{key}={proposed}");
    }
    let lists = TEXTS.map(|text| ("prune.exclude", format!("[{text}]").replace("strokes", "output")));
    let numbers = [
        ("train.betas", "[.9, .999]".to_owned()),
        ("prune.rate", "{linear=.4, output=0.1f}".to_owned()),
        ("arms.random_mask.mask", "{of=winning_ticket}".to_owned()),
        ("train", "{iterations=1'000,batch_size=30,optimizer=adam,lr=.1}".to_owned()),
    ];
    for (key, value) in lists.into_iter().chain(numbers) {
        // The proposed value is quoted for a shell.
        let proposed = proposal(check_set(format!("{key}={value}")));
        let set = proposed.strip_prefix("--set '").and_then(|set| set.strip_suffix('\'')).unwrap();
        assert_eq!(check_set(set.to_owned()), Ok(()), "{proposed}");
    }
}

#[test]
fn hint_of_binary_is_accepted() {
    let check = |more: &str| {
        let line = format!("\"$0\" check \"$1\" {more}");
        Command::new("sh").args(["-c", &line, env!("CARGO_BIN_EXE_lth"), SMOKE]).output().unwrap()
    };
    let refused = check("--set 'train.betas=[.9,.999]' --set 'prune.exclude=[“output”]'");
    assert_eq!(refused.status.code(), Some(2));
    let proposed = proposal(Err(stderr(&refused)));
    assert_eq!(proposed, "--set 'train.betas=[0.9,0.999]'");
    let mended = check(&proposed);
    assert!(mended.status.success(), "{}", stderr(&mended));
}

#[test]
fn hint_that_would_be_refused_is_not_given() {
    for set in ["replicates=0.0", "train.batch_size=1e12", "train.lr=-.1", "train.drop_last=maybe", "seed=-007"] {
        let message = check_set(set.to_owned()).unwrap_err();
        assert!(!message.contains("hint: write") && !message.contains("hint: without"), "{set}: {message}");
    }
    for (key, value) in [("train.lr", "-.1"), ("seed", "-007"), ("train.drop_last", "maybe"), ("data.dataset", "minst")]
    {
        let message = check("my.toml", &file(key, value, false), &[]).unwrap_err();
        assert!(!message.contains("hint: write"), "{key} = {value}: {message}");
    }
}

#[test]
fn hint_names_characters_that_are_not_seen() {
    let text = std::fs::read_to_string(SMOKE).unwrap();
    let message = |from: &str, to: &str| check("my.toml", &text.replacen(from, to, 1), &[]).unwrap_err();
    let indented = message("batch_size", "\u{a0}\u{a0}batch_size");
    assert!(
        indented.contains("a no-break space (U+00A0) stands here") && indented.contains("plain space"),
        "{indented}"
    );
    let twice = message("[train]", "\u{feff}[train]");
    assert!(twice.contains("a byte order mark (U+FEFF) stands inside the text"), "{twice}");
    assert!(twice.contains("hint: remove it"), "{twice}");
    let hidden = message("seed = 1", "seed = 1\u{200b}");
    assert!(hidden.contains("(U+200B)") && hidden.contains("hint: remove it"), "{hidden}");
}
