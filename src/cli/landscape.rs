//! `lth landscape`: measures the training loss around the starting and the final weights of training runs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;

use super::folders;
use super::measured_run::{MeasureArgs, MeasuredRun, MeasuringOutcome, unmeasured};
use super::stop_notice::with_stop_notice;
use super::trainers::EngineTrainerFactory;
use crate::artifacts::{LandscapeRow, to_csv};
use crate::base::format::with_thousands;
use crate::data::Split;
use crate::lottery::TrainingSpec;
use crate::report::measured_arms;
use crate::runner::{LandscapeAnalysis, LandscapeDefinition, RunContext};
use crate::system::exit::Exit;
use crate::system::paths::RunDir;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct LandscapeArgs {
    /// The run: its folder, its name, or the name of its experiment.
    #[arg(value_parser = folders::path_parser())]
    run: PathBuf,
    #[command(flatten)]
    measure: MeasureArgs,
    /// Number of networks on the line from the starting to the final weights, both ends included.
    #[arg(long, value_name = "N", default_value_t = 21, value_parser = clap::value_parser!(u16).range(2..=1000))]
    points: u16,
    /// Number of random directions from the final weights, each with 6 networks.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    directions: u16,
}

/// Runs `lth landscape` and returns its exit code.
///
/// # Errors
/// Fails if the run cannot be found or resolved, or a file cannot be read or written.
pub(super) fn run(args: &LandscapeArgs) -> Result<Exit> {
    let measure_args = &args.measure;
    let (run, images) = MeasuredRun::open(&args.run, measure_args)?;
    let trainers = EngineTrainerFactory::new(&run.study, images);
    let sink = measure_args.output.sink()?;
    let context =
        RunContext { study: &run.study, store: &run.store, sink: &sink, cancel: &run.cancel, trainers: &trainers };
    let definition = LandscapeDefinition { points: args.points.into(), directions: args.directions.into() };
    let analysis = LandscapeAnalysis { context, definition };
    let arms = measured_arms(&run.study.experiment);
    let keys = run.done_keys(&measure_args.filter, |row| arms.contains(&row.arm.as_str()))?;
    let trainings = analysis.trainings(&keys);
    let missing = unmeasured(&trainings, |item| analysis.is_measured(item))?;
    let work = || measure(&analysis, &run, &missing, measure_args);
    let failures = if missing.is_empty() { Vec::new() } else { with_stop_notice(&run.cancel, &sink, work)? };

    let rows = analysis.rows()?;
    let contents = [(RunDir::LANDSCAPE, to_csv(&rows.trainings)?), (RunDir::LANDSCAPE_CURVES, to_csv(&rows.curves)?)];
    let measured = trainings.len() - unmeasured(&trainings, |item| analysis.is_measured(item))?.len();
    let outcome = MeasuringOutcome { selected: trainings.len(), measured, failures };
    let table = || ui::landscape(&selected_rows(rows.trainings, &trainings));
    let exit = run.finish(&measure_args.output, &contents, outcome, table)?;
    sink.check()?;
    Ok(exit)
}

/// Returns the rows of `trainings`.
fn selected_rows(mut rows: Vec<LandscapeRow>, trainings: &[TrainingSpec]) -> Vec<LandscapeRow> {
    let keys: BTreeSet<String> = trainings.iter().map(|spec| spec.key.to_string()).collect();
    rows.retain(|row| keys.contains(&row.key));
    rows
}

/// Repeats training runs without final weights, then measures `trainings`. Returns a message for each failure.
fn measure(
    analysis: &LandscapeAnalysis<'_>,
    run: &MeasuredRun,
    trainings: &[TrainingSpec],
    args: &MeasureArgs,
) -> Result<Vec<String>> {
    let context = analysis.context;
    let workers = args.workers(context.study);
    let plan = analysis.plan(trainings);
    if args.output.shows_progress() {
        ui::eprint_line(&work_note(analysis.definition, trainings.len(), plan.trainings.len()));
    }
    let failures = if plan.trainings.is_empty() { Vec::new() } else { run.train(context, &plan, workers)? };
    let ready: Vec<TrainingSpec> = trainings.iter().filter(|spec| analysis.is_ready(spec)).cloned().collect();
    if !ready.is_empty() && !context.cancel.is_cancelled() {
        let dataset = Arc::new(context.trainers.dataset()?);
        if args.output.shows_progress() {
            let images = with_thousands(dataset.indices(Split::Train).len() as u64);
            ui::eprint_line(&format!("each network is evaluated on {images} training images"));
        }
        let measured = analysis.measure(&ready, &dataset, workers);
        measured.map_err(|error| context.trainers.explain(error, 1))?;
    }
    Ok(failures)
}

/// Returns a note on the work: training runs to measure, and to repeat for their weights.
fn work_note(definition: LandscapeDefinition, trainings: usize, repeated: usize) -> String {
    format!(
        "training runs to measure: {trainings}\nnetworks to evaluate: {} ({} for each), and {trainings} gradients\n\
         training runs to repeat for their weights: {repeated}",
        with_thousands((trainings * definition.networks()) as u64),
        definition.networks()
    )
}
