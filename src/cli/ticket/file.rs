//! The files of tickets: read whole, and written only where nothing else is lost.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::artifacts::Ticket;
use crate::config::UsageError;
use crate::system::files;

/// Reads a ticket and checks its file.
///
/// # Errors
/// Fails if the file cannot be read, is no ticket, or is damaged.
pub(in crate::cli) fn read_ticket(path: &Path) -> Result<Ticket> {
    let bytes = files::read(path)?;
    Ticket::from_bytes(&bytes).with_context(|| format!("could not use `{}` as a ticket", path.display()))
}

/// Checks that a file can be written: that there is none, or that it may be replaced.
///
/// # Errors
/// Returns a [`UsageError`] if the file exists and `may_replace` is false, or if its folder does not exist.
pub(super) fn check_new(path: &Path, may_replace: bool) -> Result<()> {
    let refuse = |problem: &str, hint: &str| {
        let text = format!("error: `{}` {problem}\n\nhint: {hint}", path.display());
        Err(UsageError::from_text(&text).into())
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if path.is_dir() {
        return refuse("is a folder", "name a file in it");
    }
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return refuse("would be in a folder that does not exist", "make the folder first");
    }
    if path.exists() && !may_replace {
        return refuse("exists", "name another file, or replace it with `--force`");
    }
    Ok(())
}
