//! `lth check`: the resolved experiment, and where each of its values came from.

use anyhow::Result;

use super::CheckArgs;
use super::open::Opened;
use crate::base::exit::Exit;
use crate::config::{to_json, to_toml};
use crate::network::even_kernels;
use crate::ui;

pub(super) fn run(args: &CheckArgs) -> Result<Exit> {
    let opened = Opened::new(&args.experiment)?;
    let Opened { document, experiment, setting, .. } = &opened;
    if args.json {
        let value = to_json(experiment, setting.device, setting.lanes, document);
        ui::print(&format!("{value:#}\n"))?;
    } else {
        ui::print(&to_toml(experiment, setting.device, setting.lanes, document))?;
    }
    for warning in even_kernels(&experiment.network, &setting.network) {
        ui::say(&format!("warning: {warning}"));
    }
    Ok(Exit::Success)
}
