//! `lth evaluate`: measures robustness, calibration and accuracy by class of the trained networks of a run, or of tickets
//! in files.

mod options;
mod run;
mod tickets;

use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use self::options::EvaluationOptions;
use super::folders;
use super::measured_run::MeasureArgs;
use crate::base::format::{count_of, with_thousands};
use crate::config::UsageError;
use crate::system::exit::Exit;
use crate::train::robustness::{Condition, EvaluationDefinition};

#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    /// The run: its folder, its name, or the name of its experiment. Or files with tickets, `*.safetensors`.
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
    let is_ticket = |path: &PathBuf| path.is_file() || path.extension() == Some(OsStr::new("safetensors"));
    let usage_error = |text: &str| Err(UsageError::from_text(&format!("error: {text}")).into());
    match networks.iter().find(|path| !is_ticket(path)) {
        None if !measure.filter.is_empty() => usage_error(
            "`--arm` and `--round` choose networks of a run, and these are files\n\nhint: name the files to evaluate",
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
        Some(name) => run::run(name, measure, options),
    }
}

/// Returns a note on the numbers of networks and of evaluations.
fn evaluations_note(definition: &EvaluationDefinition, networks: usize) -> String {
    let conditions = definition.conditions();
    let attacks = conditions.iter().filter(|condition| matches!(condition, Condition::Attack { .. })).count();
    let corruptions = conditions.len() - attacks;
    let attacked = if attacks == 0 {
        String::new()
    } else {
        let images = with_thousands(u64::from(definition.attack_images));
        format!(", and on the first {images} of them under {}", count_of(attacks as u64, "attack"))
    };
    format!(
        "{} to evaluate, each on all test images as they are and under {}{attacked}: {} evaluations",
        count_of(networks as u64, "network"),
        count_of(corruptions as u64, "corruption"),
        with_thousands((networks * (1 + conditions.len())) as u64),
    )
}
