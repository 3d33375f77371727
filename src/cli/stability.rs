//! `lth stability`: measures whether copies of a training run with other data orders reach the same minimum.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use clap::Args;

use super::folders;
use super::measured_run::{MeasureArgs, MeasuredRun, MeasuringOutcome, unmeasured};
use super::stop_notice::with_stop_notice;
use super::trainers::EngineTrainerFactory;
use crate::artifacts::{RoundRow, StabilityRow, to_csv};
use crate::base::key::ContentHash;
use crate::config::MaskSource;
use crate::lottery::{DENSE, Plan, Study};
use crate::runner::{CopyPair, InstabilityAnalysis, RunContext};
use crate::system::exit::Exit;
use crate::system::paths::RunDir;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct StabilityArgs {
    /// The run: its folder, its name, or the name of its experiment.
    #[arg(value_parser = folders::path_parser())]
    run: PathBuf,
    #[command(flatten)]
    measure: MeasureArgs,
    /// Number of networks on the line between the two sets of final weights, both ends included.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(2..=1000))]
    points: u16,
}

/// Runs `lth stability` and returns its exit code.
///
/// # Errors
/// Fails if the run cannot be found or resolved, or a file cannot be read or written.
pub(super) fn run(args: &StabilityArgs) -> Result<Exit> {
    let StabilityArgs { run, measure: MeasureArgs { filter, output, .. }, points } = args;
    let (measured_run, images) = MeasuredRun::open(run, &args.measure)?;
    let MeasuredRun { study, store, cancel, .. } = &measured_run;
    let trainers = EngineTrainerFactory::new(study, images);
    let sink = output.sink()?;
    let context = RunContext { study, store, sink: &sink, cancel, trainers: &trainers };
    let analysis = InstabilityAnalysis { context, points: usize::from(*points) };
    let pairs = analysis.pairs(&measured_run.done_keys(filter, |row| is_chain(study, row))?);
    let missing = unmeasured(&pairs, |item| analysis.is_measured(item))?;
    let measuring = || measure(&analysis, &measured_run, &missing, &args.measure);
    let failures = if missing.is_empty() { Vec::new() } else { with_stop_notice(cancel, &sink, measuring)? };

    let rows = analysis.rows()?;
    let measured = pairs.len() - unmeasured(&pairs, |item| analysis.is_measured(item))?.len();
    let outcome = MeasuringOutcome { selected: pairs.len(), measured, failures };
    let contents = [(RunDir::STABILITY, to_csv(&rows)?)];
    let exit = measured_run.finish(output, &contents, outcome, || ui::stability(&selected_rows(rows, &pairs)))?;
    sink.check()?;
    Ok(exit)
}

/// Returns whether the training run of a row is the dense network, or of an arm that prunes its own previous round:
/// those that are measured unless arms are named.
fn is_chain(study: &Study, row: &RoundRow) -> bool {
    let arm = study.experiment.arms.0.iter().find(|(name, _)| *name == row.arm);
    row.arm == DENSE || arm.is_some_and(|(_, arm)| arm.mask == MaskSource::Iterative)
}

/// Returns the rows of the training runs of `pairs`.
fn selected_rows(mut rows: Vec<StabilityRow>, pairs: &[CopyPair]) -> Vec<StabilityRow> {
    let keys: BTreeSet<String> = pairs.iter().map(|pair| pair.training.key.to_string()).collect();
    rows.retain(|row| keys.contains(&row.key));
    rows
}

/// Returns a note with the numbers of copies and originals that `plan` trains.
fn work_note(plan: &Plan, pairs: &[CopyPair]) -> String {
    let copies: BTreeSet<ContentHash> = pairs.iter().map(|pair| pair.copy.key).collect();
    let count = plan.trainings.iter().filter(|spec| copies.contains(&spec.key)).count();
    let originals = plan.trainings.len() - count;
    format!(
        "copies to train, with another data order and marked (order 2): {count}\n\
         training runs to repeat for their weights: {originals}"
    )
}

/// Trains the missing copies and repeats training runs without final weights, then measures the lines of `pairs`.
/// Returns a message for each failure.
fn measure(
    analysis: &InstabilityAnalysis<'_>,
    run: &MeasuredRun,
    pairs: &[CopyPair],
    args: &MeasureArgs,
) -> Result<Vec<String>> {
    let context = analysis.context;
    let workers = args.workers(context.study);
    let plan = analysis.plan(pairs);
    let mut failures = Vec::new();
    if !plan.trainings.is_empty() {
        if args.output.shows_progress() {
            ui::eprint_line(&work_note(&plan, pairs));
        }
        failures.extend(run.train(context, &plan, workers)?);
    }
    let (ready, others): (Vec<CopyPair>, Vec<CopyPair>) =
        pairs.iter().cloned().partition(|pair| analysis.is_ready(pair));
    let diverged = others.iter().filter(|pair| analysis.has_diverged(pair));
    failures
        .extend(diverged.map(|pair| format!("{} round {}: the copy diverged", pair.training.arm, pair.training.round)));
    if !ready.is_empty() && !context.cancel.is_cancelled() {
        let dataset = Arc::new(context.trainers.dataset()?);
        let measured = analysis.measure(&ready, &dataset, workers);
        measured.map_err(|error| context.trainers.explain(error, 1))?;
    }
    Ok(failures)
}
