//! Progress snapshots of the lockstep group that a worker trains: when they are written, and from which of them it
//! resumes.
//!
//! All lanes are saved after the same iteration, and the last two snapshots are kept: a process may be killed when only
//! some lanes have been saved, and a file may be damaged.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::context::RunContext;
use super::events::{Event, TrainingId};
use super::prepared::PreparedTraining;
use super::store::Store;
use crate::artifacts::{
    DeviceKind, ProgressHeader, ProgressLabel, TrainingPlace, progress_files, progress_from_bytes, progress_to_bytes,
    read_progress_header,
};
use crate::base::format::with_thousands;
use crate::base::key::ContentHash;
use crate::base::units::Iteration;
use crate::system::clock::Stopwatch;
use crate::system::files::{self, Lock};
use crate::system::paths::TrainingDir;
use crate::system::retry::with_retries;
use crate::train::{TrainingLoop, TrainingProgress};

/// The progress snapshots of the lockstep group that a worker trains.
pub(super) struct GroupProgress<'a> {
    context: &'a RunContext<'a>,
    /// The training runs that are trained, and not only fill a lane.
    trainings: Vec<&'a PreparedTraining<'a>>,
    /// Their locks.
    locks: &'a [Lock],
    lane_count: usize,
    /// The iteration at which the last of them ends.
    end: Iteration,
    /// Time since the group began in this process.
    watch: Stopwatch,
    /// Seconds of training in earlier processes.
    seconds_before: f64,
    /// Time since the last snapshot, or since the group began in this process.
    since_last: Stopwatch,
    /// The iteration of the last snapshot, written or resumed from.
    last: Option<u64>,
}

impl<'a> GroupProgress<'a> {
    pub(super) fn new(
        context: &'a RunContext<'a>,
        trainings: Vec<&'a PreparedTraining<'a>>,
        locks: &'a [Lock],
        lane_count: usize,
        end: Iteration,
    ) -> Self {
        let watch = Stopwatch::start();
        Self { context, trainings, locks, lane_count, end, watch, seconds_before: 0.0, since_last: watch, last: None }
    }

    /// Returns the seconds of training, in this process and earlier ones.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds_before + self.watch.seconds()
    }

    /// Loads the newest progress that every training run of the group has into the lanes of `training`; does nothing if
    /// there is none. `training_of_lane` gives the index of a lane's training run in `trainings`. A damaged snapshot is
    /// removed, with a message, and the one before it is used.
    pub(super) fn resume(
        &mut self,
        training: &mut TrainingLoop<'_>,
        training_of_lane: impl Fn(usize) -> usize,
    ) -> Result<()> {
        let common = self.trainings.iter().map(|training| self.candidates(training)).reduce(|a, b| &a & &b);
        for iteration in common.unwrap_or_default().into_iter().rev() {
            let loaded = self.trainings.iter().map(|training| self.load(training, iteration));
            let Some(loaded) = loaded.collect::<Result<Option<Vec<_>>>>()? else { continue };
            let progress_of = |lane: usize| loaded[training_of_lane(lane)].1.clone();
            training.resume((0..self.lane_count).map(progress_of).collect())?;
            self.seconds_before = loaded[0].0;
            self.last = Some(iteration);
            let id = self.id();
            let of = with_thousands(self.trainings[0].spec().last_iteration.0);
            let message = format!("{id}: resumed at iteration {} of {of}", with_thousands(iteration));
            self.context.sink.on_event(&Event::Message(&message));
            return Ok(());
        }
        Ok(())
    }

    /// Returns whether it is time to write snapshots.
    pub(super) fn is_due(&self) -> bool {
        let interval = self.context.study.experiment.run.snapshot_every.seconds();
        interval.is_some_and(|interval| self.since_last.seconds() >= interval)
    }

    /// Writes a snapshot of each training run, unless no step has been taken since the last one. Then removes all but
    /// the last two.
    ///
    /// # Errors
    /// Fails if the trainer fails, or a file cannot be written or removed, or another process has taken over a claim.
    pub(super) fn save(&mut self, training: &TrainingLoop<'_>) -> Result<()> {
        self.locks.iter().try_for_each(Lock::check)?;
        let Iteration(iteration) = training.iteration();
        if self.last.map_or(iteration == self.trainings[0].start_iteration(), |last| last == iteration) {
            return Ok(());
        }
        for prepared in &self.trainings {
            let progress = training.progress(prepared.lane())?;
            let label = ProgressLabel {
                key: *prepared.key(),
                training: prepared.id().to_string(),
                copy_of: prepared.copy_of(),
                last_iteration: prepared.spec().last_iteration.0,
                place: self.place(prepared),
                seconds: self.seconds(),
            };
            let bytes = progress_to_bytes(label, &progress)?;
            let path = self.entry(prepared).file(&TrainingDir::progress_file(iteration));
            with_retries(|| Ok(files::write(&path, &bytes)?))?;
        }
        let kept = [Some(iteration), self.last];
        for prepared in &self.trainings {
            let old = progress_files(&self.entry(prepared)).into_iter();
            for (_, path) in old.filter(|(iteration, _)| !kept.contains(&Some(*iteration))) {
                files::remove(&path)?;
            }
        }
        self.last = Some(iteration);
        self.since_last = Stopwatch::start();
        Ok(())
    }

    /// Returns the iterations whose snapshots a training run may resume from, by their headers. Those with a damaged
    /// header are among them: a message names the damage when they are loaded.
    fn candidates(&self, training: &PreparedTraining<'_>) -> BTreeSet<u64> {
        let range = training.start_iteration() + 1..=self.end.0;
        let is_usable = |(iteration, path): &(u64, PathBuf)| {
            let is_in_place = |header: ProgressHeader| header.label.place == self.place(training);
            range.contains(iteration) && read_progress_header(path).map_or(true, is_in_place)
        };
        let files = progress_files(&self.entry(training)).into_iter();
        files.filter(is_usable).map(|(iteration, _)| iteration).collect()
    }

    /// Returns the seconds of training and the progress in the snapshot of a training run after an iteration; `None` if
    /// the file is damaged or lacks a snapshot at a rewind point. Such a file is removed, with a message.
    fn load(&self, training: &PreparedTraining<'_>, iteration: u64) -> Result<Option<(f64, TrainingProgress)>> {
        let path = self.entry(training).file(&TrainingDir::progress_file(iteration));
        let bytes = with_retries(|| files::read(&path))?;
        let read = || {
            let (header, progress) = progress_from_bytes(&bytes)?;
            let is_right = header.label.key == *training.key() && header.iteration == iteration;
            ensure!(is_right && header.label.place == self.place(training), "it is of another training run");
            Ok((header.label.seconds, training.resumable(progress)?))
        };
        match read() {
            Ok(loaded) => Ok(Some(loaded)),
            Err(error) => {
                let message = format!("warning: `{}` is removed and not used: {error:#}", path.display());
                self.context.sink.on_event(&Event::Message(&message));
                files::remove(&path)?;
                Ok(None)
            }
        }
    }

    /// Returns where a training run is trained.
    fn place(&self, training: &PreparedTraining<'_>) -> TrainingPlace {
        let device = if self.context.study.resolved.gpu.is_some() { DeviceKind::Cuda } else { DeviceKind::Cpu };
        TrainingPlace { lanes: self.lane_count, lane: training.lane(), device: device.into() }
    }

    fn entry(&self, training: &PreparedTraining<'_>) -> TrainingDir {
        self.context.store.runs.training_dir(training.key())
    }

    fn id(&self) -> TrainingId {
        TrainingId { other_lanes: self.trainings.len() - 1, ..self.trainings[0].id() }
    }
}

impl Store {
    /// Removes the progress snapshots of a training run. The caller must hold its lock.
    ///
    /// # Errors
    /// Fails if a file cannot be removed.
    pub(super) fn remove_progress(&self, key: &ContentHash) -> Result<()> {
        progress_files(&self.runs.training_dir(key)).iter().try_for_each(|(_, path)| files::remove(path))
    }

    /// Removes the progress snapshots of a stored training run, which a process left that was killed before it removed
    /// them; does nothing while another process trains it again.
    ///
    /// # Errors
    /// Fails if the lock cannot be taken or a file cannot be removed.
    pub(super) fn remove_left_progress(&self, key: &ContentHash) -> Result<()> {
        let entry = self.runs.training_dir(key);
        if progress_files(&entry).is_empty() {
            return Ok(());
        }
        let lock = Lock::try_exclusive(&entry.lock_file())?;
        if lock.is_some() { self.remove_progress(key) } else { Ok(()) }
    }
}
