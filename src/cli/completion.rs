//! Completion in shells: options and commands by clap, and values that only this program knows: runs, arms, keys.
//!
//! The script of `lth generate completions` calls `lth` with the variable `LTH_COMPLETE` and the command line so far.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _,
};
use clap_complete::env::{CompleteEnv, Shells};

use super::overrides::{SET_VALUE, UNSET_VALUE};
use super::{Cli, folders};
use crate::artifacts::{RoundRow, arms, find_runs, list_runs};
use crate::config::{self, KeyPath};
use crate::report::Run;
use crate::system::env;
use crate::system::paths::RunsDir;

/// Answers a request of a completion script. Returns false if `arguments` is a command line of a user.
///
/// # Errors
/// Fails if the shell is unknown, or standard output cannot be written.
pub(super) fn answer(arguments: &[OsString]) -> Result<bool, clap::Error> {
    let folder = std::env::current_dir().ok();
    let completer = CompleteEnv::with_factory(command).var(env::COMPLETE).bin("lth");
    completer.try_complete(arguments.iter().cloned(), folder.as_deref())
}

/// Returns the script that makes `shell` complete command lines of `lth`.
///
/// # Errors
/// Fails if the shell is unknown.
pub(super) fn script(shell: &str) -> Result<String> {
    let shells = Shells::builtins();
    let completer = shells.completer(shell).with_context(|| format!("no completions for the shell `{shell}`"))?;
    let mut script = Vec::new();
    completer.write_registration(env::COMPLETE, "lth", "lth", "lth", &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// Returns the command line with candidates for the values of its arguments.
fn command() -> Command {
    with_candidates(Cli::command())
}

/// Hides the aliases of a command, which would stand in the list of commands in place of its name.
fn without_visible_aliases(command: Command) -> Command {
    let aliases: Vec<String> = command.get_visible_aliases().map(str::to_owned).collect();
    // clap accepts only names of static lifetime.
    let aliases = aliases.into_iter().map(|alias| &*Box::leak(alias.into_boxed_str()));
    command.visible_alias(None::<&'static str>).aliases(aliases)
}

/// Adds candidates to the arguments of a command and its subcommands.
fn with_candidates(command: Command) -> Command {
    let command = without_visible_aliases(command);
    let command = command.mut_args(|arg| {
        let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        match (arg.get_id().as_str(), value.as_deref()) {
            (_, Some("RUN")) => arg.add(ArgValueCompleter::new(runs)),
            ("arm", _) => arg.add(ArgValueCandidates::new(arm_names)),
            (_, Some(SET_VALUE)) => arg.add(ArgValueCandidates::new(|| keys(false))),
            (_, Some(UNSET_VALUE)) => arg.add(ArgValueCandidates::new(|| keys(true))),
            _ => arg,
        }
    });
    command.mut_subcommands(with_candidates)
}

/// Returns the words of the command line that is completed.
fn words() -> Vec<String> {
    env::arguments().into_iter().skip_while(|word| word != "--").skip(1).collect()
}

/// Returns the folder of all runs: that of `--runs` in the command line, else the usual one.
fn runs_folder() -> Option<RunsDir> {
    let words = words();
    let with_equals = words.iter().find_map(|word| word.strip_prefix("--runs=").map(PathBuf::from));
    let next = words.iter().position(|word| word == "--runs").and_then(|index| words.get(index + 1).map(PathBuf::from));
    folders::runs_folder(with_equals.or(next).as_ref()).ok()
}

/// Returns the names of the runs that begin with `current`; for a path, folders.
fn runs(current: &OsStr) -> Vec<CompletionCandidate> {
    let beginning = current.to_string_lossy();
    if beginning.contains('/') {
        return PathCompleter::dir().complete(current);
    }
    let runs = runs_folder().and_then(|runs| list_runs(&runs).ok()).unwrap_or_default();
    let names = runs.iter().map(|run| run.0.file_name().unwrap_or_default().to_owned());
    let fitting = names.filter(|name| name.to_string_lossy().starts_with(&*beginning));
    fitting.map(CompletionCandidate::new).collect()
}

/// Returns the names of the arms of the runs in the command line; of all runs if it has none.
fn arm_names() -> Vec<CompletionCandidate> {
    let Some(runs) = runs_folder() else { return Vec::new() };
    let words = words();
    let named = words.iter().skip(2).filter(|word| !word.starts_with('-'));
    let mut dirs: Vec<_> = named.filter_map(|word| find_runs(&runs, Path::new(word)).ok()).flatten().collect();
    if dirs.is_empty() {
        dirs = list_runs(&runs).unwrap_or_default();
    }
    let rows: Vec<RoundRow> =
        dirs.into_iter().filter_map(|dir| Run::open(dir).ok()).flat_map(|run| run.rounds).collect();
    let names: BTreeSet<&str> = arms(rows.iter()).into_iter().collect();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// Returns the keys of a configuration, each with its summary: for `--unset` also tables, and for `--set` with `=`.
/// Keys with names that users choose are left out.
fn keys(for_unset: bool) -> Vec<CompletionCandidate> {
    let is_offered = |key: &KeyPath| !key.path.contains("NAME") && (for_unset || !key.is_table);
    let sign = if for_unset { "" } else { "=" };
    let candidate = |key: KeyPath| {
        let summary = (!key.summary.is_empty()).then(|| key.summary.clone().into());
        CompletionCandidate::new(format!("{}{sign}", key.path)).help(summary)
    };
    config::key_paths().into_iter().filter(is_offered).map(candidate).collect()
}
