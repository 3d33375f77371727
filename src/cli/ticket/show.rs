//! `lth ticket show`: the contents of a ticket's file.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::super::folders;
use super::file::read_ticket;
use super::json::TicketResult;
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The file of the ticket.
    #[arg(value_parser = folders::path_parser())]
    file: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lth ticket show` and returns its exit code.
///
/// # Errors
/// Fails if the file cannot be read, is no ticket or is damaged, or if standard output cannot be written.
pub(super) fn run(args: &ShowArgs) -> Result<Exit> {
    let ticket = read_ticket(&args.file)?;
    let result = TicketResult::new(&args.file, &ticket);
    let text = if args.json {
        serde_json::to_string_pretty(&result)? + "\n"
    } else {
        ui::ticket(&ticket, &result.layers, &result.checks)
    };
    ui::print_result(&text)?;
    Ok(if result.checks.iter().all(|check| check.passed) { Exit::Success } else { Exit::Failure })
}
