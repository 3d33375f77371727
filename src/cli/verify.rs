//! `lth verify`: compares everything that a run has stored with what it is made from. Changes nothing.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;

use super::folders;
use super::json::VerifyResult;
use super::load::{RunsArgs, workers};
use super::release_manifest::release_manifest;
use super::selection::newest_run;
use super::stored_study::study_of_run;
use super::trainers::EngineTrainerFactory;
use super::verify_files::{check_configuration, check_manifest, check_report};
use crate::artifacts::RunManifest;
use crate::base::format::count_of;
use crate::data::RawImages;
use crate::engine::torch;
use crate::lottery::Study;
use crate::runner::{
    Check, CheckState, Retraining, RunContext, Store, Verifier, WRITE_AGAIN, archived_entries, listed_checksums,
    re_evaluate, remake_gradient_masks, retrain,
};
use crate::system::cancel::CancelToken;
use crate::system::exit::Exit;
use crate::system::files::Lock;
use crate::system::machine;
use crate::system::paths::{RunDir, RunsDir};
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The run: its folder, its name, or the name of its experiment.
    #[arg(value_parser = folders::path_parser())]
    run: PathBuf,
    #[command(flatten)]
    runs: RunsArgs,
    /// Evaluate the stored final weights again on the data, and compare the scores with the last evaluations.
    #[arg(long)]
    deep: bool,
    /// Train N randomly chosen training runs again in a temporary folder, and compare the bytes of their results.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    retrain: Option<u32>,
    /// Seed of the choice of `--retrain`.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "retrain")]
    seed: u64,
    /// Number of training runs at a time with `--retrain` [default: one per core, and on a GPU one].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Folder of the built-in data sets [default: that of the run].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    data_dir: Option<PathBuf>,
    /// Print a release manifest as JSON instead: versions, configuration, data, and the SHA-256 of every file.
    #[arg(long, conflicts_with_all = ["deep", "retrain", "json"])]
    manifest: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lth verify` and returns its exit code.
///
/// # Errors
/// Fails if the run cannot be found, its configuration cannot be used, the data cannot be loaded, or standard output
/// cannot be written.
pub(super) fn run(args: &VerifyArgs) -> Result<Exit> {
    let run_dir = newest_run(&args.runs.folder()?, &args.run, "verifying")?;
    let cancel = CancelToken::on_signals().context("could not listen for signals")?;
    if args.manifest {
        let manifest = RunManifest::load(&run_dir)?;
        let (study, _) = study_of_run(&run_dir, manifest.as_ref(), args.data_dir.as_ref())?;
        let release = release_manifest(&run_dir, &study, manifest.as_ref(), &cancel)?;
        let Some(release) = release else { return Ok(cancel.exit_code().unwrap_or(Exit::Failure)) };
        ui::print_result(&(serde_json::to_string_pretty(&release)? + "\n"))?;
        return Ok(Exit::Success);
    }
    let checks = match run_dir.archive_number() {
        Some(n) => archived_checks(&run_dir, n)?,
        None => checks(args, &run_dir, &cancel)?,
    };
    if let Some(exit) = cancel.exit_code() {
        ui::eprint_line("stopped: not all checks were made");
        return Ok(exit);
    }
    print(args, &run_dir, checks)
}

/// Prints the checks, and returns the exit code: a failure if something differs.
fn print(args: &VerifyArgs, run_dir: &RunDir, checks: Vec<Check>) -> Result<Exit> {
    let differences = checks.iter().map(|check| check.differences.len()).sum::<usize>();
    let exit = if differences == 0 { Exit::Success } else { Exit::Failure };
    if args.json {
        let result = VerifyResult::new(run_dir, exit, checks);
        ui::print_result(&(serde_json::to_string_pretty(&result)? + "\n"))?;
        return Ok(exit);
    }
    ui::print_result(&ui::verification(&checks))?;
    for difference in checks.iter().flat_map(|check| &check.differences) {
        let text = format!("{}: {}\n  {}", difference.subject, difference.difference, difference.advice);
        ui::eprint_line(&format!("error: {text}"));
    }
    if differences > 0 {
        ui::eprint_line(&format!("error: {} in {}", count_of(differences as u64, "difference"), run_dir.0.display()));
    }
    Ok(exit)
}

/// Returns the checks of an archived run: its files and entries against their checksums.
fn archived_checks(run_dir: &RunDir, n: u32) -> Result<Vec<Check>> {
    let checksums = listed_checksums(run_dir, RunManifest::carries_checksum(run_dir));
    Ok(vec![check_manifest(run_dir), checksums, archived_entries(&runs_dir(run_dir), n)?])
}

/// Returns the folder of all runs that a run is in.
fn runs_dir(run_dir: &RunDir) -> RunsDir {
    RunsDir(run_dir.0.parent().map(PathBuf::from).unwrap_or_default())
}

/// Returns the checks of a run.
fn checks(args: &VerifyArgs, run_dir: &RunDir, cancel: &CancelToken) -> Result<Vec<Check>> {
    let manifest = RunManifest::read(run_dir);
    let checksums = listed_checksums(run_dir, RunManifest::carries_checksum(run_dir));
    let mut checks = vec![check_manifest(run_dir), checksums];
    let (study, images) = match study_of_run(run_dir, manifest.as_ref(), args.data_dir.as_ref()) {
        Ok(found) => found,
        // Without the configuration nothing else can be checked; the checks so far say what is damaged.
        Err(error) => {
            let mut check = Check::new("configuration", "the plan of resolved.toml is that of the run", "file");
            let subject = format!("`{}`", run_dir.file(RunDir::RESOLVED_CONFIG).display());
            check.differ(subject, format!("{error:#}"), WRITE_AGAIN);
            checks.push(check);
            return Ok(checks);
        }
    };
    checks.push(check_configuration(run_dir, &study, manifest.as_ref()));
    let store = Store { runs: runs_dir(run_dir) };
    let is_running = Lock::is_held(&run_dir.run_lock());
    let is_finished = manifest.as_ref().is_some_and(RunManifest::is_finished);
    let (verifier, entries) = Verifier::new(&study, &store, run_dir, is_finished);
    checks.push(entries);
    checks.extend(verifier.checks()?);
    checks.push(check_report(run_dir, manifest.as_ref(), is_running));
    if args.deep || args.retrain.is_some() {
        checks.extend(training_checks(args, &verifier, images, manifest.as_ref(), cancel)?);
    }
    Ok(checks)
}

/// Returns the processor, the GPUs and the versions of a run as text if they are not those of this process: the last
/// digits of its results may differ here.
fn other_machine(manifest: &RunManifest, study: &Study) -> Option<String> {
    let text = |processor: &str, gpus: &[String], lth: &str, libtorch: &str| {
        let hardware = [&[processor.to_owned()], gpus].concat().join(" and ");
        format!("{hardware} with lth {lth}, libtorch {libtorch}")
    };
    let (versions, cuda) = (&manifest.versions, manifest.cuda.as_ref());
    let gpus = cuda.map_or(&[][..], |cuda| &cuda.gpus);
    let of_run = text(&manifest.processor, gpus, &versions.lth, &versions.libtorch);
    let gpus = study.resolved.gpu.map_or_else(Vec::new, |_| machine::gpus());
    let here = text(&machine::processor(), &gpus, env!("CARGO_PKG_VERSION"), torch::LIBTORCH);
    (of_run != here).then_some(of_run)
}

/// Returns the checks that evaluate and train. `manifest` is that of the run.
fn training_checks(
    args: &VerifyArgs,
    verifier: &Verifier<'_>,
    images: Option<RawImages>,
    manifest: Option<&RunManifest>,
    cancel: &CancelToken,
) -> Result<Vec<Check>> {
    let study: &Study = verifier.study;
    let trainers = EngineTrainerFactory::new(study, images);
    let sink = ui::sink(args.json);
    let context = RunContext { study, store: verifier.store, sink: sink.as_ref(), cancel, trainers: &trainers };
    let other = manifest.and_then(|manifest| other_machine(manifest, study));
    let exact_host = manifest.filter(|_| other.is_none()).map(|manifest| manifest.host.as_str());
    let mut checks = Vec::new();
    if args.deep {
        checks.extend(re_evaluate(verifier, &context, exact_host)?);
        checks.extend(remake_gradient_masks(verifier, &context)?);
    }
    if let Some(count) = args.retrain {
        let workers = args.workers.map_or_else(|| workers(study), usize::from);
        let options = Retraining { count: count as usize, seed: args.seed, workers };
        checks.extend(retrain(verifier, &context, options)?);
    }
    if let Some(other) = &other {
        for check in &mut checks {
            check.note_other_machine(other);
        }
    }
    Ok(checks)
}

impl VerifyResult {
    /// Returns the result of the checks of a run.
    fn new(run_dir: &RunDir, exit: Exit, checks: Vec<Check>) -> Self {
        Self {
            run: run_dir.0.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            folder: run_dir.0.clone(),
            exit_code: exit.code(),
            differs: checks.iter().any(|check| check.state == CheckState::Differs),
            checks,
        }
    }
}
