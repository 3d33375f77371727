//! Loads an experiment: from the command line to the [`Study`] with its plan.

use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;

use super::folders;
use super::overrides::OverrideArgs;
use crate::artifacts::file_contents;
use crate::config::{self, ConfigDocument, CountOrAuto, Experiment, Override};
use crate::data::{self, RawImages};
use crate::engine::torch;
use crate::lottery::{Study, Surroundings, UnusableFile, allocation_file_paths, paths_of_source, source_file_paths};
use crate::system::paths::RunsDir;
use crate::system::{files, machine, user_path};
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct ExperimentArgs {
    /// The experiment: a TOML file, or JSON where the name ends in `.json`; `-` reads either from standard input.
    #[arg(value_parser = folders::path_parser())]
    pub(super) config: PathBuf,
    #[command(flatten)]
    pub(super) overrides: OverrideArgs,
    /// Folder of the built-in data sets [default: `data.dir`, else `LTH_DATA_DIR`, else `data`].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    pub(super) data_dir: Option<PathBuf>,
}

impl ExperimentArgs {
    /// Returns whether the experiment is read from standard input.
    pub(super) fn is_stdin(&self) -> bool {
        user_path::is_stdin(&self.config)
    }
}

#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// Folder of all runs [default: `LTH_RUNS_DIR`, else `runs`].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    pub(super) runs: Option<PathBuf>,
}

impl RunsArgs {
    /// Returns the folder of all runs.
    ///
    /// # Errors
    /// Fails if the path is rejected; see [`folders::runs_folder`].
    pub(super) fn folder(&self) -> Result<RunsDir> {
        folders::runs_folder(self.runs.as_ref())
    }
}

/// An experiment that has been read, resolved and planned.
pub(crate) struct LoadedExperiment {
    /// The text that the experiment was read from, with the overrides of the command line.
    pub(crate) document: ConfigDocument,
    /// The experiment, resolved and planned.
    pub(crate) study: Study,
    /// The images of custom data, which had to be read to resolve the experiment; `None` for built-in data sets.
    pub(crate) images: Option<RawImages>,
}

impl LoadedExperiment {
    /// Loads an experiment: reads the configuration, looks up data and devices, and builds the plan. Prints a note
    /// about the data set if there is one.
    ///
    /// # Errors
    /// Returns a [`config::UsageError`] with every mistake found in the configuration.
    pub(super) fn load(args: &ExperimentArgs) -> Result<Self> {
        Self::load_from(args, &ConfigSource::of(args)?)
    }

    /// Like [`load`](Self::load), for a configuration whose text has been read.
    ///
    /// # Errors
    /// Fails like [`load`](Self::load).
    pub(super) fn load_from(args: &ExperimentArgs, source: &ConfigSource) -> Result<Self> {
        let (document, experiment) = read_with(args, source, &[])?;
        let loaded = Self::resolve(document, experiment)?;
        if let Some(note) = &loaded.study.resolved.dataset.note {
            ui::eprint_line(&format!("note: {note}"));
        }
        Ok(loaded)
    }

    /// Looks up the data and the devices of an experiment that was read from `document`, and builds its plan.
    ///
    /// # Errors
    /// Fails with every mistake found in the configuration.
    pub(crate) fn resolve(document: ConfigDocument, experiment: Experiment) -> Result<Self, config::UsageError> {
        let mut mistakes = config::check_names(&experiment);
        let (surroundings, images) = look_up(&experiment);
        let study = Study::resolve(experiment, surroundings).map_err(|others| mistakes.extend(others)).ok();
        match study.filter(|_| mistakes.is_empty()) {
            Some(study) => Ok(Self { document, study, images }),
            None => Err(config::UsageError::new(&mistakes, &document)),
        }
    }
}

/// Looks up the data set and the GPU that an experiment is resolved against, and reads the files that it takes masks and
/// weights from. Custom data are read for that; their images are returned too, so that they need not be read twice.
pub(super) fn look_up(experiment: &Experiment) -> (Surroundings, Option<RawImages>) {
    let (dataset, images) = match data::inspect(&experiment.data) {
        Ok((info, images)) => (Ok(info), images),
        Err(mistake) => (Err(mistake), None),
    };
    let unreadable = |error: anyhow::Error| UnusableFile::Unreadable(format!("{error:#}"));
    let read = |path: &Path| files::read_if_present(path).map_err(unreadable)?.ok_or(UnusableFile::Missing);
    let source_files = source_file_paths(experiment).into_iter().map(|path| {
        let contents = read(&path).and_then(|bytes| file_contents(&bytes).map(Arc::new).map_err(unreadable));
        (path, contents)
    });
    let files = source_files.collect();
    let allocations = allocation_file_paths(experiment).into_iter().map(|path| (path.clone(), read(&path))).collect();
    (Surroundings { dataset, cuda_unavailable: torch::cuda_unavailable_reason(), files, allocations }, images)
}

/// Returns the number of workers, each with one lockstep group at a time: by default one per core, and on a GPU one.
pub(super) fn workers(study: &Study) -> usize {
    let default = if study.resolved.gpu.is_some() { 1 } else { machine::cores() };
    study.experiment.run.workers.unwrap_or(default)
}

/// Returns the limit by which the number of workers is less than the machine's number of processors, as text; `None` if
/// there is none, or the number is configured.
pub(super) fn workers_limit(study: &Study) -> Option<String> {
    let is_automatic = matches!(study.experiment.run.workers, CountOrAuto::Auto) && study.resolved.gpu.is_none();
    if is_automatic { machine::cores_limit() } else { None }
}

/// Reads the configuration and applies the overrides of the command line.
///
/// # Errors
/// Returns a [`config::UsageError`] if the file cannot be read, and with every mistake in it.
pub(super) fn read(args: &ExperimentArgs) -> Result<(ConfigDocument, Experiment)> {
    read_with(args, &ConfigSource::of(args)?, &[])
}

/// Like [`read`], for a configuration whose text has been read, with `more` overrides after those of the command line.
///
/// # Errors
/// Returns a [`config::UsageError`] with every mistake in the configuration.
pub(super) fn read_with(
    args: &ExperimentArgs,
    source: &ConfigSource,
    more: &[Override],
) -> Result<(ConfigDocument, Experiment)> {
    let document = source.parse(&[&args.overrides.0, more].concat())?;
    let mut experiment = config::read(&document)?;
    look_beside(&args.config, &mut experiment);
    if let Some(dir) = &args.data_dir {
        experiment.data.dir = Some(dir.clone());
    } else if experiment.data.has_builtin_files() && experiment.data.dir.is_none() {
        // Refuses an unusable LTH_DATA_DIR before data are looked up.
        folders::data_folder(None)?;
    }
    Ok((document, experiment))
}

/// Replaces a relative folder of custom data, and a relative path of a file with masks, weights or an allocation, by that
/// of the same name beside the configuration file `config`, if there is one; else it is looked for in the working directory. Expands
/// a leading `~/` of the paths of such files.
fn look_beside(config: &Path, experiment: &mut Experiment) {
    let folder = config.parent().unwrap_or(Path::new(""));
    if let Some(dir) = experiment.data.custom_dir_mut() {
        let beside = folder.join(&*dir);
        if dir.is_relative() && beside.is_dir() {
            *dir = beside;
        }
    }
    let expand = |path: &mut PathBuf| {
        if let Ok(expanded) = user_path::expand(path) {
            *path = expanded;
        }
    };
    experiment.source_files_mut().into_iter().for_each(|file| expand(&mut file.path));
    experiment.allocation_files_mut().into_iter().for_each(expand);
    look_for_source_files(experiment, |path| folder.join(path).exists().then(|| folder.to_owned()));
}

/// Puts a folder before the relative paths of files with masks, weights or allocations. A path may stand for several files; `folder_of`
/// returns the folder of one of them, and `None` if it is in the working directory, or nowhere.
pub(super) fn look_for_source_files(experiment: &mut Experiment, folder_of: impl Fn(&Path) -> Option<PathBuf>) {
    let given = experiment.clone();
    for file in experiment.source_files_mut().into_iter().filter(|file| file.path.is_relative()) {
        if let Some(folder) = paths_of_source(&given, file).iter().find_map(|path| folder_of(path)) {
            file.path = folder.join(&file.path);
        }
    }
    for path in experiment.allocation_files_mut().into_iter().filter(|path| path.is_relative()) {
        if let Some(folder) = folder_of(path) {
            *path = folder.join(&*path);
        }
    }
}

/// The text of a configuration.
pub(super) struct ConfigSource {
    /// The file as the user named it.
    name: String,
    text: String,
}

impl ConfigSource {
    /// Reads the text of the configuration.
    ///
    /// # Errors
    /// Returns a [`config::UsageError`] if the file cannot be read, or is no text.
    pub(super) fn of(args: &ExperimentArgs) -> Result<Self> {
        let (name, bytes) = if args.is_stdin() {
            (config::STDIN.to_owned(), read_stdin()?)
        } else {
            let refuse = |error: anyhow::Error| {
                let hint = suggest_config(&args.config);
                config::UsageError::from_text(&format!("error: {error:#}\n\nhint: {hint}"))
            };
            (args.config.display().to_string(), read_file(&args.config).map_err(refuse)?)
        };
        let text = config::decode(&name, bytes).map_err(|text| config::UsageError::from_text(&text))?;
        Ok(Self { name, text })
    }

    /// Returns the configuration with these overrides.
    ///
    /// # Errors
    /// Fails with the first mistake of syntax.
    pub(super) fn parse(&self, overrides: &[Override]) -> Result<ConfigDocument, config::UsageError> {
        let document = ConfigDocument::parse_with(&self.name, &self.text, overrides);
        document.map_err(|text| config::UsageError::from_text(&text))
    }
}

/// Reads standard input to its end.
fn read_stdin() -> Result<Vec<u8>> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        ui::eprint_line("note: the experiment is read from this terminal; Ctrl-D on a line of its own ends it");
    }
    config::read_bytes(stdin.lock()).context("could not read standard input")
}

/// Reads a configuration file, as far as a configuration may be long.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    File::open(path).and_then(config::read_bytes).with_context(|| format!("could not read `{}`", path.display()))
}

/// Returns a hint for a configuration that cannot be read: the file beside it with the most similar name, or, if it is
/// a folder, a file in it.
fn suggest_config(path: &Path) -> String {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    // The parent of a bare name is the empty path, which cannot be listed.
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names: Vec<String> =
        files::list(listed).unwrap_or_default().iter().filter_map(|path| config_name(path)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Endings are not compared: two short names with the same ending would seem similar.
    let stem = |name: &str| Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
    let stems: Vec<&str> = stems.iter().map(String::as_str).collect();
    let given = path.file_stem().unwrap_or_default().to_string_lossy();
    let closest = config::closest_match(&given, &stems);
    let closest = closest.and_then(|closest| names.iter().copied().find(|name| stem(name) == closest));
    let suggestion = if path.is_dir() { names.first().copied() } else { closest };
    match suggestion {
        Some(name) if path.is_dir() => format!("name a file in it, such as `{}`", folder.join(name).display()),
        Some(name) => format!("did you mean `{}`?", folder.join(name).display()),
        None => "name a TOML or JSON file; `lth init my_experiment.toml` writes one to begin with".to_owned(),
    }
}

/// Returns the file name of `path` if its ending is that of a configuration, else `None`.
fn config_name(path: &Path) -> Option<String> {
    let is_config = path.extension().is_some_and(|extension| extension == "toml" || extension == "json");
    is_config.then(|| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}
