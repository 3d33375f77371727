//! `lth runs`: lists the runs of a folder.

use anyhow::Result;
use clap::Args;

use super::load::RunsArgs;
use crate::artifacts::list_runs;
use crate::report::{Run, RunOverview};
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    runs: RunsArgs,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lth runs` and returns its exit code.
///
/// # Errors
/// Fails if the folder of runs cannot be listed, or standard output cannot be written.
pub(super) fn run(args: &ListArgs) -> Result<Exit> {
    let runs = args.runs.folder()?;
    let mut overviews = Vec::new();
    let mut damaged = Vec::new();
    for run_dir in list_runs(&runs)? {
        match Run::open(run_dir) {
            Ok(run) => overviews.push(RunOverview::of(&run, &runs)),
            Err(error) => damaged.push(format!("{error:#}")),
        }
    }
    if args.json {
        ui::print_result(&(serde_json::to_string_pretty(&overviews)? + "\n"))?;
    } else if overviews.is_empty() {
        ui::print_result(&format!("no runs in {}\n", runs.0.display()))?;
    } else {
        ui::print_result(&ui::overviews(&overviews))?;
    }
    for damage in &damaged {
        ui::eprint_line(&format!("error: {damage}"));
    }
    Ok(if damaged.is_empty() { Exit::Success } else { Exit::Failure })
}
