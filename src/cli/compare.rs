//! `lth compare`: differences between runs, in their configurations and in their results.

use std::cmp::Ordering;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::filter::RowFilter;
use super::folders;
use super::load::RunsArgs;
use super::selection::{OpenedRuns, open_runs};
use crate::artifacts::{EARLY_STOP_ITERATION, ITERATIONS_TO_EARLY_STOP, METRICS, Metric};
use crate::config::UsageError;
use crate::report::{self, ResultRow};
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The runs: folders, names, or names of experiments, which stand for all their runs. `NAME@lr=0.1` selects by
    /// values of the configuration.
    #[arg(required = true, value_name = "RUN", value_parser = folders::path_parser())]
    names: Vec<PathBuf>,
    #[command(flatten)]
    runs: RunsArgs,
    #[command(flatten)]
    filter: RowFilter,
    /// Sort the results by this column of the CSV [default: run by run].
    #[arg(long, value_name = "COLUMN", value_parser = column_parser())]
    sort: Option<Column>,
    /// With `--sort`, list the largest values first.
    #[arg(long, requires = "sort")]
    descending: bool,
    /// Print the results as CSV, with accuracies as fractions (0 to 1).
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print JSON.
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
/// Fails if a name or a filter stands for nothing, fewer than two runs are named or can be read, or standard output
/// cannot be written.
pub(super) fn run(args: &CompareArgs) -> Result<Exit> {
    let OpenedRuns { runs, damaged } = open_runs(&args.runs.folder()?, &args.names)?;
    if runs.len() < 2 {
        let message = format!("a comparison needs at least two runs, and {} could be read", runs.len());
        ensure!(damaged.is_empty(), message);
        let hint = "the name of an experiment stands for all its runs; `lth runs` lists them";
        return Err(UsageError::from_text(&format!("error: {message}\n\nhint: {hint}")).into());
    }
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
    Ok(if damaged.is_empty() { Exit::Success } else { Exit::Failure })
}
