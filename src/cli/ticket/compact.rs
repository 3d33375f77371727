//! `lth ticket compact`: a smaller network with the same outputs.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::super::folders;
use super::file::{check_new, read_ticket};
use super::json::TicketCompactResult;
use crate::artifacts::TicketSizes;
use crate::config::UsageError;
use crate::system::exit::Exit;
use crate::system::files;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct CompactArgs {
    /// The file of the ticket.
    #[arg(value_parser = folders::path_parser())]
    file: PathBuf,
    /// The file to write.
    #[arg(long, short, value_name = "FILE", value_parser = folders::path_parser())]
    out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lth ticket compact` and returns its exit code.
///
/// # Errors
/// Fails if the ticket cannot be read, or the other file not be written. Returns a usage error if the other file exists
/// and is not to be replaced.
pub(super) fn run(args: &CompactArgs) -> Result<Exit> {
    check_new(&args.out, args.force)?;
    if args.out.exists() && args.out.canonicalize().ok() == args.file.canonicalize().ok() {
        let text = format!("error: `{}` would be replaced by its compact form", args.file.display());
        let hint = "name another file with `-o`: the compact form has no starting weights";
        return Err(UsageError::from_text(&format!("{text}\n\nhint: {hint}")).into());
    }
    let ticket = read_ticket(&args.file)?;
    let (small, units) = ticket.compact();
    let bytes = small.to_bytes()?;
    files::write(&args.out, &bytes)?;
    let sizes = TicketSizes::new(&ticket, &small, &units, bytes.len() as u64);
    let result = TicketCompactResult { file: args.out.clone(), sizes };
    let text = if args.json {
        serde_json::to_string_pretty(&result)? + "\n"
    } else {
        format!("{}written to {}\n", ui::ticket_sizes(&sizes), args.out.display())
    };
    ui::print_result(&text)?;
    Ok(Exit::Success)
}
