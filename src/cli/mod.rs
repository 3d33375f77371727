//! The command line: one file per command. Each command has a `run` that takes its arguments and returns the exit code.

mod check;
mod clean;
mod compare;
mod completion;
mod data;
mod deletion;
mod doctor;
mod evaluate;
mod events;
mod execution;
mod explain;
mod filter;
mod folders;
mod generate;
mod help;
mod init;
mod job_formats;
mod jobs;
mod json;
mod landscape;
mod load;
mod man;
mod manifest;
mod measured_run;
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
mod ticket;
mod trainers;
mod usage_tips;
mod verify;
mod verify_files;

use std::ffi::OsString;

use clap::{CommandFactory, Parser, Subcommand};

use crate::system::exit;
use crate::system::exit::Exit;
use crate::ui;
use explain::{FOLDER_OPTION, explain};

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
    /// Export networks of a run to files; show, verify, shrink and time such files.
    Ticket(ticket::TicketArgs),
    /// Measure the training loss around the starting and the final weights of the networks of a run: how far weights
    /// move, the gradient at the start, sharpness, and the loss on the line between the two. By default of the dense network,
    /// the tickets, and their controls with new initial weights.
    #[command(after_help = exit::help())]
    Landscape(landscape::LandscapeArgs),
    /// Measure robustness, calibration and accuracy by class: evaluate trained networks on corrupted and on attacked
    /// test images.
    #[command(after_help = exit::help())]
    Evaluate(evaluate::EvaluateArgs),
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
        Command::Ticket(args) => ticket::run(args),
        Command::Landscape(args) => landscape::run(args),
        Command::Evaluate(args) => evaluate::run(args),
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
