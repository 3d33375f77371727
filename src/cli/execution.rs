//! Runs a planned experiment and writes the files of the run. Used by `lth run` and by the library; prints nothing.

use anyhow::Result;

use super::load::workers;
use super::manifest::run_manifest;
use super::provenance::{CommandRecord, write_config};
use super::trainers::EngineTrainerFactory;
use crate::artifacts::plan_keys_to_bytes;
use crate::config::{ConfigDocument, to_toml};
use crate::lottery::{Plan, Study};
use crate::runner::{
    Event, EventSink, MaskColumns, RowBuilder, RunContext, RunFiles, RunOutcome, Runner, Selection, Store,
};
use crate::system::cancel::CancelToken;
use crate::system::exit::Exit;
use crate::system::files::{self, Lock, LockHeld, WaitOptions};
use crate::system::paths::{RunDir, RunsDir};

/// Everything that a run of a planned experiment needs.
pub(crate) struct Execution<'a> {
    /// The text of the experiment, which is copied into the folder of the run.
    pub(crate) document: &'a ConfigDocument,
    /// The experiment, resolved and planned.
    pub(crate) study: &'a Study,
    /// The folder of all runs.
    pub(crate) runs: &'a RunsDir,
    /// The folder of the run.
    pub(crate) run_dir: &'a RunDir,
    /// The source of the data set and the trainers.
    pub(crate) trainers: &'a EngineTrainerFactory<'a>,
    /// Receiver of progress events.
    pub(crate) sink: &'a dyn EventSink,
    /// The flag that cancels the run.
    pub(crate) cancel: &'a CancelToken,
    /// The part of the plan that is trained.
    pub(crate) selection: &'a Selection,
    /// The command line that continues the run, for its manifest.
    pub(crate) command: &'a str,
}

impl Execution<'_> {
    /// Registers the run: see [`register_run`]. If the store lacks a training run, the data are loaded first, so that
    /// nothing is written where nothing can be trained.
    ///
    /// # Errors
    /// Fails, and writes nothing, if the data are needed and cannot be loaded. Fails like [`register_run`].
    pub(crate) fn register(&self) -> Result<Lock> {
        let store = Store { runs: self.runs.clone() };
        if *self.selection != Selection::Nothing && !store.has_entries_of(&self.study.plan) {
            self.trainers.load_dataset()?;
        }
        let announce = |text: &str| self.sink.on_event(&Event::Message(text));
        register_run(&self.study.plan, self.runs, self.run_dir, self.cancel, &announce)
    }

    /// Trains what the store lacks, and writes the files of the run, which the caller has
    /// [registered](Self::register). Training runs that fail or diverge are part of the outcome, and so is an I/O error
    /// that stops the run.
    ///
    /// # Errors
    /// Fails if a file cannot be read or written, the data cannot be loaded, or a worker cannot be started.
    pub(crate) fn run(&self) -> Result<RunOutcome> {
        let Self { document, study, runs, run_dir, trainers, sink, cancel, selection, command } = *self;
        let store = Store { runs: runs.clone() };
        let masks = MaskColumns::new(study, &store);
        let rows = RowBuilder { study, masks: &masks };
        let files = RunFiles { rows: Some(rows), plan: &study.plan, dir: run_dir, cancel };
        let workers = workers(study);
        let manifest = |outcome: &RunOutcome| run_manifest(study, workers, runs, outcome);
        let resolved = to_toml(&study.experiment, study.resolved.device, study.resolved.lanes, document);
        write_config(&files, document, &resolved)?;
        let record = CommandRecord::start(&files, command);
        record.write(manifest(&RunOutcome::default()))?;
        let context = RunContext { study, store: &store, sink, cancel, trainers };
        let keep = study.experiment.run.keep;
        let runner = Runner { context, plan: &study.plan, selection, keep, files: &files, workers };
        let outcome = runner.run()?;
        // The folder of the run may have been deleted meanwhile.
        let finished = write_config(&files, document, &resolved).and_then(|()| record.finish(manifest(&outcome)));
        // If an I/O error stopped the run, it names the cause, and these files probably cannot be written either.
        // A stopped process leaves them to the process that holds their lock.
        match finished {
            Err(error) if outcome.stop_error.is_some() || cancel.is_cancelled() && error.is::<LockHeld>() => {
                Ok(outcome)
            }
            finished => finished.map(|()| outcome),
        }
    }
}

/// Registers a run: records the keys of its plan, and takes the lock by which other processes see that it is running.
/// While the lock is held nothing that the run works with is archived or freed.
///
/// # Errors
/// Fails if a lock cannot be taken, or the file of the keys cannot be written. Fails with [`Stopped`] if a signal comes
/// while another process holds a lock. `announce` receives a message with that process after a second.
pub(super) fn register_run(
    plan: &Plan,
    runs: &RunsDir,
    run_dir: &RunDir,
    cancel: &CancelToken,
    announce: &dyn Fn(&str),
) -> Result<Lock> {
    let wait_options = WaitOptions { gives_up: &|| cancel.is_cancelled(), announce };
    let stopped = |error: anyhow::Error| match cancel.exit_code().filter(|_| error.is::<LockHeld>()) {
        Some(exit) => error.context(Stopped(exit)),
        None => error,
    };
    sweep_locks(runs)?;
    let _admission = Lock::wait_shared(&runs.admission_lock(), &wait_options).map_err(stopped)?;
    let keys = plan_keys_to_bytes(plan.trainings.iter().map(|spec| &spec.key));
    // A damaged file is written again; so is one of a version without checksum.
    if std::fs::read(run_dir.plan_keys()).ok().as_ref() != Some(&keys) {
        files::write(&run_dir.plan_keys(), &keys)?;
    }
    Lock::wait_shared(&run_dir.run_lock(), &wait_options).map_err(stopped)
}

/// Removes the temporary files that killed processes left in the folder of locks, unless a run is starting now: it may
/// be writing one.
pub(super) fn sweep_locks(runs: &RunsDir) -> Result<()> {
    match Lock::try_exclusive(&runs.admission_lock())? {
        Some(_admission) => files::remove_stale_temporaries(&runs.locks()),
        None => Ok(()),
    }
}

/// The error of a command that a signal stopped before it began; its exit code.
#[derive(Debug, thiserror::Error)]
#[error("stopped by a signal before the run began")]
pub(super) struct Stopped(pub(super) Exit);
