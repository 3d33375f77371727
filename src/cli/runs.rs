//! `lth runs`: lists the runs of a folder.

use anyhow::Result;
use clap::Args;

use super::load::RunsArgs;
use crate::artifacts::list_runs;
use crate::report::{Run, RunList};
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    runs: RunsArgs,
    /// List superseded runs too (all their training runs are in a newer run), and runs archived by `--fresh`.
    #[arg(long)]
    all: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lth runs` and returns its exit code.
///
/// # Errors
/// Fails if the folder of runs cannot be listed, or standard output cannot be written.
pub(super) fn run(args: &ListArgs) -> Result<Exit> {
    let runs = args.runs.folder()?;
    let mut readable = Vec::new();
    let mut damaged = Vec::new();
    for run_dir in list_runs(&runs)? {
        match Run::open(run_dir) {
            Ok(run) => readable.push(run),
            Err(error) => damaged.push(format!("{error:#}")),
        }
    }
    let list = RunList::of(readable, &runs, args.all);
    if args.json {
        ui::print_result(&(serde_json::to_string_pretty(&list.listed)? + "\n"))?;
    } else if list.listed.is_empty() && list.archived == 0 {
        ui::print_result(&format!("no runs in {}\n", runs.0.display()))?;
    } else {
        ui::print_result(&ui::overviews(&list))?;
    }
    for damage in &damaged {
        ui::eprint_line(&format!("error: {damage}"));
    }
    Ok(if damaged.is_empty() { Exit::Success } else { Exit::Failure })
}
