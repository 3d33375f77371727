//! `lth check`: the resolved experiment, and where each of its values came from.

use anyhow::Result;

use super::CheckArgs;
use super::load::LoadedExperiment;
use crate::config::{to_json, to_toml};
use crate::network::even_kernel_warnings;
use crate::system::exit::Exit;
use crate::ui;

pub(super) fn run(args: &CheckArgs) -> Result<Exit> {
    let LoadedExperiment { document, study, .. } = LoadedExperiment::new(&args.experiment)?;
    let (experiment, resolved) = (&study.experiment, &study.resolved);
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
