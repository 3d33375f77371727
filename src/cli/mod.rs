//! The command line: one file per command. Each command has a `run` that takes its arguments and returns the exit code.

mod check;
mod clean;
mod compare;
mod completion;
mod data;
mod deletion;
mod doctor;
mod events;
mod execution;
mod filter;
mod folders;
mod generate;
mod help;
mod init;
mod job_formats;
mod jobs;
mod json;
mod load;
mod man;
mod manifest;
mod output;
mod overrides;
mod plan;
mod provenance;
mod release_manifest;
mod report;
mod requirement;
mod rm;
mod run;
mod runs;
mod schemas;
mod selection;
mod show;
mod stability;
mod stop_notice;
mod stored_study;
mod sweep;
mod trainers;
mod usage_tips;
mod verify;
mod verify_files;

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

use crate::system::exit;
use crate::system::exit::Exit;
use crate::system::files::{LocksUnsupported, WriteError};
use crate::ui;

pub(crate) use execution::Execution;
pub(crate) use load::LoadedExperiment;
pub(crate) use report::write_run_report;
pub(crate) use trainers::EngineTrainerFactory;

/// Run experiments on the Lottery Ticket Hypothesis.
#[derive(Debug, Parser)]
#[command(name = "lth", version, after_help = help::program(), max_term_width = MAX_HELP_WIDTH)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The largest width of help texts, in columns: that of the smallest usual terminal.
const MAX_HELP_WIDTH: usize = 80;

#[derive(Debug, Subcommand)]
enum Command {
    /// Run an experiment, or resume it: finished training runs are not repeated.
    #[command(after_help = exit::help(), visible_alias = "train")]
    Run(run::RunArgs),
    /// Show what an experiment will cost: training runs, weights by round, work, disk and time. Or list its jobs for a
    /// cluster.
    Plan(plan::PlanArgs),
    /// Write a report on one or several runs, finished or not: verdicts, claims, figures, tables.
    Report(report::ReportArgs),
    /// Show every value of an experiment that affects results, and where it was set.
    Check(check::CheckArgs),
    /// Show the results of a run.
    Show(show::ShowArgs),
    /// Show what differs between runs: in their configurations and in their results.
    Compare(compare::CompareArgs),
    /// Measure linear mode connectivity: train copies of the networks of a run with another data order, and evaluate
    /// the networks on the line between the two.
    #[command(after_help = exit::help())]
    Stability(stability::StabilityArgs),
    /// Verify a run: compare every file, mask and weight with what it is made from. Changes nothing.
    #[command(after_help = exit::help())]
    Verify(verify::VerifyArgs),
    /// List the runs: state, best round by validation accuracy, and size.
    #[command(visible_alias = "ls")]
    Runs(runs::ListArgs),
    /// Delete the folders of runs, after confirmation. Their training runs are kept in the store.
    Rm(rm::RmArgs),
    /// Delete weights and progress snapshots that no run needs, after confirmation. Curves, masks and CSV files are kept.
    Clean(clean::CleanArgs),
    /// Download, check and show data sets.
    Data(data::DataArgs),
    /// Show what this machine has: libtorch, CUDA, processor, data sets, and the state of the store.
    Doctor(doctor::DoctorArgs),
    /// Write an experiment to start from, and the JSON Schema that editors use to complete it.
    Init(init::InitArgs),
    /// Print completion scripts, manual pages, JSON Schemas and the reference.
    Generate(generate::GenerateArgs),
}

/// Runs the command in `arguments`, of which the first is the program's name, prints its error if it fails, and returns
/// the exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    match completion::answer(&arguments) {
        Ok(true) => return Exit::Success,
        Ok(false) => {}
        Err(error) => return explain(&error.into(), ""),
    }
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => dispatch(&cli),
        Err(message) => {
            let message = usage_tips::with_tip(message, &arguments, &command_names());
            let exit = if message.use_stderr() { Exit::Usage } else { Exit::Success };
            let printed = ui::print_usage(&message).map(|()| exit);
            printed.unwrap_or_else(|error| explain(&error.into(), ""))
        }
    }
}

/// The part of a hint that names the option for another folder of runs.
const FOLDER_OPTION: &str = " with `--runs`";

/// Returns the names of all commands, with their aliases.
fn command_names() -> Vec<String> {
    let command = Cli::command();
    let names = |sub: &clap::Command| {
        let aliases = sub.get_visible_aliases().map(str::to_owned);
        std::iter::once(sub.get_name().to_owned()).chain(aliases).collect::<Vec<_>>()
    };
    command.get_subcommands().flat_map(names).collect()
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
        Command::Verify(args) => verify::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Rm(args) => rm::run(args),
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
        _ => FOLDER_OPTION,
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
    if let Some(wrong) = error.chain().find_map(|cause| cause.downcast_ref::<crate::system::env::BadVariable>()) {
        ui::eprint_line(&format!("error: {wrong}"));
        return Exit::Usage;
    }
    if let Some(missing) = error.downcast_ref::<crate::artifacts::NoSuchRun>() {
        ui::eprint_line(&format!("error: {missing}"));
        return Exit::Usage;
    }
    if let Some(execution::Stopped(exit)) = error.downcast_ref() {
        ui::eprint_line(&format!("{error:#}"));
        return *exit;
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
        let folder_argument = crate::data::data_dir_argument(folder);
        return Some(if is_missing {
            format!(
                "run `lth data fetch {set}{folder_argument}`, or point `--data-dir` or LTH_DATA_DIR at the folder of the \
                 files; `data.dataset=strokes` needs none"
            )
        } else {
            format!(
                "`lth data check {set}{folder_argument}` checks every file; `lth data fetch {set}{folder_argument}` \
                 downloads damaged files again"
            )
        });
    }
    if let Some(unreachable) = error.chain().find_map(|cause| cause.downcast_ref::<crate::data::NoMirror>()) {
        return Some(format!(
            "repeat the command to resume the download. Behind a proxy, set HTTPS_PROXY; `--mirror URL` names another \
             address with the same files; or copy the files that `lth data check` lists to `{}`",
            unreachable.folder.display()
        ));
    }
    if error.chain().any(<dyn std::error::Error>::is::<LocksUnsupported>) {
        return Some(
            "set LTH_LOCKS=claims for the first command on this folder: claim files then take the place of locks, for every \
             process on it. Or name a folder on another file system with `--runs`: a local disk, or one that is mounted \
             with locks (Lustre: `-o flock`). `lth doctor --runs FOLDER` tests whether a folder has locks"
                .to_owned(),
        );
    }
    let Some(unwritten) = error.chain().find_map(|cause| cause.downcast_ref::<WriteError>()) else {
        let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
        let is_denied = causes.any(|cause| cause.kind() == std::io::ErrorKind::PermissionDenied);
        return is_denied
            .then(|| "change the permissions of the file or folder, so that this user may read it".to_owned());
    };
    let advice = match unwritten.source.kind() {
        std::io::ErrorKind::PermissionDenied
        | std::io::ErrorKind::ReadOnlyFilesystem
        | std::io::ErrorKind::NotFound
        | std::io::ErrorKind::AlreadyExists
        | std::io::ErrorKind::NotADirectory => "name a folder you may write to",
        std::io::ErrorKind::IsADirectory => {
            "a folder stands where the file belongs; move it away, or name another place"
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "free some space (`df -h` and `df -i` show what is used), or name another folder"
        }
        _ => return None,
    };
    Some(format!("{advice}{folder_option}"))
}
