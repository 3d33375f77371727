//! `lth check`: prints the resolved experiment, each value with its origin.

use anyhow::Result;
use clap::Args;

use super::load::{ExperimentArgs, LoadedExperiment};
use crate::config::{to_json, to_toml};
use crate::network::even_kernel_warnings;
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Prints JSON: of each value its key, itself and its origin.
    #[arg(long)]
    json: bool,
}

/// Runs `lth check` and returns its exit code.
///
/// # Errors
/// Fails if the experiment cannot be loaded, or standard output cannot be written.
pub(super) fn run(args: &CheckArgs) -> Result<Exit> {
    let LoadedExperiment { document, study, .. } = LoadedExperiment::load(&args.experiment)?;
    let experiment = &study.experiment;
    let resolved = &study.resolved;
    if args.json {
        let value = to_json(experiment, resolved.device, resolved.lanes, &document);
        ui::print_result(&format!("{value:#}\n"))?;
    } else {
        ui::print_result(&to_toml(experiment, resolved.device, resolved.lanes, &document))?;
    }
    for warning in even_kernel_warnings(&experiment.network, &resolved.network) {
        ui::eprint_line(&format!("warning: {warning}"));
    }
    Ok(Exit::Success)
}
