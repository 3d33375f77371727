//! `lth plan`: prints the estimated cost of an experiment or a sweep, or the list of its jobs, before anything is trained.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::job_formats::{Contents, JobFormat};
use super::jobs::{ListOptions, check_not_stdin, job_list, run_command};
use super::load::{ConfigSource, ExperimentArgs, LoadedExperiment, RunsArgs, workers};
use super::sweep::{SweepArgs, SweepPoint, load_points};
use super::trainers::EngineTrainerFactory;
use crate::data::{self, RawImages};
use crate::lottery::Study;
use crate::report::published_warning;
use crate::runner::{Calibration, Estimate, Store, SweepEstimate};
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "options without a value")]
pub(super) struct PlanArgs {
    #[command(flatten)]
    experiment: ExperimentArgs,
    #[command(flatten)]
    runs: RunsArgs,
    #[command(flatten)]
    sweep: SweepArgs,
    /// Measure the speed of this machine for about two seconds, and estimate the time from it.
    #[arg(long)]
    measure: bool,
    /// Exit with code 1 if the data are missing or damaged.
    #[arg(long)]
    strict: bool,
    /// List the jobs for a cluster, each with what it depends on and the command that runs it.
    #[arg(long, group = "list")]
    jobs: bool,
    /// Print the jobs as a file for an engine that runs them.
    #[arg(long, value_name = "ENGINE", group = "list", conflicts_with = "json")]
    format: Option<JobFormat>,
    /// With `--jobs` or `--format`: combine jobs that do not need one another, as long as they take no more than this
    /// together.
    #[arg(long, value_name = "SECONDS", requires = "list", value_parser = seconds)]
    per_job: Option<f64>,
    /// With `--jobs`: simulate a cluster of N nodes, each with one job at a time.
    #[arg(long, value_name = "N", requires = "jobs", value_parser = clap::value_parser!(u32).range(1..))]
    nodes: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Reads a number of seconds above 0.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0);
    seconds.ok_or_else(|| "expected a number of seconds above 0, such as 600".to_owned())
}

/// Runs `lth plan` and returns its exit code.
///
/// # Errors
/// Fails if the experiment cannot be loaded, the store cannot be read, the speed cannot be measured, or standard output
/// cannot be written.
pub(super) fn run(args: &PlanArgs) -> Result<Exit> {
    let lists_jobs = args.jobs || args.format.is_some();
    if lists_jobs {
        check_not_stdin(&args.experiment)?;
    }
    let store = Store { runs: args.runs.folder()? };
    let source = ConfigSource::of(&args.experiment)?;
    let points = load_points(&args.experiment, &source, &args.sweep)?;
    let problem = match points {
        points if lists_jobs => print_jobs(args, &store, points, &source)?,
        Some(points) => print_sweep(args, &store, &points)?,
        None => print_experiment(args, &store, LoadedExperiment::load_from(&args.experiment, &source)?)?,
    };
    Ok(if args.strict && problem { Exit::Failure } else { Exit::Success })
}

/// Prints the cost of an experiment. Returns whether its data have a problem.
fn print_experiment(args: &PlanArgs, store: &Store, loaded: LoadedExperiment) -> Result<bool> {
    let LoadedExperiment { study, images, .. } = loaded;
    let measured = measure(args, store, &study, images)?;
    let mut estimate = Estimate::new(&study, store, workers(&study), measured, &BTreeSet::new())?;
    estimate.warnings.extend(published_warning(&study.experiment));
    print(args, &estimate, ui::estimate)?;
    Ok(estimate.data_problem.is_some())
}

/// Prints the cost of a sweep. Returns whether the data of a point have a problem.
fn print_sweep(args: &PlanArgs, store: &Store, points: &[SweepPoint]) -> Result<bool> {
    let studies: Vec<(&str, &Study, usize)> = points
        .iter()
        .map(|SweepPoint { label, loaded }| (label.as_str(), &loaded.study, workers(&loaded.study)))
        .collect();
    let estimate = SweepEstimate::new(&studies, store, |study| measure(args, store, study, None))?;
    print(args, &estimate, ui::sweep_estimate)?;
    Ok(estimate.points.iter().any(|point| point.estimate.data_problem.is_some()))
}

/// Prints the jobs as a list, as JSON, or in the format of an engine. Returns whether the data have a problem.
fn print_jobs(args: &PlanArgs, store: &Store, points: Option<Vec<SweepPoint>>, source: &ConfigSource) -> Result<bool> {
    let experiments = match points {
        Some(points) => points.into_iter().map(|point| point.loaded).collect(),
        None => vec![LoadedExperiment::load_from(&args.experiment, source)?],
    };
    let command = run_command(&args.experiment, &args.sweep, &args.runs, &experiments[0].study)?;
    let options = ListOptions { per_job: args.per_job, nodes: args.nodes.map(|nodes| nodes as usize) };
    let list = job_list(&experiments, store, &command, &options, |study| measure(args, store, study, None))?;
    match args.format {
        Some(format) => ui::print_result(&format.text(&Contents { list: &list, command: &command })?)?,
        None => print(args, &list, ui::job_list)?,
    }
    Ok(experiments.iter().any(|loaded| data::problem(&loaded.study.experiment.data).is_some()))
}

/// Measures the speed of this machine for a study, if `--measure` is given. `images`: those of custom data, if they have
/// been read.
fn measure(args: &PlanArgs, store: &Store, study: &Study, images: Option<RawImages>) -> Result<Option<Calibration>> {
    if !args.measure {
        return Ok(None);
    }
    Calibration::measure(study, store, &EngineTrainerFactory::new(study, images), workers(study))
}

/// Prints a result as JSON if `--json` is given, else as text.
fn print<T: Serialize>(args: &PlanArgs, result: &T, text: fn(&T) -> String) -> Result<()> {
    let text = if args.json { serde_json::to_string_pretty(result)? + "\n" } else { text(result) };
    Ok(ui::print_result(&text)?)
}
