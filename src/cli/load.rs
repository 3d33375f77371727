//! From words to a plan: what every command about an experiment begins with.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use clap::Args;

use super::folders;
use crate::config::{self, ConfigDocument, Experiment};
use crate::data::{self, Dataset, DatasetInfo, RawImages};
use crate::lottery::{self, Plan, ResolvedExperiment};
use crate::system::paths::RunsDir;
use crate::system::{files, machine, user_path};
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct ExperimentArgs {
    /// The experiment: a TOML file, or JSON where the name ends in `.json`; `-` reads either from standard input.
    #[arg(value_parser = folders::path())]
    pub(super) config: PathBuf,
    /// Overrides a value of the experiment, such as `train.lr=0.01`; may be given again.
    #[arg(long, value_name = "KEY.PATH=VALUE")]
    pub(super) set: Vec<String>,
    /// Folder of the built-in data sets [default: `data.dir`, else `LTH_DATA_DIR`, else `data`].
    #[arg(long, value_name = "DIR", value_parser = folders::path())]
    pub(super) data_dir: Option<PathBuf>,
}

impl ExperimentArgs {
    /// Whether the experiment is read from standard input.
    pub(super) fn is_stdin(&self) -> bool {
        user_path::is_stdin(&self.config)
    }
}

#[derive(Debug, Args)]
pub(super) struct RunsArgs {
    /// Folder of all runs [default: `LTH_RUNS_DIR`, else `runs`].
    #[arg(long, value_name = "DIR", value_parser = folders::path())]
    runs: Option<PathBuf>,
}

impl RunsArgs {
    /// That folder.
    ///
    /// # Errors
    /// A path that is refused; see [`folders::runs`].
    pub(super) fn folder(&self) -> Result<RunsDir> {
        folders::runs(self.runs.as_ref())
    }
}

/// An experiment that makes sense: read, resolved, and drawn.
pub(super) struct LoadedExperiment {
    pub(super) document: ConfigDocument,
    pub(super) experiment: Experiment,
    pub(super) setting: ResolvedExperiment,
    pub(super) plan: Plan,
    pub(super) images: InspectedImages,
}

/// The images of custom data, which are read to resolve the experiment: the first load takes them, so that large data
/// are not read twice.
pub(super) struct InspectedImages(Mutex<Option<RawImages>>);

impl InspectedImages {
    /// Wraps the images that [`data::inspect`] returned.
    pub(super) fn new(images: Option<RawImages>) -> Self {
        Self(Mutex::new(images))
    }

    /// Loads and splits the data set of `experiment`: from the images read already if no load took them before, else
    /// from the files.
    ///
    /// # Errors
    /// Fails for files that are missing, not usable or changed.
    pub(super) fn load(&self, info: &DatasetInfo, experiment: &Experiment) -> Result<Dataset> {
        let images = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match images {
            Some(images) => info.split(images, &experiment.data, experiment.seed),
            None => info.load(&experiment.data, experiment.seed),
        }
    }
}

impl LoadedExperiment {
    /// Reads the file and draws the plan.
    ///
    /// # Errors
    /// Every mistake found in the configuration.
    pub(super) fn new(args: &ExperimentArgs) -> Result<Self> {
        let (document, mut experiment) = read(args)?;
        let problems = |problems: Vec<config::Diagnostic>| config::UsageError::new(&problems, &document);
        let mut found = config::check_names(&experiment);
        found.extend(lottery::validate_arms(&experiment));
        let resolved = data::inspect(&experiment.data).map_err(|problem| vec![problem]).and_then(|(info, images)| {
            Ok((ResolvedExperiment::with_dataset(&experiment, info)?, InspectedImages::new(images)))
        });
        let (setting, images) = match resolved {
            Ok(resolved) if found.is_empty() => resolved,
            Ok(_) => return Err(problems(found).into()),
            Err(more) => {
                found.extend(more);
                return Err(problems(found).into());
            }
        };
        if let Some(sum) = &setting.dataset.sum {
            experiment.data.set_checksum(sum);
        }
        let plan = Plan::build(&experiment, &setting).map_err(problems)?;
        if let Some(note) = &setting.dataset.note {
            ui::eprint_line(&format!("note: {note}"));
        }
        Ok(Self { document, experiment, setting, plan, images })
    }

    /// Trainings, or groups of them, at a time.
    pub(super) fn workers(&self) -> usize {
        workers(&self.experiment, &self.setting)
    }
}

/// Trainings, or groups of them, at a time: by themselves one per core, and on a GPU one.
pub(super) fn workers(experiment: &Experiment, setting: &ResolvedExperiment) -> usize {
    experiment.run.workers.unwrap_or(if setting.gpu.is_some() { 1 } else { machine::cores() })
}

/// Reads the file, with what the command line says on top.
///
/// # Errors
/// Every mistake in the file.
pub(super) fn read(args: &ExperimentArgs) -> Result<(ConfigDocument, Experiment)> {
    let document = document(args)?;
    let mut experiment = config::read(&document)?;
    if let Some(dir) = &args.data_dir {
        experiment.data.dir = Some(dir.clone());
    } else if experiment.data.is_official() && experiment.data.dir.is_none() {
        // Before anything is looked for in the folder that the variable names.
        folders::data(None)?;
    }
    Ok((document, experiment))
}

fn document(args: &ExperimentArgs) -> Result<ConfigDocument> {
    let plain = |text: String| config::UsageError::from_text(&text);
    let (name, bytes) = if args.is_stdin() {
        (config::STDIN.to_owned(), read_stdin()?)
    } else {
        let refuse = |error: anyhow::Error| {
            let hint = suggest_config(&args.config);
            config::UsageError::from_text(&format!("error: {error:#}\n\nhint: {hint}"))
        };
        (args.config.display().to_string(), files::read(&args.config).map_err(refuse)?)
    };
    let text = config::decode(&name, bytes).map_err(plain)?;
    Ok(ConfigDocument::parse(&name, &text, &args.set).map_err(plain)?)
}

/// All of standard input.
fn read_stdin() -> Result<Vec<u8>> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        ui::eprint_line("note: the experiment is read from this terminal; Ctrl-D on a line of its own ends it");
    }
    let mut bytes = Vec::new();
    stdin.lock().read_to_end(&mut bytes).with_context(|| "could not read standard input")?;
    Ok(bytes)
}

/// What may be meant by a configuration that cannot be read: the nearest file beside it, or one of the folder it is.
fn suggest_config(path: &Path) -> String {
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    // The parent of a bare name is the empty path, which nothing can be listed at.
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names: Vec<String> =
        files::list(listed).unwrap_or_default().iter().filter_map(|path| config_name(path)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let told = path.file_name().unwrap_or_default().to_string_lossy();
    let with_suffix = format!("{told}.toml");
    let near = [&*told, &with_suffix].into_iter().find_map(|name| config::closest_match(name, &names));
    let near = if path.is_dir() { names.first().copied() } else { near };
    match near {
        Some(near) if path.is_dir() => format!("name a file in it, such as `{}`", folder.join(near).display()),
        Some(near) => format!("did you mean `{}`?", folder.join(near).display()),
        None => "name a TOML or JSON file; `lth init my_experiment.toml` writes one to begin with".to_owned(),
    }
}

/// The name of a file that may be a configuration.
fn config_name(path: &Path) -> Option<String> {
    let is_config = path.extension().is_some_and(|extension| extension == "toml" || extension == "json");
    is_config.then(|| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
}
