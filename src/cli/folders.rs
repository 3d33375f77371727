//! Paths of the command line, and folders named by environment variables. Both are expanded; see [`user_path`].

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::config::UsageError;
use crate::system::paths::RunsDir;
use crate::system::{env, user_path};

/// Returns the parser of every argument that is a path: it expands a leading `~/`, and rejects paths that only a shell
/// would expand.
pub(super) fn path_parser() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| user_path::expand(&path))
}

/// Returns the folder of all runs: `given` by `--runs`, else `LTH_RUNS_DIR`, else `runs`.
///
/// # Errors
/// Fails if the value of the variable cannot be expanded, or the folder is a symbolic link whose target does not exist.
/// Fails if the path is, or leads through, something that is not a folder.
pub(super) fn runs_folder(given: Option<&PathBuf>) -> Result<RunsDir> {
    let folder = or_variable(given, env::RUNS, "runs")?;
    user_path::check_symlinks(&folder).map_err(|error| usage_error(&error))?;
    // The folder itself, or the nearest ancestor that exists.
    let existing = folder.ancestors().find_map(|path| Some((path, path.metadata().ok()?)));
    if let Some((path, metadata)) = existing {
        ensure!(metadata.is_dir(), "`{}` is not a folder\n\nhint: name a folder of runs with `--runs`", path.display());
    }
    Ok(RunsDir(folder))
}

/// Returns the folder of the built-in data sets: `given` by `--data-dir`, else `LTH_DATA_DIR`, else `data`.
///
/// # Errors
/// Fails if the value of the variable cannot be expanded.
pub(super) fn data_folder(given: Option<&PathBuf>) -> Result<PathBuf> {
    or_variable(given, env::DATA, "data")
}

/// Returns `given`, else the folder that the environment variable names, else `default`.
fn or_variable(given: Option<&PathBuf>, variable: &str, default: &str) -> Result<PathBuf> {
    match given {
        Some(folder) => Ok(folder.clone()),
        None => Ok(user_path::env_folder(variable)
            .map_err(|error| usage_error(&error))?
            .unwrap_or_else(|| PathBuf::from(default))),
    }
}

/// Converts the error of a rejected path into a [`UsageError`].
pub(super) fn usage_error(rejected: &user_path::RejectedPath) -> anyhow::Error {
    UsageError::from_text(&format!("error: {rejected}")).into()
}
