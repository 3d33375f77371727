//! `lth plan`: prints the estimated cost of an experiment, before anything is trained.

use anyhow::Result;
use clap::Args;

use super::load::{ExperimentArgs, LoadedExperiment, RunsArgs, workers};
use crate::runner::{Estimate, Store};
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    runs: RunsArgs,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lth plan` and returns its exit code.
///
/// # Errors
/// Fails if the experiment cannot be loaded, the store cannot be read, or standard output cannot be written.
pub(super) fn run(args: &PlanArgs) -> Result<Exit> {
    let LoadedExperiment { study, .. } = LoadedExperiment::load(&args.experiment)?;
    let store = Store { runs: args.runs.folder()? };
    let estimate = Estimate::new(&study, &store, workers(&study))?;
    if args.json {
        ui::print_result(&(serde_json::to_string_pretty(&estimate)? + "\n"))?;
    } else {
        ui::print_result(&ui::estimate(&estimate))?;
    }
    Ok(Exit::Success)
}
