//! Paths of the command line and folders named by environment variables, expanded; see [`user_path`].

use std::path::PathBuf;

use anyhow::Result;
use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::config::UsageError;
use crate::system::paths::RunsDir;
use crate::system::{env, user_path};

/// Returns the parser of every argument that is a path: it expands a leading `~/`, and refuses paths that only a shell
/// would expand.
pub(super) fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| user_path::expand(&path))
}

/// Returns the folder of all runs: `given` by `--runs`, else `LTH_RUNS_DIR`, else `runs`.
///
/// # Errors
/// Fails for a value of the variable that cannot be expanded, and for a symbolic link whose target does not exist.
pub(super) fn runs(given: Option<&PathBuf>) -> Result<RunsDir> {
    let folder = or_variable(given, env::RUNS, "runs")?;
    user_path::check_symlinks(&folder).map_err(|error| refused(&error))?;
    Ok(RunsDir(folder))
}

/// Returns the folder of the built-in data sets: `given` by `--data-dir`, else `LTH_DATA_DIR`, else `data`.
///
/// # Errors
/// Fails for a value of the variable that cannot be expanded.
pub(super) fn data(given: Option<&PathBuf>) -> Result<PathBuf> {
    or_variable(given, env::DATA, "data")
}

fn or_variable(given: Option<&PathBuf>, variable: &str, default: &str) -> Result<PathBuf> {
    match given {
        Some(folder) => Ok(folder.clone()),
        None => Ok(user_path::env_folder(variable)
            .map_err(|error| refused(&error))?
            .unwrap_or_else(|| PathBuf::from(default))),
    }
}

/// Converts a refused path into a usage error.
pub(super) fn refused(rejected: &user_path::RejectedPath) -> anyhow::Error {
    UsageError::from_text(&format!("error: {rejected}")).into()
}
