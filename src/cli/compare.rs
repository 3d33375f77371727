//! `lth compare`: what differs between runs, in their configurations and in their results.

use std::cmp::Ordering;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use super::filter::RowFilter;
use super::folders;
use super::load::RunsArgs;
use crate::artifacts::to_csv;
use crate::report::{self, ResultRow, Run};
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The runs: of each its folder, its name, or the name of its experiment.
    #[arg(required = true, value_name = "RUN", value_parser = folders::path())]
    names: Vec<PathBuf>,
    #[command(flatten)]
    runs: RunsArgs,
    #[command(flatten)]
    choice: RowFilter,
    /// Sorts the results by this column; else run by run.
    #[arg(long, value_name = "COLUMN")]
    sort: Option<Column>,
    /// With `--sort`: the greatest first.
    #[arg(long, requires = "sort")]
    descending: bool,
    /// Prints the results as CSV, accuracies as shares of 1.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// A column of the results.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Column {
    Arm,
    Round,
    WeightsRemaining,
    N,
    EarlyStopIteration,
    EarlyStopTestAccuracy,
    FinalTestAccuracy,
}

impl Column {
    /// The order of two rows; one without a value stands last either way.
    fn order(self, descending: bool, one: &ResultRow, other: &ResultRow) -> Ordering {
        let turn = |order: Ordering| if descending { order.reverse() } else { order };
        let optional = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => turn(one.total_cmp(&other)),
            (one, other) => one.is_none().cmp(&other.is_none()),
        };
        match self {
            Self::Arm => turn(one.arm.cmp(&other.arm)),
            Self::Round => turn(one.round.cmp(&other.round)),
            Self::WeightsRemaining => turn(one.weights_remaining.total_cmp(&other.weights_remaining)),
            Self::N => turn(one.n.cmp(&other.n)),
            Self::EarlyStopIteration => optional(one.iterations_to_early_stop, other.iterations_to_early_stop),
            Self::EarlyStopTestAccuracy => optional(one.early_stop_test_accuracy, other.early_stop_test_accuracy),
            Self::FinalTestAccuracy => optional(one.final_test_accuracy, other.final_test_accuracy),
        }
    }
}

pub(super) fn run(args: &CompareArgs) -> Result<Exit> {
    let (runs, damaged) = open(args)?;
    ensure!(runs.len() > 1, "a comparison needs at least two runs, and {} could be read", runs.len());
    args.choice.check(runs.iter().flat_map(|run| &run.rounds), "these runs")?;
    let mut comparison = report::compare(&runs, |row| args.choice.matches(row));
    if let Some(column) = args.sort {
        comparison.results.sort_by(|one, other| column.order(args.descending, one, other));
    }
    if args.csv {
        ui::print_result(&String::from_utf8_lossy(&to_csv(&comparison.results)?))?;
    } else if args.json {
        ui::print_result(&(serde_json::to_string_pretty(&comparison)? + "\n"))?;
    } else {
        ui::print_result(&ui::comparison(&comparison))?;
    }
    for run in &comparison.unknown {
        ui::eprint_line(&format!(
            "note: `{run}` has no resolved.toml that can be read; its configuration is not compared"
        ));
    }
    Ok(if damaged { Exit::Failure } else { Exit::Success })
}

/// The runs that can be read, each once, and whether one is damaged. `runs/*` names the store too: a folder that is no
/// run is passed over, and said to be.
fn open(args: &CompareArgs) -> Result<(Vec<Run>, bool)> {
    let (mut runs, mut damaged): (Vec<Run>, bool) = (Vec::new(), false);
    let folder = args.runs.folder()?;
    for name in &args.names {
        let view = match report::find(&folder, name) {
            Err(_) if name.is_dir() => {
                ui::eprint_line(&format!("skipped: `{}` has no files of a run", name.display()));
                continue;
            }
            found => found?,
        };
        match Run::open(view) {
            Ok(run) if runs.iter().any(|known| is_same(known, &run)) => {
                ui::eprint_line(&format!("skipped: `{}` is given already", name.display()));
            }
            Ok(run) => runs.push(run),
            Err(error) => {
                ui::eprint_line(&format!("skipped: {error:#}"));
                damaged = true;
            }
        }
    }
    Ok((runs, damaged))
}

fn is_same(one: &Run, other: &Run) -> bool {
    let place = |run: &Run| run.view.0.canonicalize().unwrap_or_else(|_| run.view.0.clone());
    place(one) == place(other)
}
