//! `lth check`: prints the resolved experiment with the origin of each value.

use anyhow::Result;

use super::CheckArgs;
use super::load::LoadedExperiment;
use crate::config::{to_json, to_toml};
use crate::network::even_kernels;
use crate::system::exit::Exit;
use crate::ui;

/// Runs `lth check` and returns its exit code.
///
/// # Errors
/// Fails for a configuration with mistakes.
pub(super) fn run(args: &CheckArgs) -> Result<Exit> {
    let loaded = LoadedExperiment::new(&args.experiment)?;
    let LoadedExperiment { document, experiment, setting, .. } = &loaded;
    if args.json {
        let value = to_json(experiment, setting.device, setting.lanes, document);
        ui::print_result(&format!("{value:#}\n"))?;
    } else {
        ui::print_result(&to_toml(experiment, setting.device, setting.lanes, document))?;
    }
    for warning in even_kernels(&experiment.network, &setting.network) {
        ui::eprint_line(&format!("warning: {warning}"));
    }
    Ok(Exit::Success)
}
