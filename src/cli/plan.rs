//! `lth plan`: the estimated cost of an experiment, before anything is trained.

use anyhow::Result;

use super::PlanArgs;
use super::load::{LoadedExperiment, workers};
use crate::runner::{Estimate, Store};
use crate::system::exit::Exit;
use crate::ui;

pub(super) fn run(args: &PlanArgs) -> Result<Exit> {
    let LoadedExperiment { study, .. } = LoadedExperiment::new(&args.experiment)?;
    let store = Store { runs: args.runs.folder()? };
    let estimate = Estimate::new(&study, &store, workers(&study))?;
    if args.json {
        ui::print_result(&(serde_json::to_string_pretty(&estimate)? + "\n"))?;
    } else {
        ui::print_result(&ui::forecast(&estimate))?;
    }
    Ok(Exit::Success)
}
