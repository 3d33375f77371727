//! The release manifest of `lth verify --manifest`: what a run was computed with, and the SHA-256 of every file of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::artifacts::{EntryManifest, RunManifest, Versions};
use crate::base::key::ContentHash;
use crate::data::{self, DatasetReport};
use crate::lottery::{Study, TrainingSpec};
use crate::system::cancel::CancelToken;
use crate::system::env;
use crate::system::files;
use crate::system::paths::{RunDir, RunsDir, TrainingDir};

/// The result of `lth verify --manifest`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct ReleaseManifest {
    /// Name of the run.
    run: String,
    /// Hash of the plan, 64 hexadecimal digits: it identifies the experiment with its data.
    id: String,
    /// The program that made this manifest.
    program: Program,
    /// Versions of the software that computed the numbers; `null` if run.json cannot be used.
    versions: Option<Versions>,
    /// The data set.
    data: ReleasedData,
    /// Every file of the run and of its training runs; paths are relative to the folder of all runs.
    files: Vec<ReleasedFile>,
    /// The training runs, in the order of the plan.
    training_runs: Vec<ReleasedTraining>,
}

/// A build of this program.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct Program {
    /// Version.
    version: String,
    /// Git commit of the source; `null` unless `LTH_COMMIT` named it when the program was compiled.
    commit: Option<String>,
    /// SHA-256 of the executable file.
    sha256: String,
}

/// The data set of a run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct ReleasedData {
    /// Name of the data set; the folder of custom data.
    name: String,
    /// What identifies the images and labels; part of the key of every training run.
    identity: Value,
    /// The files of a data set that consists of files on this machine; empty for others.
    files: Vec<ReleasedFile>,
}

/// A file with its checksum.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct ReleasedFile {
    /// Path.
    path: String,
    /// Length in bytes.
    bytes: u64,
    /// SHA-256, 64 hexadecimal digits.
    sha256: String,
}

/// A training run of the plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
struct ReleasedTraining {
    /// Name of its arm.
    arm: String,
    /// Replicate, from 1.
    replicate: u32,
    /// Repeat of the arm within the replicate, from 1.
    repeat: u32,
    /// Index of the mask size, from 0.
    round: u32,
    /// Key: SHA-256 of everything that determines its numbers.
    key: String,
    /// Outcome; `null` if it is not stored, or its entry is damaged.
    outcome: Option<String>,
    /// SHA-256 of its curve, mask and weights by file, weights that were freed included.
    sha256: Value,
}

/// Returns the release manifest of a run; `None` if the process is to stop.
///
/// # Errors
/// Fails if a file cannot be read.
pub(super) fn release_manifest(
    run_dir: &RunDir,
    study: &Study,
    manifest: Option<&RunManifest>,
    cancel: &CancelToken,
) -> Result<Option<ReleaseManifest>> {
    let runs = RunsDir(run_dir.0.parent().map(PathBuf::from).unwrap_or_default());
    let entry = |key: &ContentHash| match run_dir.archive_number() {
        Some(n) => TrainingDir(runs.archived_store(n).join(key.to_string())),
        None => runs.training_dir(key),
    };
    let mut files = Vec::new();
    add_files(&runs, &run_dir.0, &mut files)?;
    let copies = study.plan.trainings.iter().map(TrainingSpec::with_other_data_order).map(|copy| copy.key);
    let mut seen = BTreeSet::new();
    for key in study.plan.trainings.iter().map(|spec| spec.key).chain(copies).filter(|key| seen.insert(*key)) {
        if cancel.is_cancelled() {
            return Ok(None);
        }
        add_files(&runs, &entry(&key).0, &mut files)?;
    }
    Ok(Some(ReleaseManifest {
        run: run_dir.0.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        id: study.plan.id().to_string(),
        program: Program {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("LTH_COMMIT").map(str::to_owned),
            sha256: files::sha256_of_file(&env::executable().context("could not find the executable file")?)?,
        },
        versions: manifest.map(|manifest| manifest.versions.clone()),
        data: data_of(study)?,
        files,
        training_runs: training_runs(study, entry),
    }))
}

/// Adds the files in a folder and its subfolders, in the order of their names, but for locks, progress snapshots and
/// hidden files.
fn add_files(runs: &RunsDir, folder: &Path, files: &mut Vec<ReleasedFile>) -> Result<()> {
    for path in files::list(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let metadata = path.symlink_metadata().with_context(|| format!("could not read `{}`", path.display()))?;
        let is_lock = path == TrainingDir(folder.to_owned()).lock_file();
        let is_result = !name.starts_with('.') && !is_lock && TrainingDir::progress_iteration(&name).is_none();
        if metadata.is_dir() {
            add_files(runs, &path, files)?;
        } else if metadata.is_file() && is_result {
            let relative = path.strip_prefix(&runs.0).unwrap_or(&path).display().to_string();
            files.push(released(&path, relative)?);
        }
    }
    Ok(())
}

fn released(path: &Path, name: String) -> Result<ReleasedFile> {
    Ok(ReleasedFile { path: name, bytes: files::size(path), sha256: files::sha256_of_file(path)? })
}

/// Returns the data set of a study.
fn data_of(study: &Study) -> Result<ReleasedData> {
    let info = &study.resolved.dataset;
    let folder = data::folder(&study.experiment.data);
    let found = data::status(&info.name, &folder).map_or_else(Vec::new, |report: DatasetReport| report.files);
    let paths = found.into_iter().filter_map(|file| file.found).filter(|path| Path::new(path).is_file());
    let files = paths.map(|path| released(Path::new(&path), path.clone())).collect::<Result<_>>()?;
    Ok(ReleasedData { name: info.name.clone(), identity: info.identity.clone(), files })
}

/// Returns the training runs of the plan with what their manifests record. `entry` has the folder of each key.
fn training_runs(study: &Study, entry: impl Fn(&ContentHash) -> TrainingDir) -> Vec<ReleasedTraining> {
    let released = |spec: &TrainingSpec| {
        let bytes = files::read(&entry(&spec.key).manifest_file()).ok();
        let manifest = bytes.and_then(|bytes| EntryManifest::from_bytes(&bytes).ok());
        let sums = |manifest: &EntryManifest| {
            manifest.files.iter().map(|(name, sum)| (name.clone(), Value::from(sum.sha256.clone()))).collect()
        };
        ReleasedTraining {
            arm: spec.arm.clone(),
            replicate: spec.replicate,
            repeat: spec.repeat,
            round: spec.round.0,
            key: spec.key.to_string(),
            outcome: manifest.as_ref().map(|manifest| manifest.outcome.as_str().to_owned()),
            sha256: Value::Object(manifest.as_ref().map(sums).unwrap_or_default()),
        }
    };
    study.plan.trainings.iter().map(released).collect()
}
