//! The points of a sweep: one experiment for each combination of the values of `[sweep]` and `--sweep`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::json::{BestPoint, SweepResult};
use super::load::{ConfigSource, ExperimentArgs, LoadedExperiment, read_with};
use super::report::write as write_report;
use crate::base::format::percent;
use crate::base::key::ContentHash;
use crate::config::{Override, SWEEP, Sweep, UsageError};
use crate::report::{self, BestRound, Run, RunAnalysis};
use crate::system::exit::Exit;
use crate::system::files;
use crate::system::paths::{ReportDir, RunDir, RunsDir};
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    /// Run the experiment once for each of these values of a setting, such as `train.lr=0.01,0.1`. Repeatable: then once
    /// for each combination.
    #[arg(long = "sweep", value_name = "KEY.PATH=VALUE,…")]
    pub(super) options: Vec<String>,
}

/// A point of a sweep.
pub(super) struct SweepPoint {
    /// Its settings as text for display, such as `prune.rate.linear=0.2 train.lr=0.1`.
    pub(super) label: String,
    /// Its experiment. The images of custom data are read again when they are needed.
    pub(super) loaded: LoadedExperiment,
}

/// Loads the experiment of every point of a sweep, in the order of the axes; `None` if the configuration has no `[sweep]`
/// and there is no `--sweep`.
///
/// # Errors
/// Fails with the mistakes of the axes, or of the first point that has any.
pub(super) fn load_points(
    args: &ExperimentArgs,
    source: &ConfigSource,
    sweep: &SweepArgs,
) -> Result<Option<Vec<SweepPoint>>> {
    let document = source.parse(&args.overrides.0)?;
    let Some(axes) = Sweep::of(&document, &sweep.options)? else { return Ok(None) };
    let points = axes.points();
    let count = points.len();
    let load = |(index, sets): (usize, Vec<String>)| {
        let label = sets.join(" ");
        let unset = document.root.get(SWEEP).map(|_| Override::Unset(SWEEP.to_owned()));
        let more: Vec<Override> = unset.into_iter().chain(sets.into_iter().map(Override::Set)).collect();
        let at_point = |error: anyhow::Error| match error.downcast::<UsageError>() {
            Ok(mistake) => {
                let note = format!("note: at point {} of {count} of the sweep: {label}", index + 1);
                UsageError::from_text(&format!("{mistake}\n\n{note}")).into()
            }
            Err(error) => error,
        };
        let (document, experiment) = read_with(args, source, &more).map_err(at_point)?;
        let loaded = LoadedExperiment::resolve(document, experiment).map_err(|mistake| at_point(mistake.into()))?;
        Ok(SweepPoint { label, loaded: LoadedExperiment { images: None, ..loaded } })
    };
    let points: Vec<SweepPoint> = points.into_iter().enumerate().map(load).collect::<Result<_>>()?;
    check_distinct(&points)?;
    Ok(Some(points))
}

/// Checks that no two points are the same experiment, which would be one run.
fn check_distinct(points: &[SweepPoint]) -> Result<(), UsageError> {
    let mut first_label = BTreeMap::new();
    for SweepPoint { label, loaded } in points {
        let study = &loaded.study;
        if let Some(first) = first_label.insert((&study.experiment.name, study.plan.id()), label) {
            let message = format!("error: two points of the sweep are the same experiment: `{first}` and `{label}`");
            let hint = "no result depends on the key, or its values are equal";
            return Err(UsageError::from_text(&format!("{message}\n\nhint: {hint}")));
        }
    }
    Ok(())
}

/// Returns the folder of the table and the report of a sweep: `<name>-sweep-<id>`, whose id is that of the plans of its
/// points.
pub(super) fn sweep_folder(runs: &RunsDir, points: &[SweepPoint]) -> PathBuf {
    let ids: Vec<String> = points.iter().map(|point| point.loaded.study.plan.id().to_string()).collect();
    let name = points.first().map_or("", |point| &point.loaded.study.experiment.name);
    runs.0.join(format!("{name}-sweep-{}", ContentHash::of_json_text(&ids.join(" ")).short()))
}

/// Writes `sweep.csv` and the report on the runs of a sweep, each with the label of its point. Points without a run, because
/// they failed, are left out.
///
/// # Errors
/// Fails if no point has a run, or a file cannot be written.
pub(super) fn write_sweep(
    folder: &Path,
    run_dirs: Vec<(String, RunDir)>,
    failed: &[String],
    exit: Exit,
) -> Result<SweepResult> {
    let points = run_dirs.len();
    let mut opened: Vec<(String, RunAnalysis)> = Vec::new();
    for (label, dir) in run_dirs {
        match Run::open(dir).and_then(RunAnalysis::of) {
            Ok(analysis) => opened.push((label, analysis)),
            Err(error) => ui::eprint_line(&format!("left out of the report: point `{label}`: {error:#}")),
        }
    }
    let (labels, analyses): (Vec<String>, Vec<RunAnalysis>) = opened.into_iter().unzip();
    let runs: Vec<Run> = analyses.iter().map(|analysis| analysis.run.clone()).collect();
    let comparison = report::compare(&runs, |_| true);
    let table = folder.join("sweep.csv");
    files::write(&table, &report::results_to_csv(&comparison.results)?)?;
    let page = write_report(&ReportDir(folder.join("report")), &analyses)?;
    let best = BestRound::of_runs(&runs).map(|(index, best)| BestPoint { point: labels[index].clone(), best });
    Ok(SweepResult {
        folder: folder.to_owned(),
        points,
        failed: failed.to_vec(),
        best,
        table,
        report: page,
        exit_code: exit.code(),
    })
}

impl SweepResult {
    /// Returns the result as text.
    pub(super) fn text(&self) -> String {
        let best = self.best.as_ref().map_or_else(String::new, |BestPoint { point, best }| {
            format!(
                "best point by validation accuracy: {point} ({} round {}, {} of the weights: {}, mean of n = {})\n",
                best.arm,
                best.round,
                percent(best.weights_remaining),
                percent(best.validation_accuracy),
                best.n
            )
        });
        format!("{best}sweep in {}\nreport in {}\n", self.table.display(), self.report.display())
    }
}
