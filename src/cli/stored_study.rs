//! The study of a run on disk, from its `resolved.toml`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::load::{look_for_source_files, look_up};
use crate::artifacts::RunManifest;
use crate::config::{DatasetSpec, DeviceChoice, Diagnostic, Experiment, UsageError};
use crate::data::RawImages;
use crate::lottery::Study;
use crate::report;
use crate::system::paths::RunDir;

/// Returns the study of a run, and the images of custom data. `data_dir` is the folder of the built-in data sets; `None`
/// for that of the run.
///
/// # Errors
/// Fails if `resolved.toml` cannot be read or is damaged. Returns a [`UsageError`] if it is missing or cannot be used.
pub(super) fn study_of_run(
    run_dir: &RunDir,
    manifest: Option<&RunManifest>,
    data_dir: Option<&PathBuf>,
) -> Result<(Study, Option<RawImages>)> {
    let refuse = |text: String| anyhow::Error::from(UsageError::from_text(&format!("error: {text}")));
    let config = run_dir.file(RunDir::RESOLVED_CONFIG);
    let Some(mut experiment) = report::experiment_of(run_dir)? else {
        let text = format!("`{}` is missing, or of another version", config.display());
        return Err(refuse(format!("{text}\n\nhint: the command of the run writes it again")));
    };
    if !matches!(experiment.data.dataset, DatasetSpec::Idx { .. } | DatasetSpec::Images { .. }) {
        let dir_of_run = manifest.map(|manifest| PathBuf::from(&manifest.data_dir));
        experiment.data.dir = data_dir.cloned().or(dir_of_run);
    }
    if let Some(folder) = manifest.and_then(|manifest| manifest.working_dir.as_ref()) {
        look_in(Path::new(folder), &mut experiment);
    }
    // The resolved configuration contains the kind of device; only the manifest contains the index of the GPU.
    if let (DeviceChoice::Cuda(_), Some(manifest)) = (experiment.run.device, manifest) {
        experiment.run.device = manifest.run.device;
    }
    let unusable = |mistakes: Vec<Diagnostic>| {
        let messages: BTreeSet<String> = mistakes.into_iter().map(|mistake| mistake.message).collect();
        let messages: Vec<String> = messages.into_iter().collect();
        refuse(format!("`{}` cannot be used: {}", config.display(), messages.join("; ")))
    };
    let (surroundings, images) = look_up(&experiment);
    let study = Study::resolve(experiment, surroundings).map_err(unusable)?;
    Ok((study, images))
}

/// Puts `folder`, the working directory of the run, before relative paths of the configuration that stand for nothing in
/// the working directory of this command.
fn look_in(folder: &Path, experiment: &mut Experiment) {
    if let Some(dir) = experiment.data.custom_dir_mut()
        && dir.is_relative()
        && !dir.is_dir()
    {
        *dir = folder.join(&*dir);
    }
    look_for_source_files(experiment, |path| (!path.exists()).then(|| folder.to_owned()));
}
