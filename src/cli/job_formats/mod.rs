//! The jobs of an experiment as files for engines that run them: readable, and the user's to change.

mod hyperqueue;
mod make;
mod parallel;
mod slurm;

use clap::ValueEnum;

use crate::base::format::count_of;
use crate::config::UsageError;
use crate::runner::JobList;
use crate::system::env;

/// The options that give a job one worker, for engines that run one job per core.
const ONE_WORKER: [&str; 2] = ["--set", "run.workers=1"];

/// An engine that runs jobs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum JobFormat {
    /// A script that submits a job array for each level of the plan, and a job for the report: `bash jobs.sh`.
    Slurm,
    /// A job file: `hq job submit-file jobs.toml`.
    Hyperqueue,
    /// A makefile: `make -f jobs.mk -j 4`.
    Make,
    /// A script that calls GNU parallel for each level of the plan: `bash jobs.sh`.
    Parallel,
}

/// The contents of a file for an engine.
pub(super) struct Contents<'a> {
    /// The jobs.
    pub(super) list: &'a JobList,
    /// The words of the command line of `lth run`.
    pub(super) command: &'a [String],
}

impl Contents<'_> {
    /// Returns the command line of `lth run`, quoted for a shell.
    fn command_line(&self) -> String {
        env::quoted_line(self.command)
    }
}

impl JobFormat {
    /// Returns the file.
    ///
    /// # Errors
    /// Fails if the folder of runs has a name that the engine cannot handle.
    pub(super) fn text(self, contents: &Contents<'_>) -> Result<String, UsageError> {
        Ok(match self {
            Self::Slurm => slurm::text(contents),
            Self::Hyperqueue => hyperqueue::text(contents),
            Self::Make => make::text(contents)?,
            Self::Parallel => parallel::text(contents),
        })
    }
}

/// Returns the first lines of a file as comments: what it is, and how it was made.
fn header(contents: &Contents<'_>, engine: &str) -> String {
    let jobs = &contents.list.jobs;
    let done = jobs.len() - contents.list.to_run().count();
    let done = if done > 0 { format!(", {done} of them done") } else { String::new() };
    format!(
        "# The jobs of `{}` for {engine}: {}{done}. Made by\n#   {}\n# The file is yours: change what you like.\n",
        contents.list.experiment,
        count_of(jobs.len() as u64, "job"),
        env::command()
    )
}
