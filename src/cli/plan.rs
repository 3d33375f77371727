//! `lth plan`: what an experiment will cost, before anything is trained.

use anyhow::Result;

use super::PlanArgs;
use super::open::Opened;
use crate::base::exit::Exit;
use crate::lab::{Forecast, Store};
use crate::ui;

pub(super) fn run(args: &PlanArgs) -> Result<Exit> {
    let opened = Opened::new(&args.experiment)?;
    let store = Store { runs: args.runs.folder()? };
    let Opened { experiment, setting, plan, .. } = &opened;
    let forecast = Forecast::new(experiment, setting, plan, &store, opened.workers())?;
    if args.json {
        ui::print(&(serde_json::to_string_pretty(&forecast)? + "\n"))?;
    } else {
        ui::print(&ui::forecast(&forecast))?;
    }
    Ok(Exit::Success)
}
