//! The files of tickets: read whole, and written only where nothing else is lost.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::artifacts::Ticket;
use crate::base::key::sha256;
use crate::config::UsageError;
use crate::system::files;

/// Reads a ticket and checks its file. Returns it with the SHA-256 of the file.
///
/// # Errors
/// Fails if the file cannot be read, is no ticket, or is damaged.
pub(in crate::cli) fn read_ticket_with_checksum(path: &Path) -> Result<(Ticket, String)> {
    let bytes = files::read(path)?;
    let ticket = Ticket::from_bytes(&bytes);
    Ok((ticket.with_context(|| format!("could not use `{}` as a ticket", path.display()))?, sha256(&bytes)))
}

/// Like [`read_ticket_with_checksum`], without the checksum.
///
/// # Errors
/// Fails like [`read_ticket_with_checksum`].
pub(super) fn read_ticket(path: &Path) -> Result<Ticket> {
    Ok(read_ticket_with_checksum(path)?.0)
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
