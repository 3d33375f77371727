//! `lth plan`: prints the estimated cost of an experiment, before anything is trained.

use anyhow::Result;
use clap::Args;

use super::load::{ExperimentArgs, LoadedExperiment, RunsArgs, workers};
use super::trainers::EngineTrainerFactory;
use crate::runner::{Calibration, Estimate, Store};
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    runs: RunsArgs,
    /// Measure the speed of this machine for about two seconds, and estimate the time from it.
    #[arg(long)]
    measure: bool,
    /// Exit with code 1 if the data are missing or damaged.
    #[arg(long)]
    strict: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lth plan` and returns its exit code.
///
/// # Errors
/// Fails if the experiment cannot be loaded, the store cannot be read, the speed cannot be measured, or standard output
/// cannot be written.
pub(super) fn run(args: &PlanArgs) -> Result<Exit> {
    let LoadedExperiment { study, images, .. } = LoadedExperiment::load(&args.experiment)?;
    let store = Store { runs: args.runs.folder()? };
    let workers = workers(&study);
    let measured = if args.measure {
        Calibration::measure(&study, &store, &EngineTrainerFactory::new(&study, images), workers)?
    } else {
        None
    };
    let estimate = Estimate::new(&study, &store, workers, measured)?;
    if args.json {
        ui::print_result(&(serde_json::to_string_pretty(&estimate)? + "\n"))?;
    } else {
        ui::print_result(&ui::estimate(&estimate))?;
    }
    Ok(if args.strict && estimate.data_problem.is_some() { Exit::Failure } else { Exit::Success })
}
