//! `lth evaluate RUN`: measures the trained networks of a run, and stores the measurements.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::super::measured_run::{MeasureArgs, MeasuredRun, MeasuringOutcome, unmeasured};
use super::super::stop_notice::with_stop_notice;
use super::super::trainers::EngineTrainerFactory;
use super::evaluations_note;
use super::options::EvaluationOptions;
use crate::artifacts::RobustnessData;
use crate::base::format::count_of;
use crate::config::UsageError;
use crate::lottery::{Plan, TrainingSpec};
use crate::runner::{RobustnessAnalysis, RunContext, robustness_rows};
use crate::system::exit::Exit;
use crate::ui;

/// Evaluates the networks of the run called `name`, and returns the exit code.
///
/// # Errors
/// Fails if the run cannot be found or resolved, a file cannot be read or written, or a network does not have the
/// accuracy that was recorded.
pub(super) fn run(name: &Path, args: &MeasureArgs, options: &EvaluationOptions) -> Result<Exit> {
    let output = &args.output;
    let (measured_run, images) = MeasuredRun::open(name, args)?;
    let MeasuredRun { study, store, cancel, .. } = &measured_run;
    let trainers = EngineTrainerFactory::new(study, images);
    let sink = output.sink()?;
    let context = RunContext { study, store, sink: &sink, cancel, trainers: &trainers };
    let definition = options.definition(study.resolved.network.input[0]);
    let analysis = RobustnessAnalysis { context, definition: &definition };
    let selected = selected(&analysis, &measured_run, args)?;
    let missing = unmeasured(&selected, |item| analysis.is_measured(item))?;
    let measuring = || measure(&analysis, &measured_run, &missing, args);
    let failures = if missing.is_empty() { Vec::new() } else { with_stop_notice(cancel, &sink, measuring)? };

    let rows = robustness_rows(study, store)?;
    for path in &rows.damaged {
        ui::eprint_line(&format!("`{}` is damaged; `lth evaluate` measures it again", path.display()));
    }
    let measured = selected.len() - unmeasured(&selected, |item| analysis.is_measured(item))?.len();
    let outcome = MeasuringOutcome { selected: selected.len(), measured, failures };
    let contents = rows.data.files()?;
    let table = || ui::robustness(&selected_rows(rows.data, &selected));
    let exit = measured_run.finish(output, &contents, outcome, table)?;
    sink.check()?;
    Ok(exit)
}

/// Returns the training runs that are evaluated: those that the arguments name, or, if they name none, those whose
/// final weights are stored, or that have been measured.
fn selected(analysis: &RobustnessAnalysis<'_>, run: &MeasuredRun, args: &MeasureArgs) -> Result<Vec<TrainingSpec>> {
    let trainings = analysis.trainings(&run.done_keys(&args.filter, |_| true)?);
    if !args.filter.is_empty() {
        return Ok(trainings);
    }
    let mut selected = Vec::new();
    let total = trainings.len();
    for spec in trainings {
        if analysis.has_weights(&spec) || analysis.is_measured(&spec)? {
            selected.push(spec);
        }
    }
    let hint = "name them with `--arm` or `--round`, and they are trained again";
    if selected.is_empty() {
        let text = "error: the final weights of all training runs were freed";
        return Err(UsageError::from_text(&format!("{text}\n\nhint: {hint}")).into());
    }
    if selected.len() < total && args.output.shows_progress() {
        let count = count_of((total - selected.len()) as u64, "training run");
        ui::eprint_line(&format!("note: {count} without final weights left out; {hint}"));
    }
    Ok(selected)
}

/// Returns the rows of `trainings`.
fn selected_rows(mut data: RobustnessData, trainings: &[TrainingSpec]) -> RobustnessData {
    let keys: BTreeSet<String> = trainings.iter().map(|spec| spec.key.to_string()).collect();
    data.retain(|key| keys.contains(key));
    data
}

/// Returns a note on the work: the numbers of networks, of evaluations, and of training runs that `plan` repeats.
fn work_note(analysis: &RobustnessAnalysis<'_>, networks: usize, plan: &Plan) -> String {
    let test_images = analysis.context.study.resolved.images.test as usize;
    format!(
        "{}\ntraining runs to repeat for their weights: {}",
        evaluations_note(analysis.definition, networks, test_images),
        plan.trainings.len()
    )
}

/// Repeats training runs without final weights, then measures `trainings`. Returns a message for each failure.
fn measure(
    analysis: &RobustnessAnalysis<'_>,
    run: &MeasuredRun,
    trainings: &[TrainingSpec],
    args: &MeasureArgs,
) -> Result<Vec<String>> {
    let context = analysis.context;
    let workers = args.workers(context.study);
    let plan = analysis.plan(trainings);
    if args.output.shows_progress() {
        ui::eprint_line(&work_note(analysis, trainings.len(), &plan));
    }
    let failures = if plan.trainings.is_empty() { Vec::new() } else { run.train(context, &plan, workers)? };
    let ready: Vec<TrainingSpec> = trainings.iter().filter(|spec| analysis.has_weights(spec)).cloned().collect();
    if !ready.is_empty() && !context.cancel.is_cancelled() {
        let dataset = Arc::new(context.trainers.dataset()?);
        let measured = analysis.measure(&ready, &dataset, workers);
        measured.map_err(|error| context.trainers.explain(error, 1))?;
    }
    Ok(failures)
}
