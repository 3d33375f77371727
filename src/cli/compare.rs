//! `lth compare`: differences between runs, in their configurations and in their results.

use std::cmp::Ordering;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::filter::RowFilter;
use super::folders;
use super::load::RunsArgs;
use crate::artifacts::{EARLY_STOP_ITERATION, ITERATIONS_TO_EARLY_STOP, METRICS, Metric, find_run};
use crate::report::{self, ResultRow, Run};
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The runs: of each its folder, its name, or the name of its experiment.
    #[arg(required = true, value_name = "RUN", value_parser = folders::path_parser())]
    names: Vec<PathBuf>,
    #[command(flatten)]
    runs: RunsArgs,
    #[command(flatten)]
    filter: RowFilter,
    /// Sorts the results by this column; else run by run.
    #[arg(long, value_name = "COLUMN", value_parser = column_parser())]
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

/// A column that results can be sorted by.
#[derive(Clone, Copy, Debug)]
enum Column {
    Arm,
    Round,
    WeightsRemaining,
    N,
    Metric(&'static Metric),
}

impl Column {
    /// Returns the names of the columns, in the order of the help.
    fn names() -> Vec<&'static str> {
        // `iterations_to_early_stop` has no name of its own: `early_stop_iteration` sorts by it, see `named`.
        let metrics = METRICS.iter().filter(|metric| metric.is_compared && **metric != ITERATIONS_TO_EARLY_STOP);
        let metric_names = metrics.map(|metric| metric.name);
        ["arm", "round", "weights_remaining", "n"].into_iter().chain(metric_names).collect()
    }

    /// Returns the column with one of [`names`](Self::names).
    fn named(name: &str) -> Option<Self> {
        match name {
            "arm" => Some(Self::Arm),
            "round" => Some(Self::Round),
            "weights_remaining" => Some(Self::WeightsRemaining),
            "n" => Some(Self::N),
            name if name == EARLY_STOP_ITERATION.name => Some(Self::Metric(&ITERATIONS_TO_EARLY_STOP)),
            name => Metric::named(name).map(Self::Metric),
        }
    }

    /// Returns the order of two rows; a row without a value is last, ascending and descending.
    fn order(self, descending: bool, left: &ResultRow, right: &ResultRow) -> Ordering {
        let directed = |order: Ordering| if descending { order.reverse() } else { order };
        match self {
            Self::Arm => directed(left.arm.cmp(&right.arm)),
            Self::Round => directed(left.round.cmp(&right.round)),
            Self::WeightsRemaining => directed(left.weights_remaining.total_cmp(&right.weights_remaining)),
            Self::N => directed(left.n.cmp(&right.n)),
            Self::Metric(metric) => match (left.mean(metric), right.mean(metric)) {
                (Some(left), Some(right)) => directed(left.total_cmp(&right)),
                (left, right) => left.is_none().cmp(&right.is_none()),
            },
        }
    }
}

/// Returns the parser of `--sort`.
fn column_parser() -> impl TypedValueParser<Value = Column> {
    PossibleValuesParser::new(Column::names())
        .try_map(|name| Column::named(&name).ok_or_else(|| format!("there is no column `{name}`")))
}

/// Runs `lth compare` and returns its exit code.
///
/// # Errors
/// Fails if fewer than two runs can be read, a name or a filter stands for nothing, or standard output cannot be
/// written.
pub(super) fn run(args: &CompareArgs) -> Result<Exit> {
    let (runs, is_damaged) = open(args)?;
    ensure!(runs.len() > 1, "a comparison needs at least two runs, and {} could be read", runs.len());
    args.filter.check(runs.iter().flat_map(|run| &run.rounds), "these runs")?;
    let mut comparison = report::compare(&runs, |row| args.filter.matches(row));
    if let Some(column) = args.sort {
        comparison.results.sort_by(|left, right| column.order(args.descending, left, right));
    }
    if args.csv {
        ui::print_result(&String::from_utf8_lossy(&report::results_to_csv(&comparison.results)?))?;
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
    Ok(if is_damaged { Exit::Failure } else { Exit::Success })
}

/// Returns the runs that can be read, each once, and whether one is damaged. A folder that is no run is skipped with a
/// message, because a shell expands `runs/*` to the store too.
fn open(args: &CompareArgs) -> Result<(Vec<Run>, bool)> {
    let mut runs: Vec<Run> = Vec::new();
    let mut is_damaged = false;
    let folder = args.runs.folder()?;
    for name in &args.names {
        let run_dir = match find_run(&folder, name) {
            Err(_) if name.is_dir() => {
                ui::eprint_line(&format!("skipped: `{}` has no files of a run", name.display()));
                continue;
            }
            found => found?,
        };
        match Run::open(run_dir) {
            Ok(run) if runs.iter().any(|other| is_same(other, &run)) => {
                ui::eprint_line(&format!("skipped: `{}` is given already", name.display()));
            }
            Ok(run) => runs.push(run),
            Err(error) => {
                ui::eprint_line(&format!("skipped: {error:#}"));
                is_damaged = true;
            }
        }
    }
    Ok((runs, is_damaged))
}

/// Returns whether two runs have the same folder.
fn is_same(left: &Run, right: &Run) -> bool {
    let path = |run: &Run| run.dir.0.canonicalize().unwrap_or_else(|_| run.dir.0.clone());
    path(left) == path(right)
}
