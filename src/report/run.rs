//! A run as its files tell it, finished or not.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

use crate::artifacts::{LayerRow, RoundRow, RunManifest, StabilityRow, WeightRow, from_csv};
use crate::base::outcome::Outcome;
use crate::config::{self, ConfigDocument, Experiment};
use crate::system::files;
use crate::system::files::Lock;
use crate::system::paths::RunDir;

/// A run: one experiment's files.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where they are.
    pub view: RunDir,
    /// The rows of `rounds.csv`: trainings that have ended.
    pub rounds: Vec<RoundRow>,
    /// `run.json`; `None` where an older version wrote the run, or it is damaged.
    pub manifest: Option<RunManifest>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// A process is at work on it.
    Running,
    /// Every training has come to its end.
    Finished,
    /// Nothing is left to be trained, but something failed or diverged.
    Incomplete,
    /// Trainings are left; the same command goes on.
    Interrupted,
}

impl RunState {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Incomplete => "incomplete",
            Self::Interrupted => "interrupted",
        }
    }
}

impl Run {
    /// Reads the files of a run.
    ///
    /// # Errors
    /// A folder that is none, or a file that is damaged.
    pub fn open(view: RunDir) -> Result<Self> {
        let is_begun = view.file(RunDir::MANIFEST).exists();
        let has_rows = view.file(RunDir::ROUNDS).exists();
        ensure!(has_rows || is_begun, "`{}` is no folder of a run: it has no {}", view.0.display(), RunDir::ROUNDS);
        // A run that was killed as it began has no rows yet.
        let rounds = if has_rows { rows(&view, RunDir::ROUNDS)? } else { Vec::new() };
        let manifest = fs::read(view.file(RunDir::MANIFEST)).ok();
        let manifest = manifest.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Ok(Self { view, rounds, manifest })
    }

    /// The rows of `layers.csv`.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn layers(&self) -> Result<Vec<LayerRow>> {
        rows(&self.view, RunDir::LAYERS)
    }

    /// The experiment, from `resolved.toml`; `None` where that is missing, damaged, or of a version that knew other keys.
    pub fn experiment(&self) -> Option<Experiment> {
        let text = String::from_utf8(fs::read(self.view.file(RunDir::RESOLVED_CONFIG)).ok()?).ok()?;
        config::read(&ConfigDocument::parse(RunDir::RESOLVED_CONFIG, &text, &[]).ok()?).ok()
    }

    /// The rows of `weights.csv`; none where an older version wrote the run.
    ///
    /// # Errors
    /// A file that is damaged.
    pub fn weights(&self) -> Result<Vec<WeightRow>> {
        if self.view.file(RunDir::WEIGHTS).exists() { rows(&self.view, RunDir::WEIGHTS) } else { Ok(Vec::new()) }
    }

    /// The rows of `stability.csv`; none where nobody asked for them.
    ///
    /// # Errors
    /// A file that is damaged.
    pub fn stability(&self) -> Result<Vec<StabilityRow>> {
        if self.view.file(RunDir::STABILITY).exists() { rows(&self.view, RunDir::STABILITY) } else { Ok(Vec::new()) }
    }

    /// The folder's name: that of the experiment and eight digits.
    pub fn name(&self) -> String {
        self.view.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Trainings that came to their end.
    pub fn done(&self) -> usize {
        self.rounds.iter().filter(|row| row.outcome == Outcome::Done.as_str()).count()
    }

    /// Trainings of its plan, where that is known.
    pub fn trainings(&self) -> Option<usize> {
        self.manifest.as_ref().map(|manifest| manifest.trainings)
    }

    /// What must be said wherever its test accuracies are shown, where they are not those of the whole test set.
    pub fn test_note(&self) -> Option<String> {
        self.manifest.as_ref()?.test?.note()
    }

    /// How it stands.
    pub fn state(&self) -> RunState {
        let ended = |manifest: &RunManifest| self.rounds.len() + manifest.blocked.len() >= manifest.trainings;
        if Lock::is_held(&self.view.run_lock()) {
            RunState::Running
        } else if self.manifest.as_ref().is_some_and(|manifest| self.done() == manifest.trainings) {
            RunState::Finished
        } else if self.manifest.as_ref().is_some_and(ended) {
            RunState::Incomplete
        } else {
            RunState::Interrupted
        }
    }
}

fn rows<R: DeserializeOwned>(view: &RunDir, name: &str) -> Result<Vec<R>> {
    let path = view.file(name);
    from_csv(&files::read(&path)?).with_context(|| damaged(&path))
}

/// What is said of a file that is not as it was written.
pub(super) fn damaged(path: &Path) -> String {
    format!("`{}` is damaged; the command that made the run makes it again", path.display())
}
