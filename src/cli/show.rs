//! `lth show`: a run's table again, from its files.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::open::RunsArgs;
use crate::base::exit::Exit;
use crate::config::Report;
use crate::record::{RoundRow, to_csv};
use crate::report::{self, Run, State};
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The run: its folder, its name, or the name of its experiment.
    run: PathBuf,
    #[command(flatten)]
    runs: RunsArgs,
    /// Only this arm; may be given again.
    #[arg(long, value_name = "NAME")]
    arm: Vec<String>,
    /// Only this round; may be given again.
    #[arg(long, value_name = "N")]
    round: Vec<u32>,
    /// Prints the rows of rounds.csv instead of the table: one per training.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ShowArgs) -> Result<Exit> {
    let run = Run::open(report::find(&args.runs.folder(), &args.run)?)?;
    let rows = chosen(&run, args)?;
    if args.csv {
        ui::print(&String::from_utf8_lossy(&to_csv(&rows)?));
    } else if args.json {
        let value = json!({
            "name": run.name(), "folder": run.view.0, "state": run.state(), "done": run.done(),
            "trainings": run.trainings(), "rounds": rows,
        });
        ui::print(&format!("{value:#}\n"));
    } else {
        ui::print(&ui::table(&rows));
        ui::print(&format!("files in {}\n", run.view.0.display()));
        tell_state(&run);
    }
    Ok(Exit::Success)
}

/// The rows that are asked for; a name that is not there is a mistake and no empty table.
fn chosen(run: &Run, args: &ShowArgs) -> Result<Vec<RoundRow>> {
    let mut arms: Vec<&str> = Vec::new();
    for row in &run.rounds {
        if !arms.contains(&row.arm.as_str()) {
            arms.push(&row.arm);
        }
    }
    let mistake = |what: String, known: String| {
        Report::plain(&format!("error: {what} in `{}`\n\nhint: one of: {known}", run.name()))
    };
    if let Some(arm) = args.arm.iter().find(|arm| !arms.contains(&arm.as_str())) {
        return Err(mistake(format!("there is no arm `{arm}`"), arms.join(", ")).into());
    }
    let mut rounds: Vec<u32> = run.rounds.iter().map(|row| row.round).collect();
    rounds.sort_unstable();
    rounds.dedup();
    if let Some(round) = args.round.iter().find(|round| !rounds.contains(round)) {
        let known: Vec<String> = rounds.iter().map(ToString::to_string).collect();
        return Err(mistake(format!("there is no round {round}"), known.join(", ")).into());
    }
    let is_chosen = |row: &&RoundRow| {
        (args.arm.is_empty() || args.arm.contains(&row.arm))
            && (args.round.is_empty() || args.round.contains(&row.round))
    };
    Ok(run.rounds.iter().filter(is_chosen).cloned().collect())
}

/// What is to be said of a run that is not finished.
fn tell_state(run: &Run) {
    let manifest = run.manifest.as_ref();
    for failure in manifest.iter().flat_map(|manifest| manifest.audit.broken.iter().chain(&manifest.failures)) {
        ui::say(&format!("error: {failure}"));
    }
    let state = run.state();
    if state == State::Finished {
        return;
    }
    let of = run.trainings().map_or_else(String::new, |trainings| format!(" of {trainings}"));
    ui::say(&format!("{}: {}{of} trainings are done", state.word(), run.done()));
    if let (State::Interrupted, Some(manifest)) = (state, manifest) {
        ui::say(&format!("it was begun, and goes on, with\n  {}", manifest.command));
    }
}
