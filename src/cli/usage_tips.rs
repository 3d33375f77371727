//! Tips in error messages of the command line for habits from other programs: `--lr 1e-3`, `train.lr=1e-3`, `lth list`.

use std::ffi::OsString;
use std::path::Path;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::config::{self, closest_match};
use crate::system::env;

/// The commands that take `--set`.
const WITH_SET: [&str; 5] = ["run", "train", "plan", "check", "data"];

/// Words that other programs use as subcommands, each with the command line that is meant.
const OTHER_COMMANDS: [(&str, &str); 6] = [
    ("version", "--version"),
    ("list", "runs"),
    ("status", "runs"),
    ("remove", "rm"),
    ("delete", "rm"),
    ("new", "init"),
];

/// Replaces the tip of an error by one that names the option or command that was probably meant, if there is one.
pub(super) fn with_tip(mut error: clap::Error, arguments: &[OsString], commands: &[String]) -> clap::Error {
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let invalid = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.clone()),
        _ => None,
    };
    let tip = match error.kind() {
        ErrorKind::UnknownArgument => {
            let has_own_tip = error.get(ContextKind::SuggestedArg).is_some();
            invalid(ContextKind::InvalidArg).and_then(|word| set_tip(&word, &words, has_own_tip))
        }
        ErrorKind::InvalidSubcommand => {
            invalid(ContextKind::InvalidSubcommand).and_then(|word| command_tip(&word, &commands))
        }
        _ => None,
    };
    if let Some(tip) = tip {
        for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedCommand] {
            error.remove(kind);
        }
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(&tip)]));
    }
    error
}

/// Returns the tip for an unknown argument that changes a value of the experiment: `--lr 1e-3`, `--train.lr=1e-3` or
/// `train.lr=1e-3`. With `has_own_tip`, clap proposes an option with a similar name, and a key must have exactly the
/// name of the argument.
fn set_tip(argument: &str, words: &[String], has_own_tip: bool) -> Option<String> {
    let position = words.iter().skip(1).position(|word| !word.starts_with('-'))? + 1;
    if !WITH_SET.contains(&words[position].as_str()) {
        return None;
    }
    let (name, value) = match (argument.strip_prefix("--"), argument.split_once('=')) {
        (Some(option), _) => (option.to_owned(), value_of(argument, words)),
        (None, Some((key, value))) => (key.to_owned(), Some(value.to_owned())),
        (None, None) => return None,
    };
    let key = match key_named(&name, has_own_tip) {
        Some(key) => key,
        None if argument.starts_with("--") => return None,
        None => name.clone(),
    };
    // Other programs count in epochs, and have a short option for it.
    let unit = if name.starts_with("epoch") && key == "train.iterations" { "ep" } else { "" };
    let set = format!("{key}={}{unit}", value.unwrap_or_else(|| "VALUE".to_owned()));
    Some(format!("did you mean `--set {}`?", env::quoted(&set)))
}

/// Returns the value of the option `option` in the command line, behind `=` or as the next word.
fn value_of(option: &str, words: &[String]) -> Option<String> {
    let with_equals = words.iter().find_map(|word| word.strip_prefix(option)?.strip_prefix('='));
    let next = || {
        let index = words.iter().position(|word| word == option)?;
        words.get(index + 1).map(String::as_str).filter(|word| !word.starts_with("--"))
    };
    with_equals.or_else(next).map(str::to_owned)
}

/// Returns the path of the key that `name` stands for: a path, the last part of one, or, unless `exact`, something
/// similar.
fn key_named(name: &str, exact: bool) -> Option<String> {
    let keys: Vec<String> = config::key_paths()
        .into_iter()
        .filter(|key| !key.is_table && !key.path.contains("NAME"))
        .map(|key| key.path)
        .collect();
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let name = name.replace('-', "_");
    let named = |name: &str| keys.iter().find(|path| *path == name || last(path) == name).cloned();
    named(&name).or_else(|| {
        let names: Vec<String> = keys.iter().flat_map(|path| [path.clone(), last(path)]).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        closest_match(&name, &names).filter(|_| !exact).and_then(named)
    })
}

/// Returns the tip for an unknown command: the command line that is probably meant.
fn command_tip(word: &str, commands: &[&str]) -> Option<String> {
    let other = OTHER_COMMANDS.iter().find(|(other, _)| *other == word).map(|(_, meant)| *meant);
    let other = other.filter(|meant| meant.starts_with('-') || commands.contains(meant));
    let is_config = Path::new(word).extension().is_some_and(|ending| ending == "toml" || ending == "json");
    // A command that deletes is never a guess.
    let guessed: Vec<&str> = commands.iter().copied().filter(|command| *command != "rm").collect();
    let meant = match other.or_else(|| closest_match(word, &guessed)) {
        _ if is_config => format!("run {}", env::quoted(word)),
        Some(meant) => meant.to_owned(),
        None => return None,
    };
    Some(format!("did you mean `{} {meant}`?", env::program()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tip(line: &str, argument: &str) -> Option<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        set_tip(argument, &words, false)
    }

    #[test]
    fn options_of_other_programs_become_set() {
        let set = |text: &str| Some(format!("did you mean `--set {text}`?"));
        assert_eq!(tip("lth run x.toml --lr 1e-3", "--lr"), set("train.lr=1e-3"));
        assert_eq!(tip("lth run x.toml --lr=1e-3", "--lr"), set("train.lr=1e-3"));
        assert_eq!(tip("lth run x.toml --seed 3", "--seed"), set("seed=3"));
        assert_eq!(tip("lth plan --batch-size 60 x.toml", "--batch-size"), set("train.batch_size=60"));
        assert_eq!(tip("lth run x.toml --learning-rate 1", "--learning-rate"), set("train.lr=1"));
        assert_eq!(tip("lth run x.toml --epochs 20", "--epochs"), set("train.iterations=20ep"));
        assert_eq!(tip("lth plan x.toml train.lr=1e-3", "train.lr=1e-3"), set("train.lr=1e-3"));
        assert_eq!(tip("lth plan x.toml lr=1e-3", "lr=1e-3"), set("train.lr=1e-3"));
        assert_eq!(tip("lth plan x.toml arms.a.repeats=2", "arms.a.repeats=2"), set("arms.a.repeats=2"));
        assert_eq!(tip("lth run x.toml --lr", "--lr"), set("train.lr=VALUE"));
        assert_eq!(tip("lth runs --lr 3", "--lr"), None, "the command has no `--set`");
        assert_eq!(tip("lth run x.toml --frobnicate", "--frobnicate"), None);
    }

    #[test]
    fn commands_of_other_programs_become_ours() {
        let commands = ["run", "train", "runs", "ls", "plan"];
        let meant = |word| command_tip(word, &commands);
        assert_eq!(meant("version").unwrap(), "did you mean `lth --version`?");
        assert_eq!(meant("list").unwrap(), "did you mean `lth runs`?");
        assert_eq!(meant("rn").unwrap(), "did you mean `lth run`?");
        assert_eq!(meant("configs/smoke.toml").unwrap(), "did you mean `lth run configs/smoke.toml`?");
        assert_eq!((meant("remove"), meant("frobnicate")), (None, None));
    }
}
