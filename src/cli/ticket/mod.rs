//! `lth ticket`: exports networks of a run to files, and shows, verifies, shrinks and times such files.

mod bench;
mod compact;
mod data;
mod export;
mod file;
pub(super) mod json;
mod show;
mod verify;

use anyhow::Result;
use clap::{Args, Subcommand};

pub(super) use self::data::{TicketData, gpu_of};
pub(super) use self::file::read_ticket_with_checksum;

use crate::system::exit::Exit;

#[derive(Debug, Args)]
pub(super) struct TicketArgs {
    #[command(subcommand)]
    command: TicketCommand,
}

#[derive(Debug, Subcommand)]
enum TicketCommand {
    /// Export networks of a run: mask, starting weights, trained weights and their description, in a safetensors file
    /// that Python reads.
    Export(export::ExportArgs),
    /// Show a ticket: density, dead units and weights of each layer, the training run it is of, and checks of the file.
    Show(show::ShowArgs),
    /// Verify a ticket: evaluate it on its data again, and compare with the accuracies in the file.
    Verify(verify::VerifyArgs),
    /// Remove the units that have no effect on the outputs, and store only the kept weights.
    Compact(compact::CompactArgs),
    /// Measure the time of inference: the dense network, the masked one, the compact one, and only the kept weights.
    Bench(bench::BenchArgs),
}

/// Runs `lth ticket` and returns its exit code.
///
/// # Errors
/// Fails as the subcommand does.
pub(super) fn run(args: &TicketArgs) -> Result<Exit> {
    match &args.command {
        TicketCommand::Export(args) => export::run(args),
        TicketCommand::Show(args) => show::run(args),
        TicketCommand::Verify(args) => verify::run(args),
        TicketCommand::Compact(args) => compact::run(args),
        TicketCommand::Bench(args) => bench::run(args),
    }
}
