//! `lth data`: fetches, verifies and shows data sets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use serde_json::json;

use super::folders;
use super::json::DataShowResult;
use super::load;
use super::load::ExperimentArgs;
use super::overrides::OverrideArgs;
use crate::config::{self, DataConfig, Override};
use crate::data::{self, Dataset, DatasetReport, DatasetStatus, DatasetSummary};
use crate::system::env;
use crate::system::exit::Exit;
use crate::system::files;
use crate::system::user_path;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Download a data set and verify it. The only command that uses the network; run it again to resume an interrupted
    /// download.
    Fetch(FetchArgs),
    /// Find the files of the built-in data sets and verify them.
    Check(DataCheckArgs),
    /// Show a data set: its images by split and class, the statistics of its pixels, and a picture of examples.
    Show(ShowArgs),
}

#[derive(Debug, Args)]
struct FetchArgs {
    /// The data set.
    #[arg(value_parser = PossibleValuesParser::new(data::names()))]
    name: String,
    /// Folder of the data sets, each in a folder of its name [default: `LTH_DATA_DIR`, else `data`].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    data_dir: Option<PathBuf>,
    /// Address of a server with the same files, tried before the usual ones (repeatable).
    #[arg(long, value_name = "URL", value_parser = address)]
    mirror: Vec<String>,
    /// Use the servers of `--mirror` only.
    #[arg(long, requires = "mirror")]
    only_mirrors: bool,
    /// Give up a server that sends nothing for this long.
    #[arg(long, value_name = "SECONDS", default_value = "30", hide = true, value_parser = seconds)]
    stall_seconds: Duration,
    /// Print errors only.
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct DataCheckArgs {
    /// One data set; without it, all of them.
    #[arg(value_parser = PossibleValuesParser::new(data::names()))]
    name: Option<String>,
    /// Folder of the data sets [default: `LTH_DATA_DIR`, else `data`].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// A built-in data set by name, or an experiment, whose data are shown with its splits.
    #[arg(value_name = "NAME|CONFIG", value_parser = folders::path_parser())]
    what: PathBuf,
    #[command(flatten)]
    overrides: OverrideArgs,
    /// Folder of the built-in data sets [default: `data.dir`, else `LTH_DATA_DIR`, else `data`].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    data_dir: Option<PathBuf>,
    /// File of the picture [default: `NAME-sheet.png` in the current folder]. Only pictures of this command are
    /// replaced.
    #[arg(long, value_name = "FILE.png", value_parser = folders::path_parser())]
    out: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl DataArgs {
    /// Returns the text ` with OPTION` for hints, where `OPTION` chooses the folder or file that this command writes.
    pub(super) fn folder_option(&self) -> &'static str {
        if matches!(self.command, DataCommand::Show(_)) { " with `--out`" } else { " with `--data-dir`" }
    }
}

/// Runs `lth data` and returns its exit code.
///
/// # Errors
/// Fails if a data set cannot be fetched or read, or a contact sheet cannot be written.
pub(super) fn run(args: &DataArgs) -> Result<Exit> {
    match &args.command {
        DataCommand::Fetch(args) => fetch(args),
        DataCommand::Check(args) => check(args),
        DataCommand::Show(args) => show(args),
    }
}

/// Parses the address of a mirror.
fn address(text: &str) -> Result<String, String> {
    let is_web = text.starts_with("http://") || text.starts_with("https://");
    if is_web { Ok(text.to_owned()) } else { Err("an address begins with `http://` or `https://`".to_owned()) }
}

/// Parses a number of seconds > 0.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| "expected a number of seconds above 0".to_owned())
}

/// Runs `lth data fetch`.
fn fetch(args: &FetchArgs) -> Result<Exit> {
    let folder = folders::data_folder(args.data_dir.as_ref())?;
    user_path::check_symlinks(&folder).map_err(|error| folders::usage_error(&error))?;
    let fetch = data::FetchOptions {
        folder,
        mirrors: args.mirror.clone(),
        use_default_mirrors: !args.only_mirrors,
        stall: args.stall_seconds,
    };
    let on_progress = ui::download_progress(args.quiet);
    let fetched =
        data::fetch(&args.name, &fetch, &*on_progress).with_context(|| format!("could not fetch `{}`", args.name))?;
    if !args.quiet {
        let how = if fetched.files == 0 { "is there already, complete and verified" } else { "is complete" };
        ui::print_result(&format!("{} {how} in {}\n", args.name, fetched.folder.display()))?;
    }
    Ok(Exit::Success)
}

/// Runs `lth data check`.
fn check(args: &DataCheckArgs) -> Result<Exit> {
    let folder = folders::data_folder(args.data_dir.as_ref())?;
    let known_names = data::names();
    let names = known_names.iter().filter(|name| args.name.as_ref().is_none_or(|wanted| wanted == *name));
    let reports: Vec<DatasetReport> = names.filter_map(|name| data::status(name, &folder)).collect();
    if args.json {
        ui::print_result(&(serde_json::to_string_pretty(&reports)? + "\n"))?;
    } else {
        ui::print_result(&env::with_program_name(&ui::dataset_statuses(&reports)))?;
    }
    // A missing data set is a failure only if the command line names it: no experiment needs all data sets.
    let is_failure = |report: &DatasetReport| match report.status {
        DatasetStatus::Complete | DatasetStatus::PartialTest => false,
        DatasetStatus::Missing | DatasetStatus::Incomplete => args.name.is_some(),
        DatasetStatus::Damaged => true,
    };
    Ok(if reports.iter().any(is_failure) { Exit::Failure } else { Exit::Success })
}

/// Runs `lth data show`.
fn show(args: &ShowArgs) -> Result<Exit> {
    let name = args.what.to_string_lossy();
    let (stem, summary, dataset) = match builtin_config(&name) {
        Some(mut data) => {
            if let Some(change) = args.overrides.0.first() {
                let option = match change {
                    Override::Set(set) => format!("--set {set}"),
                    Override::Unset(key) => format!("--unset {key}"),
                };
                let text = "error: a data set has no values to change: `--set` and `--unset` change an experiment";
                return Err(config::UsageError::from_text(&format!("{text}\n  --> {option}")).into());
            }
            if data.has_builtin_files() {
                data.dir = Some(folders::data_folder(args.data_dir.as_ref())?);
            }
            let (info, _) = data::inspect(&data).map_err(|problem| anyhow::anyhow!(problem.message))?;
            let (summary, dataset) = DatasetSummary::of_files(&info)?;
            (name.into_owned(), summary, dataset)
        }
        None => experiment_data(args)?,
    };
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(format!("{stem}-sheet.png")));
    refuse_to_replace(&out)?;
    files::write(&out, &data::contact_sheet(&dataset)?)?;
    let sheet = out.display().to_string();
    if args.json {
        ui::print_result(&(serde_json::to_string_pretty(&DataShowResult { summary: &summary, sheet })? + "\n"))?;
    } else {
        ui::print_result(&ui::dataset_summary(&summary, &sheet))?;
    }
    Ok(Exit::Success)
}

/// Fails if `out` is a file that `lth data show` did not write. A folder fails later, when the contact sheet is
/// written.
fn refuse_to_replace(out: &Path) -> Result<()> {
    // `symlink_metadata` also finds a dangling symbolic link, which must not be replaced either.
    let is_free = out.symlink_metadata().is_err() || out.is_dir();
    if is_free || data::is_contact_sheet(out) {
        return Ok(());
    }
    let text = format!("error: `{}` exists and has no mark of `lth data show`: it is not replaced", out.display());
    let hint = "hint: name another file with `--out`, or remove this one";
    Err(config::UsageError::from_text(&format!("{text}\n\n{hint}")).into())
}

/// Returns the configuration of the built-in data set `name`; `None` if no data set has this name.
fn builtin_config(name: &str) -> Option<DataConfig> {
    serde_json::from_value(json!({ "dataset": name })).ok()
}

/// Returns the name of an experiment, the summary of its data as it splits them, and the data.
fn experiment_data(args: &ShowArgs) -> Result<(String, DatasetSummary, Dataset)> {
    if !args.what.exists() && args.what.extension().is_none() && !user_path::is_stdin(&args.what) {
        let text = format!("error: `{}` is neither a data set nor a file", args.what.display());
        let hint =
            format!("hint: one of strokes, {}, or a configuration such as `experiment.toml`", data::names().join(", "));
        return Err(config::UsageError::from_text(&format!("{text}\n\n{hint}")).into());
    }
    let args = ExperimentArgs {
        config: args.what.clone(),
        overrides: args.overrides.clone(),
        data_dir: args.data_dir.clone(),
    };
    let (document, experiment) = load::read(&args)?;
    let usage_error = |problem| config::UsageError::new(&[problem], &document);
    let (info, images) = data::inspect(&experiment.data).map_err(usage_error)?;
    info.image_counts(&experiment.data).map_err(usage_error)?;
    let dataset = match images {
        Some(images) => info.split(images, &experiment.data, experiment.seed)?,
        None => info.load(&experiment.data, experiment.seed)?,
    };
    Ok((experiment.name, DatasetSummary::of_split(&info, &dataset), dataset))
}
