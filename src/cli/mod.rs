//! The command line: one file per command. Each command has a `run` that takes its arguments and returns the exit code.

mod check;
mod clean;
mod compare;
mod data;
mod doctor;
mod execution;
mod filter;
mod folders;
mod generate;
mod init;
mod load;
mod manifest;
mod plan;
mod report;
mod run;
mod runs;
mod show;
mod stability;
mod trainers;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::system::env;
use crate::system::exit;
use crate::system::exit::Exit;
use crate::system::files::{LocksUnsupported, WriteError};
use crate::ui;

pub(crate) use execution::Execution;
pub(crate) use load::LoadedExperiment;
pub(crate) use report::write_run_report;
pub(crate) use run::register_run;
pub(crate) use trainers::EngineTrainerFactory;

/// Runs experiments on the Lottery Ticket Hypothesis.
#[derive(Debug, Parser)]
#[command(name = "lth", version, after_help = exit::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs an experiment, or goes on with one: what is trained already is not trained again.
    #[command(after_help = exit::HELP)]
    Run(run::RunArgs),
    /// Tells what an experiment will cost: trainings, weights by round, work, disk and time. Trains nothing.
    Plan(plan::PlanArgs),
    /// Writes a page with verdicts, claims, figures and tables on one or several runs, finished or not.
    Report(report::ReportArgs),
    /// Reads an experiment and prints every value that can change a number or the report, with its origin.
    Check(check::CheckArgs),
    /// Prints a run's table again, from its files.
    Show(show::ShowArgs),
    /// Shows what differs between runs: in their configurations, only that; and in their results.
    Compare(compare::CompareArgs),
    /// Tells how much the networks of a run depend on the order of their data: trains copies with another order, and
    /// measures the networks between.
    #[command(after_help = exit::HELP)]
    Stability(stability::StabilityArgs),
    /// Lists the runs there are: how each stands, its best round by validation accuracy, and its size.
    Runs(runs::ListArgs),
    /// Frees weights that no run needs. Asks first; curves, masks and CSV files stay.
    Clean(clean::CleanArgs),
    /// Brings, checks and shows data sets.
    Data(data::DataArgs),
    /// Tells what this machine has: libtorch, CUDA, processor, data sets, the store and its health.
    Doctor(doctor::DoctorArgs),
    /// Writes an experiment to begin with, and the schema that editors complete it by.
    Init(init::InitArgs),
    /// Prints completions for shells, manual pages, the schema and the reference of configurations.
    Generate(generate::GenerateArgs),
}

/// Runs the command in `arguments`, of which the first is the program's name, prints its error if it fails, and returns
/// the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => dispatch(&cli),
        Err(message) => {
            let exit = if message.use_stderr() { Exit::Usage } else { Exit::Success };
            let printed = ui::print_usage(&message).map(|()| exit);
            printed.unwrap_or_else(|error| explain(&error.into(), ""))
        }
    }
}

/// Runs a command, prints its error if it fails, and returns the exit code.
fn dispatch(cli: &Cli) -> Exit {
    let done = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Report(args) => report::run(args),
        Command::Check(args) => check::run(args),
        Command::Show(args) => show::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Stability(args) => stability::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Clean(args) => clean::run(args),
        Command::Data(args) => data::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Init(args) => init::run(args),
        Command::Generate(args) => generate::run(args),
    };
    let folder_option = match &cli.command {
        Command::Data(args) => args.folder_option(),
        Command::Generate(_) | Command::Report(_) => " with `--out`",
        Command::Init(_) => ": `lth init FOLDER/experiment.toml`",
        _ => " with `--runs`",
    };
    done.unwrap_or_else(|error| explain(&error, folder_option))
}

/// Prints an error with its causes and a hint on standard error, and returns the exit code: [`Exit::Usage`] for a
/// mistake in the arguments or the configuration, else [`Exit::Failure`]. `folder_option`: the part of the hint that
/// names the option for another folder, such as " with `--runs`".
fn explain(error: &anyhow::Error, folder_option: &str) -> Exit {
    if let Some(mistake) = error.downcast_ref::<crate::config::UsageError>() {
        ui::eprint_line(&mistake.to_string());
        return Exit::Usage;
    }
    if let Some(missing) = error.downcast_ref::<crate::artifacts::NoSuchRun>() {
        ui::eprint_line(&format!("error: {missing}"));
        return Exit::Usage;
    }
    let mut causes = error.chain().map(ToString::to_string);
    ui::eprint_line(&format!("error: {}", causes.next().unwrap_or_default()));
    causes.for_each(|cause| ui::eprint_line(&format!("  Caused by: {cause}")));
    if let Some(hint) = hint(error, folder_option) {
        ui::eprint_line(&format!("\nhint: {hint}"));
    }
    Exit::Failure
}

/// Returns advice for the most frequent system errors: missing data, downloads, file locks, folders that cannot be
/// written; `None` for other errors. `folder_option`: see [`explain`].
fn hint(error: &anyhow::Error, folder_option: &str) -> Option<String> {
    if let Some(crate::data::Unreadable { builtin: set, folder }) = error.downcast_ref() {
        let is_missing = error.chain().any(<dyn std::error::Error>::is::<crate::data::NotFound>);
        let is_usual = *folder == crate::data::default_folder();
        let shown = env::quoted(&folder.display().to_string());
        let folder_argument = if is_usual { String::new() } else { format!(" --data-dir {shown}") };
        return Some(if is_missing {
            format!(
                "run `lth data fetch {set}{folder_argument}`, or point `--data-dir` or LTH_DATA_DIR at the folder of the \
                 files; `data.dataset=strokes` needs none"
            )
        } else {
            format!(
                "`lth data check {set}{folder_argument}` tells of every file; `lth data fetch {set}{folder_argument}` brings \
                 anew what is wrong"
            )
        });
    }
    if let Some(unreachable) = error.chain().find_map(|cause| cause.downcast_ref::<crate::data::NoMirror>()) {
        return Some(format!(
            "the same command tries again, and goes on from what has come. Behind a proxy set HTTPS_PROXY; `--mirror URL` \
             names another place with the same files; or put the files that `lth data check` lists into `{}` by hand",
            unreachable.folder.display()
        ));
    }
    if error.chain().any(<dyn std::error::Error>::is::<LocksUnsupported>) {
        return Some(
            "name a folder on another file system with `--runs`: a local disk, or one that is mounted with locks (Lustre: \
             `-o flock`). `lth doctor --runs FOLDER` tests whether a folder has locks"
                .to_owned(),
        );
    }
    let unwritten = error.chain().find_map(|cause| cause.downcast_ref::<WriteError>())?;
    let advice = match unwritten.source.kind() {
        std::io::ErrorKind::PermissionDenied
        | std::io::ErrorKind::ReadOnlyFilesystem
        | std::io::ErrorKind::NotFound
        | std::io::ErrorKind::AlreadyExists
        | std::io::ErrorKind::NotADirectory => "name a folder you may write to",
        std::io::ErrorKind::IsADirectory => {
            "a folder stands where the file belongs; move it away, or name another place"
        }
        std::io::ErrorKind::StorageFull => "free some space, or name another folder",
        _ => return None,
    };
    Some(format!("{advice}{folder_option}"))
}
