//! `lth run`: an experiment from its file to its table.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use super::RunArgs;
use super::load::LoadedExperiment;
use super::report::write_own;
use super::show::summary_text;
use crate::artifacts::{AuditSummary, CudaProvenance, RunManifest, TestImages, Versions, last_iteration};
use crate::config::{Experiment, to_toml};
use crate::data;
use crate::engine;
use crate::engine::{TrainerSpec, torch};
use crate::lottery::{Plan, ResolvedExperiment};
use crate::report::{Run, RunAnalysis};
use crate::runner;
use crate::runner::{RunFiles, Runner, Store};
use crate::system::cancel::CancelToken;
use crate::system::exit::Exit;
use crate::system::files;
use crate::system::files::Lock;
use crate::system::paths;
use crate::system::paths::RunsDir;
use crate::system::{clock, env, machine};
use crate::ui;

pub(super) fn run(args: &RunArgs) -> Result<Exit> {
    let opened = LoadedExperiment::new(&args.experiment)?;
    let (workers, LoadedExperiment { document, experiment, setting, plan, images }) = (opened.workers(), opened);
    let runs = args.runs.folder()?;
    let files = runs.run_dir(&experiment.name, &plan.id());
    let stop = CancelToken::on_signals().context("could not listen for signals")?;
    // Before anything is set aside, the data must be there to make it anew.
    let load = || images.load(&setting.dataset, &experiment);
    let loaded = Mutex::new(if args.fresh { Some(load()?) } else { None });
    if args.fresh
        && let Some(n) = runner::archive_plan(&plan, &runs, &files)?
        && !args.quiet
    {
        ui::eprint_line(&format!(
            "what was there is now in {} and {}",
            runs.archived_store(n).display(),
            files.archived(n).display()
        ));
    }
    let _running = register_run(&plan, &runs, &files)?;
    let view = RunFiles {
        experiment: &experiment.name,
        iterations: experiment.train.iterations,
        setting: &setting,
        plan: &plan,
        files: &files,
        writes: true,
        cancel: &stop,
    };
    let resolved = to_toml(&experiment, setting.device, setting.lanes, &document);
    let given = paths::RunDir::CONFIG[usize::from(document.is_json())];
    // Standard input cannot be read again: its text is in the run's folder.
    let command = if args.experiment.is_stdin() { env::command_with(&files.file(given)) } else { env::command() };
    let page = |report: &runner::RunOutcome| {
        serde_json::to_vec_pretty(&manifest(&experiment, &setting, &plan, workers, &runs, &command, report))
    };
    view.write_files(&[
        (given, document.text.clone().into_bytes()),
        (paths::RunDir::RESOLVED_CONFIG, resolved.into_bytes()),
        (paths::RunDir::MANIFEST, page(&runner::RunOutcome::default())?),
    ])?;

    let store = Store { runs: runs.clone() };
    let recipe = TrainerSpec::new(setting.network.clone(), &experiment, setting.gpu);
    let lab = Runner {
        experiment: &experiment,
        setting: &setting,
        plan: &plan,
        view: &view,
        workers,
        cancel: &stop,
        sink: &*ui::sink(args.quiet),
        dataset: &|| loaded.lock().unwrap_or_else(PoisonError::into_inner).take().map_or_else(load, Ok),
        trainer: &|kind, lanes, dataset| engine::build(kind, lanes, &recipe, dataset),
    };
    let report = lab.run(&store)?;
    view.write_files(&[(paths::RunDir::MANIFEST, page(&report)?)])?;
    let is_stopped = stop.exit_code().is_some() && report.summary.open > 0;
    let ended = if is_stopped { None } else { Some(RunAnalysis::of(Run::open(files)?)?) };
    if let Some(finding) = &ended {
        write_own(finding)?;
    }
    print_outcome(&plan, &report, &stop, args, &command, ended.as_ref())
}

/// Tells others what this run works with. The lock is held to its end, so that nobody sets aside or frees that.
pub(super) fn register_run(plan: &Plan, runs: &RunsDir, files: &paths::RunDir) -> Result<Lock> {
    let _gate = Lock::shared(&runs.admission_lock())?;
    if !files.plan_keys().exists() {
        let keys: Vec<String> = plan.trainings.iter().map(|training| training.key.to_string()).collect();
        files::write(&files.plan_keys(), (keys.join("\n") + "\n").as_bytes())?;
    }
    Lock::shared(&files.run_lock())
}

fn manifest(
    experiment: &Experiment,
    setting: &ResolvedExperiment,
    plan: &Plan,
    workers: usize,
    runs: &RunsDir,
    command: &str,
    report: &runner::RunOutcome,
) -> RunManifest {
    RunManifest {
        experiment: experiment.name.clone(),
        id: plan.id().to_string(),
        command: command.to_owned(),
        trainings: plan.trainings.len(),
        versions: Versions {
            lth: env!("CARGO_PKG_VERSION").to_owned(),
            tch: torch::TCH.to_owned(),
            libtorch: torch::LIBTORCH.to_owned(),
        },
        device: setting.device.to_owned(),
        cuda: setting.gpu.map(|gpu| CudaProvenance {
            gpus: machine::gpus(),
            gpu,
            products: experiment.train.products,
            deterministic: torch::DETERMINISTIC.to_owned(),
            not_deterministic: torch::NOT_DETERMINISTIC.to_owned(),
        }),
        engine: plan.engines(),
        processor: machine::processor(),
        host: machine::host(),
        workers,
        run: experiment.run.clone(),
        runs: runs.0.display().to_string(),
        data_dir: data::folder(&experiment.data).display().to_string(),
        written: clock::unix_seconds(),
        notes: setting.dataset.note.iter().cloned().collect(),
        test: setting
            .dataset
            .sizes(&experiment.data)
            .ok()
            .map(|(_, _, used)| TestImages { used, whole: setting.dataset.whole_test }),
        audit: AuditSummary { passed: report.summary.done, broken: report.broken.clone() },
        failures: report.failures.clone(),
        blocked: report.blocked.clone(),
    }
}

/// The table, the verdicts, where the files are, and what is to be said about trainings that did not end well.
fn print_outcome(
    plan: &Plan,
    report: &runner::RunOutcome,
    stop: &CancelToken,
    args: &RunArgs,
    command: &str,
    ended: Option<&RunAnalysis>,
) -> Result<Exit> {
    let summary = report.summary;
    for failure in report.broken.iter().chain(&report.failures) {
        ui::eprint_line(&format!("error: {failure}"));
    }
    if let Some(exit) = stop.exit_code().filter(|_| summary.open > 0) {
        if !args.quiet {
            let ended = summary.done + summary.diverged;
            let trainings = plan.trainings.len();
            ui::eprint_line(&format!(
                "stopped: {ended} of {trainings} trainings are done; those at work begin again. Go on with"
            ));
            ui::eprint_line(&format!("  {command}"));
        }
        return Ok(exit);
    }
    ui::print_result(&ui::table(&report.rounds, last_iteration(&report.rounds)))?;
    if let Some(finding) = ended {
        ui::print_result(&summary_text(&finding.run, &finding.verdicts))?;
    }
    if summary.lost > 0 {
        ui::eprint_line(&format!("error: {} trainings could not be run again for their final weights", summary.lost));
    }
    let missing = summary.diverged + summary.failed + summary.blocked;
    if missing == 0 {
        return Ok(if summary.lost > 0 { Exit::Failure } else { Exit::Success });
    }
    let mut parts = Vec::new();
    for (n, what) in [(summary.diverged, "diverged"), (summary.failed, "failed"), (summary.blocked, "blocked by them")]
    {
        if n > 0 {
            parts.push(format!("{n} {what}"));
        }
    }
    ui::eprint_line(&format!(
        "error: {missing} of {} trainings have no result: {}",
        plan.trainings.len(),
        parts.join(", ")
    ));
    if summary.diverged > 0 {
        ui::eprint_line("\nhint: a training that diverges wants a smaller `train.lr`");
    }
    Ok(Exit::Failure)
}
