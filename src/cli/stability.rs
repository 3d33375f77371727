//! `lth stability`: whether the trainings of a run come to the same whatever the order of their data.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;

use super::filter::RowFilter;
use super::folders;
use super::load::{RunsArgs, workers};
use super::report::write_own;
use super::run::register_run;
use crate::artifacts::to_csv;
use crate::base::format::pluralize;
use crate::base::outcome::Outcome;
use crate::config::{DatasetSpec, DeviceChoice, Experiment, KeepWeights, MaskSource, UsageError};
use crate::engine::{self, TrainerSpec};
use crate::lottery::{DENSE, Plan, ResolvedExperiment};
use crate::report::{self, Run, RunAnalysis};
use crate::runner::{CopyPair, InstabilityAnalysis, RunFiles, Runner, Store};
use crate::system::cancel::CancelToken;
use crate::system::env;
use crate::system::exit::Exit;
use crate::system::paths::RunDir as Files;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct StabilityArgs {
    /// The run: its folder, its name, or the name of its experiment.
    #[arg(value_parser = folders::path())]
    run: PathBuf,
    #[command(flatten)]
    runs: RunsArgs,
    /// Without arms: the dense network, and every round of the arms that prune their own previous round.
    #[command(flatten)]
    choice: RowFilter,
    /// Networks on the line between two copies, both ends among them.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(2..=1000))]
    points: u16,
    /// Folder of the built-in data sets [default: that of the run].
    #[arg(long, value_name = "DIR", value_parser = folders::path())]
    data_dir: Option<PathBuf>,
    /// Trainings at a time [default: one per core, and on a GPU one].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Says nothing but the final table and errors.
    #[arg(long, short)]
    quiet: bool,
}

pub(super) fn run(args: &StabilityArgs) -> Result<Exit> {
    let runs = args.runs.folder()?;
    let run = Run::open(report::find(&runs, &args.run)?)?;
    let (experiment, setting, plan) = opened(&run, args)?;
    args.choice.check(run.rounds.iter(), &format!("`{}`", run.name()))?;
    let stop = CancelToken::on_signals().context("could not listen for signals")?;
    let _running = register_run(&plan, &runs, &run.view)?;
    let store = Store { runs };
    let stability = InstabilityAnalysis { setting: &setting, plan: &plan, store: &store, points: args.points.into() };
    let wanted = stability.pairs(&keys(&run, &experiment, &plan, &args.choice)?);
    let unknown: Vec<CopyPair> = wanted.iter().filter(|pair| !stability.is_known(pair)).cloned().collect();
    let work = MeasureContext { args, run: &run, experiment: &experiment, stability, stop: &stop };
    let failed = if unknown.is_empty() { Vec::new() } else { work.measure(&unknown)? };

    let rows = stability.rows(&experiment.name);
    let view = work.view(&plan);
    view.write_files(&[(Files::STABILITY, to_csv(&rows)?)])?;
    let finding = RunAnalysis::of(Run::open(run.view.clone())?)?;
    let page = write_own(&finding)?;
    if let Some(exit) = stop.exit_code().filter(|_| !wanted.iter().all(|pair| stability.is_known(pair))) {
        ui::eprint_line(&format!("stopped: what was measured stays. Go on with\n  {}", env::command()));
        return Ok(exit);
    }
    let is_wanted = |key: &str| wanted.iter().any(|pair| pair.training.key.to_string() == key);
    let shown: Vec<_> = rows.into_iter().filter(|row| is_wanted(&row.key)).collect();
    ui::print_result(&ui::stability(&shown))?;
    let note = finding.run.test_note().map_or_else(String::new, |note| note + "\n");
    ui::print_result(&format!("{note}files in {}\nreport in {}\n", run.view.0.display(), page.display()))?;
    for failure in &failed {
        ui::eprint_line(&format!("error: {failure}"));
    }
    Ok(if failed.is_empty() { Exit::Success } else { Exit::Failure })
}

/// The experiment of a run, whose trainings must be those it gives now.
fn opened(run: &Run, args: &StabilityArgs) -> Result<(Experiment, ResolvedExperiment, Plan)> {
    let refuse = |said: String| anyhow::Error::from(UsageError::from_text(&format!("error: {said}")));
    let resolved = run.view.file(Files::RESOLVED_CONFIG);
    let Some(mut experiment) = run.experiment() else {
        let said = format!("`{}` is missing, damaged, or of another version", resolved.display());
        return Err(refuse(format!("{said}\n\nhint: the command that made the run writes it again")));
    };
    if !matches!(experiment.data.dataset, DatasetSpec::Idx { .. } | DatasetSpec::Images { .. }) {
        let of_run = run.manifest.as_ref().map(|manifest| PathBuf::from(&manifest.data_dir));
        experiment.data.dir = args.data_dir.clone().or(of_run);
    }
    // The resolved experiment tells the kind of device; which GPU it was, is in the manifest.
    if let (DeviceChoice::Cuda(_), Some(manifest)) = (experiment.run.device, &run.manifest) {
        experiment.run.device = manifest.run.device;
    }
    let told = |problems: Vec<crate::config::Diagnostic>| {
        let all: Vec<String> = problems.into_iter().map(|problem| problem.message).collect();
        refuse(format!("`{}` cannot be used: {}", resolved.display(), all.join("; ")))
    };
    let setting = ResolvedExperiment::new(&experiment).map_err(told)?;
    let plan = Plan::build(&experiment, &setting).map_err(told)?;
    let keys: BTreeSet<String> = plan.trainings.iter().map(|training| training.key.to_string()).collect();
    if let Some(row) = run.rounds.iter().find(|row| !keys.contains(&row.key)) {
        let said =
            format!("`{}` has trainings that its experiment does not give here, such as {}", run.name(), row.key);
        let hint = "another version of lth made it, or its data are not those in `--data-dir`";
        return Err(refuse(format!("{said}\n\nhint: {hint}")));
    }
    Ok((experiment, setting, plan))
}

/// The keys of the trainings that are asked for and have come to their end.
fn keys(
    run: &Run,
    experiment: &Experiment,
    plan: &Plan,
    choice: &RowFilter,
) -> Result<BTreeSet<crate::base::key::ContentHash>> {
    let is_chain = |name: &str| {
        let arm = experiment.arms.0.iter().find(|(known, _)| known == name);
        name == DENSE || arm.is_some_and(|(_, arm)| arm.mask == MaskSource::Iterative)
    };
    let meant = run.rounds.iter().filter(|row| choice.matches(row) && (choice.names_arms() || is_chain(&row.arm)));
    let (done, other): (Vec<_>, Vec<_>) = meant.partition(|row| row.outcome == Outcome::Done.as_str());
    if !other.is_empty() {
        ui::eprint_line(&format!(
            "note: {} without a result {} left out",
            pluralize(other.len() as u64, "training"),
            if other.len() == 1 { "is" } else { "are" }
        ));
    }
    let names: BTreeSet<&str> = done.into_iter().map(|row| row.key.as_str()).collect();
    if names.is_empty() {
        let said = "error: of what is asked for nothing has come to its end";
        return Err(
            UsageError::from_text(&format!("{said}\n\nhint: `lth show` tells what has; `lth run` goes on")).into()
        );
    }
    Ok(plan
        .trainings
        .iter()
        .map(|training| training.key)
        .filter(|key| names.contains(key.to_string().as_str()))
        .collect())
}

/// What lines are measured with.
struct MeasureContext<'a> {
    args: &'a StabilityArgs,
    run: &'a Run,
    experiment: &'a Experiment,
    stability: InstabilityAnalysis<'a>,
    stop: &'a CancelToken,
}

impl MeasureContext<'_> {
    fn view<'p>(&'p self, plan: &'p Plan) -> RunFiles<'p> {
        RunFiles {
            experiment: &self.experiment.name,
            iterations: self.experiment.train.iterations,
            setting: self.stability.setting,
            plan,
            files: &self.run.view,
            // The run's own files tell of its own trainings, which are done.
            writes: false,
            cancel: self.stop,
        }
    }

    /// Trains what is missing and measures the lines; tells what failed.
    fn measure(&self, unknown: &[CopyPair]) -> Result<Vec<String>> {
        let InstabilityAnalysis { setting, store, .. } = self.stability;
        let workers = self.args.workers.map_or_else(|| workers(self.experiment, setting), usize::from);
        let mut experiment = self.experiment.clone();
        // Lines have two ends: whatever is run now is run for its final weights.
        experiment.run.keep = KeepWeights::All;
        let recipe = TrainerSpec::new(setting.network.clone(), &experiment, setting.gpu);
        let build: &crate::runner::TrainerFactory<'_> =
            &|kind, lanes, dataset| engine::build(kind, lanes, &recipe, dataset);
        let load = || setting.dataset.load(&experiment.data, experiment.seed);
        let plan = self.stability.to_run(unknown);
        let mut failed = Vec::new();
        if !plan.trainings.is_empty() {
            let lab = Runner {
                experiment: &experiment,
                setting,
                plan: &plan,
                view: &self.view(&plan),
                workers,
                cancel: self.stop,
                sink: &*ui::sink(self.args.quiet),
                dataset: &load,
                trainer: build,
            };
            let report = lab.run(store)?;
            failed.extend(report.broken.into_iter().chain(report.failures).chain(report.blocked));
        }
        let (ready, open): (Vec<CopyPair>, Vec<CopyPair>) =
            unknown.iter().cloned().partition(|pair| self.stability.is_ready(pair));
        let diverged = open.iter().filter(|pair| self.stability.has_diverged(pair));
        failed.extend(
            diverged.map(|pair| format!("{} round {}: the copy diverged", pair.training.arm, pair.training.round)),
        );
        if ready.is_empty() || self.stop.is_cancelled() {
            return Ok(failed);
        }
        let dataset = Arc::new(load()?);
        let tell = |n: usize, pair: &CopyPair| {
            if !self.args.quiet {
                let crate::lottery::TrainingSpec { arm, round, replicate, .. } = &pair.training;
                ui::eprint_line(&format!("measured {n} of {}: {arm} round {round} replicate {replicate}", ready.len()));
            }
        };
        self.stability
            .measure(&ready, &dataset, build, workers, self.stop, &tell)
            .map_err(|error| engine::torch::friendly_torch_error(error, &recipe, 1))?;
        Ok(failed)
    }
}
