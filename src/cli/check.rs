//! `lth check`: prints the resolved experiment, each value with its origin.

use anyhow::Result;
use clap::Args;

use super::load::{ExperimentArgs, LoadedExperiment};
use crate::config::{to_json, to_toml};
use crate::data;
use crate::report::published_warning;
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    /// Exit with code 1 if the data are missing or damaged.
    #[arg(long)]
    strict: bool,
    /// Print JSON: the key, the value and the origin of each setting.
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
    ui::eprint_line(&format!("images: {}", resolved.images));
    let data_problem = data::problem(&experiment.data);
    if let Some(problem) = &data_problem {
        ui::eprint_line(&format!("data: {problem}"));
    }
    for warning in study.warnings().into_iter().chain(published_warning(experiment)) {
        ui::eprint_line(&format!("warning: {warning}"));
    }
    Ok(if args.strict && data_problem.is_some() { Exit::Failure } else { Exit::Success })
}
