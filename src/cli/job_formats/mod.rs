//! The jobs of an experiment as files for engines that run them: readable, and the user's to change.

mod hyperqueue;
mod make;
mod parallel;
mod slurm;

use std::path::Path;

use clap::ValueEnum;

use crate::base::format::count_of;
use crate::runner::JobList;
use crate::system::env;

/// An engine that runs jobs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum JobFormat {
    /// A script that submits a job array for each level of the plan, and a job for the report: `bash FILE`.
    Slurm,
    /// A job file: `hq job submit-file FILE`.
    Hyperqueue,
    /// A makefile: `make -j 4 -f FILE`.
    Make,
    /// A script that calls GNU parallel for each level of the plan: `bash FILE`.
    Parallel,
}

impl JobFormat {
    /// Returns the file. `command`: the command line of `lth run`; `folder`: the folder that its paths are relative to.
    pub(super) fn text(self, list: &JobList, command: &str, folder: &Path) -> String {
        let folder = folder.display().to_string();
        match self {
            Self::Slurm => slurm::text(list, command, &folder),
            Self::Hyperqueue => hyperqueue::text(list, command, &folder),
            Self::Make => make::text(list, command, &folder),
            Self::Parallel => parallel::text(list, command, &folder),
        }
    }
}

/// Returns the first lines of a file as comments: what it is, and how it was made.
fn header(list: &JobList, engine: &str) -> String {
    let missing = list.jobs.iter().filter(|job| !job.is_done).count();
    format!(
        "# The jobs of `{}` for {engine}: {}, {missing} of them not done.\n# Made by: {}\n",
        list.experiment,
        count_of(list.jobs.len() as u64, "job"),
        env::command()
    )
}
