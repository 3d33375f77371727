//! A run, finished or not, read from the files of its folder.

use anyhow::{Context, Result, ensure};
use serde::de::DeserializeOwned;

use crate::artifacts::{
    LandscapeCurveRow, LandscapeRow, LayerRow, RobustnessData, RoundRow, RunManifest, StabilityRow, WeightRow, damaged,
    from_csv, read_run_file,
};
use crate::base::outcome::OutcomeKind;
use crate::config::{self, ConfigDocument, Experiment};
use crate::system::files::Lock;
use crate::system::paths::RunDir;

/// A run, as the files in its folder describe it.
#[derive(Clone, Debug)]
pub struct Run {
    /// The folder of the run.
    pub dir: RunDir,
    /// The rows of `rounds.csv`: one for each training run that has ended.
    pub rounds: Vec<RoundRow>,
    /// The contents of `run.json`; `None` if the file is missing, damaged, or of a version with other fields.
    pub manifest: Option<RunManifest>,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// A process is running it.
    Running,
    /// Every training run reached its last iteration.
    Finished,
    /// No training run remains to be trained, but some failed, diverged, or could not begin.
    Incomplete,
    /// Training runs remain to be trained; the same command continues the run.
    Interrupted,
}

impl RunState {
    /// Returns the state as a word.
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
    /// Reads `rounds.csv` and `run.json` of a run.
    ///
    /// # Errors
    /// Fails if the folder is not that of a run, or `rounds.csv` is damaged.
    pub fn open(dir: RunDir) -> Result<Self> {
        let has_manifest = dir.file(RunDir::MANIFEST).exists();
        let has_rows = dir.file(RunDir::ROUNDS).exists();
        ensure!(has_rows || has_manifest, "`{}` is no folder of a run: it has no {}", dir.0.display(), RunDir::ROUNDS);
        // A run that was killed at its beginning has no rows yet.
        let rounds = optional_rows(&dir, RunDir::ROUNDS)?;
        let manifest = RunManifest::load(&dir)?;
        Ok(Self { dir, rounds, manifest })
    }

    /// Returns the rows of `layers.csv`; empty if an older version of the program, which had no such file, wrote the run.
    ///
    /// # Errors
    /// Fails if the file is missing or damaged.
    pub fn layers(&self) -> Result<Vec<LayerRow>> {
        optional_rows(&self.dir, RunDir::LAYERS)
    }

    /// Returns the experiment: see [`experiment_of`].
    ///
    /// # Errors
    /// Fails like [`experiment_of`].
    pub fn experiment(&self) -> Result<Option<Experiment>> {
        experiment_of(&self.dir)
    }

    /// Returns the rows of `weights.csv`; empty if an older version of the program, which had no such file, wrote the
    /// run.
    ///
    /// # Errors
    /// Fails if the file is damaged.
    pub fn weights(&self) -> Result<Vec<WeightRow>> {
        optional_rows(&self.dir, RunDir::WEIGHTS)
    }

    /// Returns the rows of `stability.csv`; empty before `lth stability` has measured the run.
    ///
    /// # Errors
    /// Fails if the file is damaged.
    pub fn stability(&self) -> Result<Vec<StabilityRow>> {
        optional_rows(&self.dir, RunDir::STABILITY)
    }

    /// Returns the rows of `landscape.csv`; empty before `lth landscape` has measured the run.
    ///
    /// # Errors
    /// Fails if the file is damaged.
    pub fn landscape(&self) -> Result<Vec<LandscapeRow>> {
        optional_rows(&self.dir, RunDir::LANDSCAPE)
    }

    /// Returns the rows of `landscape_curves.csv`; empty before `lth landscape` has measured the run.
    ///
    /// # Errors
    /// Fails if the file is damaged.
    pub fn landscape_curves(&self) -> Result<Vec<LandscapeCurveRow>> {
        optional_rows(&self.dir, RunDir::LANDSCAPE_CURVES)
    }

    /// Returns the rows of the files of `lth evaluate`; empty before it has measured the run.
    ///
    /// # Errors
    /// Fails if a file is damaged.
    pub fn robustness(&self) -> Result<RobustnessData> {
        Ok(RobustnessData {
            robustness: optional_rows(&self.dir, RunDir::ROBUSTNESS)?,
            calibration: optional_rows(&self.dir, RunDir::CALIBRATION)?,
            classes: optional_rows(&self.dir, RunDir::CLASS_ACCURACY)?,
        })
    }

    /// Returns the name of the run's folder, such as `quickstart-1a2b3c4d`: the name of the experiment and its id.
    pub fn name(&self) -> String {
        self.dir.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Returns the number of training runs that reached their last iteration.
    pub fn done(&self) -> usize {
        self.rounds.iter().filter(|row| row.outcome.is(OutcomeKind::Done)).count()
    }

    /// Returns the number of training runs in the run's plan; `None` if there is no manifest.
    pub fn trainings(&self) -> Option<usize> {
        self.manifest.as_ref().map(|manifest| manifest.trainings)
    }

    /// Returns the note to show with test accuracies, if they are not measured on the whole test set.
    pub fn test_note(&self) -> Option<String> {
        self.manifest.as_ref()?.test?.note()
    }

    /// Returns the state of the run.
    pub fn state(&self) -> RunState {
        if Lock::is_held(&self.dir.run_lock()) {
            return RunState::Running;
        }
        match &self.manifest {
            Some(manifest) if self.done() == manifest.trainings => RunState::Finished,
            Some(manifest) if self.rounds.len() + manifest.blocked.len() >= manifest.trainings => RunState::Incomplete,
            _ => RunState::Interrupted,
        }
    }
}

/// Returns the experiment of a run, from `resolved.toml`; `None` if the run has no such file, or one of a version with
/// other keys.
///
/// # Errors
/// Fails if the file exists and cannot be read, or is damaged.
pub fn experiment_of(dir: &RunDir) -> Result<Option<Experiment>> {
    Ok(resolved_config(dir)?.as_deref().and_then(experiment_from))
}

/// Returns the text of `resolved.toml`; `None` if the run has no such file.
///
/// # Errors
/// Fails if the file exists and cannot be read, or is damaged.
pub fn resolved_config(dir: &RunDir) -> Result<Option<String>> {
    let bytes = read_run_file(dir, RunDir::RESOLVED_CONFIG)?;
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

/// Returns the experiment of the text of a `resolved.toml`; `None` if it is of a version with other keys.
pub(super) fn experiment_from(resolved: &str) -> Option<Experiment> {
    config::read(&ConfigDocument::parse(RunDir::RESOLVED_CONFIG, resolved, &[]).ok()?).ok()
}

/// Returns the rows of the CSV file `name` of a run; empty if it has none.
fn optional_rows<R: DeserializeOwned>(dir: &RunDir, name: &str) -> Result<Vec<R>> {
    match read_run_file(dir, name)? {
        Some(bytes) => from_csv(&bytes).with_context(|| damaged(dir, name)),
        None => Ok(Vec::new()),
    }
}
