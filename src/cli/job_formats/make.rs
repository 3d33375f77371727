//! A makefile of the jobs: its targets are the files of the store that exist when a training run is done.

use std::fmt::Write as _;
use std::path::Path;

use super::{Contents, ONE_WORKER, header};
use crate::config::UsageError;

/// Characters that cannot be in the name of a target.
const FORBIDDEN: &[char] = &[';', '|', '%', '\\', '*', '?', '[', '~', '=', '"', '\'', '\n', '\t'];

/// Returns the makefile. Tried with GNU make 4.3.
///
/// # Errors
/// Fails if the folder of runs has a character that cannot be in the name of a target.
pub(super) fn text(contents: &Contents<'_>) -> Result<String, UsageError> {
    let list = contents.list;
    let mut paths = list.jobs.iter().flat_map(|job| &job.files).map(|file| file.display().to_string());
    if let Some(path) = paths.find(|path| path.contains(FORBIDDEN)) {
        let message =
            format!("error: make cannot have `{path}` as a target\n\nhint: name another folder with `--runs`");
        return Err(UsageError::from_text(&message));
    }
    let command = contents.command_line().replace('$', "$$").replace('#', "\\#");
    let mut text = header(contents, "make");
    let _ = write!(
        text,
        "# Start it in the folder in which `lth plan` was started:\n#   make -f jobs.mk -j 2    # two jobs at a time, on one core \
         each; with -k it goes on after a failure\n# Ctrl-C stops it, and the same command resumes. Needs GNU make 4.3 or \
         later.\nSHELL := /bin/bash\ncommand := {command}\n\n# The file that each training run of a job writes last\n",
    );
    for job in &list.jobs {
        let files: Vec<String> = job.files.iter().map(|file| target(file)).collect();
        let _ = writeln!(text, "job_{} := {}", job.index, files.join(" "));
    }
    let all: Vec<String> = list.jobs.iter().map(|job| format!("$(job_{})", job.index)).collect();
    let _ = write!(
        text,
        "jobs := {}\n\n# The tables and the report; `make -f jobs.mk report_now` writes them although jobs are missing\n.PHONY: \
         report report_now\nreport: $(jobs)\n\t$(command) --no-training\nreport_now:\n\t$(command) --no-training\n\n# An \
         interrupted make must not delete results.\n.PRECIOUS: $(jobs)\n",
        all.join(" ")
    );
    let mut level = None;
    for job in &list.jobs {
        if level != Some(job.level) {
            level = Some(job.level);
            let _ = writeln!(text, "\n# Level {}", job.level);
        }
        // Only whether a file exists counts, not its age: `|`. One command makes all files of a job: `&:`.
        let needed: Vec<&str> = job.dependencies.iter().map(|&job| all[job].as_str()).collect();
        let needed = if needed.is_empty() { String::new() } else { format!(" | {}", needed.join(" ")) };
        let separator = if job.files.len() > 1 { " &:" } else { ":" };
        let worker = ONE_WORKER.join(" ");
        let _ = writeln!(text, "$(job_{}){separator}{needed}\n\t$(command) {worker} --job {}", job.index, job.job);
    }
    Ok(text)
}

/// Returns a file as the name of a target.
fn target(file: &Path) -> String {
    file.display().to_string().chars().fold(String::new(), |text, c| match c {
        '$' => text + "$$",
        ' ' | '#' | ':' => text + "\\" + &c.to_string(),
        _ => text + &c.to_string(),
    })
}
