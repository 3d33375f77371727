//! Configurations and overrides.

use std::fs;
use std::path::Path;

use lth::config::{self, ConfigDocument, Override};

use super::super::support::{ALL_ARMS, smoke_document};
use super::{Mutator, Target};

/// Words of configurations.
const WORDS: [&str; 40] = [
    "[train]\n",
    "[arms.a]\n",
    "[[arms]]\n",
    "= ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    ",",
    ".",
    "#",
    "\\u0000",
    "\\ud800",
    "\u{feff}",
    "\r",
    "null",
    "true",
    "inf",
    "1979-05-27",
    "0x",
    "mask",
    "weights",
    "of",
    "random",
    "one_shot",
    "cut",
    "layers",
    "hidden",
    "conv",
    "milestones",
    "10ep",
    "500it",
    "checkpoints",
    "\u{1b}[31m",
    "lr",
    "prune.rate.layers",
];

/// Returns the texts of all configurations in `folder` and its subfolders.
fn texts(folder: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(self::texts(&path));
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            texts.push(fs::read_to_string(path).unwrap());
        }
    }
    texts.sort();
    texts
}

fn shipped() -> Vec<String> {
    texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("configs"))
}

/// Reads a configuration, and returns whether it was accepted.
fn read(name: &str, bytes: &[u8]) -> bool {
    let Ok(text) = config::decode(name, bytes.to_vec()) else { return false };
    match ConfigDocument::parse(name, &text, &[]) {
        Ok(document) => is_accepted(&document),
        Err(error) => {
            check(&error);
            false
        }
    }
}

fn is_accepted(document: &ConfigDocument) -> bool {
    match config::read(document) {
        Ok(experiment) => {
            // What is recorded in the folder of a run is read back as the same experiment.
            let recorded = config::to_toml(&experiment, "auto", 1, document);
            let again =
                ConfigDocument::parse("resolved.toml", &recorded, &[]).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                config::read(&again).unwrap_or_else(|error| panic!("{error}\n{recorded}")).arms,
                experiment.arms
            );
            true
        }
        Err(error) => {
            check(&error.to_string());
            false
        }
    }
}

/// Checks the text of mistakes: it is short, and a terminal can show it.
fn check(error: &str) {
    let error = config::UsageError::from_text(error).to_string();
    assert!(error.starts_with("error: "), "{error}");
    assert!(error.len() < 120_000, "{} bytes", error.len());
    assert!(!error.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{error:?}");
}

#[test]
fn fuzz_config_toml() {
    let corpus = shipped().into_iter().map(String::into_bytes).collect();
    Target { name: "config TOML", corpus, words: &WORDS, read: &|bytes| read("a.toml", bytes), ..Target::default() }
        .fuzz();
}

#[test]
fn fuzz_config_json() {
    let json = |text: String| ConfigDocument::parse("a.toml", &text, &[]).unwrap().root.to_string().into_bytes();
    let corpus = shipped().into_iter().map(json).collect();
    Target { name: "config JSON", corpus, words: &WORDS, read: &|bytes| read("a.json", bytes), ..Target::default() }
        .fuzz();
}

#[test]
fn fuzz_overrides() {
    let corpus = [
        ALL_ARMS,
        "train.lr=0.1",
        "train.optimizer=sgd",
        "name=b",
        "prune.rate.layers.\"a.b\"=0.3",
        "rounds=3",
        "network.layers=[{linear={out=10}},'relu']",
        "train.milestones=['5it','2ep']",
        "data.dataset={images={dir='x'}}",
        "report.checkpoints=[20, 40]",
        "arms.a.b.c.d=1",
        "seed=18446744073709551615",
        "train.lr=1,2",
        "train.lr=none",
    ];
    let corpus: Vec<Vec<u8>> = corpus.iter().map(|set| set.as_bytes().to_vec()).collect();
    let base = smoke_document(&[]);
    let read = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let sets: Vec<Override> = text.split('\n').map(|set| Override::Set(set.to_owned())).collect();
        let unset = text.split('=').next().unwrap_or_default().to_owned();
        let overrides = if Mutator::new(1, &text, 0).below(4) == 0 { vec![Override::Unset(unset)] } else { sets };
        match ConfigDocument::parse_with("a.toml", &base.text, &overrides) {
            Ok(document) => is_accepted(&document),
            Err(error) => {
                check(&error);
                false
            }
        };
        true
    };
    // The values of an override, their paths and what is made of them take a hundred times its 128 KiB and more.
    Target { name: "overrides", corpus, words: &WORDS, read: &read, max_memory: 128 << 20, ..Target::default() }.fuzz();
}
