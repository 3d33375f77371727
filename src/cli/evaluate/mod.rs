//! `lth evaluate`: measures robustness, calibration and accuracy by class of the trained networks of a run, or of tickets
//! in files.

mod options;
mod run;
mod tickets;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use self::options::EvaluationOptions;
use super::folders;
use super::measured_run::MeasureArgs;
use crate::base::category::Categorical as _;
use crate::base::format::{count_of, with_thousands};
use crate::config::UsageError;
use crate::data::corruption::LEVELS;
use crate::system::exit::Exit;
use crate::system::files;
use crate::train::robustness::EvaluationDefinition;

#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    /// The run: its folder, its name, or the name of its experiment. Or files with tickets, `*.safetensors`; their data are
    /// looked for in `--data-dir`, else in `LTH_DATA_DIR`, else in `data`.
    #[arg(required = true, value_name = "RUN|FILE", value_parser = folders::path_parser())]
    networks: Vec<PathBuf>,
    #[command(flatten)]
    measure: MeasureArgs,
    #[command(flatten)]
    options: EvaluationOptions,
    /// Write a report on tickets in files, and its CSV files, to this folder [default: only print the table].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    out: Option<PathBuf>,
}

/// Runs `lth evaluate` and returns its exit code.
///
/// # Errors
/// Fails if the run or a file cannot be read or resolved, a file cannot be written, or a network does not have the
/// accuracy that was recorded. Returns a [`UsageError`] for options that do not go together.
pub(super) fn run(args: &EvaluateArgs) -> Result<Exit> {
    let EvaluateArgs { networks, measure, options, out } = args;
    let is_ticket = |path: &PathBuf| path.is_file() || is_named_like_ticket(path);
    let usage_error = |text: &str| Err(UsageError::from_text(&format!("error: {text}")).into());
    match networks.iter().find(|path| !is_ticket(path)) {
        None if measure.has_run_options() => usage_error(
            "`--arm`, `--round`, `--runs` and `--events` are for a run, and these are files\n\nhint: name the files to \
             evaluate, without these options",
        ),
        None => tickets::run(networks, measure, options, out.as_ref()),
        Some(name) if networks.len() > 1 => usage_error(&format!(
            "`{}` is not a file of a ticket\n\nhint: evaluate one run at a time, or any number of tickets",
            name.display()
        )),
        Some(_) if out.is_some() => usage_error(
            "`--out` is for tickets in files: the results of a run are written into its folder\n\nhint: `lth report \
             --out DIR` writes its report to another folder",
        ),
        Some(name) if has_tickets(name) => usage_error(&format!(
            "`{0}` is a folder with tickets, and no run\n\nhint: name the files: `lth evaluate {0}/*.safetensors`",
            name.display()
        )),
        Some(name) => run::run(name, measure, options),
    }
}

/// Returns whether a path ends as those of tickets do.
fn is_named_like_ticket(path: &Path) -> bool {
    path.extension() == Some(OsStr::new("safetensors"))
}

/// Returns whether a path is that of a folder with files like those of tickets.
fn has_tickets(folder: &Path) -> bool {
    folder.is_dir() && files::list(folder).unwrap_or_default().iter().any(|path| is_named_like_ticket(path))
}

/// Returns a note on the work: the numbers of networks and of evaluations, each of which counts once for the images as
/// they are. `test_images`: the number of test images.
fn evaluations_note(definition: &EvaluationDefinition, networks: usize, test_images: usize) -> String {
    let mut parts = vec!["as they are".to_owned()];
    if !definition.corruptions.is_empty() {
        let kinds = count_of(definition.corruptions.len() as u64, "corruption");
        parts.push(format!("under {kinds} at {LEVELS} levels"));
    }
    if !definition.attacks.is_empty() {
        let attacks: Vec<&str> = definition.attacks.iter().map(|attack| attack.as_str()).collect();
        let attacks = attacks.join(" and ");
        let images = with_thousands((definition.attack_images as usize).min(test_images) as u64);
        let epsilons: Vec<String> = definition.epsilons.iter().map(ToString::to_string).collect();
        parts.push(format!("the first {images} under {attacks} at ε = {}", epsilons.join(", ")));
    }
    let evaluations = networks * (1 + definition.conditions().len());
    format!(
        "{} to evaluate on {} test images: {} ({} in all)",
        count_of(networks as u64, "network"),
        with_thousands(test_images as u64),
        parts.join(", "),
        count_of(evaluations as u64, "evaluation")
    )
}
