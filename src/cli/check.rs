//! `lth check`: the resolved experiment, and where each of its values came from.

use anyhow::Result;

use super::CheckArgs;
use super::open::Opened;
use crate::base::exit::Exit;
use crate::config::{to_json, to_toml};
use crate::ui;

pub(super) fn run(args: &CheckArgs) -> Result<Exit> {
    let opened = Opened::new(&args.experiment)?;
    let device = opened.setting.device;
    if args.json {
        let value = to_json(&opened.experiment, device, &opened.document);
        ui::print(&format!("{value:#}\n"));
    } else {
        ui::print(&to_toml(&opened.experiment, device, &opened.document));
    }
    Ok(Exit::Success)
}
