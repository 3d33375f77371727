//! `lth plan`: what an experiment will cost, before anything is trained.

use anyhow::Result;

use super::PlanArgs;
use super::load::LoadedExperiment;
use crate::runner::{Estimate, Store};
use crate::system::exit::Exit;
use crate::ui;

pub(super) fn run(args: &PlanArgs) -> Result<Exit> {
    let opened = LoadedExperiment::new(&args.experiment)?;
    let store = Store { runs: args.runs.folder()? };
    let LoadedExperiment { experiment, setting, plan, .. } = &opened;
    let forecast = Estimate::new(experiment, setting, plan, &store, opened.workers())?;
    if args.json {
        ui::print_result(&(serde_json::to_string_pretty(&forecast)? + "\n"))?;
    } else {
        ui::print_result(&ui::forecast(&forecast))?;
    }
    Ok(Exit::Success)
}
