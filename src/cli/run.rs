//! `lth run`: an experiment from its file to its table.

use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use super::RunArgs;
use super::open::Opened;
use super::report::write_own;
use super::show::ending;
use crate::base::exit::Exit;
use crate::base::files::{self, Lock};
use crate::base::paths::{self, Runs};
use crate::base::stop::Stop;
use crate::base::{clock, env};
use crate::config::{Experiment, to_toml};
use crate::data;
use crate::engine::{self, Recipe, dense};
use crate::lab::{self, Lab, Store, View};
use crate::lottery::{Plan, Setting};
use crate::record::{Audit, Cuda, Manifest, TestImages, Versions, last_iteration};
use crate::report::{Finding, Run};
use crate::ui;

pub(super) fn run(args: &RunArgs) -> Result<Exit> {
    let opened = Opened::new(&args.experiment)?;
    let (workers, Opened { document, experiment, setting, plan }) = (opened.workers(), opened);
    let runs = args.runs.folder()?;
    let files = runs.view(&experiment.name, &plan.id());
    let stop = Stop::on_signals().context("could not listen for signals")?;
    // Before anything is set aside, the data must be there to make it anew.
    let load = || setting.source.load(&experiment.data, experiment.seed);
    let loaded = Mutex::new(if args.fresh { Some(load()?) } else { None });
    if args.fresh
        && let Some(n) = lab::set_aside(&plan, &runs, &files)?
        && !args.quiet
    {
        ui::say(&format!("what was there is now in {} and {}", runs.old_store(n).display(), files.old(n).display()));
    }
    let _running = begin(&plan, &runs, &files)?;
    let view = View {
        experiment: &experiment.name,
        iterations: experiment.train.iterations,
        setting: &setting,
        plan: &plan,
        files: &files,
        writes: true,
        stop: &stop,
    };
    let resolved = to_toml(&experiment, setting.device, setting.lanes, &document);
    let given = paths::View::GIVEN[usize::from(document.is_json())];
    // Standard input cannot be read again: its text is in the run's folder.
    let command = if args.experiment.is_stdin() { env::command_with(&files.file(given)) } else { env::command() };
    let page = |report: &lab::Report| {
        serde_json::to_vec_pretty(&manifest(&experiment, &setting, &plan, workers, &runs, &command, report))
    };
    view.write_files(&[
        (given, document.text.clone().into_bytes()),
        (paths::View::RESOLVED, resolved.into_bytes()),
        (paths::View::MANIFEST, page(&lab::Report::default())?),
    ])?;

    let store = Store { runs: runs.clone() };
    let recipe = Recipe::new(setting.network.clone(), &experiment, setting.gpu);
    let lab = Lab {
        experiment: &experiment,
        setting: &setting,
        plan: &plan,
        view: &view,
        workers,
        stop: &stop,
        sink: &*ui::sink(args.quiet),
        dataset: &|| loaded.lock().unwrap_or_else(PoisonError::into_inner).take().map_or_else(load, Ok),
        trainer: &|kind, lanes, dataset| engine::build(kind, lanes, &recipe, dataset),
    };
    let report = lab.run(&store)?;
    view.write_files(&[(paths::View::MANIFEST, page(&report)?)])?;
    let is_stopped = stop.exit().is_some() && report.summary.open > 0;
    let ended = if is_stopped { None } else { Some(Finding::of(Run::open(files)?)?) };
    if let Some(finding) = &ended {
        write_own(finding)?;
    }
    conclude(&plan, &report, &stop, args, &command, ended.as_ref())
}

/// Tells others what this run works with. The lock is held to its end, so that nobody sets aside or frees that.
pub(super) fn begin(plan: &Plan, runs: &Runs, files: &paths::View) -> Result<Lock> {
    let _gate = Lock::shared(&runs.gate())?;
    if !files.keys().exists() {
        let keys: Vec<String> = plan.trainings.iter().map(|training| training.key.to_string()).collect();
        files::write(&files.keys(), (keys.join("\n") + "\n").as_bytes())?;
    }
    Lock::shared(&files.running())
}

fn manifest(
    experiment: &Experiment,
    setting: &Setting,
    plan: &Plan,
    workers: usize,
    runs: &Runs,
    command: &str,
    report: &lab::Report,
) -> Manifest {
    Manifest {
        experiment: experiment.name.clone(),
        id: plan.id().to_string(),
        command: command.to_owned(),
        trainings: plan.trainings.len(),
        versions: Versions {
            lth: env!("CARGO_PKG_VERSION").to_owned(),
            tch: dense::TCH.to_owned(),
            libtorch: dense::LIBTORCH.to_owned(),
        },
        device: setting.device.to_owned(),
        cuda: setting.gpu.map(|gpu| Cuda {
            gpus: env::gpus(),
            gpu,
            products: experiment.train.products,
            deterministic: dense::DETERMINISTIC.to_owned(),
            not_deterministic: dense::NOT_DETERMINISTIC.to_owned(),
        }),
        engine: plan.engines(),
        processor: env::processor(),
        host: env::host(),
        workers,
        run: experiment.run.clone(),
        runs: runs.0.display().to_string(),
        data_dir: data::folder(&experiment.data).display().to_string(),
        written: clock::unix_seconds(),
        notes: setting.source.note.iter().cloned().collect(),
        test: setting
            .source
            .sizes(&experiment.data)
            .ok()
            .map(|(_, _, used)| TestImages { used, whole: setting.source.whole_test }),
        audit: Audit { passed: report.summary.done, broken: report.broken.clone() },
        failures: report.failures.clone(),
        blocked: report.blocked.clone(),
    }
}

/// The table, the verdicts, where the files are, and what is to be said about trainings that did not end well.
fn conclude(
    plan: &Plan,
    report: &lab::Report,
    stop: &Stop,
    args: &RunArgs,
    command: &str,
    ended: Option<&Finding>,
) -> Result<Exit> {
    let summary = report.summary;
    for failure in report.broken.iter().chain(&report.failures) {
        ui::say(&format!("error: {failure}"));
    }
    if let Some(exit) = stop.exit().filter(|_| summary.open > 0) {
        if !args.quiet {
            let ended = summary.done + summary.diverged;
            let trainings = plan.trainings.len();
            ui::say(&format!(
                "stopped: {ended} of {trainings} trainings are done; those at work begin again. Go on with"
            ));
            ui::say(&format!("  {command}"));
        }
        return Ok(exit);
    }
    ui::print(&ui::table(&report.rounds, last_iteration(&report.rounds)))?;
    if let Some(finding) = ended {
        ui::print(&ending(&finding.run, &finding.verdicts))?;
    }
    if summary.lost > 0 {
        ui::say(&format!("error: {} trainings could not be run again for their final weights", summary.lost));
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
    ui::say(&format!("error: {missing} of {} trainings have no result: {}", plan.trainings.len(), parts.join(", ")));
    if summary.diverged > 0 {
        ui::say("\nhint: a training that diverges wants a smaller `train.lr`");
    }
    Ok(Exit::Failure)
}
